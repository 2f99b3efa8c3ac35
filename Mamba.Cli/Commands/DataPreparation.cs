using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Models.Data;
using Mamba.Models.Data.Labels;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Tasks;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>The way from a data set to the images of a new run; each finding is told in a line.</summary>
/// <param name="terminal">Where findings go.</param>
/// <param name="data">The data set.</param>
/// <param name="request">How to split, and what to do with images that cannot be read.</param>
/// <param name="stop">Stops between images.</param>
internal sealed class DataPreparation(Terminal terminal, IImageData data, PreparedData.Request request, CancellationToken stop)
{
    private readonly Dictionary<string, string> _leftOut = [];
    private readonly List<string> _prints = [];
    private readonly HashSet<string> _told = [];
    private IImageData _images = data;
    private CachedData _cached = new(data, request.CacheBytes);

    private IImageFolder? Folder => _images as IImageFolder;

    /// <summary>Reads masks and images, leaves out what is there twice or cannot be read, and splits the rest.</summary>
    public PreparedData Read()
    {
        Choose();
        if (Folder is IMaskedFolder masked)
            ReadMasks(terminal, terminal.Out, masked, [.. Enumerable.Range(0, masked.Count)], trained: null, stop);
        DataSurvey survey = Look();
        LeaveOutCopies(survey);
        Describe(survey);
        Split split = SplitOf(survey);
        NoteMissingClasses(split);
        return new PreparedData(_images, _cached, split)
        {
            Channels = survey.Channels,
            IsResumed = request.Resumed,
            Survey = survey,
            Tell = terminal.WriteLine,
            Record = request.Record(_images, split, _prints),
            File = SplitFile.Of(_images, split, _leftOut, (_images as IMaskedFolder)?.Meaning),
        };
    }

    /// <summary>Tells what was found in the folder, and leaves out what is beyond the limit.</summary>
    private void Choose()
    {
        if (Folder is not { } folder) return;
        TellNotes();
        if (!(request.Split.Limit < folder.Count)) return;
        HashSet<int> chosen = [.. Split.Choose(folder.Count, request.Split.Seed, request.Split.Limit)];
        LeaveOut(Enumerable.Range(0, folder.Count).Where(i => !chosen.Contains(i)), _ => PreparedData.Limited);
    }

    /// <summary>Tells the folder's notes that were not told yet: reading its files adds some.</summary>
    private void TellNotes()
    {
        foreach (string note in Folder?.Notes ?? [])
            if (_told.Add(note)) terminal.WriteLine(PlainText.Printable($"note: {note}"));
    }

    /// <summary>Reads all images once. Those that cannot be read keep their indices.</summary>
    private DataSurvey Look()
    {
        int[] all = Folder is null ? Split.Choose(_images.Count, request.Split.Seed, request.Split.Limit)
            : [.. Enumerable.Range(0, _images.Count)];
        DataSurvey survey = LiveProgress.Show(
            terminal, "reading", all.Length, report => DataSurvey.Of(_cached, all, request.OnBadImage, report, stop));
        TellNotes();
        if (survey.Bad.Count > 0) terminal.WriteLine(PlainText.Printable(BadImage.Describe(survey.Bad, all.Length)));
        foreach (BadImage image in survey.Bad) _leftOut[_images.Name(image.Index)] = image.Problem;
        _prints.AddRange(survey.Bad.Select(image => _images.Fingerprint(image.Index)));
        return survey;
    }

    private void LeaveOutCopies(DataSurvey survey)
    {
        bool official = request.Split.Protocol is SplitProtocol.Official or SplitProtocol.Holdout;
        if (Folder is not { } folder || request.SplitFile is not null || Copies(survey, official, folder) is not { Length: > 0 } copies)
            return;
        terminal.WriteLine(PlainText.Printable(survey.Describe(copies)));
        Dictionary<int, string> originals = copies.ToDictionary(copy => copy.Copy, copy => folder.Name(copy.Original));
        LeaveOut(originals.Keys, i => $"{PreparedData.Copied}{originals[i]}");
    }

    /// <summary>Images that are there twice. Equal slices of one volume are no copies: without them it would have gaps.</summary>
    private static (int Copy, int Original)[] Copies(DataSurvey survey, bool official, IImageFolder folder) =>
    [
        .. survey.Copies(official)
            .Where(copy => folder is not VolumeFolder volumes || volumes.Volume(copy.Copy) != volumes.Volume(copy.Original)),
    ];

    private void LeaveOut(IEnumerable<int> samples, Func<int, string> why)
    {
        HashSet<int> left = [.. samples];
        foreach (int i in left) _leftOut[_images.Name(i)] = why(i);
        _prints.AddRange(left.Select(_images.Fingerprint));
        _images = Folder!.Without(left);
        _cached = new CachedData(_images, request.CacheBytes);
    }

    /// <summary>Says what was understood of the folder.</summary>
    private void Describe(DataSurvey survey)
    {
        if (Folder is not { } folder) return;
        string who = folder.KnowsPatients
            ? $" of {Enumerable.Range(0, folder.Count).Select(folder.Patient).Distinct().Count()} patients" : "";
        string gray = survey.Colored is > 0 and var colored && colored < survey.Count
            ? $"; {colored} are in color, so that all have 3 channels" : "";
        if (folder is VolumeFolder volumes) Describe(volumes, who);
        else terminal.WriteLine(PlainText.Printable($"images: {folder.Layout}; {folder.Count} images{who}{gray}"));
    }

    /// <summary>Says what was understood of volumes, and how they are split.</summary>
    private void Describe(VolumeFolder volumes, string who)
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

    /// <summary>The split, without images that cannot be read.</summary>
    private Split SplitOf(DataSurvey survey)
    {
        Split split = request.SplitFile is { } path ? SplitFile.Read(path).Of(path, _images)
            : Split.Of(_images, request.Split with { Limit = Folder is null ? request.Split.Limit : null });
        if (request.SplitFile is not null && Folder is { } folder) ThrowIfShared(request.SplitFile, split, folder, survey);
        return split.Without(split[SplitPart.All].Where(i => _leftOut.ContainsKey(_images.Name(i))));
    }

    /// <summary>
    /// Tells which classes a part lacks: without training images a class is not learned, and without test images its recall is unknown.
    /// </summary>
    private void NoteMissingClasses(Split split)
    {
        if (_images.Task != ModelTask.Classification || Folder is null) return;
        foreach (SplitPart part in new[] { SplitPart.Train, SplitPart.Test })
        {
            HashSet<int?> there = [.. split[part].Select(_images.Stratum)];
            string[] missing = [.. _images.Labels.Where((_, label) => !there.Contains(label))];
            if (missing.Length == 0 || there.Contains(null)) continue;
            (string kind, string means) = part == SplitPart.Train ? ("training", "a model learns nothing of them")
                : ("test", "how well they are found is not measured");
            terminal.WriteLine(PlainText.Printable(
                $"note: no {kind} image of {missing.Length} of {_images.Labels.Count} classes: {PlainText.Few(missing)}; {means}"));
        }
    }

    /// <summary>Refuses a listed split with copies of one picture in two parts.</summary>
    private static void ThrowIfShared(string file, Split split, IImageFolder images, DataSurvey survey)
    {
        foreach ((int copy, int original) in Copies(survey, official: false, images))
        {
            bool train = split.Train.Contains(copy), other = split.Train.Contains(original);
            if (train != other && split[SplitPart.All].Contains(copy) && split[SplitPart.All].Contains(original))
                throw new DatasetException(
                    $"{file}: '{images.Name(copy)}' has the same pixels as '{images.Name(original)}', and one of them is in train; "
                        + "expected both in one part");
        }
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
}
