namespace Mamba.Models.Data.Labels;

/// <summary>How much of a data set a class is.</summary>
/// <param name="Label">The class.</param>
/// <param name="Pixels">Its pixels in all masks.</param>
/// <param name="Images">The masks that have any.</param>
public sealed record ClassCoverage(string Label, long Pixels, int Images);
