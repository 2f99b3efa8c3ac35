using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>
/// The attention bridge between encoder and decoder of UltraLight VM-UNet (Wu et al. 2024), over all skip connections. First, spatial
/// attention from the mean and maximum over channels, with weights shared by the levels. Then, channel attention from the averages of all
/// levels. Both have residuals.
/// </summary>
public sealed class AttentionBridge
{
    private readonly Conv1d _getAllAtt;
    private readonly Linear[] _att;
    private readonly Conv2d _sharedConv;
    private readonly int[] _channels;

    /// <summary>Declares <c>catt.get_all_att</c>, <c>catt.att1</c>, ... and <c>satt.shared_conv2d.0</c>.</summary>
    /// <param name="scope">The bridge's scope.</param>
    /// <param name="channels">Channels of the levels, outermost first.</param>
    public AttentionBridge(Scope scope, IReadOnlyList<int> channels)
    {
        _channels = [.. channels];
        int all = _channels.Sum();
        _getAllAtt = new Conv1d(scope / "catt" / "get_all_att", new ConvConfig(1, 1, Kernel: 3) { Padding = 1, Bias = false });
        _att = [.. _channels.Select((n, i) => new Linear(scope / "catt" / $"att{i + 1}", all, n))];
        _sharedConv = new Conv2d(scope / "satt" / "shared_conv2d" / 0, new ConvConfig(2, 1, Kernel: 7) { Padding = 9, Dilation = 3 });
    }

    /// <summary>Applies the attention to the levels.</summary>
    /// <param name="levels">(B, H / 2^i, W / 2^i, channels of level i) each.</param>
    /// <returns>The same shapes.</returns>
    public TensorList Forward(TensorList levels)
    {
        int batch = levels[0].Shape[0], count = levels.Count;
        using MemoryScope scope = new();
        TensorList weighted = default, residual = default, pooled = default, result = default;
        for (int i = 0; i < count; i++)
        {
            weighted = weighted.Append(Weighted(levels[i]));
            residual = residual.Append(Ops.Add(weighted[i], levels[i]));
            pooled = pooled.Append(Ops.AdaptiveAvgPool2d(residual[i], 1).Reshape(batch, _channels[i]));
        }
        // One convolution runs along the channels of all levels.
        Tensor all = _getAllAtt.Forward(Ops.Concat(pooled.AsSpan()).Reshape(batch, -1, 1)).Reshape(batch, -1); // (B, sum of channels)
        for (int i = 0; i < count; i++)
        {
            using MemoryScope level = new();
            Tensor attention = Ops.Sigmoid(_att[i].Forward(all)).Reshape(batch, 1, 1, _channels[i]);
            result = result.Append(level.Return(Ops.Add(Ops.Multiply(residual[i], attention), weighted[i])));
        }
        foreach (Tensor level in result.AsSpan()) scope.Return(level);
        return result;
    }

    /// <summary>Spatial attention: weights each pixel by its mean and maximum over channels.</summary>
    private Tensor Weighted(Tensor t)
    {
        using MemoryScope scope = new();
        Tensor summary = Ops.Concat([Ops.Mean(t, [-1], keepDim: true), Ops.Max(t, [-1], keepDim: true)]); // (B, H, W, 2)
        return scope.Return(Ops.Multiply(t, Ops.Sigmoid(_sharedConv.Forward(summary))));
    }
}
