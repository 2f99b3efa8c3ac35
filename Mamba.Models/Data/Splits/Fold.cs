using System.Globalization;

namespace Mamba.Models.Data.Splits;

/// <summary>One fold of a cross-validation: the samples of fold Number are for test.</summary>
/// <param name="Number">1 to Count.</param>
/// <param name="Count">The number of folds, at least 2.</param>
public readonly record struct Fold(int Number, int Count)
{
    /// <summary>The most folds.</summary>
    public const int MaxCount = 1000;

    /// <summary>Reads a fold.</summary>
    /// <param name="text">As 2/5, the second of five.</param>
    /// <returns>The fold; null if the text is none.</returns>
    public static Fold? Parse(string? text) =>
        JobPart.Parse(text) is { Count: >= 2 and <= MaxCount } part ? new Fold(part.Number, part.Count) : null; // written in the same way

    /// <summary>The fold as <see cref="Parse"/> reads it.</summary>
    /// <returns>NUMBER/COUNT.</returns>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Number}/{Count}");
}
