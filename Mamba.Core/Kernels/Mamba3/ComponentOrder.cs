using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Mamba.Core.Kernels.Mamba3;

/// <summary>
/// The kernels' order of the N components of a key: even ones of the rotated pairs, odd ones, the rest. Values are only moved, so the width
/// of the kernel does not matter.
/// </summary>
internal static unsafe class ComponentOrder
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>Converts N components to the kernels' order.</summary>
    [MethodImpl(Inline)]
    public static void Separate(in Mamba3Shape s, float* from, float* to)
    {
        nint turned = s.Turned, j = 0;
        for (; j <= turned - 4; j += 4)
        {
            Vector128<float> a = Vector128.Load(from + 2 * j), b = Vector128.Load(from + 2 * j + 4);
            Even(a, b).Store(to + j);
            Odd(a, b).Store(to + turned + j);
        }
        for (; j < turned; j++) (to[j], to[turned + j]) = (from[2 * j], from[2 * j + 1]);
        CopyRest(s, from, to);
    }

    /// <summary>Converts N components back to the original order.</summary>
    [MethodImpl(Inline)]
    public static void Join(in Mamba3Shape s, float* from, float* to)
    {
        nint turned = s.Turned, j = 0;
        for (; j <= turned - 4; j += 4)
        {
            Vector128<float> even = Vector128.Load(from + j), odd = Vector128.Load(from + turned + j);
            Low(even, odd).Store(to + 2 * j);
            High(even, odd).Store(to + 2 * j + 4);
        }
        for (; j < turned; j++) (to[2 * j], to[2 * j + 1]) = (from[j], from[turned + j]);
        CopyRest(s, from, to);
    }

    /// <summary>The components outside the rotated pairs.</summary>
    [MethodImpl(Inline)]
    private static void CopyRest(in Mamba3Shape s, float* from, float* to)
    {
        nint j = 2 * s.Turned, states = s.States;
        for (; j <= states - 4; j += 4) Vector128.Load(from + j).Store(to + j);
        for (; j < states; j++) to[j] = from[j];
    }

    [MethodImpl(Inline)]
    private static Vector128<float> Even(Vector128<float> a, Vector128<float> b) => Sse.IsSupported ? Sse.Shuffle(a, b, 0b10_00_10_00)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.UnzipEven(a, b) : Vector128.Create(a[0], a[2], b[0], b[2]);

    [MethodImpl(Inline)]
    private static Vector128<float> Odd(Vector128<float> a, Vector128<float> b) => Sse.IsSupported ? Sse.Shuffle(a, b, 0b11_01_11_01)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.UnzipOdd(a, b) : Vector128.Create(a[1], a[3], b[1], b[3]);

    [MethodImpl(Inline)]
    private static Vector128<float> Low(Vector128<float> even, Vector128<float> odd) => Sse.IsSupported ? Sse.UnpackLow(even, odd)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipLow(even, odd) : Vector128.Create(even[0], odd[0], even[1], odd[1]);

    [MethodImpl(Inline)]
    private static Vector128<float> High(Vector128<float> even, Vector128<float> odd) => Sse.IsSupported ? Sse.UnpackHigh(even, odd)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipHigh(even, odd) : Vector128.Create(even[2], odd[2], even[3], odd[3]);
}
