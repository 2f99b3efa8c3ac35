using System.Globalization;
using Mamba.Models.Data;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;

namespace Mamba.Models.Files;

/// <summary>What must be said of weights that say nothing of themselves: of all that their tensors do not tell.</summary>
/// <param name="Entry">The model of the zoo that they are of.</param>
/// <param name="Normalization">The normalization of its input; nothing in the file could contradict a wrong one.</param>
public sealed record ForeignModel(ModelEntry Entry, NormalizationKind Normalization)
{
    /// <summary>The names of the classes; null for <see cref="DefaultLabels"/>.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>
    /// Rows and columns of the input; null for those of a position table in the file, or else for the model's <see
    /// cref="ModelEntry.ImageSize"/>.
    /// </summary>
    public (int Height, int Width)? Size { get; init; }

    /// <summary>Names of classes that nobody named: "0", "1", ..., and "lesion" for the one class of a mask.</summary>
    /// <param name="task">The task of the model.</param>
    /// <param name="classes">The number of classes.</param>
    /// <returns>A name for each.</returns>
    public static IReadOnlyList<string> DefaultLabels(ModelTask task, int classes) => task == ModelTask.Segmentation && classes == 1
        ? ["lesion"]
        : [.. Enumerable.Range(0, classes).Select(i => i.ToString(CultureInfo.InvariantCulture))];

    /// <summary>The description of a model of these sizes.</summary>
    /// <param name="path">What errors call the file.</param>
    /// <param name="config">The sizes that the tensors have.</param>
    /// <exception cref="ArgumentException">The size does not fit the model, or the names are not as many as the classes.</exception>
    internal ModelInfo Describe(string path, ModelConfig config)
    {
        int side = config.ImageSize ?? Entry.ImageSize;
        (int height, int width) = Size ?? (side, side);
        Entry.ThrowIfTooSmall(height, width);
        if (config.ImageSize is not null)
        {
            if (height != width) throw new ArgumentException($"size {height}x{width}: {Entry.Name} takes square images");
            if (config.Patch is { } patch && height % patch != 0)
                throw new ArgumentException($"size {height}x{width}: not a multiple of the patches of {patch} in {path}");
            config = config with { ImageSize = height };
        }
        if (Labels is { } names && names.Count != config.Classes)
            throw new ArgumentException(
                $"{path}: the weights have {config.Classes} {(config.Classes == 1 ? "class" : "classes")}, and {names.Count} "
                    + $"{(names.Count == 1 ? "is" : "are")} named; expected a name for each");
        return new ModelInfo(
            Entry.Name, config, Labels ?? DefaultLabels(Entry.Task, config.Classes),
            Data.Normalization.Of(Normalization, config.InputChannels), RunData.Foreign(height, width));
    }
}
