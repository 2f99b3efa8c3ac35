using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>Configuration of <see cref="TransformerBlock"/>.</summary>
/// <param name="Width">Channels of a token.</param>
/// <param name="Heads">Heads of the attention.</param>
/// <param name="HeadWidth">Channels per head.</param>
/// <param name="Hidden">Hidden channels of the MLP.</param>
public sealed record TransformerConfig(int Width, int Heads, int HeadWidth, int Hidden)
{
    /// <summary>The probability of dropping a branch for a training image.</summary>
    public double DropPath { get; init; }

    /// <summary>Random features per head, for linear attention (FAVOR+); null for softmax.</summary>
    public int? Features { get; init; }

    /// <summary>The kind of random features.</summary>
    public FavorKernel Kernel { get; init; }
}

/// <summary>
/// A pre-norm transformer block (Vaswani et al. 2017): self-attention and an MLP with GELU, each with a residual. Parameters have the names
/// of vit-pytorch.
/// </summary>
public sealed class TransformerBlock : IModule
{
    private readonly TransformerConfig _config;
    private readonly string _layer;
    private readonly LayerNorm _attentionNorm;
    private readonly Linear _qkv;
    private readonly RandomFeatureAttention? _linear;
    private readonly Linear _out;
    private readonly LayerNorm _perceptronNorm;
    private readonly Linear _widen;
    private readonly Linear _narrow;
    private readonly DropPath _attentionPath;
    private readonly DropPath _perceptronPath;

    /// <summary>
    /// Declares <c>0.norm</c>, <c>0.to_qkv</c>, <c>0.to_out.0</c> and <c>1.net.0</c>, <c>1.net.1</c>, <c>1.net.4</c>; and with random
    /// features <c>0.fast_attention</c>.
    /// </summary>
    /// <param name="scope">The block's scope.</param>
    /// <param name="config">The configuration.</param>
    public TransformerBlock(Scope scope, TransformerConfig config)
    {
        (_config, _layer) = (config, scope.Path);
        Scope attention = scope / 0, perceptron = scope / 1;
        int inner = config.Heads * config.HeadWidth, hidden = (perceptron / "net" / 1).Width(config.Hidden);
        _attentionNorm = new LayerNorm(attention / "norm", config.Width);
        _qkv = new Linear(attention / "to_qkv", config.Width, 3 * inner, bias: false);
        if (config.Features is { } features)
            _linear = new RandomFeatureAttention(attention / "fast_attention", config.Heads, config.HeadWidth, features, config.Kernel);
        _out = new Linear(attention / "to_out" / 0, inner, config.Width);
        _attentionPath = new DropPath(attention, config.DropPath);
        _perceptronNorm = new LayerNorm(perceptron / "net" / 0, config.Width);
        _widen = new Linear(perceptron / "net" / 1, config.Width, hidden);
        _narrow = new Linear(perceptron / "net" / 4, hidden, config.Width);
        _perceptronPath = new DropPath(perceptron, config.DropPath);
    }

    /// <summary>Self-attention between the tokens of each image, then the MLP on each token.</summary>
    /// <param name="x">(B, L, width).</param>
    /// <returns>(B, L, width).</returns>
    public Tensor Forward(Tensor x)
    {
        using MemoryScope memory = new();
        Tensor qkv = _qkv.Forward(_attentionNorm.Forward(x)); // (B, L, 3 heads head width)
        int inner = qkv.Shape[2] / 3;
        // Linear attention has no weight matrix to observe.
        if (_linear is null)
            LayerObserver.Current?.Attention(_layer, Ops.Slice(qkv, 2, 0, inner), Ops.Slice(qkv, 2, inner, inner), _config.Heads);
        Tensor mixed = _linear is null ? Ops.SelfAttention(qkv, _config.Heads) : _linear.Forward(qkv); // (B, L, heads head width)
        x = _attentionPath.Join(_out.Forward(mixed, _attentionPath.Residual(x)), x);
        Tensor hidden = Ops.Gelu(_widen.Forward(_perceptronNorm.Forward(x))); // (B, L, hidden)
        return memory.Return(_perceptronPath.Join(_narrow.Forward(hidden, _perceptronPath.Residual(x)), x));
    }
}
