namespace Mamba.Core.Nn;

/// <summary>
/// The inputs of a layer's scan in one direction: everything that determines how much its output at one token depends on its input at
/// another. The skip and the gate are left out.
/// </summary>
public abstract class ObservedScan
{
    private protected ObservedScan()
    {
    }

    /// <summary>The layer's path in the model.</summary>
    public required string Layer { get; init; }

    /// <summary>Whether the scan starts at the last token.</summary>
    public bool Reverse { get; init; }
}

/// <summary>
/// The scan of a <see cref="MambaMixer"/> (D channels) or of a <see cref="Mamba2Mixer"/> (D = H heads): S[t] = exp(dt[t] A) S[t-1] + dt[t]
/// B[t] x[t], y[t] = C[t] S[t].
/// </summary>
public sealed class ObservedSelectiveScan : ObservedScan
{
    /// <summary>(B, L, D); dt = softplus(Delta + DeltaBias), within the limits.</summary>
    public required Tensor Delta { get; init; }

    /// <summary>(D).</summary>
    public required Tensor DeltaBias { get; init; }

    /// <summary>The bounds of dt; null for none.</summary>
    public (float Low, float High)? DeltaLimit { get; init; }

    /// <summary>(D, N), or (H) with one value for all states of a head. Negative.</summary>
    public required Tensor A { get; init; }

    /// <summary>(B, L, N), or (B, L, G, N): head h reads group h / (H / G).</summary>
    public required Tensor B { get; init; }

    /// <summary>The shape of B.</summary>
    public required Tensor C { get; init; }
}

/// <summary>The scan of a <see cref="Mamba3Mixer"/>: see <see cref="Ops.Mamba3Scan"/>.</summary>
public sealed class ObservedMamba3Scan : ObservedScan
{
    /// <summary>The inputs of the scan; its output is linear in V.</summary>
    public required Mamba3Inputs Inputs { get; init; }
}

/// <summary>
/// An <see cref="S4d"/> or <see cref="S4dMixer"/> over a whole sequence: a convolution, the same for every input.
/// </summary>
public sealed class ObservedConvolution : ObservedScan
{
    /// <summary>(H, L): the contribution of an input to the output that many tokens later.</summary>
    public required Tensor Kernel { get; init; }

    /// <summary>(H), the logarithm of the step size.</summary>
    public required Tensor LogDelta { get; init; }
}
