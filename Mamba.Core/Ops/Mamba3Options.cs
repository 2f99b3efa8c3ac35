namespace Mamba.Core;

/// <summary>What <see cref="Ops.Mamba3Scan"/> reads of each token. B is the batch, L the length, H the heads, P the values of a head,
/// N the state size, S the turned pairs; head h reads group h / (H / G) of Q and K.</summary>
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

    /// <summary>(B, L, H), the logit of lambda: the share of the new input against the one before.</summary>
    public required Tensor Trap { get; init; }

    /// <summary>(H, N), added to the queries of a head before they are turned.</summary>
    public required Tensor QBias { get; init; }

    /// <summary>(H, N), added to the keys likewise.</summary>
    public required Tensor KBias { get; init; }

    /// <summary>(B, L, H, S), or (B, L, 1, S) where all heads share them: raw angles. 2 S is at most N.</summary>
    public required Tensor Angles { get; init; }
}

/// <summary>What <see cref="Ops.Mamba3Scan"/> can do beyond the bare recurrence. The default value leaves everything out.</summary>
public readonly record struct Mamba3Options
{
    /// <summary>(H), the skip: D v is added to y; or null.</summary>
    public Tensor? D { get; init; }

    /// <summary>(B, L, H, P), the gate: y is multiplied by silu(z); or null.</summary>
    public Tensor? Z { get; init; }

    /// <summary>What the tokens before the first have left; zeros if null. With the last state of the piece before, a sequence is
    /// scanned in pieces.</summary>
    public Mamba3Memory? Initial { get; init; }

    /// <summary>Receives the last state in place of new tensors; it may be the initial one. Not while a tape records.</summary>
    internal Mamba3Memory? Target { get; init; }
}

/// <summary>What a Mamba-3 recurrence carries from token to token.</summary>
/// <param name="Angles">(B, H, S), the angles theta in radians. Those of a result lie in [0, 2 pi).</param>
/// <param name="Ssm">(B, H, N, P), the state S transposed: its lanes are the values.</param>
/// <param name="Key">(B, H, N), the last key with its bias, turned.</param>
/// <param name="Value">(B, H, P), the last value.</param>
public readonly record struct Mamba3Memory(Tensor Angles, Tensor Ssm, Tensor Key, Tensor Value)
{
    /// <summary>
    /// (B, H, S), what float32 rounds off the angles; null for zeros. With it a million single steps turn as far as one scan does. A
    /// constant: no gradient flows into it.
    /// </summary>
    public Tensor? AngleRests { get; init; }
}
