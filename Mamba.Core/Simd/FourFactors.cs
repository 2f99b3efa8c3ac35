using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using static Mamba.Core.Simd.Vec;
using F32x4 = System.Runtime.Intrinsics.Vector128<float>;

namespace Mamba.Core.Simd;

/// <summary>
/// Four adjacent numbers that each multiply full vectors. Where the hardware multiplies by a lane they share one register; otherwise each
/// is broadcast from memory when used.
/// </summary>
internal readonly unsafe struct FourFactors<V> where V : unmanaged
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private readonly float* _p;
    private readonly F32x4 _lanes;

    [MethodImpl(Inline)]
    public FourFactors(float* p)
    {
        _p = p;
        if (typeof(V) == typeof(F32x4) && AdvSimd.Arm64.IsSupported) _lanes = Vector128.Load(p);
    }

    /// <summary>b times the factor in a lane.</summary>
    [MethodImpl(Inline)]
    public V Multiply(V b, [ConstantExpected(Max = (byte)3)] byte lane) => typeof(V) == typeof(F32x4) && AdvSimd.Arm64.IsSupported
        ? Unsafe.BitCast<F32x4, V>(AdvSimd.MultiplyBySelectedScalar(Unsafe.BitCast<V, F32x4>(b), _lanes, lane))
        : b * Broadcast<V>(_p[lane]);

    /// <summary>b times the factor in a lane, plus c, rounded once.</summary>
    [MethodImpl(Inline)]
    public V Fma(V b, [ConstantExpected(Max = (byte)3)] byte lane, V c) => typeof(V) == typeof(F32x4) && AdvSimd.Arm64.IsSupported
        ? Unsafe.BitCast<F32x4, V>(AdvSimd.Arm64.FusedMultiplyAddBySelectedScalar(
            Unsafe.BitCast<V, F32x4>(c), Unsafe.BitCast<V, F32x4>(b), _lanes, lane))
        : Vec.Fma(b, Broadcast<V>(_p[lane]), c);
}
