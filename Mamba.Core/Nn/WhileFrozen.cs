using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>
/// What a layer derives from a weight and keeps as long as that stays frozen. Safe to use from several threads: whoever comes first derives
/// it, perhaps twice.
/// </summary>
internal sealed class WhileFrozen<T>(Tensor weight, Func<T> derive)
{
    private Kept? _kept;

    /// <summary>False while the weight may change, and while a tape wants to see how the value comes about.</summary>
    public bool TryGet(out T value)
    {
        value = default!;
        if (weight.Forms is not { } frozen || Tape.IsRecording) return false;
        Kept? kept = Volatile.Read(ref _kept);
        if (kept?.Of != frozen)
        {
            using MemoryScope _ = MemoryScope.Suspend();
            kept = new Kept(frozen, derive());
            Volatile.Write(ref _kept, kept); // whole before another thread sees it, on ARM, too
        }
        value = kept.Value;
        return true;
    }

    /// <summary>The value while the weight is frozen as it was.</summary>
    private sealed record Kept(PackedForms Of, T Value);
}

/// <summary>
/// A function of a weight that a layer reads in the weight's place: computed in each pass, or once while the weight is frozen.
/// </summary>
internal sealed class DerivedWeight(Tensor weight, Func<Tensor, Tensor> derive)
{
    private readonly WhileFrozen<Tensor> _kept = new(weight, () =>
    {
        Tensor value = derive(weight);
        value.Freeze();
        return value;
    });

    public Tensor Value => _kept.TryGet(out Tensor value) ? value : derive(weight);
}
