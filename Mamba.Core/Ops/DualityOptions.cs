namespace Mamba.Core;

/// <summary>Optional inputs of <see cref="Ops.StateSpaceDuality"/>. The default value is the bare recurrence.</summary>
/// <remarks>A value, so that a call allocates nothing.</remarks>
public readonly record struct DualityOptions
{
    /// <summary>(H) or (H, P), the skip: D x is added to y; or null.</summary>
    public Tensor? D { get; init; }

    /// <summary>(B, L, H, P), the gate: y is multiplied by silu(z); or null.</summary>
    public Tensor? Z { get; init; }

    /// <summary>(H), added to dt; or null.</summary>
    public Tensor? DeltaBias { get; init; }

    /// <summary>Whether the step is softplus(dt + bias); otherwise it is dt + bias.</summary>
    public bool DeltaSoftplus { get; init; }

    /// <summary>The bounds of the step after softplus; null for none. No gradient flows through a clamped step.</summary>
    public (float Low, float High)? DtLimit { get; init; }

    /// <summary>
    /// (B, H, P, N), the state before the first token; zero if null. Pass the last state of the previous part to compute a sequence in
    /// parts.
    /// </summary>
    public Tensor? InitialState { get; init; }

    /// <summary>
    /// Whether the last state overwrites the initial one where nothing is recorded: a streaming step then makes one pass over its state.
    /// </summary>
    internal bool UpdateState { get; init; }
}
