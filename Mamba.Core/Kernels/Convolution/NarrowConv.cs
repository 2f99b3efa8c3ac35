using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Convolution;

/// <summary>
/// Convolution from few channels to few, as in the first layers of small networks. Vectors of output channels would be half empty, and sums
/// too short to amortize a tile. So the lanes are adjacent pixels of a row, as in <see cref="PlanarConv"/>. Results of four channels are
/// transposed before the store. Terms are added in the order of <see cref="Conv"/>, so the sums are bitwise equal. Stride 1, one group.
/// </summary>
internal static unsafe class NarrowConv
{
    /// <summary>Output channels per step.</summary>
    internal const int Channels = 4;

    /// <summary>Vectors of pixels per step: with four channels, eight chains of multiply-adds hide their latency.</summary>
    internal const int Vectors = 2;

    private const int MaxInputs = 8;
    private const int LeastWidth = 64;
    private const int BandPixels = 2048;

    /// <summary>Terms that <see cref="Conv"/> adds in one block.</summary>
    private const int DeepestSum = 96;

    /// <summary>Whether this kernel is faster: vectors of output channels would be half empty.</summary>
    public static bool Suits(in ConvShape s) =>
        2 * s.Cout <= Isa.Lanes(Isa.Current) && s.Cin <= MaxInputs && s.Cout % Channels == 0 && s.OutWidth >= LeastWidth && s.Groups == 1
            && s is { StrideX: 1, StrideY: 1 } && s.KernelHeight * s.KernelWidth >= 4 && s.Depth <= DeepestSum && PlanarConv.CanSplit(s);

    /// <summary>y = x * weight + bias, the weight in PyTorch's layout (Cout, Cin, Kh, Kw).</summary>
    public static void Forward(in ConvShape s, float* x, float* weight, float* bias, float* y)
    {
        int rows = Math.Clamp(BandPixels / s.OutWidth, 1, s.OutHeight), depth = s.Depth, taps = s.KernelHeight * s.KernelWidth;
        using Scratch packed = new((nint)s.Cout * depth);
        for (int co = 0; co < s.Cout; co++)
            for (int ci = 0; ci < s.Cin; ci++)
                for (int tap = 0; tap < taps; tap++)
                    packed.Pointer[(co / Channels * depth + tap * s.Cin + ci) * Channels + co % Channels] =
                        weight[(co * s.Cin + ci) * taps + tap];
        Launch.Run(
            new NarrowConvForward { Shape = s, X = x, Packed = packed.Pointer, Bias = bias, Y = y, Rows = rows },
            s.Batch * Launch.CeilDiv(s.OutHeight, rows), 1);
    }
}

/// <summary>One item: a band of output rows of one image.</summary>
internal unsafe struct NarrowConvForward : IKernel
{
    public ConvShape Shape;
    public float* X, Packed, Bias, Y;
    public int Rows;

    public override readonly string ToString() => $"NarrowConvForward {Shape}";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint step = NarrowConv.Vectors * Count<V>(), bands = Launch.CeilDiv(s.OutHeight, Rows), depth = s.Depth;
        using PlanarBand band = new(s, Rows, step, channelsFirst: false);
        using Scratch results = new(s.Cout * step);
        for (nint item = begin; item < end; item++)
        {
            int row = (int)(item % bands) * Rows, rows = Math.Min(Rows, s.OutHeight - row);
            band.Fill(X, item / bands, row, rows);
            for (nint r = 0; r < rows; r++)
                for (nint x = 0; x < s.OutWidth; x += step)
                {
                    float* source = band.Pointer + r * s.Cin * band.Stride + x;
                    for (nint co = 0; co < s.Cout; co += NarrowConv.Channels)
                        Step<V>(
                            source, band.Offsets, Packed + co * depth, depth, Bias == null ? null : Bias + co, results.Pointer + co * step);
                    float* y = Y + ((item / bands * s.OutHeight + row + r) * s.OutWidth + x) * s.Cout;
                    Transpose.Run(results.Pointer, step, s.Cout, Math.Min(step, s.OutWidth - x), y, s.Cout);
                }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Step<V>(float* x, int* offsets, float* weight, nint depth, float* bias, float* results) where V : unmanaged
    {
        nint n = Count<V>();
        V a0 = default, a1 = default, b0 = default, b1 = default, c0 = default, c1 = default, d0 = default, d1 = default;
        for (nint k = 0; k < depth; k++, weight += NarrowConv.Channels)
        {
            float* p = x + offsets[k];
            V x0 = Load<V>(p), x1 = Load<V>(p + n), w = Factor<V>(weight[0]);
            a0 = FmaBy(w, x0, a0);
            a1 = FmaBy(w, x1, a1);
            w = Factor<V>(weight[1]);
            b0 = FmaBy(w, x0, b0);
            b1 = FmaBy(w, x1, b1);
            w = Factor<V>(weight[2]);
            c0 = FmaBy(w, x0, c0);
            c1 = FmaBy(w, x1, c1);
            w = Factor<V>(weight[3]);
            d0 = FmaBy(w, x0, d0);
            d1 = FmaBy(w, x1, d1);
        }
        Write(a0, a1, bias, 0, results + 0 * n);
        Write(b0, b1, bias, 1, results + 2 * n);
        Write(c0, c1, bias, 2, results + 4 * n);
        Write(d0, d1, bias, 3, results + 6 * n);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<V>(V v0, V v1, float* bias, nint channel, float* results) where V : unmanaged
    {
        V b = bias == null ? default : Broadcast<V>(bias[channel]);
        Store(bias == null ? v0 : v0 + b, results);
        Store(bias == null ? v1 : v1 + b, results + Count<V>());
    }
}
