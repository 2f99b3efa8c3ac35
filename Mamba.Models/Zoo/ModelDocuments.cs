using System.Text.Json.Serialization;
using Mamba.Models.Data;

namespace Mamba.Models.Zoo;

/// <summary>The metadata entry <c>config</c> of a weight file: the sizes that the model is built with.</summary>
internal sealed record ConfigDocument(int InputChannels, int Classes, int? ImageSize, int? Patch, int? Width, int? Depth)
{
    public static ConfigDocument Of(ModelConfig c) => new(c.InputChannels, c.Classes, c.ImageSize, c.Patch, c.Width, c.Depth);
}

/// <summary>The metadata entry <c>labels</c>: the names of the classes.</summary>
internal sealed record LabelsDocument(IReadOnlyList<string> Labels);

/// <summary>The metadata entry <c>normalization</c>: means and standard deviations, one per channel.</summary>
internal sealed record NormalizationDocument(float[] Mean, float[] Std)
{
    public static NormalizationDocument Of(Normalization n) => new(n.Mean, n.Std);
}

/// <summary>The metadata entry <c>data</c>: what decides the split of the training data.</summary>
internal sealed record DataDocument(string Protocol, ulong Seed, int? Limit, int? Synthetic, int Height, int Width)
{
    public static DataDocument Of(RunData d) =>
        new(d.Protocol.ToString().ToLowerInvariant(), d.Seed, d.Limit, d.SyntheticImages, d.Height, d.Width);
}

/// <summary>Writes the metadata of weight files without reflection. Absent values are left out.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    GenerationMode = JsonSourceGenerationMode.Serialization)]
[JsonSerializable(typeof(ConfigDocument))]
[JsonSerializable(typeof(LabelsDocument))]
[JsonSerializable(typeof(NormalizationDocument))]
[JsonSerializable(typeof(DataDocument))]
internal sealed partial class ModelJson : JsonSerializerContext;
