using System.Globalization;

namespace Mamba.Models.Data.Splits;

/// <summary>
/// One of several processes that share a job, as the tasks of a Slurm array do. Items are dealt in turn, so that long ones that follow one
/// another go to different parts.
/// </summary>
/// <param name="Number">1 to Count.</param>
/// <param name="Count">The number of parts, at least 1.</param>
public readonly record struct JobPart(int Number, int Count)
{
    /// <summary>The most parts.</summary>
    public const int MaxCount = 100_000;

    /// <summary>The part in names of files: 3-of-8.</summary>
    public string Word => string.Create(CultureInfo.InvariantCulture, $"{Number}-of-{Count}");

    /// <summary>Reads a part.</summary>
    /// <param name="text">As 3/8, the third of eight.</param>
    /// <returns>The part; null if the text is none.</returns>
    public static JobPart? Parse(string? text) => text?.Split('/') is [var number, var count]
        && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int i)
        && int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out int all)
        && all is >= 1 and <= MaxCount && i >= 1 && i <= all
        ? new JobPart(i, all) : null;

    /// <summary>Whether an item is this part's.</summary>
    /// <param name="item">The item, from 0.</param>
    /// <returns>True in one part of all.</returns>
    public bool Owns(int item) => item % Count == Number - 1;

    /// <summary>The part as <see cref="Parse"/> reads it.</summary>
    /// <returns>NUMBER/COUNT.</returns>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Number}/{Count}");
}
