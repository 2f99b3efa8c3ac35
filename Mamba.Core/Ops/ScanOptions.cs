namespace Mamba.Core;

/// <summary>How a selective scan is spread over threads.</summary>
public enum ScanSchedule
{
    /// <summary>Chosen by shape, never by the number of threads.</summary>
    Auto,

    /// <summary>Each (batch, channel block) walks its whole sequence.</summary>
    Sequential,

    /// <summary>The sequence is cut into segments scanned at once, after a first pass that finds the states before them.</summary>
    Chunked,
}

/// <summary>What <see cref="Ops.SelectiveScan"/> can do beyond the bare recurrence. The default value leaves everything out.</summary>
/// <remarks>A value, so that a call allocates nothing.</remarks>
public readonly record struct ScanOptions
{
    /// <summary>(D), the skip: D u is added to y; or null.</summary>
    public Tensor? D { get; init; }

    /// <summary>(B, L, D), the gate: y is multiplied by silu(z); or null.</summary>
    public Tensor? Z { get; init; }

    /// <summary>(D), added to delta; or null.</summary>
    public Tensor? DeltaBias { get; init; }

    /// <summary>Whether dt = softplus(delta + bias), or just the sum.</summary>
    public bool DeltaSoftplus { get; init; }

    /// <summary>
    /// (B, D, N), the state before the first token; zero if null. With the last state of the piece before, a sequence is scanned in pieces.
    /// </summary>
    public Tensor? InitialState { get; init; }

    /// <summary>(B, L, D), added to y after the gate; or null.</summary>
    public Tensor? Residual { get; init; }

    /// <summary>
    /// Whether the scan starts at the last token and goes back to the first, as over the reversed sequence; so with the states.
    /// </summary>
    public bool Reverse { get; init; }

    /// <summary>How the work is spread; the results agree to rounding.</summary>
    public ScanSchedule Schedule { get; init; }
}
