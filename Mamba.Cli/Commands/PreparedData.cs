using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Models.Data;
using Mamba.Models.Data.Labels;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>The images of a training run: found, read once, understood and split; each finding is told in a line.</summary>
internal sealed class PreparedData
{
    // Reasons for leaving an image out before the split. One that cannot be read keeps its index.
    private const string Limited = "--limit", Copied = "the same pixels as ";

    private PreparedData(IImageData images, CachedData cached, Split split) => (Images, Cached, Split) = (images, cached, split);

    /// <summary>The data set, without the images that were left out before the split.</summary>
    public IImageData Images { get; }

    /// <summary>The same, with decoded images in memory.</summary>
    public CachedData Cached { get; }

    /// <summary>The parts.</summary>
    public Split Split { get; }

    /// <summary>The channels that hold all images.</summary>
    public int Channels { get; private init; } = 3;

    /// <summary>What the masks' values stand for; null without mask files.</summary>
    public MaskMeaning? Meaning => (Images as IMaskedFolder)?.Meaning;

    /// <summary>The data set if its images are slices of volumes.</summary>
    public VolumeFolder? Volumes => Images as VolumeFolder;

    /// <summary>What a weight file says of the split; null for synthetic images, which are a function of the seed.</summary>
    public SplitRecord? Record { get; private init; }

    /// <summary>What <c>split.json</c> says.</summary>
    public required SplitFile File { get; init; }

    /// <summary>Whether the run is resumed.</summary>
    public bool IsResumed { get; private init; }

    /// <summary>The images as they were read; null if they were read when the run began.</summary>
    private DataSurvey? Survey { get; init; }

    /// <summary>The intensity that is asked for; or else that of the bits that images of 16 bits use.</summary>
    /// <exception cref="DatasetException">Only some images have 16 bits, and not all of those are used.</exception>
    public Intensity Intensity(Intensity? asked)
    {
        if (Volumes is { } volumes) return volumes.Intensity;
        if (asked is not null) return asked;
        if (Survey is null || Survey.Wide == 0 || Survey.UsedBits == 16) return Models.Data.Intensity.None;
        if (Survey.Wide < Survey.Count - Survey.Bad.Count)
            throw new DatasetException(
                $"{Survey.Wide} of {Survey.Count} images have {Survey.UsedBits} bits in files of 16, the others 8; "
                    + "say how to compare them, as --intensity percentile:0.5,99.5");
        return Models.Data.Intensity.ForBits((1 << Survey.UsedBits) - 1);
    }

    /// <summary>What a model is told about the images: slices have the intensity of their volume already.</summary>
    public ModelInfo Read(ModelInfo info) => Volumes is null ? info : info.ForSlices;

    /// <summary>
    /// A weight for each class, the background first: inversely proportional to its pixels, or images, in the training data, and 1 on
    /// average over the classes that occur.
    /// </summary>
    public float[] InverseFrequencies()
    {
        bool several = Images.Labels.Count > 1;
        double[] counts = new double[several ? Images.Labels.Count : 2];
        foreach (int i in Split.Train)
        {
            Sample sample = Cached.Load(i);
            if (sample is ClassificationSample image) counts[image.Label]++;
            else
                foreach (byte pixel in ((SegmentationSample)sample).Mask.Classes)
                    if (pixel != LabelMap.Ignored) counts[pixel]++;
        }
        double mean = counts.Where(count => count > 0).Average(count => 1 / count);
        return Array.ConvertAll(counts, count => count > 0 ? (float)(1 / count / mean) : 1f);
    }

    /// <summary>Reads the images of a new run.</summary>
    /// <param name="terminal">Where findings go.</param>
    /// <param name="images">The data set.</param>
    /// <param name="request">How to split, and what to do with images that cannot be read.</param>
    /// <param name="stop">Stops between images.</param>
    public static PreparedData Read(Terminal terminal, IImageData images, Request request, CancellationToken stop)
    {
        Dictionary<string, string> leftOut = [];
        List<string> prints = [];
        IImageFolder? folder = images as IImageFolder;
        if (folder is not null)
        {
            foreach (string note in folder.Notes) terminal.WriteLine(PlainText.Printable($"note: {note}"));
            if (request.Split.Limit is { } limit && limit < folder.Count)
            {
                HashSet<int> chosen = [.. Split.Choose(folder.Count, request.Split.Seed, limit)];
                LeaveOut(Enumerable.Range(0, folder.Count).Where(i => !chosen.Contains(i)), _ => Limited);
            }
        }
        if (folder is IMaskedFolder masked) 
            ReadMasks(terminal, terminal.Out, masked, [.. Enumerable.Range(0, masked.Count)], trained: null, stop);

        CachedData cached = new(images, request.CacheBytes);
        int[] all = folder is null ? Split.Choose(images.Count, request.Split.Seed, request.Split.Limit)
            : [.. Enumerable.Range(0, images.Count)];
        DataSurvey survey = LiveProgress.Show(
            terminal, "reading", all.Length, report => DataSurvey.Of(cached, all, request.OnBadImage, report, stop));
        int channels = survey.Channels;
        if (survey.Bad.Count > 0) terminal.WriteLine(PlainText.Printable(BadImage.Describe(survey.Bad, all.Length)));
        string[] bad = [.. survey.Bad.Select(image => images.Name(image.Index))];
        foreach (BadImage image in survey.Bad) leftOut[images.Name(image.Index)] = image.Problem;
        prints.AddRange(survey.Bad.Select(image => images.Fingerprint(image.Index)));

        bool official = request.Split.Protocol is SplitProtocol.Official or SplitProtocol.Holdout;
        if (folder is not null && request.SplitFile is null && Copies(survey, official, folder) is { Length: > 0 } copies)
        {
            terminal.WriteLine(PlainText.Printable(survey.Describe(copies)));
            Dictionary<int, string> originals = copies.ToDictionary(copy => copy.Copy, copy => images.Name(copy.Original));
            LeaveOut(originals.Keys, i => $"{Copied}{originals[i]}");
            cached = new CachedData(images, request.CacheBytes);
        }
        if (folder is not null)
        {
            string who = images.KnowsPatients
                ? $" of {Enumerable.Range(0, images.Count).Select(images.Patient).Distinct().Count()} patients" : "";
            string gray = survey.Colored is > 0 and var colored && colored < survey.Count
                ? $"; {colored} are in color, so that all have 3 channels" : "";
            if (folder is VolumeFolder volumes) Describe(terminal, volumes, who, request);
            else terminal.WriteLine(PlainText.Printable($"images: {folder.Layout}; {images.Count} images{who}{gray}"));
        }
        Split split = request.SplitFile is { } path ? SplitFile.Read(path).Of(path, images)
            : Split.Of(images, request.Split with { Limit = folder is null ? request.Split.Limit : null });
        if (request.SplitFile is not null && folder is not null) ThrowIfShared(request.SplitFile, split, images, survey);
        HashSet<string> unreadable = [.. bad];
        split = split.Without(split[SplitPart.All].Where(i => unreadable.Contains(images.Name(i))));
        return new PreparedData(images, cached, split)
        {
            Channels = channels,
            IsResumed = request.Resumed,
            Survey = survey,
            Record = request.Synthetic ? null : SplitRecord.Of(images, split, prints, names: folder is not null),
            File = SplitFile.Of(images, split, leftOut, (images as IMaskedFolder)?.Meaning),
        };

        void LeaveOut(IEnumerable<int> samples, Func<int, string> why)
        {
            HashSet<int> left = [.. samples];
            foreach (int i in left) leftOut[images.Name(i)] = why(i);
            prints.AddRange(left.Select(images.Fingerprint));
            images = folder = folder!.Without(left);
        }
    }

    /// <summary>Images that are there twice. Equal slices of one volume are no copies: without them it would have gaps.</summary>
    private static (int Copy, int Original)[] Copies(DataSurvey survey, bool official, IImageFolder folder) =>
    [
        .. survey.Copies(official)
            .Where(copy => folder is not VolumeFolder volumes || volumes.Volume(copy.Copy) != volumes.Volume(copy.Original)),
    ];

    /// <summary>Refuses a listed split with copies of one picture in two parts.</summary>
    private static void ThrowIfShared(string file, Split split, IImageData images, DataSurvey survey)
    {
        foreach ((int copy, int original) in Copies(survey, official: false, (IImageFolder)images))
        {
            bool train = split.Train.Contains(copy), other = split.Train.Contains(original);
            if (train != other && split[SplitPart.All].Contains(copy) && split[SplitPart.All].Contains(original))
                throw new DatasetException(
                    $"{file}: '{images.Name(copy)}' has the same pixels as '{images.Name(original)}', and one of them is in train; "
                        + "expected both in one part");
        }
    }

    /// <summary>Says what was understood of volumes, and how they are split.</summary>
    private static void Describe(Terminal terminal, VolumeFolder volumes, string who, Request request)
    {
        int count = Enumerable.Range(0, volumes.Count).Select(volumes.Volume).Distinct().Count();
        terminal.WriteLine(PlainText.Printable(string.Create(
            CultureInfo.InvariantCulture,
            $"volumes: {volumes.Layout}; {volumes.Count} slices along {RunArguments.Name(volumes.Axis)} of {count} volumes{who}")));
        terminal.WriteLine($"intensity: {volumes.Intensity}, of each volume as a whole (--intensity)");
        if (request.SplitFile is not null) return;
        terminal.WriteLine(request.Split.Protocol == SplitProtocol.Image
            ? "note: --protocol slice puts neighboring slices of one volume into training and test, which flatters the scores"
            : $"split: by {RunArguments.Name(request.Split.Protocol)}, so that all slices of a volume are in one part");
    }

    /// <summary>The images of a run that is resumed, which were read when it began.</summary>
    /// <param name="path">The run's split.json.</param>
    /// <param name="images">The data set, which may have moved.</param>
    /// <param name="request">How the run was split.</param>
    public static PreparedData Resume(string path, IImageData images, Request request)
    {
        SplitFile file = SplitFile.Read(path);
        string[] prints = [];
        if (images is IImageFolder folder)
        {
            int[] all = [.. Enumerable.Range(0, images.Count)];
            if (file.LeftOut is { } names) prints = [.. all.Where(i => names.ContainsKey(images.Name(i))).Select(images.Fingerprint)];
            HashSet<string> known = [.. file.Train, .. file.Val, .. file.Test];
            HashSet<int> left = [.. all.Where(i => !WasThere(images.Name(i)))];
            if (left.Count > 0) images = folder.Without(left);

            // The index of an image decides how it is augmented, so that the images must be those of the run's beginning.
            bool WasThere(string name) => file.LeftOut?.GetValueOrDefault(name) is { } reason
                ? reason != Limited && !reason.StartsWith(Copied, StringComparison.Ordinal)
                : request.SplitFile is not null || known.Contains(name);
        }
        Split split = file.Of(path, images);
        if (images is IMaskedFolder masked && file.Meaning is { } meaning)
        {
            // Which images have a lesion decides which ones a balanced epoch draws.
            if (request.Balance) masked.ReadMasks([.. Enumerable.Range(0, images.Count)]);
            masked.Meaning = meaning;
        }
        return new PreparedData(images, new CachedData(images, request.CacheBytes), split)
        {
            File = file,
            IsResumed = true,
            Record = request.Synthetic ? null : SplitRecord.Of(images, split, prints, names: images is IImageFolder),
        };
    }

    /// <summary>Reads masks and says in a line what their values stand for, and how much each class is.</summary>
    /// <param name="terminal">Where progress is shown.</param>
    /// <param name="output">Where the line goes.</param>
    /// <param name="folder">The data set.</param>
    /// <param name="samples">Whose masks.</param>
    /// <param name="trained">What the masks of the training meant; null for a training.</param>
    /// <param name="stop">Stops between masks.</param>
    public static void ReadMasks(
        Terminal terminal, TextWriter output, IMaskedFolder folder, int[] samples, MaskMeaning? trained, CancellationToken stop)
    {
        LiveProgress.Show(terminal, "masks", samples.Length, report =>
        {
            folder.ReadMasks(samples, trained, report, stop);
            return true;
        });
        string found = folder.Meaning.Describe([.. samples.Select(i => folder.Masks[i])], folder is VolumeFolder ? "slices" : "files");
        output.WriteLine(PlainText.Printable($"masks: {found}"));
    }

    /// <summary>How to split, and what to do with images that cannot be read.</summary>
    internal sealed record Request(SplitOptions Split, OnBadImage OnBadImage, long CacheBytes)
    {
        /// <summary>A file that lists the parts; null to split at random.</summary>
        public string? SplitFile { get; init; }

        /// <summary>Whether the images are synthetic.</summary>
        public bool Synthetic { get; init; }

        /// <summary>Whether the run is resumed.</summary>
        public bool Resumed { get; init; }

        /// <summary>Whether epochs are balanced.</summary>
        public bool Balance { get; init; }
    }
}
