using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Spectral;

/// <summary>Whether a stage multiplies its results by twiddles (decimation in frequency) or its inputs (in time).</summary>
internal interface IDecimation;

/// <summary>The forward transform: from natural to digit-reversed order.</summary>
internal struct InFrequency : IDecimation;

/// <summary>The inverse transform: from digit-reversed to natural order, the transposed stages in reverse.</summary>
internal struct InTime : IDecimation;

/// <summary>
/// The in-place stages of an FFT. An element is a vector of real parts and one of imaginary parts, so that all channels of a group are
/// transformed together. Let F be the transform and S the swap S(a + ib) = b + ia. The inverse (times the length) is then S F S: stages in
/// time with the parts swapped, and the same twiddles.
/// </summary>
internal static unsafe partial class Butterflies
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    private const MethodImplOptions Optimize = MethodImplOptions.AggressiveOptimization;

    // Cosines and sines of 72, 144 degrees; the sine of 120.
    private const float Cos72 = 0.309016994374947424f, Cos144 = -0.809016994374947424f;
    private const float Sin72 = 0.951056516295153572f, Sin144 = 0.587785252292473129f, Sin120 = 0.866025403784438647f;

    /// <summary>x = F x, from natural to digit-reversed order.</summary>
    public static void Forward<V>(in FftStages s, float* x) where V : unmanaged
    {
        nint length = s.Length, blocks = 1;
        float* twiddles = s.Twiddles;
        for (int i = 0; i < s.Count; i++)
        {
            int radix = s.Radices[i];
            nint part = length / radix;
            Stage<V, InFrequency>(radix, x, x + Count<V>(), part, blocks, twiddles);
            twiddles += 2 * (radix - 1) * (part - 1);
            (length, blocks) = (part, blocks * radix);
        }
    }

    /// <summary>x = conj(F) x, from digit-reversed to natural order: the inverse, times the length.</summary>
    public static void Inverse<V>(in FftStages s, float* x) where V : unmanaged
    {
        nint part = 1, blocks = s.Length;
        float* twiddles = s.TwiddlesEnd;
        for (int i = s.Count - 1; i >= 0; i--)
        {
            int radix = s.Radices[i];
            blocks /= radix;
            twiddles -= 2 * (radix - 1) * (part - 1);
            Stage<V, InTime>(radix, x + Count<V>(), x, part, blocks, twiddles);
            part *= radix;
        }
    }

    private static void Stage<V, D>(int radix, float* re, float* im, nint part, nint blocks, float* twiddles)
        where V : unmanaged where D : unmanaged, IDecimation
    {
        switch (radix)
        {
            case 2: Radix2<V, D>(re, im, part, blocks, twiddles); break;
            case 3: Radix3<V, D>(re, im, part, blocks, twiddles); break;
            case 4: Radix4<V, D>(re, im, part, blocks, twiddles); break;
            case 8: Radix8<V, D>(re, im, part, blocks, twiddles); break;
            default: Radix5<V, D>(re, im, part, blocks, twiddles); break;
        }
    }

    /// <summary>Blocks of 2 parts: a0 + a1, (a0 - a1) w^q.</summary>
    [MethodImpl(Optimize)]
    private static void Radix2<V, D>(float* re, float* im, nint part, nint blocks, float* w)
        where V : unmanaged where D : unmanaged, IDecimation
    {
        nint step = 2 * Count<V>(), p1 = part * step, block = 2 * p1, imag = (nint)(im - re);
        for (nint q = 0; q < part; q++, re += step)
        {
            V wr = default, wi = default;
            bool turns = q > 0;
            if (turns)
            {
                (wr, wi) = (Broadcast<V>(w[0]), Broadcast<V>(w[1]));
                w += 2;
            }
            float* x = re;
            for (nint b = 0; b < blocks; b++, x += block)
            {
                V r0 = Load<V>(x), i0 = Load<V>(x + imag), r1 = Load<V>(x + p1), i1 = Load<V>(x + p1 + imag);
                if (turns && typeof(D) == typeof(InTime)) Turn(ref r1, ref i1, wr, wi);
                V dr = r0 - r1, di = i0 - i1;
                if (turns && typeof(D) == typeof(InFrequency)) Turn(ref dr, ref di, wr, wi);
                Store(r0 + r1, x);
                Store(i0 + i1, x + imag);
                Store(dr, x + p1);
                Store(di, x + p1 + imag);
            }
        }
    }

    /// <summary>Blocks of 3 parts.</summary>
    [MethodImpl(Optimize)]
    private static void Radix3<V, D>(float* re, float* im, nint part, nint blocks, float* w)
        where V : unmanaged where D : unmanaged, IDecimation
    {
        nint step = 2 * Count<V>(), p1 = part * step, p2 = 2 * p1, block = 3 * p1, imag = (nint)(im - re);
        V half = Broadcast<V>(0.5f), sine = Broadcast<V>(Sin120);
        for (nint q = 0; q < part; q++, re += step)
        {
            V w1r = default, w1i = default, w2r = default, w2i = default;
            bool turns = q > 0;
            if (turns)
            {
                (w1r, w1i) = (Broadcast<V>(w[0]), Broadcast<V>(w[1]));
                (w2r, w2i) = (Broadcast<V>(w[2]), Broadcast<V>(w[3]));
                w += 4;
            }
            float* x = re;
            for (nint b = 0; b < blocks; b++, x += block)
            {
                V r0 = Load<V>(x), i0 = Load<V>(x + imag), r1 = Load<V>(x + p1), i1 = Load<V>(x + p1 + imag);
                V r2 = Load<V>(x + p2), i2 = Load<V>(x + p2 + imag);
                if (turns && typeof(D) == typeof(InTime))
                {
                    Turn(ref r1, ref i1, w1r, w1i);
                    Turn(ref r2, ref i2, w2r, w2i);
                }
                V sr = r1 + r2, si = i1 + i2, dr = (r1 - r2) * sine, di = (i1 - i2) * sine;
                V mr = Fnma(sr, half, r0), mi = Fnma(si, half, i0);
                Store(r0 + sr, x);
                Store(i0 + si, x + imag);
                (r1, i1, r2, i2) = (mr + di, mi - dr, mr - di, mi + dr);
                if (turns && typeof(D) == typeof(InFrequency))
                {
                    Turn(ref r1, ref i1, w1r, w1i);
                    Turn(ref r2, ref i2, w2r, w2i);
                }
                Store(r1, x + p1);
                Store(i1, x + p1 + imag);
                Store(r2, x + p2);
                Store(i2, x + p2 + imag);
            }
        }
    }

    /// <summary>Blocks of 4 parts. The part without twiddles is separate: the last stage of a transform has only that.</summary>
    [MethodImpl(Optimize)]
    private static void Radix4<V, D>(float* re, float* im, nint part, nint blocks, float* w)
        where V : unmanaged where D : unmanaged, IDecimation
    {
        nint step = 2 * Count<V>(), p1 = part * step, p2 = 2 * p1, p3 = 3 * p1, block = 4 * p1, imag = (nint)(im - re);
        float* x = re;
        for (nint b = 0; b < blocks; b++, x += block)
        {
            V r0 = Load<V>(x), r2 = Load<V>(x + p2), i0 = Load<V>(x + imag), i2 = Load<V>(x + p2 + imag);
            V r1 = Load<V>(x + p1), r3 = Load<V>(x + p3), i1 = Load<V>(x + p1 + imag), i3 = Load<V>(x + p3 + imag);
            V ar = r0 + r2, ai = i0 + i2, br = r0 - r2, bi = i0 - i2, cr = r1 + r3, ci = i1 + i3, dr = r1 - r3, di = i1 - i3;
            Store(ar + cr, x);
            Store(ai + ci, x + imag);
            Store(br + di, x + p1);
            Store(bi - dr, x + p1 + imag);
            Store(ar - cr, x + p2);
            Store(ai - ci, x + p2 + imag);
            Store(br - di, x + p3);
            Store(bi + dr, x + p3 + imag);
        }
        for (nint q = 1; q < part; q++, w += 6)
        {
            x = re += step;
            V w1r = Broadcast<V>(w[0]), w1i = Broadcast<V>(w[1]), w2r = Broadcast<V>(w[2]), w2i = Broadcast<V>(w[3]);
            V w3r = Broadcast<V>(w[4]), w3i = Broadcast<V>(w[5]);
            for (nint b = 0; b < blocks; b++, x += block)
            {
                V r0 = Load<V>(x), r2 = Load<V>(x + p2), i0 = Load<V>(x + imag), i2 = Load<V>(x + p2 + imag);
                V r1 = Load<V>(x + p1), r3 = Load<V>(x + p3), i1 = Load<V>(x + p1 + imag), i3 = Load<V>(x + p3 + imag);
                if (typeof(D) == typeof(InTime))
                {
                    Turn(ref r1, ref i1, w1r, w1i);
                    Turn(ref r2, ref i2, w2r, w2i);
                    Turn(ref r3, ref i3, w3r, w3i);
                }
                V ar = r0 + r2, ai = i0 + i2, br = r0 - r2, bi = i0 - i2, cr = r1 + r3, ci = i1 + i3, dr = r1 - r3, di = i1 - i3;
                Store(ar + cr, x);
                Store(ai + ci, x + imag);
                (r2, i2) = (ar - cr, ai - ci);
                (r1, i1) = (br + di, bi - dr);
                (r3, i3) = (br - di, bi + dr);
                if (typeof(D) == typeof(InFrequency))
                {
                    Turn(ref r1, ref i1, w1r, w1i);
                    Turn(ref r2, ref i2, w2r, w2i);
                    Turn(ref r3, ref i3, w3r, w3i);
                }
                Store(r1, x + p1);
                Store(i1, x + p1 + imag);
                Store(r2, x + p2);
                Store(i2, x + p2 + imag);
                Store(r3, x + p3);
                Store(i3, x + p3 + imag);
            }
        }
    }

    /// <summary>Blocks of 5 parts.</summary>
    [MethodImpl(Optimize)]
    private static void Radix5<V, D>(float* re, float* im, nint part, nint blocks, float* w)
        where V : unmanaged where D : unmanaged, IDecimation
    {
        nint step = 2 * Count<V>(), p1 = part * step, block = 5 * p1, imag = (nint)(im - re);
        for (nint q = 0; q < part; q++, re += step)
        {
            float* x = re;
            for (nint b = 0; b < blocks; b++, x += block)
            {
                float* x1 = x + p1, x2 = x1 + p1, x3 = x2 + p1, x4 = x3 + p1;
                V r0 = Load<V>(x), i0 = Load<V>(x + imag);
                LoadTurned<V, D>(x1, imag, w, q, out V r1, out V i1);
                LoadTurned<V, D>(x2, imag, w + 2, q, out V r2, out V i2);
                LoadTurned<V, D>(x3, imag, w + 4, q, out V r3, out V i3);
                LoadTurned<V, D>(x4, imag, w + 6, q, out V r4, out V i4);
                V ar = r1 + r4, ai = i1 + i4, br = r2 + r3, bi = i2 + i3, cr = r1 - r4, ci = i1 - i4, dr = r2 - r3, di = i2 - i3;
                Store(r0 + (ar + br), x);
                Store(i0 + (ai + bi), x + imag);
                V c1 = Broadcast<V>(Cos72), c2 = Broadcast<V>(Cos144), s1 = Broadcast<V>(Sin72), s2 = Broadcast<V>(Sin144);
                V mr = Fma(br, c2, Fma(ar, c1, r0)), mi = Fma(bi, c2, Fma(ai, c1, i0));
                V nr = Fma(br, c1, Fma(ar, c2, r0)), ni = Fma(bi, c1, Fma(ai, c2, i0));
                V sr = Fma(dr, s2, cr * s1), si = Fma(di, s2, ci * s1), tr = Fnma(dr, s1, cr * s2), ti = Fnma(di, s1, ci * s2);
                StoreTurned<V, D>(mr + si, mi - sr, x1, imag, w, q);
                StoreTurned<V, D>(nr + ti, ni - tr, x2, imag, w + 2, q);
                StoreTurned<V, D>(nr - ti, ni + tr, x3, imag, w + 4, q);
                StoreTurned<V, D>(mr - si, mi + sr, x4, imag, w + 6, q);
            }
            if (q > 0) w += 8;
        }
    }

    /// <summary>Loads an element, multiplied by w in stages that multiply their inputs.</summary>
    [MethodImpl(Inline)]
    private static void LoadTurned<V, D>(float* x, nint imag, float* w, nint q, out V re, out V im) where V : unmanaged
    {
        (re, im) = (Load<V>(x), Load<V>(x + imag));
        if (typeof(D) == typeof(InTime) && q > 0) Turn(ref re, ref im, Broadcast<V>(w[0]), Broadcast<V>(w[1]));
    }

    /// <summary>Stores an element, multiplied by w in stages that multiply their results.</summary>
    [MethodImpl(Inline)]
    private static void StoreTurned<V, D>(V re, V im, float* x, nint imag, float* w, nint q) where V : unmanaged
    {
        if (typeof(D) == typeof(InFrequency) && q > 0) Turn(ref re, ref im, Broadcast<V>(w[0]), Broadcast<V>(w[1]));
        Store(re, x);
        Store(im, x + imag);
    }
}
