using Mamba.Core.Kernels.Convolution;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// Causal depthwise convolution along a sequence, with an activation on top: causal_conv1d_fn of the Mamba block. y[t] = bias + sum_j
    /// weight[j] x[t - K + 1 + j], with zeros before the start.
    /// </summary>
    /// <param name="x">(B, L, C).</param>
    /// <param name="weight">(C, 1, K).</param>
    /// <param name="bias">(C), or null.</param>
    /// <param name="activation">
    /// Applied to the result. SiLU, as in the Mamba block, is fused into the kernel; any other runs as a separate operator.
    /// </param>
    /// <param name="reverse">Whether each token sees those after it instead, x[t + K - 1 - j], as on the reversed sequence.</param>
    /// <returns>(B, L, C).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor CausalConv1d(Tensor x, Tensor weight, Tensor? bias = null, Activation activation = Activation.None,
        bool reverse = false)
    {
        Check.Rank(x, 3, "CausalConv1d", "(B, L, C)");
        Check.That(
            weight.Shape.Rank == 3 && weight.Shape[0] == x.Shape[2] && weight.Shape[1] == 1 && weight.Shape[2] > 0, "CausalConv1d",
            $"input {x.Shape} and weight {weight.Shape}; expected (B, L, C) and (C, 1, K)");
        Check.Extents(bias, "CausalConv1d", "bias", x.Shape[2]);
        CheckActivation("CausalConv1d", activation);
        if (x.Count == 0) return Independent(Tensor.Empty(x.Shape), x, weight, bias);
        SequenceShape s = new(x.Shape[0], x.Shape[1], x.Shape[2], weight.Shape[2], reverse);

        bool silu = activation == Activation.Silu;
        Tensor y = Tensor.Empty(x.Shape);
        if (silu) CausalConv.Forward<Silu>(s, x.Pointer, weight.Pointer, bias.Pointer, y.Pointer);
        else CausalConv.Forward<Identity>(s, x.Pointer, weight.Pointer, bias.Pointer, y.Pointer);
        MultiplyAdds.Add(x.Count * (long)s.Taps, silu ? x.Count : 0);

        if (Tape.Needs(x, weight, bias))
            Tape.Record(y, (x, weight, bias, s, silu), static (context, dy) =>
            {
                (Tensor x, Tensor weight, Tensor? bias, SequenceShape s, bool silu) = context.Values;
                // Recomputing the convolution costs K multiply-adds per element, less than keeping the input of the SiLU.
                CausalConvGradients gradients = new(Open(x).Target, Open(weight).Target, Open(bias).Target);
                if (silu) CausalConv.Backward<Silu>(s, x.Pointer, weight.Pointer, bias.Pointer, dy.Pointer, gradients);
                else CausalConv.Backward<Identity>(s, x.Pointer, weight.Pointer, bias.Pointer, dy.Pointer, gradients);
            }, x, weight, bias);
        return silu ? y : Apply(activation, y);
    }
}
