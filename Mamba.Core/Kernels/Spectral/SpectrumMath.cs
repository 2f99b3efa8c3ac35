using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Spectral;

/// <summary>
/// A real sequence x of N = 2 M points, as the complex sequence z_j = x_2j + i x_(2j+1). With w = e^(-2 pi i / N), bins k and M - k are X_k
/// = E + w^k O and conj(X_(M-k)) = E - w^k O, where 2 E = Z_k + conj(Z_(M-k)) and 2 i O = Z_k - conj(Z_(M-k)). For k = 0 the second one is
/// X_M.
/// </summary>
internal static class SpectrumMath
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>Converts Z_k and Z_(M-k) to 2 X_k and 2 X_(M-k).</summary>
    [MethodImpl(Inline)]
    public static void Split<V>(ref V ar, ref V ai, ref V br, ref V bi, V wr, V wi) where V : unmanaged
    {
        V er = ar + br, ei = ai - bi, or = ai + bi, oi = br - ar;
        Turn(ref or, ref oi, wr, wi);
        (ar, ai) = (er + or, ei + oi);
        (br, bi) = (er - or, oi - ei);
    }

    /// <summary>Converts X_k and X_(M-k) to 2 Z_k and 2 Z_(M-k).</summary>
    [MethodImpl(Inline)]
    public static void Merge<V>(ref V ar, ref V ai, ref V br, ref V bi, V wr, V wi) where V : unmanaged
    {
        V er = ar + br, ei = ai - bi, or = ar - br, oi = ai + bi;
        TurnBack(ref or, ref oi, wr, wi);
        (ar, ai) = (er - oi, ei + or);
        (br, bi) = (er + oi, or - ei);
    }
}
