namespace Mamba.Core.Nn;

/// <summary>
/// What a layer scans a sequence with, in one direction: all that says how much its output at one token owes to its input at another. The
/// skip and the gate are left out.
/// </summary>
public abstract class ObservedScan
{
    private protected ObservedScan()
    {
    }

    /// <summary>The layer's place in the model.</summary>
    public required string Layer { get; init; }

    /// <summary>Whether the scan begins at the last token that the layer gets.</summary>
    public bool Reverse { get; init; }
}

/// <summary>
/// The scan of a <see cref="MambaMixer"/>, which has D channels, or of a <see cref="Mamba2Mixer"/>, whose H heads stand for channels:
/// S[t] = exp(dt[t] A) S[t-1] + dt[t] B[t] x[t], y[t] = C[t] S[t].
/// </summary>
public sealed class ObservedSelectiveScan : ObservedScan
{
    /// <summary>(B, L, D); dt = softplus(Delta + DeltaBias), within the limits.</summary>
    public required Tensor Delta { get; init; }

    /// <summary>(D).</summary>
    public required Tensor DeltaBias { get; init; }

    /// <summary>The bounds of dt; null for none.</summary>
    public (float Low, float High)? DeltaLimit { get; init; }

    /// <summary>(D, N), or (H): one for all states of a head. Negative.</summary>
    public required Tensor A { get; init; }

    /// <summary>(B, L, N), or (B, L, G, N): head h reads group h / (H / G).</summary>
    public required Tensor B { get; init; }

    /// <summary>As B.</summary>
    public required Tensor C { get; init; }
}

/// <summary>The scan of a <see cref="Mamba3Mixer"/>: see <see cref="Ops.Mamba3Scan"/>.</summary>
public sealed class ObservedMamba3Scan : ObservedScan
{
    /// <summary>What the scan reads; its output is linear in V.</summary>
    public required Mamba3Inputs Inputs { get; init; }
}

/// <summary>
/// An <see cref="S4d"/> or <see cref="S4dMixer"/> over a whole sequence: a convolution, the same for every input.
/// </summary>
public sealed class ObservedConvolution : ObservedScan
{
    /// <summary>(H, L): what an input adds to the output so many tokens later.</summary>
    public required Tensor Kernel { get; init; }

    /// <summary>(H), the logarithm of the step size.</summary>
    public required Tensor LogDelta { get; init; }
}
