namespace Mamba.Core;

/// <summary>
/// The inputs of <see cref="Ops.Mamba3Scan"/> for each token. B is the batch, L the length, H the heads, P the channels of a head, N the
/// state size, S the rotated pairs; head h reads group h / (H / G) of Q and K.
/// </summary>
/// <remarks>A value, so that a call allocates nothing.</remarks>
public readonly record struct Mamba3Inputs
{
    /// <summary>(B, L, G, N), the queries: C of the state-space model, already normalized.</summary>
    public required Tensor Q { get; init; }

    /// <summary>(B, L, G, N), the keys: B of the state-space model, already normalized.</summary>
    public required Tensor K { get; init; }

    /// <summary>(B, L, H, P), the values: x of the state-space model.</summary>
    public required Tensor V { get; init; }

    /// <summary>(B, L, H), A dt: the logarithm of the decay, negative for a stable recurrence.</summary>
    public required Tensor Adt { get; init; }

    /// <summary>(B, L, H), dt: the step size, positive.</summary>
    public required Tensor Dt { get; init; }

    /// <summary>(B, L, H), the logit of lambda: the weight of the new input against the previous one.</summary>
    public required Tensor Trap { get; init; }

    /// <summary>(H, N), added to the queries of a head before the rotation.</summary>
    public required Tensor QBias { get; init; }

    /// <summary>(H, N), added to the keys of a head before the rotation.</summary>
    public required Tensor KBias { get; init; }

    /// <summary>(B, L, H, S), or (B, L, 1, S) where all heads share them: raw angles. 2 S is at most N.</summary>
    public required Tensor Angles { get; init; }
}

/// <summary>Optional inputs of <see cref="Ops.Mamba3Scan"/>. The default value is the bare recurrence.</summary>
public readonly record struct Mamba3Options
{
    /// <summary>(H), the skip: D v is added to y; or null.</summary>
    public Tensor? D { get; init; }

    /// <summary>(B, L, H, P), the gate: y is multiplied by silu(z); or null.</summary>
    public Tensor? Z { get; init; }

    /// <summary>
    /// The state before the first token; zeros if null. Pass the last state of the previous part to scan a sequence in parts.
    /// </summary>
    public Mamba3Memory? Initial { get; init; }

    /// <summary>Receives the last state instead of new tensors; may be the initial state. Not while a tape records.</summary>
    internal Mamba3Memory? Target { get; init; }
}

/// <summary>The state of a Mamba-3 recurrence between tokens.</summary>
/// <param name="Angles">(B, H, S), the angles theta in radians. Those of a result lie in [0, 2 pi).</param>
/// <param name="Ssm">(B, H, N, P), the state S transposed: P is the lane dimension.</param>
/// <param name="Key">(B, H, N), the last key, with its bias, rotated.</param>
/// <param name="Value">(B, H, P), the last value.</param>
public readonly record struct Mamba3Memory(Tensor Angles, Tensor Ssm, Tensor Key, Tensor Value)
{
    /// <summary>
    /// (B, H, S), the float32 rounding error of the angles; null for zeros. With it, a million single steps rotate as far as one scan does.
    /// A constant: no gradient flows into it.
    /// </summary>
    public Tensor? AngleRests { get; init; }
}
