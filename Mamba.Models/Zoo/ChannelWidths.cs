using System.Globalization;

namespace Mamba.Models.Zoo;

/// <summary>
/// The layer widths of a pruned model, by layer name. As text, on the command line and in files: <c>encoder1.0=16,encoder1.3=12</c>.
/// </summary>
public sealed class ChannelWidths : IEquatable<ChannelWidths>
{
    // No layer has more channels; larger numbers mean a damaged file.
    private const int Most = 1 << 20;

    private readonly string _text;

    /// <summary>Channels by the names of layers.</summary>
    /// <param name="channels">Names without <c>=</c> and <c>,</c>, and at least one channel each.</param>
    /// <exception cref="ArgumentException">There are no names, or a name or number is invalid.</exception>
    public ChannelWidths(IReadOnlyDictionary<string, int> channels)
    {
        if (channels.Count == 0) throw new ArgumentException("widths of no layer; expected NAME=CHANNELS, with commas between");
        Dictionary<string, int> copy = [];
        List<string> words = [];
        foreach (string name in channels.Keys.Order(StringComparer.Ordinal))
        {
            int width = copy[name] = channels[name];
            if (name.Length == 0 || name.AsSpan().ContainsAny(',', '=') || width is < 1 or > Most)
                throw new ArgumentException($"'{name}={width}' is no width; expected NAME=CHANNELS, channels from 1 to {Most}");
            words.Add(string.Create(CultureInfo.InvariantCulture, $"{name}={width}"));
        }
        (Channels, _text) = (copy, string.Join(',', words));
    }

    /// <summary>Channels by the names of layers.</summary>
    public IReadOnlyDictionary<string, int> Channels { get; }

    /// <summary>Parses the format of <see cref="ToString"/>.</summary>
    /// <param name="text">NAME=CHANNELS, separated by commas.</param>
    /// <returns>The widths.</returns>
    /// <exception cref="ArgumentException">The text is invalid; the message names the part.</exception>
    public static ChannelWidths Parse(string text)
    {
        Dictionary<string, int> channels = [];
        foreach (string part in text.Split(','))
        {
            int at = part.IndexOf('=', StringComparison.Ordinal);
            if (at < 1 || !int.TryParse(part.AsSpan(at + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int width)
                || !channels.TryAdd(part[..at], width))
                throw new ArgumentException($"'{part}' is no width, or repeated; expected NAME=CHANNELS, with commas between");
        }
        return new ChannelWidths(channels);
    }

    /// <inheritdoc/>
    public override string ToString() => _text;

    /// <inheritdoc/>
    public bool Equals(ChannelWidths? other) => _text == other?._text;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as ChannelWidths);

    /// <inheritdoc/>
    public override int GetHashCode() => _text.GetHashCode(StringComparison.Ordinal);
}
