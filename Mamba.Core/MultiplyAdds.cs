namespace Mamba.Core;

/// <summary>
/// Counts the multiply-adds (MACs) of the operators on its thread while it is open: convolutions, matrix products and attention. A state
/// update of the selective scan counts as three (decay, input, output). Elementwise work is not counted, as is usual in the field.
/// Exponentials are counted separately, since they bound the scan and the softmax of small models.
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

    /// <summary>The multiply-adds so far.</summary>
    public long Count { get; private set; }

    /// <summary>
    /// The exponentials so far: one per softmax element, per state of a scan, for dt and for the gate. Activations count if they compute
    /// one, or a function as costly (erf, the logarithm of softplus).
    /// </summary>
    public long Exponentials { get; private set; }

    /// <summary>Stops counting.</summary>
    public void Dispose() => s_current = _outer;

    internal static void Add(long count, long exponentials = 0)
    {
        if (s_current is not { } counter) return;
        counter.Count += count;
        counter.Exponentials += exponentials;
    }
}
