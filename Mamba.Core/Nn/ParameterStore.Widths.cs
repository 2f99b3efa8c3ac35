namespace Mamba.Core.Nn;

public sealed partial class ParameterStore
{
    private readonly HashSet<string> _widthsRead = [];

    /// <summary>
    /// Channels of a pruned model, by the layer's path, replacing the defaults. Null for none. Set it before layers are declared; see
    /// <see cref="Scope.Width"/>.
    /// </summary>
    public IReadOnlyDictionary<string, int>? Widths { get; set; }

    /// <summary>Throws if a width was not read by any layer. Call it after all layers are declared.</summary>
    /// <exception cref="ArgumentException">A width was not read; the message names it.</exception>
    public void ThrowIfWidthsUnread()
    {
        foreach (string place in Widths?.Keys ?? [])
            if (!_widthsRead.Contains(place))
                throw new ArgumentException($"a width is given for '{place}', and no layer of that name can have another one");
    }

    internal int Width(string place, int own)
    {
        if (Widths is null || !Widths.TryGetValue(place, out int width)) return own;
        _widthsRead.Add(place);
        return width > 0 ? width : throw new ArgumentException($"'{place}' has a width of {width}; expected at least 1");
    }
}
