using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Spectral;

/// <summary>
/// Sizes of a convolution along sequences with a kernel a channel: y_t = sum_s c_s u_(t - s), with c_s for -BackTaps &lt;= s &lt; Taps.
/// </summary>
/// <param name="Batch">Sequences.</param>
/// <param name="Length">Tokens of a sequence.</param>
/// <param name="Channels">Channels.</param>
/// <param name="KernelLength">Numbers that a channel's kernel has.</param>
/// <param name="BackLength">The same of the kernel that looks ahead; 0 without one.</param>
internal readonly record struct LongConvShape(nint Batch, nint Length, nint Channels, nint KernelLength, nint BackLength)
{
    // Up to here the sums themselves take less time than transforms of any length.
    private const nint MostDirectTaps = 64;

    // Work items of the backward pass, if the batch has as many: it sums gradients of kernels in parts.
    private const nint WorkItems = 64;

    // Tokens of a part of a sequence, a work item of the direct sums.
    private const nint LongestPart = 1024;

    /// <summary>Taps that reach a token: none looks further back than a sequence is long.</summary>
    public nint Taps => Math.Min(KernelLength, Length);

    /// <summary>Taps that look ahead and reach a token.</summary>
    public nint BackTaps => Math.Min(BackLength, Math.Max(0, Length - 1));

    /// <summary>All taps; at least one, which the skip is added to.</summary>
    public nint AllTaps => Math.Max(1, Taps) + BackTaps;

    /// <summary>Whether the sums are computed as they stand.</summary>
    public bool IsDirect => AllTaps <= MostDirectTaps;

    /// <summary>Points of the transforms: so many that what wraps round meets zeros.</summary>
    public nint Points => FftLength.Good(Length + Math.Max(Math.Max(1, Taps) - 1, BackTaps));

    public VectorWidth Width => Isa.For(Channels);

    public nint Lanes => Isa.Lanes(Width);

    /// <summary>Groups of channels that fill a vector.</summary>
    public nint Groups => Launch.CeilDiv(Channels, Lanes);

    /// <summary>
    /// Floats of the largest working memory: the spectra of kernels or the sums of their gradients, or the transforms of a group of
    /// channels.
    /// </summary>
    public nint Memory => IsDirect
        ? BatchParts * Parts * AllTaps * Channels
        : Math.Max(Groups * BatchParts * (Points + 4) * Lanes, 2 * FourierShape.MemoryOf(Points / 2) + Points * Lanes);

    /// <summary>Parts of the batch in the backward pass.</summary>
    public nint BatchParts => Launch.CeilDiv(Batch, PartBatch);

    /// <summary>Sequences of a part of the batch.</summary>
    public nint PartBatch => Launch.BalancedSize(Batch, Launch.CeilDiv(Batch, Math.Min(Batch, Launch.CeilDiv(WorkItems, Groups))));

    /// <summary>Parts of a sequence, for the direct sums.</summary>
    public nint Parts => Launch.CeilDiv(Length, LongestPart);

    public nint PartLength => Launch.BalancedSize(Length, LongestPart);
}

/// <summary>
/// What a convolution reads: u (B, L, C); the kernel (C, KernelLength) of c_s for s &gt;= 0; null, or the kernel (C, BackLength) of
/// c_(-1-s); null, or the skip (C), which is added to c_0.
/// </summary>
internal unsafe struct LongConvInputs
{
    public float* U, Kernel, Back, Skip;
}

/// <summary>Where the gradients go. One that is not wanted has a null pointer.</summary>
internal struct LongConvGradients
{
    public GradientTarget U, Kernel, Back, Skip;

    /// <summary>Whether any but that of u is wanted.</summary>
    public readonly bool WantsTaps => Kernel.IsWanted || Back.IsWanted || Skip.IsWanted;
}
