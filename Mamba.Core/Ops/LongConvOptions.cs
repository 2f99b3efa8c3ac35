namespace Mamba.Core;

/// <summary>Optional terms of <see cref="Ops.LongConv"/>. The default value is the causal convolution alone.</summary>
/// <remarks>A value, so that a call allocates nothing.</remarks>
public readonly record struct LongConvOptions
{
    /// <summary>(H), the skip: D u is added to y; or null.</summary>
    public Tensor? D { get; init; }

    /// <summary>(H, K'), an anticausal kernel: sum_s backward_s u_(t + 1 + s) is added to y; or null.</summary>
    public Tensor? Backward { get; init; }
}
