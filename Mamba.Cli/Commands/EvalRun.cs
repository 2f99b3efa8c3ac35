using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Metrics;
using Mamba.Models.Recipes;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary>What to measure.</summary>
internal sealed record EvalRequest(string Weights, string Data, DataOptions DataSet, SplitPart? Part, OnBadImage OnBadImage)
{
    public string? SplitFile { get; init; }

    public MetricResolution MetricsAt { get; init; }

    public string? PerImage { get; init; }

    public bool CheckNumerics { get; init; }

    public bool Json { get; init; }
}

/// <summary>The images that weights are measured on, opened and read; any number of models may be measured on them.</summary>
internal sealed class EvalRun
{
    private const long CacheBytes = 2L << 30;

    private readonly IImageData _data;
    private readonly int[] _indices;
    private readonly CancellationToken _stop;

    private EvalRun(Terminal terminal, EvalRequest request, ModelInfo info, CancellationToken stop)
    {
        (Terminal, Request, _stop) = (terminal, request, stop);
        RunData run = info.Data;
        _data = Options.OpenData(
            request.Data, OptionsOf(request, info), info.Entry.Task, run.Seed, run.SyntheticImages, (run.Height, run.Width), stop);
        (_indices, Part, string? note) = EvalImages.Choose(request.Data, _data, info, request.Part, request.SplitFile);
        Volumes = _data as VolumeFolder;
        Info = Volumes is not null ? info.ForSlices : info;
        foreach (string known in (_data as IImageFolder)?.Notes ?? []) Note(known);
        if (note is not null) Note(note);
        if (_data is IMaskedFolder folder) ReadMasks(folder);
        if (ThrowIfOtherClasses() is { } order) Note(order);
        if (request.OnBadImage == OnBadImage.Skip)
        {
            IImageData images = _data = new CachedData(_data, CacheBytes); // so that none is decoded twice
            IReadOnlyList<BadImage> bad = LiveProgress.Show(
                terminal, "reading", _indices.Length, report => DataSurvey.Of(images, _indices, OnBadImage.Skip, report, stop)).Bad;
            if (bad.Count > 0) terminal.Error.WriteLine($"mamba: {PlainText.Printable(BadImage.Describe(bad, _indices.Length))}");
            _indices = [.. _indices.Except(bad.Select(image => image.Index))];
            Unreadable = bad.Count;
        }
        if (_indices.Length > 0 && Info.BitsNote(_data.Load(_indices[0]).Image) is { } bits) Note($"{_data.Name(_indices[0])}: {bits}");
        if (request.PerImage is not null && Info.Entry.Task != ModelTask.Segmentation)
            throw new ArgumentException($"--per-image is for segmentation; {Info.Model} is for classification");
        if (request.MetricsAt == MetricResolution.Image && _data is not CachedData) _data = new CachedData(_data, CacheBytes);
    }

    public Terminal Terminal { get; }

    public EvalRequest Request { get; }

    /// <summary>What describes the model; the images may be slices, which it then takes as they are.</summary>
    public ModelInfo Info { get; }

    /// <summary>The part of the training's split that the images are.</summary>
    public SplitPart Part { get; }

    /// <summary>The volumes that the images are slices of; null for pictures.</summary>
    public VolumeFolder? Volumes { get; }

    /// <summary>Images that could not be read.</summary>
    public int Unreadable { get; }

    /// <summary>Opens the data and chooses the images.</summary>
    /// <exception cref="ArgumentException">The data does not fit the weights, or an option the task.</exception>
    public static EvalRun Prepare(Terminal terminal, EvalRequest request, ModelInfo info, CancellationToken stop) =>
        new(terminal, request, info, stop);

    /// <summary>Measures a model.</summary>
    public Evaluation Measure(VisionModel model)
    {
        Func<int, string> group = Volumes is null ? _data.Patient : Volumes.Volume;
        Objective objective = Objective.Of(
            Info.Entry, new ObjectiveOptions(Info.Data.Loss ?? ObjectiveOptions.DefaultLoss(Info.Entry, Info.Config.Classes))
            {
                Classes = Info.Config.Classes,
                ClassWeights = Info.Data.ClassWeights,
            });
        TrainingRecipe recipe = Info.Entry.Recipe;
        using BatchLoader loader = new(_data, _indices, Info.Input with { BatchSize = Info.Data.Batch ?? recipe.Batch });
        // The first pass compiles the kernels, which is not what ms_per_image is about.
        using (new MemoryScope()) objective.Predict(model, Tensor.Zeros(1, Info.Data.Height, Info.Data.Width, Info.Config.InputChannels));
        NumericsCheck? numerics = Request.CheckNumerics ? new NumericsCheck(model.Parameters.All) : null;
        return LiveProgress.Show(
            Terminal, RunArguments.Name(Part), loader.Samples, report => Evaluator.Run(model, loader, objective, new EvaluationOptions
            {
                Data = _data,
                Resolution = Request.MetricsAt,
                Group = _data.KnowsPatients ? group : null,
                Metrics = new MetricOptions { Distances = true, PerImage = Request.PerImage is not null },
                Progress = report,
                Numerics = numerics,
            }, _stop));
    }

    /// <summary>
    /// Images as the model takes them, (1, H, W, channels) each: of those it was trained on, where they are known, else of those measured.
    /// </summary>
    /// <param name="most">At most so many, evenly spread.</param>
    /// <returns>The images, and which they are, in words.</returns>
    public (IReadOnlyList<Tensor> Images, string From) Calibration(int most)
    {
        int[] indices = _indices;
        string from = $"of {RunArguments.Name(Part)}";
        try
        {
            int[] training = EvalImages.Choose(Request.Data, _data, Info, SplitPart.Train, Request.SplitFile).Indices;
            if (training.Length > 0) (indices, from) = (training, "of training");
        }
        catch (DatasetException)
        {
            from += ", since the training images are not known here";
        }
        int count = Math.Min(most, indices.Length);
        int[] chosen = [.. Enumerable.Range(0, count).Select(i => indices[(int)((long)i * indices.Length / count)])];
        using BatchLoader loader = new(_data, chosen, Info.Input with { BatchSize = 1 });
        return ([.. loader.Epoch(0, cancellation: _stop).Select(batch =>
        {
            Tensor image = batch.Images.Clone();
            batch.Dispose();
            return image;
        })], from);
    }

    private void Note(string text) => Terminal.Error.WriteLine(PlainText.Printable($"note: {text}"));

    private void ReadMasks(IMaskedFolder folder)
    {
        LiveProgress.Show(Terminal, "masks", _indices.Length, report =>
        {
            folder.ReadMasks(_indices, Info.Masks, report, _stop);
            return true;
        });
        Terminal.Error.WriteLine(PlainText.Printable($"masks: {PreparedData.Describe(folder, _indices)}"));
    }

    /// <summary>What was typed; volumes are sliced and mapped as those of the training.</summary>
    private static DataOptions OptionsOf(EvalRequest request, ModelInfo info) => request.DataSet with
    {
        Axis = DataSetOptions.AxisOf(request.DataSet.Axis, info, request.Weights),
        VolumeIntensity = info.Intensity,
    };

    /// <summary>The data must have the classes of the weights.</summary>
    /// <returns>What is taken for granted where the weights do not name them; null for nothing.</returns>
    private string? ThrowIfOtherClasses()
    {
        (IImageData data, ModelInfo info) = (_data, Info);
        bool byName = info.Entry.Task == ModelTask.Classification || info.Labels.Count > 1;
        if (data.Labels.Count == info.Labels.Count)
        {
            if (!byName || data.Labels.SequenceEqual(info.Labels)) return null;
            if (info.Data.IsForeign && info.Labels.SequenceEqual(ForeignModel.DefaultLabels(info.Entry.Task, info.Labels.Count)))
                return "the weights do not name their classes, which are taken to be those of the data: "
                    + string.Join(", ", data.Labels.Take(3)) + (data.Labels.Count > 3 ? ", ..." : "");
        }
        string there = string.Join(", ", data.Labels), known = string.Join(", ", info.Labels);
        string have = info.Data.IsForeign ? "has" : "was trained on";
        throw new ArgumentException($"{Request.Data} has the classes {there}; {Request.Weights} {have} {known}");
    }
}
