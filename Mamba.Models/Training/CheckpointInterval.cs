using System.Globalization;

namespace Mamba.Models.Training;

/// <summary>
/// How often a checkpoint is written: 500ms, 30s, 5m, 1h, or <c>epoch</c>. A checkpoint is always written after an epoch.
/// </summary>
/// <param name="Every">The time between checkpoints; null for after each epoch only.</param>
public readonly record struct CheckpointInterval(TimeSpan? Every)
{
    private static readonly (string Unit, TimeSpan Length)[] s_units =
    [
        ("ms", TimeSpan.FromMilliseconds(1)), ("h", TimeSpan.FromHours(1)),
        ("m", TimeSpan.FromMinutes(1)), ("s", TimeSpan.FromSeconds(1)),
    ];

    /// <summary>After each epoch only.</summary>
    public static CheckpointInterval Epoch { get; }

    /// <summary>Parses an interval.</summary>
    /// <param name="text">A whole number from 1 to 1,000,000 and its unit, or <c>epoch</c>.</param>
    /// <returns>The interval; null if the text is malformed.</returns>
    public static CheckpointInterval? Parse(string text)
    {
        if (text == "epoch") return Epoch;
        foreach ((string unit, TimeSpan length) in s_units)
        {
            if (!text.EndsWith(unit, StringComparison.Ordinal)) continue;
            if (int.TryParse(text.AsSpan(0, text.Length - unit.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int count))
                return count is >= 1 and <= 1_000_000 ? new CheckpointInterval(count * length) : null;
        }
        return null;
    }

    /// <summary>The interval as <see cref="Parse"/> reads it.</summary>
    /// <returns>A number and its unit, the longest unit that gives a whole number.</returns>
    public override string ToString()
    {
        if (Every is not { } time) return "epoch";
        (string unit, TimeSpan length) = s_units.OrderByDescending(u => u.Length).First(u => time.Ticks % u.Length.Ticks == 0);
        return string.Create(CultureInfo.InvariantCulture, $"{time.Ticks / length.Ticks}{unit}");
    }
}
