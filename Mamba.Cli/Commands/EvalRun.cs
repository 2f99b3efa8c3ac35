using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Measurement;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Metrics;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary>Trained weights, and the images that they are measured on.</summary>
/// <param name="terminal">Where results and notes go.</param>
/// <param name="request">What to measure.</param>
/// <param name="weights">The weight file.</param>
/// <param name="model">The model.</param>
/// <param name="info">What the file says about it.</param>
internal sealed class EvalRun(Terminal terminal, EvalRequest request, string weights, VisionModel model, ModelInfo info)
{
    private const long CacheBytes = 2L << 30;
    private const double TimedSeconds = 0.5;

    private IImageData _data = null!;
    private readonly List<string> _notes = [];
    private (IImageData Data, int[] Indices, ModelInfo Input)? _read;
    private bool _reordered;

    /// <summary>The weight file.</summary>
    public string Weights => weights;

    /// <summary>What the file says about the model.</summary>
    public ModelInfo Info => info;

    /// <summary>The images to measure; those that cannot be read are left out by <see cref="Measure"/>.</summary>
    public EvalImages Images { get; private set; } = null!;

    /// <summary>Images that could not be read and were left out.</summary>
    public int Skipped { get; private set; }

    private VolumeFolder? Volumes { get; set; }

    /// <summary>What is said of the scores.</summary>
    public EvalHeading Heading
    {
        get
        {
            string split = info.Data.IsForeign ? "" : info.Data.IsSplitFromFile ? ", split from a file"
                : $", split {RunArguments.Name(info.Data.Protocol)}";
            string size = info.Entry.Task == ModelTask.Classification ? ""
                : request.MetricsAt == MetricResolution.Image ? ", at their own size"
                : string.Create(CultureInfo.InvariantCulture, $", at {info.Data.Height} x {info.Data.Width}");
            return new EvalHeading(
                info.Model, info.Data.Crop is null ? "images" : "tiles", $"{RunArguments.Name(Images.Part)}{split}{size}",
                Volumes is not null);
        }
    }

    /// <summary>Opens the data, chooses the images and finds out what their masks mean.</summary>
    /// <exception cref="ArgumentException">The data are for another task, or have other classes.</exception>
    /// <exception cref="DatasetException">The data cannot be read, or the images cannot be told from those of the training.</exception>
    public void Open(CancellationToken stop)
    {
        RunData run = info.Data;
        if (request.PerImage is not null && info.Entry.Task != ModelTask.Segmentation)
            throw new ArgumentException($"--per-image is for segmentation; {info.Model} is for classification");
        DataOptions options = request.DataSet with
        {
            Axis = DataSetOptions.AxisOf(request.DataSet.Axis, info, weights), // volumes are sliced and mapped as those of the training
            VolumeIntensity = info.Intensity,
        };
        _data = Options.OpenData(request.Data, options, info.Entry.Task, run.Seed, run.SyntheticImages, (run.Height, run.Width), stop);
        DataSetOptions.ThrowIfNoVolumes(request.Data, request.DataSet.Axis, _data);
        Images = EvalImages.Choose(request.Data, _data, info, request.Part, request.SplitFile);
        Volumes = _data as VolumeFolder;
        foreach (string known in (_data as IImageFolder)?.Notes ?? []) Note(known);
        if (Images.Note is { } note) Note(note);
        if (_data is IMaskedFolder folder) DataPreparation.ReadMasks(terminal, terminal.Error, folder, Images.Indices, info.Masks, stop);
        if (ThrowIfOtherClasses() is { } order) Note(order);
    }

    /// <summary>What tells an image of this run from all others; of synthetic ones, the seed and size that made it.</summary>
    public IEnumerable<string> Keys() => Images.Indices.Select(i => request.Data != RunArguments.Synthetic ? _data.Fingerprint(i)
        : string.Create(CultureInfo.InvariantCulture, $"{_data.Name(i)} {info.Data.Seed} {info.Data.Height} {info.Data.Width}"));

    /// <summary>Measures the images.</summary>
    public Evaluation Measure(CancellationToken stop) => Measure(model, stop);

    /// <summary>Measures the images with other weights of the same model.</summary>
    public Evaluation Measure(VisionModel other, CancellationToken stop)
    {
        (IImageData data, int[] indices, ModelInfo input) = _read ??= Read(stop);
        Dictionary<string, VoxelSpacing?>? spacing = data is TiledData ? null : Spacing(indices);
        return Measure(other, data, indices, input, spacing, null, stop);
    }

    /// <summary>As <see cref="Measure(VisionModel, CancellationToken)"/>, to be compared with other weights.</summary>
    /// <returns>
    /// The result; its time is the median of one image at a time, after a warm-up. What is measured first would else be slow for it: it
    /// compiles code that later weights find.
    /// </returns>
    public Evaluation MeasureWarm(VisionModel other, CancellationToken stop)
    {
        Evaluation result = Measure(other, stop);
        Objective objective = Objective;
        Tensor image = Tensor.Zeros(1, info.Data.Height, info.Data.Width, info.Config.InputChannels);
        bool thaw = !other.Parameters.IsFrozen;
        other.Parameters.Freeze();
        double median = PassTimes.Measure(Pass, TimedSeconds, stop).Median;
        if (thaw) other.Parameters.Thaw();
        image.Dispose();
        return result with { MillisecondsPerImage = median };

        void Pass()
        {
            using MemoryScope scope = new();
            other.Probabilities(objective.Predict(other, image));
        }
    }

    /// <summary>Measures a part of the images.</summary>
    /// <param name="part">Every N-th batch; of volumes measured as a whole, every N-th volume.</param>
    /// <param name="job">What tells this evaluation from others.</param>
    /// <param name="stop">Stops between batches.</param>
    /// <returns>What was measured.</returns>
    public EvalPartDocument Measure(JobPart part, string job, CancellationToken stop)
    {
        (IImageData data, int[] indices, ModelInfo input) = Read(stop);
        Dictionary<string, VoxelSpacing?>? spacing = data is TiledData ? null : Spacing(indices);
        EvalShare share = new(part, BatchSize, spacing is null ? [.. indices.Select((_, i) => i / BatchSize)]
            : EvalShare.Units(indices.Select(Volumes!.Volume)));
        int[] run = [.. share.Places.Select(place => indices[place])];
        List<MeasuredBatch> measured = [];
        Evaluation? result = run.Length == 0 ? null : Measure(model, data, run, input, spacing, measured.Add, stop);
        SegmentationDetail? detail = result is null ? null : ScoreReport.Detail(result.Scores);
        return new EvalPartDocument(
            job, part.ToString(), indices.Length, BatchSize, Skipped, result?.MillisecondsPerImage * result?.Images ?? 0,
            Isa.Current.ToString(), Heading, data.Labels, info.Config.Classes, UnitOf(spacing), _notes,
            share.Keep(measured, spacing is null ? [] : detail?.Groups ?? []));
    }

    /// <summary>The unit of distances: pages of a TIFF do not say how far they are apart.</summary>
    private static string UnitOf(Dictionary<string, VoxelSpacing?>? spacing) =>
        spacing is null ? MetricOptions.Pixels : spacing.ContainsValue(null) ? "voxels" : "mm";

    private Objective Objective => Objective.Of(
        info.Entry, new ObjectiveOptions(info.Data.Loss ?? ObjectiveOptions.DefaultLoss(info.Entry, info.Config.Classes))
        {
            Classes = info.Config.Classes,
            ClassWeights = info.Data.ClassWeights,
        });

    private int BatchSize => info.Data.Batch ?? info.Entry.Recipe.Batch;

    /// <summary>
    /// Images as the model takes them, (1, H, W, channels) each: of those it was trained on, where they are known, else of those measured.
    /// </summary>
    /// <param name="most">At most so many, evenly spread.</param>
    /// <param name="stop">Ends it between two images.</param>
    /// <returns>The images, and which they are, in words.</returns>
    public (IReadOnlyList<Tensor> Images, string From) Calibration(int most, CancellationToken stop)
    {
        int[] indices = Images.Indices;
        string from = $"of {RunArguments.Name(Images.Part)}";
        try
        {
            int[] training = EvalImages.Choose(request.Data, _data, info, SplitPart.Train, request.SplitFile).Indices;
            if (training.Length > 0) (indices, from) = (training, "of training");
        }
        catch (DatasetException)
        {
            from += ", since the training images are not known here";
        }
        int count = Math.Min(most, indices.Length);
        int[] chosen = [.. Enumerable.Range(0, count).Select(i => indices[(int)((long)i * indices.Length / count)])];
        ModelInfo input = Volumes is null ? info : info.ForSlices;
        using BatchLoader loader = new(_data, chosen, input.Input with { BatchSize = 1 });
        return ([.. loader.Epoch(0, cancellation: stop).Select(batch =>
        {
            Tensor image = batch.Images.Clone();
            batch.Dispose();
            return image;
        })], from);
    }

    /// <summary>The images that can be read, or their tiles, as they are measured.</summary>
    private (IImageData Data, int[] Indices, ModelInfo Input) Read(CancellationToken stop)
    {
        IImageData data = _reordered ? new ReorderedClasses(_data, info.Labels) : _data;
        int[] indices = Images.Indices;
        if (request.OnBadImage == OnBadImage.Skip)
        {
            data = new CachedData(data, CacheBytes); // so that none is decoded twice
            IReadOnlyList<BadImage> bad = LiveProgress.Show(
                terminal, "reading", indices.Length, report => DataSurvey.Of(data, indices, OnBadImage.Skip, report, stop)).Bad;
            if (bad.Count > 0) terminal.Error.WriteLine($"mamba: {PlainText.Printable(BadImage.Describe(bad, indices.Length))}");
            Skipped = bad.Count;
            indices = [.. indices.Except(bad.Select(image => image.Index))];
        }
        ModelInfo input = Volumes is null ? info : info.ForSlices;
        if (indices.Length > 0 && input.BitsNote(data.Load(indices[0]).Image) is { } bits) Note($"{data.Name(indices[0])}: {bits}");
        if (request.MetricsAt == MetricResolution.Image && data is not CachedData) data = new CachedData(data, CacheBytes);
        if (info.Data.Crop is { } side)
        {
            TiledData tiles = new(data, indices, side);
            Note($"the model was trained on crops: {indices.Length} images are measured in {tiles.Count} tiles of {side} x {side}");
            (data, indices) = (tiles, [.. Enumerable.Range(0, tiles.Count)]);
        }
        return (data, indices, input);
    }

    /// <summary>
    /// How far the voxels of each volume are apart, if distances can be measured in the volumes: at their own size, with all slices.
    /// </summary>
    private Dictionary<string, VoxelSpacing?>? Spacing(int[] indices)
    {
        if (Volumes is not { } volumes || request.MetricsAt != MetricResolution.Image) return null;
        ILookup<string, int> slices = indices.ToLookup(volumes.Volume);
        if (slices.All(volume => volume.Count() == volumes.SlicesInFile(volume.First())))
            return slices.ToDictionary(volume => volume.Key, volume => volumes.Spacing(volume.First()));
        Note("not all slices of each volume are measured: HD95 is that of slices, in pixels");
        return null;
    }

    private void Note(string text)
    {
        _notes.Add(text);
        terminal.Error.WriteLine(PlainText.Printable($"note: {text}"));
    }

    /// <summary>The data must have the classes of the weights, in any order.</summary>
    /// <returns>What is taken for granted where the weights do not name them, or that the order is another; null for nothing.</returns>
    private string? ThrowIfOtherClasses()
    {
        bool byName = info.Entry.Task == ModelTask.Classification || info.Labels.Count > 1;
        if (_data.Labels.Count == info.Labels.Count)
        {
            if (!byName || _data.Labels.SequenceEqual(info.Labels)) return null;
            if (info.Data.IsForeign && info.Labels.SequenceEqual(ForeignModel.DefaultLabels(info.Entry.Task, info.Labels.Count)))
                return "the weights do not name their classes, which are taken to be those of the data: "
                    + PlainText.Few(_data.Labels);
        }
        if (byName && ReorderedClasses.Are(_data.Labels, info.Labels))
        {
            _reordered = true;
            return $"the classes of the data are those of the weights in another order, and are matched by name: "
                + $"{PlainText.Few(_data.Labels)} there, {PlainText.Few(info.Labels)} in the weights";
        }
        string there = string.Join(", ", _data.Labels), known = string.Join(", ", info.Labels);
        string have = info.Data.IsForeign ? "has" : "was trained on";
        throw new ArgumentException($"{request.Data} has the classes {there}; {weights} {have} {known}");
    }

    private Evaluation Measure(
        VisionModel model, IImageData data, int[] indices, ModelInfo input, Dictionary<string, VoxelSpacing?>? spacing,
        Action<MeasuredBatch>? onMeasured, CancellationToken stop)
    {
        Objective objective = Objective;
        using BatchLoader loader = new(data, indices, input.Input with { BatchSize = BatchSize });
        // The first pass compiles the kernels, which is not what ms_per_image is about.
        using (new MemoryScope()) objective.Predict(model, Tensor.Zeros(1, info.Data.Height, info.Data.Width, info.Config.InputChannels));
        bool millimeters = spacing?.ContainsValue(null) == false;
        NumericsCheck? numerics = request.CheckNumerics ? new NumericsCheck(model.Parameters.All) : null;
        Evaluation result = LiveProgress.Show(
            terminal, RunArguments.Name(Images.Part), loader.Samples,
            report => Evaluator.Run(model, loader, objective, new EvaluationOptions
            {
                Data = data,
                Resolution = request.MetricsAt,
                Group = data.KnowsPatients ? Volumes is null || data is TiledData ? data.Patient : Volumes.Volume : null,
                Spacing = spacing is null ? null : i => millimeters ? spacing[Volumes!.Volume(i)]!.Value : VoxelSpacing.One,
                Metrics = new MetricOptions
                {
                    Distances = true,
                    DistanceUnit = UnitOf(spacing),
                    PerImage = request.PerImage is not null,
                },
                OnMeasured = onMeasured,
                Progress = report,
                Numerics = numerics,
            }, stop));
        foreach (string read in (_data as IImageFolder)?.Notes.Except(_notes).ToArray() ?? []) Note(read); // reading files adds some
        return result;
    }
}
