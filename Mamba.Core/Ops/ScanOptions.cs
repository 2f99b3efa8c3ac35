namespace Mamba.Core;

/// <summary>How a selective scan is divided among threads.</summary>
public enum ScanSchedule
{
    /// <summary>Chosen by shape, never by the number of threads.</summary>
    Auto,

    /// <summary>One work item per (batch, channel block), over the whole sequence.</summary>
    Sequential,

    /// <summary>The sequence is cut into segments scanned in parallel, after a first pass that computes the state before each.</summary>
    Chunked,
}

/// <summary>Optional inputs of <see cref="Ops.SelectiveScan"/>. The default value is the bare recurrence.</summary>
/// <remarks>A value, so that a call allocates nothing.</remarks>
public readonly record struct ScanOptions
{
    /// <summary>(D), the skip: D u is added to y; or null.</summary>
    public Tensor? D { get; init; }

    /// <summary>(B, L, D), the gate: y is multiplied by silu(z); or null.</summary>
    public Tensor? Z { get; init; }

    /// <summary>(D), added to delta; or null.</summary>
    public Tensor? DeltaBias { get; init; }

    /// <summary>Whether dt = softplus(delta + bias); otherwise dt = delta + bias.</summary>
    public bool DeltaSoftplus { get; init; }

    /// <summary>
    /// (B, D, N), the state before the first token; zero if null. Pass the last state of the previous part to scan a sequence in parts.
    /// </summary>
    public Tensor? InitialState { get; init; }

    /// <summary>(B, L, D), added to y after the gate; or null.</summary>
    public Tensor? Residual { get; init; }

    /// <summary>
    /// Whether to scan from the last token to the first, as over the reversed sequence. The initial and the last state follow that order.
    /// </summary>
    public bool Reverse { get; init; }

    /// <summary>How the work is divided; results agree up to rounding.</summary>
    public ScanSchedule Schedule { get; init; }
}
