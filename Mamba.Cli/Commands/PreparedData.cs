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
    public const string Limited = "--limit", Copied = "the same pixels as ";

    public PreparedData(IImageData images, CachedData cached, Split split) => (Images, Cached, Split) = (images, cached, split);

    /// <summary>The data set, without the images that were left out before the split.</summary>
    public IImageData Images { get; }

    /// <summary>The same, with decoded images in memory.</summary>
    public CachedData Cached { get; }

    /// <summary>The parts.</summary>
    public Split Split { get; }

    /// <summary>The channels that hold all images.</summary>
    public int Channels { get; init; } = 3;

    /// <summary>What the masks' values stand for; null without mask files.</summary>
    public MaskMeaning? Meaning => (Images as IMaskedFolder)?.Meaning;

    /// <summary>The data set if its images are slices of volumes.</summary>
    public VolumeFolder? Volumes => Images as VolumeFolder;

    /// <summary>What a weight file says of the split; null for synthetic images, which are a function of the seed.</summary>
    public SplitRecord? Record { get; init; }

    /// <summary>What <c>split.json</c> says.</summary>
    public required SplitFile File { get; init; }

    /// <summary>Whether the run is resumed.</summary>
    public bool IsResumed { get; init; }

    /// <summary>The images as they were read; null if they were read when the run began.</summary>
    public DataSurvey? Survey { get; init; }

    /// <summary>Takes a line for the user; null where nobody reads it.</summary>
    public Action<string>? Tell { get; init; }

    /// <summary>
    /// The intensity that is asked for; or else that of the bits that images of 16 bits use, or of the range of values that are signed or
    /// have an offset.
    /// </summary>
    /// <exception cref="DatasetException">Only some images have 16 bits, and not all of those are used.</exception>
    public Intensity Intensity(Intensity? asked)
    {
        if (Volumes is { } volumes) return volumes.Intensity;
        if (asked is not null) return asked;
        if (Survey is null || Survey.Wide == 0) return Models.Data.Intensity.None;
        (int Low, int High)? offset = Survey.OffsetRange;
        if (offset is null && Survey.UsedBits == 16) return Models.Data.Intensity.None;
        if (Survey.Wide < Survey.Count - Survey.Bad.Count)
        {
            string used = offset is { } range ? $"values {range.Low} to {range.High}" : $"{Survey.UsedBits} bits";
            throw new DatasetException(
                $"{Survey.Wide} of {Survey.Count} images have {used} in files of 16, the others 8; "
                    + "say how to compare them, as --intensity percentile:0.5,99.5");
        }
        (int low, int high) = offset ?? (0, (1 << Survey.UsedBits) - 1);
        Tell?.Invoke($"intensity: values {low} to {high} become 0 to 1 (--intensity window:{low},{high})");
        return offset is null ? Models.Data.Intensity.ForBits(high) : Models.Data.Intensity.Window(low, high);
    }

    /// <summary>What a model is told about the images: slices have the intensity of their volume already.</summary>
    public ModelInfo Read(ModelInfo info) => Volumes is null ? info : info.ForSlices;

    /// <summary>
    /// A weight for each class, the background first: inversely proportional to its pixels, or images, in the training data, and 1 on
    /// average over these, as scikit-learn's "balanced".
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
        double share = counts.Sum() / counts.Count(count => count > 0);
        return Array.ConvertAll(counts, count => count > 0 ? (float)(share / count) : 1f);
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
            if (request.Balance) masked.ReadMasks([.. Enumerable.Range(0, images.Count)], meaning);
            masked.Meaning = meaning;
        }
        return new PreparedData(images, new CachedData(images, request.CacheBytes), split)
        {
            File = file,
            IsResumed = true,
            Record = request.Record(images, split, prints),
        };
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

        /// <summary>
        /// What a weight file says of the split: names where nothing else tells the parts apart, nothing where the seed tells all.
        /// </summary>
        public SplitRecord? Record(IImageData images, Split split, IEnumerable<string> leftOut) => Synthetic && SplitFile is null ? null
            : SplitRecord.Of(images, split, leftOut, names: images is IImageFolder || SplitFile is not null);
    }
}
