using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>Configuration of <see cref="SegFormerBlock"/>.</summary>
/// <param name="Channels">Channels, C.</param>
/// <param name="Heads">Heads of the attention.</param>
/// <param name="Reduction">The downsampling factor of the image for keys and values.</param>
/// <param name="Expansion">Hidden channels of the feed-forward part relative to C.</param>
public sealed record SegFormerBlockConfig(int Channels, int Heads, int Reduction, int Expansion = 4);

/// <summary>
/// The block of SegFormer (Xie et al. 2021). Its attention computes keys and values from a downsampled image. Its feed-forward part has a
/// depthwise 3x3 convolution, which encodes positions. Both parts are pre-norm residual branches.
/// </summary>
public sealed class SegFormerBlock : IModule
{
    private readonly SegFormerBlockConfig _config;
    private readonly string _layer;
    private readonly LayerNorm _attentionNorm;
    private readonly Conv2d _reducer;
    private readonly LayerNorm _reducerNorm;
    private readonly Tensor _inProjWeight;
    private readonly Tensor _inProjBias;
    private readonly Linear _outProj;
    private readonly LayerNorm _mixNorm;
    private readonly Conv2d _mixIn;
    private readonly Conv2d _mixDepthwise;
    private readonly Conv2d _mixOut;

    /// <summary>Declares <c>0.fn</c> (norm, attention) and <c>1.fn</c> (norm, feed-forward).</summary>
    /// <param name="scope">The block's scope.</param>
    /// <param name="config">The configuration.</param>
    public SegFormerBlock(Scope scope, SegFormerBlockConfig config)
    {
        (_config, _layer) = (config, scope.Path);
        int channels = config.Channels, hidden = config.Expansion * channels;
        Scope attention = scope / 0 / "fn", mix = scope / 1 / "fn", att = attention / 1 / "att";
        _attentionNorm = new LayerNorm(attention / 0, channels);
        _reducer = new Conv2d(attention / 1 / "reducer" / 0, new ConvConfig(channels, channels,
            config.Reduction)
        { Stride = config.Reduction });
        _reducerNorm = new LayerNorm(attention / 1 / "reducer" / 1, channels);
        _inProjWeight = att.Parameter("in_proj_weight", Init.XavierUniform(channels, 3 * channels), 3 * channels, channels);
        _inProjBias = att.Parameter("in_proj_bias", Init.Zeros, 3 * channels);
        _outProj = new Linear(att / "out_proj", channels, channels, biasInit: Init.Zeros);
        _mixNorm = new LayerNorm(mix / 0, channels);
        _mixIn = new Conv2d(mix / 1 / 0, new ConvConfig(channels, channels, Kernel: 1));
        _mixDepthwise = new Conv2d(mix / 1 / 1, new ConvConfig(channels, hidden, Kernel: 3) { Padding = 1, Groups = channels });
        _mixOut = new Conv2d(mix / 1 / 3, new ConvConfig(hidden, channels, Kernel: 1));
    }

    /// <summary>Applies the block.</summary>
    /// <param name="x">(B, H, W, C), H and W at least the reduction.</param>
    /// <returns>(B, H, W, C).</returns>
    public Tensor Forward(Tensor x)
    {
        using MemoryScope memory = new();
        Tensor h = Attend(_attentionNorm.Forward(x), x);
        Tensor mixed = Ops.Gelu(_mixDepthwise.Forward(_mixIn.Forward(_mixNorm.Forward(h)))); // (B, H, W, expansion C)
        // A 1x1 convolution is a linear layer.
        return memory.Return(Ops.Linear(mixed, _mixOut.Weight.Reshape(_config.Channels, -1), _mixOut.Bias, h));
    }

    private Tensor Attend(Tensor x, Tensor residual)
    {
        Tensor tokens = Tokens(x), reduced = Tokens(_reducerNorm.Forward(_reducer.Forward(x))); // (B, H W, C) and (B, H W / reduction^2, C)
        Tensor q = Project(tokens, 0), k = Project(reduced, 1);
        LayerObserver.Current?.Grid(x.Shape[1], x.Shape[2], null);
        LayerObserver.Current?.Attention(_layer, q, k, _config.Heads);
        Tensor mixed = Ops.Attention(q, k, Project(reduced, 2), _config.Heads);
        return _outProj.Forward(mixed, Tokens(residual)).Reshape(x.Shape);
    }

    /// <summary>Query, key or value: a third of the rows of in_proj, as PyTorch's MultiheadAttention packs them.</summary>
    private Tensor Project(Tensor tokens, int part)
    {
        int channels = _config.Channels;
        return Ops.Linear(
            tokens, Ops.Slice(_inProjWeight, 0, part * channels, channels), Ops.Slice(_inProjBias, 0, part * channels, channels));
    }

    private static Tensor Tokens(Tensor x) => x.Reshape(x.Shape[0], -1, x.Shape[3]);
}
