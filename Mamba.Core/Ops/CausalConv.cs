namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Causal depthwise convolution along a sequence, with SiLU fused if asked: x (B, L, C), weight (C, 1, K), bias (C).</summary>
    public static Tensor CausalConv1d(Tensor x, Tensor weight, Tensor? bias = null, bool silu = false) =>
        throw new NotImplementedException();
}
