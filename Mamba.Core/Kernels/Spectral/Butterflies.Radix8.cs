using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Spectral;

// Three levels in one pass over L1: the stage for an odd power of two, instead of one of radix 2 and one of radix 4.
internal static unsafe partial class Butterflies
{
    private const float Cos45 = 0.707106781186547524f;

    /// <summary>
    /// Blocks of 8 parts: b_2t from the transform of 4 points of a_k + a_(k+4), b_(2t+1) from that of (a_k - a_(k+4)) e^(-pi i k / 4).
    /// </summary>
    [MethodImpl(Optimize)]
    private static void Radix8<V, D>(float* re, float* im, nint part, nint blocks, float* w)
        where V : unmanaged where D : unmanaged, IDecimation
    {
        nint step = 2 * Count<V>(), p1 = part * step, p2 = 2 * p1, p3 = 3 * p1, p4 = 4 * p1, block = 8 * p1, imag = (nint)(im - re);
        for (nint q = 0; q < part; q++, re += step)
        {
            float* x = re;
            for (nint b = 0; b < blocks; b++, x += block)
            {
                float* y = x + p4;
                LoadTurned<V, D>(x + p1, imag, w, q, out V r1, out V i1);
                LoadTurned<V, D>(y + p1, imag, w + 8, q, out V r5, out V i5);
                LoadTurned<V, D>(x + p3, imag, w + 4, q, out V r3, out V i3);
                LoadTurned<V, D>(y + p3, imag, w + 12, q, out V r7, out V i7);
                V ar = r1 + r5, ai = i1 + i5, br = r3 + r7, bi = i3 + i7;
                V s1r = ar + br, s1i = ai + bi, d1r = ar - br, d1i = ai - bi;
                // c = (a1 - a5) e^(-pi i / 4), and d, the conjugate of (a3 - a7) e^(-3 pi i / 4).
                (ar, ai, br, bi) = (r1 - r5, i1 - i5, r3 - r7, i3 - i7);
                V h = Broadcast<V>(Cos45);
                V cr = (ar + ai) * h, ci = (ai - ar) * h, dr = (bi - br) * h, di = (br + bi) * h;
                V t1r = cr + dr, t1i = ci - di, u1r = cr - dr, u1i = ci + di;

                (V r0, V i0) = (Load<V>(x), Load<V>(x + imag));
                LoadTurned<V, D>(y, imag, w + 6, q, out V r4, out V i4);
                LoadTurned<V, D>(x + p2, imag, w + 2, q, out V r2, out V i2);
                LoadTurned<V, D>(y + p2, imag, w + 10, q, out V r6, out V i6);
                (ar, ai, br, bi) = (r0 + r4, i0 + i4, r2 + r6, i2 + i6);
                V s0r = ar + br, s0i = ai + bi, d0r = ar - br, d0i = ai - bi;
                Store(s0r + s1r, x);
                Store(s0i + s1i, x + imag);
                StoreTurned<V, D>(d0r + d1i, d0i - d1r, x + p2, imag, w + 2, q);
                StoreTurned<V, D>(s0r - s1r, s0i - s1i, y, imag, w + 6, q);
                StoreTurned<V, D>(d0r - d1i, d0i + d1r, y + p2, imag, w + 10, q);
                (ar, ai, br, bi) = (r0 - r4, i0 - i4, r2 - r6, i2 - i6);
                V t0r = ar + bi, t0i = ai - br, u0r = ar - bi, u0i = ai + br;
                StoreTurned<V, D>(t0r + t1r, t0i + t1i, x + p1, imag, w, q);
                StoreTurned<V, D>(u0r + u1i, u0i - u1r, x + p3, imag, w + 4, q);
                StoreTurned<V, D>(t0r - t1r, t0i - t1i, y + p1, imag, w + 8, q);
                StoreTurned<V, D>(u0r - u1i, u0i + u1r, y + p3, imag, w + 12, q);
            }
            if (q > 0) w += 14;
        }
    }
}
