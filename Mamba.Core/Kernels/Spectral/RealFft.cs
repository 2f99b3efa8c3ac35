using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Spectral;

/// <summary>
/// Sizes of transforms along a sequence, and the scale of the first bin (and for an even length the last) and of the inner bins. The scales
/// are those of a transform, or of the gradient of its inverse.
/// </summary>
internal readonly record struct FourierShape(nint Batch, nint Length, nint Channels, float EdgeScale, float InnerScale)
{
    public nint Bins => Length / 2 + 1;

    public bool IsEven => Length % 2 == 0;

    /// <summary>Complex points of the plan: half the real points if their number is even.</summary>
    public nint Points => IsEven ? Length / 2 : Length;

    public VectorWidth Width => Isa.For(Channels);

    /// <summary>Groups of channels that fill a vector.</summary>
    public nint Groups => Launch.CeilDiv(Channels, Isa.Lanes(Width));

    /// <summary>Upper bound of a channel group's scratch in floats: at 512 bits, with padded rows.</summary>
    public static nint MemoryOf(nint points) =>
        32 * (FftLength.IsSmooth(points) ? points : 2 * points + FftLength.ForChirp(points)) * 5 / 4;

    /// <summary>Work items: sequences of the batch, by groups of channels.</summary>
    public nint Items => Batch * Groups;

    /// <summary>The sequence of an item and its first channel.</summary>
    public (nint Sequence, nint Channel, nint Lanes) Item<V>(nint item) where V : unmanaged
    {
        nint n = Count<V>(), groups = Launch.CeilDiv(Channels, n), channel = item % groups * n;
        return (item / groups, channel, Math.Min(n, Channels - channel));
    }
}

/// <summary>X (B, n / 2 + 1, 2, C), the spectra of x (B, n, C). One item: a group of channels of a sequence.</summary>
internal unsafe struct RealForward : IKernel
{
    /// <summary>Prefetch distance in pairs: the bins of a row are far apart in memory.</summary>
    public const int Ahead = 8;

    public FourierShape Shape;
    public FftView View;
    public float* X;
    public GradientTarget Y;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        FourierShape s = Shape;
        using Scratch memory = new(LaneFft.WorkFloats<V>(View));
        for (nint item = begin; item < end; item++)
        {
            (nint b, nint c, nint lanes) = s.Item<V>(item);
            RowSource x = new(X + b * s.Length * s.Channels + c, s.Channels, s.Length, lanes) { RealOnly = !s.IsEven };
            RowTarget y = new(Y.At(b * s.Bins * 2 * s.Channels + c), s.Channels, 2 * s.Bins, lanes);
            LaneFft.ForwardColumns<V>(View, x, memory.Pointer);
            for (nint group = 0; group < View.PairGroups; group++)
            {
                LaneFft.ForwardRows<V>(View, group, memory.Pointer);
                if (s.IsEven) Split<V>(group, memory.Pointer, y);
            }
            if (!s.IsEven) CopyBins<V>(memory.Pointer, y);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Split<V>(nint group, float* work, in RowTarget y) where V : unmanaged
    {
        nint n = Count<V>(), last = Shape.Length / 2;
        SpectrumPair* pairs = View.Pairs;
        for (nint p = View.PairStarts[group]; p < View.PairStarts[group + 1]; p++)
        {
            SpectrumPair pair = pairs[p];
            float* first = work + pair.First * 2 * n, second = work + pair.Second * 2 * n, w = View.PairTwiddles + 2 * p;
            nint ahead = pairs[p + Ahead].Bin;
            y.Prefetch(ahead);
            y.Prefetch(last - ahead);
            V ar = Load<V>(first), ai = Load<V>(first + n), br = Load<V>(second), bi = Load<V>(second + n);
            SpectrumMath.Split(ref ar, ref ai, ref br, ref bi, Broadcast<V>(w[0]), Broadcast<V>(w[1]));
            V scale = Broadcast<V>(0.5f * (pair.Bin == 0 ? Shape.EdgeScale : Shape.InnerScale));
            y.Row(ar * scale, 2 * pair.Bin);
            y.Row(ai * scale, 2 * pair.Bin + 1);
            if (last - pair.Bin == pair.Bin) continue; // bin M / 2 is its own partner
            y.Row(br * scale, 2 * (last - pair.Bin));
            y.Row(bi * scale, 2 * (last - pair.Bin) + 1);
        }
    }

    private readonly void CopyBins<V>(float* work, in RowTarget y) where V : unmanaged
    {
        for (nint bin = 0; bin < Shape.Bins; bin++)
        {
            float* z = work + View.Places[bin] * 2 * Count<V>();
            V scale = Broadcast<V>(bin == 0 ? Shape.EdgeScale : Shape.InnerScale);
            y.Row(Load<V>(z) * scale, 2 * bin);
            y.Row(Load<V>(z + Count<V>()) * scale, 2 * bin + 1);
        }
    }
}

/// <summary>
/// x (B, n, C) = sum_k X_k e^(2 pi i j k / n) over all n bins; X (B, n / 2 + 1, 2, C) omits the conjugate ones. The imaginary parts of the
/// first bin, and of the last one for an even n, are ignored.
/// </summary>
internal unsafe struct RealInverse : IKernel
{
    public FourierShape Shape;
    public FftView View;
    public float* X;
    public GradientTarget Y;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        FourierShape s = Shape;
        using Scratch memory = new(LaneFft.WorkFloats<V>(View));
        for (nint item = begin; item < end; item++)
        {
            (nint b, nint c, nint lanes) = s.Item<V>(item);
            RowSource x = new(X + b * s.Bins * 2 * s.Channels + c, s.Channels, 2 * s.Bins, lanes);
            RowTarget y = new(Y.At(b * s.Length * s.Channels + c), s.Channels, s.Length, lanes) { RealOnly = !s.IsEven };
            if (!s.IsEven) Conjugates<V>(x, memory.Pointer);
            for (nint group = 0; group < View.PairGroups; group++)
            {
                if (s.IsEven) Merge<V>(group, x, memory.Pointer);
                LaneFft.InverseRows<V>(View, group, memory.Pointer);
            }
            LaneFft.InverseColumns<V>(View, memory.Pointer, y);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Merge<V>(nint group, in RowSource x, float* work) where V : unmanaged
    {
        nint n = Count<V>(), last = Shape.Length / 2;
        SpectrumPair* pairs = View.Pairs;
        for (nint p = View.PairStarts[group]; p < View.PairStarts[group + 1]; p++)
        {
            SpectrumPair pair = pairs[p];
            float* first = work + pair.First * 2 * n, second = work + pair.Second * 2 * n, w = View.PairTwiddles + 2 * p;
            nint ahead = pairs[p + RealForward.Ahead].Bin;
            x.Prefetch(ahead);
            x.Prefetch(last - ahead);
            V scale = Broadcast<V>(pair.Bin == 0 ? Shape.EdgeScale : Shape.InnerScale);
            V ar = x.Row<V>(2 * pair.Bin) * scale, br = x.Row<V>(2 * (last - pair.Bin)) * scale;
            V ai = default, bi = default;
            if (pair.Bin != 0) (ai, bi) = (x.Row<V>(2 * pair.Bin + 1) * scale, x.Row<V>(2 * (last - pair.Bin) + 1) * scale);
            SpectrumMath.Merge(ref ar, ref ai, ref br, ref bi, Broadcast<V>(w[0]), Broadcast<V>(w[1]));
            Store(ar, first);
            Store(ai, first + n);
            Store(br, second);
            Store(bi, second + n);
        }
    }

    private readonly void Conjugates<V>(in RowSource x, float* work) where V : unmanaged
    {
        nint n = Count<V>();
        for (nint bin = 0; bin < Shape.Bins; bin++)
        {
            V scale = Broadcast<V>(bin == 0 ? Shape.EdgeScale : Shape.InnerScale);
            V re = x.Row<V>(2 * bin) * scale, im = bin == 0 ? default : x.Row<V>(2 * bin + 1) * scale;
            float* first = work + View.Places[bin] * 2 * n, second = work + View.Places[(Shape.Length - bin) % Shape.Length] * 2 * n;
            Store(re, second);
            Store(-im, second + n);
            Store(re, first);
            Store(im, first + n);
        }
    }
}

/// <summary>
/// y (B, n, 2, C) = scale times the transform of x (B, n, 2, C), or of the transform with conjugate factors. One item: a group of channels
/// of a sequence.
/// </summary>
internal unsafe struct ComplexFft : IKernel
{
    public FourierShape Shape;
    public FftView View;
    public float* X;
    public GradientTarget Y;
    public bool Inverse;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        FourierShape s = Shape;
        nint n = Count<V>(), sequence = 2 * s.Length * s.Channels;
        using Scratch memory = new(LaneFft.WorkFloats<V>(View));
        for (nint item = begin; item < end; item++)
        {
            (nint b, nint c, nint lanes) = s.Item<V>(item);
            RowSource x = new(X + b * sequence + c, s.Channels, 2 * s.Length, lanes) { Exchanged = Inverse };
            RowTarget y = new(Y.At(b * sequence + c), s.Channels, 2 * s.Length, lanes) { Exchanged = Inverse, Scale = s.InnerScale };
            LaneFft.Forward<V>(View, x, memory.Pointer);
            for (nint bin = 0; bin < s.Length; bin++)
            {
                float* z = memory.Pointer + View.Places[bin] * 2 * n;
                y.Element(Load<V>(z), Load<V>(z + n), bin);
            }
        }
    }
}
