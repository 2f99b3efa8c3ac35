using System.Text.Json.Serialization;
using Mamba.Models.Data;
using Mamba.Models.Data.Labels;
using Mamba.Models.Data.Splits;
using Mamba.Models.Zoo;

namespace Mamba.Models.Files;

/// <summary>The metadata entry <c>config</c> of a weight file: the sizes that the model is built with.</summary>
internal sealed record ConfigDocument(
    int InputChannels, int Classes, int? ImageSize, int? Patch, int? Width, int? Depth, string? Mixer, int? Features,
    string? Widths)
{
    public static ConfigDocument Of(ModelConfig c) =>
        new(c.InputChannels, c.Classes, c.ImageSize, c.Patch, c.Width, c.Depth, c.MixerName, c.Features, c.Widths?.ToString());
}

/// <summary>The metadata entry <c>labels</c>: the names of the classes.</summary>
internal sealed record LabelsDocument(IReadOnlyList<string> Labels);

/// <summary>The metadata entry <c>normalization</c>: means and standard deviations, one per channel.</summary>
internal sealed record NormalizationDocument(float[] Mean, float[] Std)
{
    public static NormalizationDocument Of(Normalization n) => new(n.Mean, n.Std);
}

/// <summary>The metadata entry <c>data</c>: what decides the split of the training data.</summary>
internal sealed record DataDocument(string Protocol, ulong Seed, int? Limit, int? Synthetic, int Height, int Width, string? Fold,
    string? Loss, int? Batch, IReadOnlyList<float>? ClassWeights, bool? Foreign, string? Axis, int? Crop, bool? SplitFile)
{
    public static DataDocument Of(RunData d) => new(
        d.Protocol.ToWord(), d.Seed, d.Limit, d.SyntheticImages, d.Height, d.Width, d.Fold?.ToString(), d.Loss?.ToString(), d.Batch,
        d.ClassWeights, d.IsForeign ? true : null, d.Axis?.ToString().ToLowerInvariant(), d.Crop, d.IsSplitFromFile ? true : null);
}

/// <summary>The metadata entry <c>masks</c>: what the values of the training masks stood for.</summary>
internal sealed record MasksDocument(string Encoding, int[] Values, int[] Classes, int? Threshold = null, int[]? Colors = null)
{
    public static MasksDocument Of(MaskMeaning m) =>
        new(
            m.Encoding.ToString().ToLowerInvariant(), [.. m.Values], [.. m.Values.Select(value => (int)m.ClassOf(value)!)], m.Threshold,
            m.Colors);

    /// <summary>The meaning that the document has for classes of these names.</summary>
    /// <exception cref="FormatException">It does not fit together.</exception>
    public MaskMeaning ToMeaning(IReadOnlyList<string> labels) =>
        Enum.TryParse(Encoding, ignoreCase: true, out MaskEncoding encoding) && Enum.IsDefined(encoding)
            ? MaskMeaning.Of(encoding, Threshold, Values, Classes, labels, Colors)
            : throw new FormatException($"masks of '{Encoding}'; expected gray, palette, color or alpha");
}

/// <summary>The metadata entry <c>split</c>: the samples of each part, see <see cref="SplitRecord"/>.</summary>
internal sealed record SplitDocument(PartDocument Train, PartDocument Val, PartDocument Test, PartDocument LeftOut, int HashBytes)
{
    public static SplitDocument Of(SplitRecord r)
    {
        PartDocument[] parts = [.. SplitRecord.Parts.Select((_, i) => new PartDocument(r.Counts[i], r.Digests[i], r.Hashes?[i]))];
        return new SplitDocument(parts[0], parts[1], parts[2], parts[3], r.HashBytes);
    }

    /// <summary>The record that the document has.</summary>
    /// <exception cref="FormatException">It does not fit together.</exception>
    public SplitRecord ToRecord()
    {
        PartDocument[] parts = [Train, Val, Test, LeftOut];
        byte[][]? names = parts.All(part => part.Names is null) ? null : [.. parts.Select(part => part.Names ?? [])];
        return new SplitRecord(Array.ConvertAll(parts, part => part.Count), Array.ConvertAll(parts, part => part.Digest), names, HashBytes);
    }
}

/// <summary>The metadata entry <c>quantization</c>: the scales of the inputs of weights, by name.</summary>
internal sealed record QuantizationDocument(
    string Mode, string? Calibration = null, int? Images = null, SortedDictionary<string, float>? Inputs = null)
{
    public static QuantizationDocument Of(Quantization q) => new(
        q.Mode.ToWord(), q.Calibration, q.Images, q.Inputs.Count == 0 ? null : new(q.Inputs.ToDictionary(), StringComparer.Ordinal));

    /// <summary>What the document says.</summary>
    /// <exception cref="FormatException">The mode is unknown, or a scale is not a number above zero.</exception>
    public Quantization ToQuantization()
    {
        QuantizationMode mode = QuantizationModes.Parse(Mode)
            ?? throw new FormatException($"quantization '{Mode}' is unknown; a newer version may know it");
        foreach ((string name, float scale) in Inputs ?? [])
            if (!(scale > 0 && float.IsNormal(scale) && float.IsNormal(1 / scale)))
                throw new FormatException($"quantization: '{name}' has scale {scale}, expected a number above 0");
        return new Quantization(mode, Calibration, Images, Inputs ?? []);
    }
}

/// <summary>A part of <see cref="SplitDocument"/>.</summary>
internal sealed record PartDocument(int Count, string Digest, byte[]? Names = null);

/// <summary>Writes and reads the metadata of weight files without reflection. Absent values are left out.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true,
    GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(ConfigDocument))]
[JsonSerializable(typeof(LabelsDocument))]
[JsonSerializable(typeof(NormalizationDocument))]
[JsonSerializable(typeof(DataDocument))]
[JsonSerializable(typeof(MasksDocument))]
[JsonSerializable(typeof(SplitDocument))]
[JsonSerializable(typeof(QuantizationDocument))]
internal sealed partial class ModelJson : JsonSerializerContext;
