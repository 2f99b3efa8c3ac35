using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Mamba.Models.Metrics;

namespace Mamba.Cli.Reports;

/// <summary>JSON on standard output: that alone, and a line break.</summary>
internal static class JsonReport
{
    public static void Write<T>(TextWriter output, T document, JsonTypeInfo<T> type) =>
        output.WriteLine(JsonSerializer.Serialize(document, type));
}

/// <summary>A model in <c>mamba models --json</c>.</summary>
internal sealed record ModelDocument(string Name, string Task, long Parameters, long Macs, int[] Input);

/// <summary>A model in <c>mamba bench --json</c>.</summary>
internal sealed record BenchDocument(
    string Model, string Mode, int Batch, int Threads, string Isa, double MsMedian, double MsMin, double ImagesPerSecond, double Gflops,
    double PeakGflops, double PeakShare, double? PeakRssMb, double PassMb, long Exponentials);

/// <summary>A layer at one length in <c>mamba bench --scaling --json</c>.</summary>
internal sealed record ScalingPointDocument(int Tokens, double MsMin, long Bytes);

/// <summary>A layer in <c>mamba bench --scaling --json</c>; slopes are null where too few lengths were measured.</summary>
internal sealed record ScalingDocument(
    string Layer, string Mode, int Threads, double TimeSlope, double MemorySlope, ScalingPointDocument[] Points);

/// <summary>Scores of a segmentation, in the three ways of counting.</summary>
internal sealed record ThreeWays(double Global, double Image, double Paper);

/// <summary>The scores of one class of a segmentation: ratios over all pixels, null where they are not defined.</summary>
internal sealed record RegionDocument(
    string Label, double Dice, double Iou, double Sensitivity, double Specificity, double Precision, int Images, long TruthPixels,
    long PredictedPixels)
{
    [JsonPropertyName("hausdorff_95")]
    public double Hausdorff95 { get; init; }

    public int HausdorffImages { get; init; }

    public static RegionDocument Of(SegmentClassScores k) => new(
        k.Label, k.Dice, k.Iou, k.Counts.Sensitivity, k.Counts.Specificity, k.Counts.Precision, k.Images, k.Counts.Truth,
        k.Counts.Predicted)
    {
        Hausdorff95 = k.Hausdorff95,
        HausdorffImages = k.HausdorffImages,
    };
}

/// <summary>The scores of one patient or volume.</summary>
internal sealed record GroupDocument(string Group, int Images, RegionDocument[] Classes);

/// <summary><c>mamba eval --json</c>: the scores of one task, those of the other are left out.</summary>
internal sealed record EvalDocument(int Images, int Skipped, double Loss)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ThreeWays? Dice { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ThreeWays? Iou { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? MeanDice { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? MeanIou { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? DiceImage { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? PixelAccuracy { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? HausdorffUnit { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? ImagesWithForeground { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public RegionDocument[]? Classes { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public GroupDocument[]? Groups { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Accuracy { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? MacroF1 { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Top5 { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ClassDocument[]? ClassScores { get; init; }

    [JsonPropertyOrder(1)]
    public required double MsPerImage { get; init; }

    /// <summary>The weight file, its model and fold, where several are measured.</summary>
    [JsonPropertyOrder(-1), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Weights { get; init; }

    [JsonPropertyOrder(-1), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Model { get; init; }

    [JsonPropertyOrder(-1), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Fold { get; init; }
}

/// <summary>A class in <c>mamba eval --json</c> of a classifier.</summary>
internal sealed record ClassDocument(string Label, double Precision, double Recall, double F1, long Images);

/// <summary>
/// <c>mamba eval --json</c> of several weights: the scores of each, and mean and standard deviation of each measure of results.csv.
/// </summary>
internal sealed record FoldsDocument(
    bool SameImages, int Images, EvalDocument[] Runs, Dictionary<string, double> Mean, Dictionary<string, double> Deviation);

/// <summary><c>mamba quantize --json</c>.</summary>
internal sealed record QuantizeDocument(
    string Mode, string? Calibration, int? CalibrationImages, long BytesBefore, long BytesAfter, EvalDocument Before, EvalDocument After);

/// <summary>A layer in <c>mamba prune --json</c>.</summary>
internal sealed record PrunedLayerDocument(string Layer, long Before, long After);

/// <summary>A model before or after pruning; scores are null without <c>--data</c>.</summary>
internal sealed record PrunedSideDocument(long Parameters, long NonZero, long Bytes, long Macs, EvalDocument? Scores);

/// <summary><c>mamba prune --json</c>.</summary>
internal sealed record PruneDocument(
    string Mode, double Sparsity, PrunedSideDocument Before, PrunedSideDocument After, PrunedLayerDocument[] Layers);

/// <summary><c>mamba generate --json</c>.</summary>
internal sealed record GenerateDocument(
    string Model, string Prompt, string Text, int[] PromptTokens, int[] Tokens, string Stop, int Threads)
{
    public required string WeightsAs { get; init; }

    public required double PromptSeconds { get; init; }

    public required double Seconds { get; init; }

    /// <summary>Steps a second; null where the prompt gave the only token.</summary>
    public required double? TokensPerSecond { get; init; }
}

/// <summary>A tensor in <c>mamba inspect --json</c>.</summary>
internal sealed record TensorDocument(string Name, string Dtype, int[] Shape, long Bytes);

/// <summary><c>mamba inspect --json</c>.</summary>
internal sealed record InspectDocument(
    string File, string Form, long Parameters, long Elements, long Bytes, IReadOnlyDictionary<string, string> Metadata,
    TensorDocument[] Tensors);

/// <summary>A model of sequences in <c>mamba eval --json</c>, at one length; scores are null where it cannot read that length.</summary>
internal sealed record SequenceDocument(string Model, string Task, int Length, int Sequences)
{
    public double Accuracy { get; init; } = double.NaN;

    /// <summary>Sequences whose answers are all right.</summary>
    public double Exact { get; init; } = double.NaN;

    /// <summary>Null at other lengths than the task's own.</summary>
    public double Loss { get; init; } = double.NaN;

    public double TokensPerSecond { get; init; } = double.NaN;
}

/// <summary>A case in <c>mamba verify --json</c>.</summary>
internal sealed record CaseDocument(string File, string Case, string Status, double? OutputError, double? GradError)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Message { get; init; }
}

/// <summary><c>mamba verify --json</c>.</summary>
internal sealed record VerifyDocument(int Passed, int Failed, int Unsupported, CaseDocument[] Cases);

/// <summary>A number; null where it is NaN or infinite, which JSON cannot say.</summary>
internal sealed class FiniteNumber : JsonConverter<double>
{
    public override double Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) => reader.GetDouble();

    public override void Write(Utf8JsonWriter writer, double value, JsonSerializerOptions options)
    {
        if (double.IsFinite(value)) writer.WriteNumberValue(value);
        else writer.WriteNullValue();
    }
}

/// <summary>Writes the documents of the command line without reflection.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, Converters = [typeof(FiniteNumber)],
    GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(ModelDocument[]))]
[JsonSerializable(typeof(BenchDocument[]))]
[JsonSerializable(typeof(ScalingDocument[]))]
[JsonSerializable(typeof(EvalDocument))]
[JsonSerializable(typeof(FoldsDocument))]
[JsonSerializable(typeof(SequenceDocument[]))]
[JsonSerializable(typeof(GenerateDocument))]
[JsonSerializable(typeof(InspectDocument))]
[JsonSerializable(typeof(QuantizeDocument))]
[JsonSerializable(typeof(PruneDocument))]
[JsonSerializable(typeof(VerifyDocument))]
internal sealed partial class ReportJson : JsonSerializerContext;

/// <summary>Writes and reads what the parts of an evaluation measured; numbers keep their bits, NaN is a word.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true, GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(EvalPartDocument))]
internal sealed partial class EvalPartJson : JsonSerializerContext;
