namespace Mamba.Core;

/// <summary>What <see cref="Ops.LongConv"/> adds to the causal convolution. The default value leaves everything out.</summary>
/// <remarks>A value, so that a call allocates nothing.</remarks>
public readonly record struct LongConvOptions
{
    /// <summary>(H), the skip: D u is added to y; or null.</summary>
    public Tensor? D { get; init; }

    /// <summary>(H, K'), a second kernel that looks ahead: sum_s backward_s u_(t + 1 + s) is added to y; or null.</summary>
    public Tensor? Backward { get; init; }
}
