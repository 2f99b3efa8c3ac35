using System.Text.Json;
using System.Text.Json.Serialization;
using Mamba.Models.Explanation;

namespace Mamba.Cli.Reports;

/// <summary><c>explain.json</c> and <c>mamba explain --json</c>.</summary>
internal sealed class ExplainDocument
{
    public required string Model { get; init; }

    public required string Weights { get; init; }

    public required ExplainedMethod[] Methods { get; init; }

    public required ExplainedImage[] Images { get; init; }
}

/// <summary>A method, and its faithfulness: the mean over the images, null where it was not measured.</summary>
internal sealed class ExplainedMethod
{
    public required string Method { get; init; }

    /// <summary>Whether the map of a pixel is the same for every image, since the layers have no selection (S4D).</summary>
    public required bool TimeInvariant { get; init; }

    public required FaithfulnessDocument? Faithfulness { get; init; }
}

/// <summary>Curves and the areas below them.</summary>
internal sealed class FaithfulnessDocument
{
    /// <summary>How many images were measured: those in which something is predicted.</summary>
    public required int Images { get; init; }

    public required int Block { get; init; }

    public required bool BetterThanRandom { get; init; }

    public double DeletionArea => FaithfulnessCurves.Area(Deletion);

    public double RandomDeletionArea => FaithfulnessCurves.Area(RandomDeletion);

    public double InsertionArea => FaithfulnessCurves.Area(Insertion);

    public double RandomInsertionArea => FaithfulnessCurves.Area(RandomInsertion);

    public required double[] Deletion { get; init; }

    public required double[] Insertion { get; init; }

    public required double[] RandomDeletion { get; init; }

    public required double[] RandomInsertion { get; init; }

    public static FaithfulnessDocument Of(FaithfulnessCurves curves, int images) => new()
    {
        Images = images,
        Block = curves.Block,
        BetterThanRandom = curves.BeatsRandom,
        Deletion = [.. curves.Deletion],
        Insertion = [.. curves.Insertion],
        RandomDeletion = [.. curves.RandomDeletion],
        RandomInsertion = [.. curves.RandomInsertion],
    };
}

/// <summary>An image, what of it is explained, and its maps.</summary>
internal sealed class ExplainedImage
{
    public required string Image { get; init; }

    public required string Target { get; init; }

    public required double Probability { get; init; }

    /// <summary>Column and row in the image; null for the class token.</summary>
    public required int[]? Pixel { get; init; }

    public required string File { get; init; }

    public required ExplainedMap[] Maps { get; init; }
}

/// <summary>A map: its grid, and its least, largest and mean value. The mean of a method's maps has no layer.</summary>
internal sealed class ExplainedMap
{
    public required string Method { get; init; }

    public required string Layer { get; init; }

    public required string Direction { get; init; }

    public required int Height { get; init; }

    public required int Width { get; init; }

    public required double Min { get; init; }

    public required double Max { get; init; }

    public required double Mean { get; init; }

    public required string File { get; init; }
}

/// <summary>Writes explanations; apart from <see cref="ReportJson"/>, since native programs leave them out.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, Converters = [typeof(FiniteNumber)],
    GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(ExplainDocument))]
internal sealed partial class ExplainJson : JsonSerializerContext;
