using System.Globalization;

namespace Mamba.Models.Training;

/// <summary>How often a checkpoint is written, in words: 30s, 5m, 1h, 500ms; <c>epoch</c> for after each epoch alone, which the others include.</summary>
/// <param name="Every">The time from one to the next; null for epochs alone.</param>
public readonly record struct CheckpointInterval(TimeSpan? Every)
{
    private static readonly (string Unit, TimeSpan Length)[] s_units =
        [("ms", TimeSpan.FromMilliseconds(1)), ("h", TimeSpan.FromHours(1)), ("m", TimeSpan.FromMinutes(1)), ("s", TimeSpan.FromSeconds(1))];

    /// <summary>After each epoch alone.</summary>
    public static CheckpointInterval Epoch { get; }

    /// <summary>Reads the words.</summary>
    /// <param name="text">A whole number from 1 to 1,000,000 and its unit, or <c>epoch</c>.</param>
    /// <returns>The interval; null if it is none.</returns>
    public static CheckpointInterval? Parse(string text)
    {
        if (text == "epoch") return Epoch;
        foreach ((string unit, TimeSpan length) in s_units)
            if (text.EndsWith(unit, StringComparison.Ordinal) && int.TryParse(text.AsSpan(0, text.Length - unit.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int count))
                return count is >= 1 and <= 1_000_000 ? new CheckpointInterval(count * length) : null;
        return null;
    }

    /// <summary>The words that <see cref="Parse"/> reads.</summary>
    /// <returns>A number and the longest unit that it is a whole number of.</returns>
    public override string ToString()
    {
        if (Every is not { } time) return "epoch";
        (string unit, TimeSpan length) = s_units.OrderByDescending(u => u.Length).First(u => time.Ticks % u.Length.Ticks == 0);
        return string.Create(CultureInfo.InvariantCulture, $"{time.Ticks / length.Ticks}{unit}");
    }
}
