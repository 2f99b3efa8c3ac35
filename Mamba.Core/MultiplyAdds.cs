namespace Mamba.Core;

/// <summary>
/// Counts the multiply-adds (MACs) of the operators on its thread while it is open: convolutions, matrix products and attention. A state
/// update of the selective scan counts three (decay, input, output). Elementwise work is not counted, as usual in the field.
/// </summary>
public sealed class MultiplyAdds : IDisposable
{
    [ThreadStatic]
    private static MultiplyAdds? s_current;

    private readonly MultiplyAdds? _outer = s_current;

    /// <summary>Starts counting.</summary>
    public MultiplyAdds() => s_current = this;

    /// <summary>Whether the operators of this thread are counted.</summary>
    public static bool IsCounting => s_current is not null;

    /// <summary>The multiply-adds counted until now.</summary>
    public long Count { get; private set; }

    /// <summary>Stops counting.</summary>
    public void Dispose() => s_current = _outer;

    internal static void Add(long count)
    {
        if (s_current is { } counter) counter.Count += count;
    }
}
