using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>
/// A bidirectional mixer: half the sum of a causal mixer and of another one over the reversed sequence. Mamba has both directions in one
/// block, as Vision Mamba's authors have it. Other kinds are two layers, <c>NAME</c> and <c>NAME_b</c>.
/// </summary>
public sealed class BidirectionalMixer : IModule
{
    private readonly MambaMixer? _both;
    private readonly ISequenceMixer? _forward, _backward;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The scope of the enclosing block.</param>
    /// <param name="name">The mixer's name in it.</param>
    /// <param name="kind">The kind of mixer.</param>
    /// <param name="width">Channels of a token.</param>
    public BidirectionalMixer(Scope scope, string name, MixerKind kind, int width)
    {
        if (kind == MixerKind.Mamba)
        {
            _both = new MambaMixer(scope / name, new MambaConfig(width) { Bidirectional = true, DivideOut = true });
            return;
        }
        MixerConfig config = MixerConfig.OfImages(kind, width);
        _forward = Mixers.Create(scope / name, config);
        _backward = Mixers.Create(scope / (name + "_b"), config);
    }

    /// <summary>Mixes a sequence.</summary>
    /// <param name="x">(B, L, width).</param>
    /// <returns>(B, L, width).</returns>
    public Tensor Forward(Tensor x) => Forward(x, null);

    /// <summary>Mixes a sequence, and adds a residual.</summary>
    /// <param name="x">(B, L, width).</param>
    /// <param name="residual">(B, L, width), added to the result; or null.</param>
    /// <returns>(B, L, width).</returns>
    public Tensor Forward(Tensor x, Tensor? residual)
    {
        if (_both is not null) return _both.Forward(x, residual);
        using MemoryScope scope = new();
        LayerObserver.Current?.Flip(true);
        Tensor back = Ops.Flip(_backward!.Forward(Ops.Flip(x, 1), null), 1);
        LayerObserver.Current?.Flip(false);
        Tensor half = Ops.Scale(_forward!.Forward(x, back), 0.5f);
        return scope.Return(residual is { } added ? Ops.Add(half, added) : half);
    }
}
