using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Spectral;

/// <summary>
/// Convolution by transforms. Between the two passes over rows, each pair of rows is transformed, multiplied by the kernels' spectrum and
/// transformed back while it is in L1. A sequence then passes through L2 three times.
/// </summary>
internal static unsafe class SpectralConv
{
    /// <summary>Floats of the spectrum of a group of channels: real and imaginary parts of bins k and M - k, for each pair.</summary>
    public static nint SpectrumFloats(in FftView view, nint lanes) => 4 * lanes * view.PairCount;

    /// <summary>
    /// The normalization of a product of spectra: splitting doubles each of the two spectra, merging doubles the result, and the inverse
    /// multiplies it by M.
    /// </summary>
    public static float Scale(in FftView view) => 1f / (8f * view.Length);

    /// <summary>Multiplies a group of rows, between the two passes over them, by the spectrum or by its conjugate.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<V, K>(in FftView view, nint group, float* work, float* spectrum)
        where V : unmanaged where K : struct, ISpectrumForm
    {
        nint n = Count<V>();
        for (nint p = view.PairStarts[group]; p < view.PairStarts[group + 1]; p++)
        {
            SpectrumPair pair = view.Pairs[p];
            float* first = work + pair.First * 2 * n, second = work + pair.Second * 2 * n, w = view.PairTwiddles + 2 * p;
            float* k = spectrum + 4 * n * p;
            V ar = Load<V>(first), ai = Load<V>(first + n), br = Load<V>(second), bi = Load<V>(second + n);
            V wr = Broadcast<V>(w[0]), wi = Broadcast<V>(w[1]);
            SpectrumMath.Split(ref ar, ref ai, ref br, ref bi, wr, wi);
            if (typeof(K) == typeof(Conjugate))
            {
                TurnBack(ref ar, ref ai, Load<V>(k), Load<V>(k + n));
                TurnBack(ref br, ref bi, Load<V>(k + 2 * n), Load<V>(k + 3 * n));
            }
            else
            {
                Turn(ref ar, ref ai, Load<V>(k), Load<V>(k + n));
                Turn(ref br, ref bi, Load<V>(k + 2 * n), Load<V>(k + 3 * n));
            }
            SpectrumMath.Merge(ref ar, ref ai, ref br, ref bi, wr, wi);
            Store(ar, first);
            Store(ai, first + n);
            Store(br, second);
            Store(bi, second + n);
        }
    }
}

/// <summary>Whether a spectrum is conjugated before multiplying.</summary>
internal interface ISpectrumForm;

/// <summary>Multiply by K, in forward passes.</summary>
internal struct AsIs : ISpectrumForm;

/// <summary>Multiply by conj(K), for gradients.</summary>
internal struct Conjugate : ISpectrumForm;

/// <summary>The scaled spectra of the kernels, pair by pair as <see cref="FftView.Pairs"/>. One item: a group of channels.</summary>
internal unsafe struct KernelSpectrum : IKernel
{
    public LongConvShape Shape;
    public FftView View;
    public LongConvInputs Inputs;
    public float* Spectrum;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), points = 2 * View.Length, taps = Shape.BackTaps > 0 ? points : Math.Max(1, Shape.Taps);
        using Scratch memory = new(LaneFft.WorkFloats<V>(View) + taps * n);
        float* work = memory.Pointer, rows = work + LaneFft.WorkFloats<V>(View);
        for (nint group = begin; group < end; group++)
        {
            nint channel = group * n, lanes = Math.Min(n, Shape.Channels - channel);
            if (lanes < n || Shape.BackTaps > 0) new Span<float>(rows, (int)(taps * n)).Clear();
            LongConvTaps.Pack(Shape, Inputs, channel, lanes, rows, n, taps);
            LaneFft.ForwardColumns<V>(View, new RowSource(rows, n, taps, n), work);
            for (nint g = 0; g < View.PairGroups; g++)
            {
                LaneFft.ForwardRows<V>(View, g, work);
                Split<V>(g, work, Spectrum + group * SpectralConv.SpectrumFloats(View, n));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Split<V>(nint group, float* work, float* spectrum) where V : unmanaged
    {
        nint n = Count<V>();
        V scale = Broadcast<V>(SpectralConv.Scale(View));
        for (nint p = View.PairStarts[group]; p < View.PairStarts[group + 1]; p++)
        {
            SpectrumPair pair = View.Pairs[p];
            float* first = work + pair.First * 2 * n, second = work + pair.Second * 2 * n, w = View.PairTwiddles + 2 * p;
            V ar = Load<V>(first), ai = Load<V>(first + n), br = Load<V>(second), bi = Load<V>(second + n);
            SpectrumMath.Split(ref ar, ref ai, ref br, ref bi, Broadcast<V>(w[0]), Broadcast<V>(w[1]));
            float* to = spectrum + 4 * n * p;
            Store(ar * scale, to);
            Store(ai * scale, to + n);
            Store(br * scale, to + 2 * n);
            Store(bi * scale, to + 3 * n);
        }
    }
}

/// <summary>y = the convolution of u. One item: a group of channels of a sequence.</summary>
internal unsafe struct SpectralConvForward : IKernel
{
    public LongConvShape Shape;
    public FftView View;
    public float* U, Y, Spectrum;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        LongConvShape s = Shape;
        nint n = Count<V>(), groups = Launch.CeilDiv(s.Channels, n);
        using Scratch memory = new(LaneFft.WorkFloats<V>(View));
        float* work = memory.Pointer;
        for (nint item = begin; item < end; item++)
        {
            // Sequences are innermost: consecutive items share the spectrum of a group.
            nint group = item / s.Batch, c = group * n, lanes = Math.Min(n, s.Channels - c);
            nint offset = item % s.Batch * s.Length * s.Channels + c;
            LaneFft.ForwardColumns<V>(View, new RowSource(U + offset, s.Channels, s.Length, lanes), work);
            float* spectrum = Spectrum + group * SpectralConv.SpectrumFloats(View, n);
            for (nint g = 0; g < View.PairGroups; g++)
            {
                LaneFft.ForwardRows<V>(View, g, work);
                SpectralConv.Multiply<V, AsIs>(View, g, work, spectrum);
                LaneFft.InverseRows<V>(View, g, work);
            }
            LaneFft.InverseColumns<V>(View, work, new RowTarget(Y + offset, s.Channels, s.Length, lanes));
        }
    }
}

/// <summary>
/// The gradient of u, conj(K) dY in the spectrum, and the sums of conj(U) dY over a part of the batch: the spectra of the kernels'
/// gradients. One item: a group of channels of a part of the batch.
/// </summary>
internal unsafe struct SpectralConvBackward : IKernel
{
    public LongConvShape Shape;
    public FftView View;
    public float* U, Dy, Spectrum;
    public GradientTarget Du;

    /// <summary>(parts, groups, spectrum): one sum per item; null if not needed.</summary>
    public float* Sums;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        LongConvShape s = Shape;
        nint n = Count<V>(), groups = Launch.CeilDiv(s.Channels, n), size = SpectralConv.SpectrumFloats(View, n);
        nint floats = LaneFft.WorkFloats<V>(View);
        using Scratch memory = new(Sums == null ? floats : 2 * floats);
        float* dy = memory.Pointer, u = dy + floats;
        for (nint item = begin; item < end; item++)
        {
            nint group = item % groups, c = group * n, lanes = Math.Min(n, s.Channels - c), part = item / groups;
            nint first = part * s.PartBatch, last = Math.Min(s.Batch, first + s.PartBatch);
            for (nint b = first; b < last; b++)
            {
                nint offset = b * s.Length * s.Channels + c;
                LaneFft.ForwardColumns<V>(View, new RowSource(Dy + offset, s.Channels, s.Length, lanes), dy);
                if (Sums != null) LaneFft.ForwardColumns<V>(View, new RowSource(U + offset, s.Channels, s.Length, lanes), u);
                for (nint g = 0; g < View.PairGroups; g++)
                {
                    LaneFft.ForwardRows<V>(View, g, dy);
                    if (Sums != null)
                    {
                        LaneFft.ForwardRows<V>(View, g, u);
                        Correlate<V>(g, dy, u, Sums + item * size, add: b > first);
                    }
                    if (!Du.IsWanted) continue;
                    SpectralConv.Multiply<V, Conjugate>(View, g, dy, Spectrum + group * size);
                    LaneFft.InverseRows<V>(View, g, dy);
                }
                if (Du.IsWanted) LaneFft.InverseColumns<V>(View, dy, new RowTarget(Du.At(offset), s.Channels, s.Length, lanes));
            }
        }
    }

    /// <summary>sum (+)= conj(U) dY.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Correlate<V>(nint group, float* dy, float* u, float* sum, bool add) where V : unmanaged
    {
        nint n = Count<V>();
        for (nint p = View.PairStarts[group]; p < View.PairStarts[group + 1]; p++)
        {
            SpectrumPair pair = View.Pairs[p];
            nint first = pair.First * 2 * n, second = pair.Second * 2 * n;
            V wr = Broadcast<V>(View.PairTwiddles[2 * p]), wi = Broadcast<V>(View.PairTwiddles[2 * p + 1]);
            V ar = Load<V>(dy + first), ai = Load<V>(dy + first + n), br = Load<V>(dy + second), bi = Load<V>(dy + second + n);
            SpectrumMath.Split(ref ar, ref ai, ref br, ref bi, wr, wi);
            V cr = Load<V>(u + first), ci = Load<V>(u + first + n), dr = Load<V>(u + second), di = Load<V>(u + second + n);
            SpectrumMath.Split(ref cr, ref ci, ref dr, ref di, wr, wi);
            TurnBack(ref ar, ref ai, cr, ci);
            TurnBack(ref br, ref bi, dr, di);
            float* to = sum + 4 * n * p;
            if (add)
            {
                (ar, ai) = (ar + Load<V>(to), ai + Load<V>(to + n));
                (br, bi) = (br + Load<V>(to + 2 * n), bi + Load<V>(to + 3 * n));
            }
            Store(ar, to);
            Store(ai, to + n);
            Store(br, to + 2 * n);
            Store(bi, to + 3 * n);
        }
    }
}

/// <summary>The gradients of the kernels and the skip, from the sums of the parts. One item: a group of channels.</summary>
internal unsafe struct KernelGradient : IKernel
{
    public LongConvShape Shape;
    public FftView View;
    public float* Sums;
    public LongConvGradients Gradients;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), groups = Launch.CeilDiv(Shape.Channels, n), points = 2 * View.Length;
        nint size = SpectralConv.SpectrumFloats(View, n), taps = Shape.BackTaps > 0 ? points : Math.Max(1, Shape.Taps);
        using Scratch memory = new(LaneFft.WorkFloats<V>(View) + taps * n);
        float* work = memory.Pointer, rows = work + LaneFft.WorkFloats<V>(View);
        for (nint group = begin; group < end; group++)
        {
            nint channel = group * n, lanes = Math.Min(n, Shape.Channels - channel);
            for (nint g = 0; g < View.PairGroups; g++)
            {
                Merge<V>(g, Sums + group * size, groups * size, work);
                LaneFft.InverseRows<V>(View, g, work);
            }
            LaneFft.InverseColumns<V>(View, work, new RowTarget(rows, n, taps, n));
            LongConvTaps.Unpack(Shape, rows, n, taps, SpectralConv.Scale(View), channel, lanes, Gradients);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Merge<V>(nint group, float* sums, nint partStride, float* work) where V : unmanaged
    {
        nint n = Count<V>(), parts = Shape.BatchParts;
        for (nint p = View.PairStarts[group]; p < View.PairStarts[group + 1]; p++)
        {
            SpectrumPair pair = View.Pairs[p];
            float* first = work + pair.First * 2 * n, second = work + pair.Second * 2 * n, w = View.PairTwiddles + 2 * p;
            float* from = sums + 4 * n * p;
            V ar = Load<V>(from), ai = Load<V>(from + n), br = Load<V>(from + 2 * n), bi = Load<V>(from + 3 * n);
            for (nint part = 1; part < parts; part++)
            {
                from += partStride;
                (ar, ai) = (ar + Load<V>(from), ai + Load<V>(from + n));
                (br, bi) = (br + Load<V>(from + 2 * n), bi + Load<V>(from + 3 * n));
            }
            SpectrumMath.Merge(ref ar, ref ai, ref br, ref bi, Broadcast<V>(w[0]), Broadcast<V>(w[1]));
            Store(ar, first);
            Store(ai, first + n);
            Store(br, second);
            Store(bi, second + n);
        }
    }
}
