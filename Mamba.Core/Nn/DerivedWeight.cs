using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>A function of a weight that a layer reads in the weight's place: computed in each pass, or once while the weight is frozen.</summary>
internal sealed class DerivedWeight(Tensor weight, Func<Tensor, Tensor> derive)
{
    private Kept? _kept;

    public Tensor Value
    {
        get
        {
            if (weight.Forms is not { } frozen || Tape.IsRecording) return derive(weight);
            if (_kept is { } kept && kept.Of == frozen) return kept.Value;
            using MemoryScope _ = MemoryScope.Suspend();
            Tensor value = derive(weight);
            value.Freeze();
            _kept = new Kept(frozen, value);
            return value;
        }
    }

    /// <summary>The value while the weight is frozen as it was.</summary>
    private sealed record Kept(PackedForms Of, Tensor Value);
}
