using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Mamba.Core.Simd;

/// <summary>Transposes small blocks of a matrix in registers. Values are only moved, so the width of the kernel does not matter.</summary>
internal static unsafe class Transpose
{
    /// <summary>Rows and columns of a block.</summary>
    public const int Side = 4;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(float* from, nint fromStride, nint rows, nint columns, float* to, nint toStride)
    {
        nint i = 0;
        for (; i <= rows - Side; i += Side)
        {
            nint j = 0;
            for (; j <= columns - Side; j += Side) Block(from + i * fromStride + j, fromStride, to + j * toStride + i, toStride);
            for (; j < columns; j++)
                for (nint k = i; k < i + Side; k++) to[j * toStride + k] = from[k * fromStride + j];
        }
        for (; i < rows; i++)
            for (nint j = 0; j < columns; j++) to[j * toStride + i] = from[i * fromStride + j];
    }

    /// <summary>to[j rows + i] (+)= from[i fromStride + j].</summary>
    public static void Run(float* from, nint fromStride, nint rows, nint columns, float* to, bool add)
    {
        if (!add)
        {
            Run(from, fromStride, rows, columns, to, rows);
            return;
        }
        for (nint j = 0; j < columns; j++)
            for (nint i = 0; i < rows; i++) to[j * rows + i] += from[i * fromStride + j];
    }

    /// <summary>to[j toStride + i] = from[i fromStride + j] for i, j from 0 to 3.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Block(float* from, nint fromStride, float* to, nint toStride)
    {
        Vector128<float> r0 = Vector128.Load(from), r1 = Vector128.Load(from + fromStride), r2 = Vector128.Load(from + 2 * fromStride);
        Vector128<float> r3 = Vector128.Load(from + 3 * fromStride);
        // Pairs of rows are interleaved, then pairs of pairs.
        Vector128<float> low01 = Low(r0, r1), low23 = Low(r2, r3), high01 = High(r0, r1), high23 = High(r2, r3);
        LowHalves(low01, low23).Store(to);
        HighHalves(low01, low23).Store(to + toStride);
        LowHalves(high01, high23).Store(to + 2 * toStride);
        HighHalves(high01, high23).Store(to + 3 * toStride);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Low(Vector128<float> a, Vector128<float> b) => Sse.IsSupported ? Sse.UnpackLow(a, b)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipLow(a, b) : Vector128.Create(a[0], b[0], a[1], b[1]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> High(Vector128<float> a, Vector128<float> b) => Sse.IsSupported ? Sse.UnpackHigh(a, b)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipHigh(a, b) : Vector128.Create(a[2], b[2], a[3], b[3]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> LowHalves(Vector128<float> a, Vector128<float> b) => Sse.IsSupported ? Sse.MoveLowToHigh(a, b)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipLow(a.AsDouble(), b.AsDouble()).AsSingle()
            : Vector128.Create(a[0], a[1], b[0], b[1]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> HighHalves(Vector128<float> a, Vector128<float> b) => Sse.IsSupported ? Sse.MoveHighToLow(b, a)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipHigh(a.AsDouble(), b.AsDouble()).AsSingle()
            : Vector128.Create(a[2], a[3], b[2], b[3]);
}
