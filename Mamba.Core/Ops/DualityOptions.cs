namespace Mamba.Core;

/// <summary>
/// What <see cref="Ops.StateSpaceDuality"/> can do beyond the bare recurrence. The default value leaves everything out.
/// </summary>
/// <remarks>A value, so that a call allocates nothing.</remarks>
public readonly record struct DualityOptions
{
    /// <summary>(H) or (H, P), the skip: D x is added to y; or null.</summary>
    public Tensor? D { get; init; }

    /// <summary>(B, L, H, P), the gate: y is multiplied by silu(z); or null.</summary>
    public Tensor? Z { get; init; }

    /// <summary>(H), added to dt; or null.</summary>
    public Tensor? DeltaBias { get; init; }

    /// <summary>Whether the step is softplus(dt + bias), or just the sum.</summary>
    public bool DeltaSoftplus { get; init; }

    /// <summary>The bounds of the step after softplus; null for none. No gradient flows through a step that was cut.</summary>
    public (float Low, float High)? DtLimit { get; init; }

    /// <summary>
    /// (B, H, P, N), the state before the first token; zero if null. With the last state of the piece before, a sequence is computed in
    /// pieces.
    /// </summary>
    public Tensor? InitialState { get; init; }

    /// <summary>
    /// Whether the last state takes the place of the initial one where nothing is recorded: a step of a stream then goes over its state
    /// once.
    /// </summary>
    internal bool UpdateState { get; init; }
}
