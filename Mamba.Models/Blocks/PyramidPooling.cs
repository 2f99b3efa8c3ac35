using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>
/// Pyramid pooling (Zhao et al. 2017) as used by the paper's authors. The image is average-pooled to 1, 2, 3 and 6 cells per side.
/// Pointwise convolutions with ReLU give C/8, C/4, C/2 and C/8 channels. The results are resized back and concatenated, and replace the
/// input.
/// </summary>
public sealed class PyramidPooling : IModule
{
    private static readonly int[] s_bins = [1, 2, 3, 6];
    private readonly Conv2d[] _convs;

    /// <summary>Declares <c>conv_layers.0</c> to <c>conv_layers.3</c>.</summary>
    /// <param name="scope">The block's scope.</param>
    /// <param name="channels">C, a multiple of 8.</param>
    public PyramidPooling(Scope scope, int channels)
    {
        int[] outputs = [channels / 8, channels / 4, channels / 2, channels / 8];
        _convs = [.. outputs.Select((n, i) => new Conv2d(scope / "conv_layers" / i, new ConvConfig(channels, n, Kernel: 1)))];
    }

    /// <summary>Pools.</summary>
    /// <param name="x">(B, H, W, C).</param>
    /// <returns>(B, H, W, C).</returns>
    public Tensor Forward(Tensor x)
    {
        TensorList parts = default;
        for (int i = 0; i < s_bins.Length; i++)
        {
            Tensor cells = Ops.Relu(_convs[i].Forward(Ops.AdaptiveAvgPool2d(x, s_bins[i]))); // (B, bins, bins, C / k)
            parts = parts.Append(Ops.ResizeBilinear(cells, (x.Shape[1], x.Shape[2]), alignCorners: true));
        }
        return Ops.Concat(parts.AsSpan());
    }
}
