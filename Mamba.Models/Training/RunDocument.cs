using System.Globalization;
using System.Text.Json.Serialization;
using Mamba.Models.Data;

namespace Mamba.Models.Training;

/// <summary>The document <c>args.json</c>: a property per option of <c>mamba train</c>, under the option's name.</summary>
internal sealed record RunDocument
{
    public required string Model { get; init; }

    public required string Data { get; init; }

    public required string Protocol { get; init; }

    public required int Epochs { get; init; }

    public required int Batch { get; init; }

    public required double Lr { get; init; }

    public required string Schedule { get; init; }

    public required string Optimizer { get; init; }

    public required double WeightDecay { get; init; }

    public required string Loss { get; init; }

    public required double LabelSmoothing { get; init; }

    public required double? Mixup { get; init; }

    public required double? Ema { get; init; }

    public required double? DropPath { get; init; }

    public required double? ClipNorm { get; init; }

    public required int? Patience { get; init; }

    public required string Augment { get; init; }

    public required string Normalize { get; init; }

    public required ulong Seed { get; init; }

    public required int Threads { get; init; }

    public required string Size { get; init; }

    public required int Channels { get; init; }

    public required int? Patch { get; init; }

    public required int? Width { get; init; }

    public required int? Depth { get; init; }

    public required string? Init { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] // so that runs of older versions keep their identity
    public required string? Key { get; init; }

    public required int? Limit { get; init; }

    // What follows is absent where it is not given, so that runs of older versions keep their identity.
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Images { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Masks { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? MaskSuffix { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Labels { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? OnMissingMask { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Patients { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? PatientPattern { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Axis { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Fold { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? SplitFile { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? ClassWeights { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Balance { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Monitor { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Intensity { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Resize { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required double? Warmup { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required double? MinLr { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required double? Momentum { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required int? Accumulate { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Freeze { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Tensorboard { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required int? Crop { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Mixer { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Widths { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Teacher { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? TeacherSha256 { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required double? Temperature { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required double? DistillWeight { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? KeepZeros { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required int? Steps { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required double? Minutes { get; init; }

    public required string OnBadImage { get; init; }

    public required long CacheMb { get; init; }

    public required string CheckpointEvery { get; init; }

    public required int Keep { get; init; }

    public required string OnNonfinite { get; init; }

    /// <summary>
    /// The document of a run's options. The order of its properties is part of a run's identity, see <see cref="RunArguments.Identity"/>.
    /// </summary>
    public static RunDocument Of(RunArguments run) => new()
    {
        Model = run.Model,
        Data = run.Data,
        Protocol = RunArguments.Name(run.Protocol),
        Epochs = run.Epochs,
        Batch = run.Batch,
        Lr = run.LearningRate,
        Schedule = RunArguments.Name(run.Schedule),
        Optimizer = RunArguments.Name(run.Optimizer),
        WeightDecay = run.WeightDecay,
        Loss = RunArguments.Name(run.Loss),
        LabelSmoothing = run.LabelSmoothing,
        Mixup = run.MixUp,
        Ema = run.AverageDecay,
        DropPath = run.Config.DropPath,
        ClipNorm = run.ClipNorm,
        Patience = run.Patience,
        Augment = run.Augment.ToString(),
        Normalize = RunArguments.Name(run.Normalization),
        Seed = run.Seed,
        Threads = run.Threads,
        Size = string.Create(CultureInfo.InvariantCulture, $"{run.Height}x{run.Width}"),
        Channels = run.Config.InputChannels,
        Patch = run.Config.Patch,
        Width = run.Config.Width,
        Depth = run.Config.Depth,
        Init = run.Init,
        Key = run.Key,
        Limit = run.Limit,
        Images = run.DataOptions.Images,
        Masks = run.DataOptions.Masks,
        MaskSuffix = run.DataOptions.MaskSuffix,
        Labels = run.DataOptions.Labels,
        OnMissingMask = run.DataOptions.OnMissingMask == default ? null : RunArguments.Name(run.DataOptions.OnMissingMask),
        Patients = run.DataOptions.Patients,
        PatientPattern = run.DataOptions.PatientPattern,
        Axis = run.DataOptions.Axis is { } axis ? RunArguments.Name(axis) : null,
        Fold = run.Fold?.ToString(),
        SplitFile = run.SplitFile,
        ClassWeights = run.ClassWeights is { } weights
            ? string.Join(',', weights.Select(weight => weight.ToString("R", CultureInfo.InvariantCulture))) : null,
        Balance = run.Balance ? "true" : null,
        Monitor = run.Monitor,
        Intensity = run.Intensity.ToString(),
        Resize = RunArguments.Name(run.Resampling),
        Warmup = run.Warmup,
        MinLr = run.MinLearningRate,
        Momentum = run.Momentum,
        Accumulate = run.Accumulate == 1 ? null : run.Accumulate,
        Freeze = run.Freeze,
        Tensorboard = run.TensorBoard ? "true" : null,
        Crop = run.Crop,
        Mixer = run.Config.MixerName,
        Widths = run.Config.Widths?.ToString(),
        Teacher = run.Teacher,
        TeacherSha256 = run.TeacherHash,
        Temperature = run.Temperature,
        DistillWeight = run.DistillWeight,
        KeepZeros = run.KeepZeros ? "true" : null,
        Steps = run.Steps,
        Minutes = run.Minutes,
        OnBadImage = RunArguments.Name(run.OnBadImage),
        CacheMb = run.CacheBytes >> 20,
        CheckpointEvery = run.CheckpointEvery.ToString(),
        Keep = run.Keep,
        OnNonfinite = RunArguments.Name(run.OnNonFinite),
    };

    /// <summary>As <see cref="Of"/>, without what was the only choice in older versions, so that their runs keep their identity.</summary>
    public static RunDocument OfIdentity(RunArguments run)
    {
        RunDocument document = Of(run);
        return document with
        {
            Intensity = run.Intensity.Kind == IntensityKind.None ? null : document.Intensity,
            Resize = run.Resampling == Resampling.Bilinear ? null : document.Resize,
        };
    }
}

/// <summary>Reads and writes <see cref="RunDocument"/> without reflection.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.KebabCaseLower, GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(RunDocument))]
internal sealed partial class RunJson : JsonSerializerContext;
