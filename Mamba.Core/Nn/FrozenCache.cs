using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>
/// A value that a layer derives from a weight, cached while the weight is frozen. Thread-safe: concurrent first calls may each derive it.
/// </summary>
internal sealed class FrozenCache<T>(Tensor weight, Func<T> derive)
{
    private Cached? _cached;

    /// <summary>False while the weight may change, and while a tape records: the tape needs the steps that compute the value.</summary>
    public bool TryGet(out T value)
    {
        value = default!;
        if (weight.Forms is not { } frozen || Tape.IsRecording) return false;
        Cached? cached = Volatile.Read(ref _cached);
        if (cached?.Of != frozen)
        {
            using MemoryScope _ = MemoryScope.Suspend();
            cached = new Cached(frozen, derive());
            Volatile.Write(ref _cached, cached); // fully written before another thread sees it, also on ARM
        }
        value = cached.Value;
        return true;
    }

    /// <summary>The value; valid as long as the weight has these packed forms.</summary>
    private sealed record Cached(PackedForms Of, T Value);
}

/// <summary>A weight computed from another one and with the same inputs: in each pass, or once while the original is frozen.</summary>
internal sealed class DerivedWeight(Tensor weight, Func<Tensor, Tensor> derive)
{
    private readonly FrozenCache<Tensor> _cache = new(weight, () =>
    {
        Tensor value = derive(weight);
        value.Freeze(weight.Forms?.Inputs);
        return value;
    });

    public Tensor Value => _cache.TryGet(out Tensor value) ? value : derive(weight);
}
