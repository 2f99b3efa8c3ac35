using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Spectral;

/// <summary>
/// Sizes of a convolution along sequences with one kernel per channel: y_t = sum_s c_s u_(t - s), with c_s for -BackTaps &lt;= s &lt; Taps.
/// </summary>
/// <param name="Batch">Sequences.</param>
/// <param name="Length">Tokens per sequence.</param>
/// <param name="Channels">Channels.</param>
/// <param name="KernelLength">The length of the causal kernels.</param>
/// <param name="BackLength">The length of the anticausal kernels; 0 without them.</param>
internal readonly record struct LongConvShape(nint Batch, nint Length, nint Channels, nint KernelLength, nint BackLength)
{
    // Up to here direct sums are faster than transforms of any length.
    private const nint MostDirectTaps = 64;

    // Minimum work items of the backward pass, if the batch allows: kernel gradients are summed in parts.
    private const nint WorkItems = 64;

    // Tokens in a part of a sequence, the work item of direct sums.
    private const nint LongestPart = 1024;

    /// <summary>Causal taps that reach a token: at most the sequence length.</summary>
    public nint Taps => Math.Min(KernelLength, Length);

    /// <summary>Anticausal taps that reach a token.</summary>
    public nint BackTaps => Math.Min(BackLength, Math.Max(0, Length - 1));

    /// <summary>All taps; at least one, for the skip.</summary>
    public nint AllTaps => Math.Max(1, Taps) + BackTaps;

    /// <summary>Whether the convolution is summed directly.</summary>
    public bool IsDirect => AllTaps <= MostDirectTaps;

    /// <summary>Points of the transforms: enough that wrapped values meet zeros.</summary>
    public nint Points => FftLength.Good(Length + Math.Max(Math.Max(1, Taps) - 1, BackTaps));

    public VectorWidth Width => Isa.For(Channels);

    public nint Lanes => Isa.Lanes(Width);

    /// <summary>Groups of channels that fill a vector.</summary>
    public nint Groups => Launch.CeilDiv(Channels, Lanes);

    /// <summary>
    /// Floats of the largest scratch buffer: the spectra of the kernels, the sums of their gradients, or the transforms of a group of
    /// channels.
    /// </summary>
    public nint Memory => IsDirect
        ? BatchParts * Parts * AllTaps * Channels
        : Math.Max(Groups * BatchParts * (Points + 4) * Lanes, 2 * FourierShape.MemoryOf(Points / 2) + Points * Lanes);

    /// <summary>Parts of the batch in the backward pass.</summary>
    public nint BatchParts => Launch.CeilDiv(Batch, PartBatch);

    /// <summary>Sequences of a part of the batch.</summary>
    public nint PartBatch => Launch.BalancedSize(Batch, Launch.CeilDiv(Batch, Math.Min(Batch, Launch.CeilDiv(WorkItems, Groups))));

    /// <summary>Parts per sequence, for direct sums.</summary>
    public nint Parts => Launch.CeilDiv(Length, LongestPart);

    public nint PartLength => Launch.BalancedSize(Length, LongestPart);
}

/// <summary>
/// The inputs of a convolution: u (B, L, C); the kernel (C, KernelLength) of c_s for s &gt;= 0; the kernel (C, BackLength) of c_(-1-s), or
/// null; the skip (C), which is added to c_0, or null.
/// </summary>
internal unsafe struct LongConvInputs
{
    public float* U, Kernel, Back, Skip;
}

/// <summary>The outputs of the backward pass. A gradient that is not needed has a null pointer.</summary>
internal struct LongConvGradients
{
    public GradientTarget U, Kernel, Back, Skip;

    /// <summary>Whether any gradient other than that of u is needed.</summary>
    public readonly bool WantsTaps => Kernel.IsWanted || Back.IsWanted || Skip.IsWanted;
}
