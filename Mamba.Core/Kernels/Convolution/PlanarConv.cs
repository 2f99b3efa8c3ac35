using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Convolution;

/// <summary>
/// Convolution to one or two channels, where vectors of output channels would be nearly empty: lanes are adjacent pixels of a row. The
/// input under a band of output rows is copied channel by channel, with padding, and each tap is a shifted load. Stride 1, one group.
/// </summary>
internal static unsafe class PlanarConv
{
    private const int MaxOutputs = 2;
    private const int DeepestSum = 288;
    private const int BandPixels = 4096;
    private const int TargetItems = 8;
    private const int WidestStep = 64;

    /// <summary>Vectors of pixels per step: as many chains of multiply-adds.</summary>
    internal const int Vectors = 4;

    /// <summary>Whether this kernel is faster: it needs enough taps to amortize the copy.</summary>
    public static bool Suits(in ConvShape s) =>
        s.Cout <= MaxOutputs && s.Groups == 1 && s.KernelHeight * s.KernelWidth >= 4 && s.StrideX == 1 && s.StrideY == 1
            && s.Depth <= DeepestSum && CanSplit(s);

    /// <summary>Whether windows cover the whole image, and an int can index a band of it.</summary>
    public static bool CanSplit(in ConvShape s) =>
        s is { PaddingX: >= 0, PaddingY: >= 0, PaddingRight: >= 0, PaddingBottom: >= 0 } && IsIndexable(s);

    /// <summary>Whether an int can index a band of all rows, with full steps of the widest vectors.</summary>
    private static bool IsIndexable(in ConvShape s)
    {
        long rows = s.OutHeight + (s.KernelHeight - 1L) * s.DilationY,
            columns = s.OutWidth + WidestStep + (s.KernelWidth - 1L) * s.DilationX;
        return rows * s.Cin <= int.MaxValue / columns;
    }

    /// <summary>y (+)= x * weight + bias, the weight in PyTorch's layout (Cout, Cin, Kh, Kw).</summary>
    public static void Forward(in ConvShape s, float* x, float* weight, float* bias, GradientTarget y)
    {
        int rows = BandRows(s);
        Launch.Run(
            new PlanarConvForward { Shape = s, X = x, Weight = weight, Bias = bias, Y = y, Rows = rows },
            s.Batch * Launch.CeilDiv(s.OutHeight, rows), 1);
    }

    /// <summary>The weight of the input gradient: taps rotated by 180 degrees, input and output channels swapped.</summary>
    public static void Flip(in ConvShape gradient, float* weight, float* flipped)
    {
        int taps = gradient.KernelHeight * gradient.KernelWidth;
        for (int co = 0; co < gradient.Cout; co++)
            for (int ci = 0; ci < gradient.Cin; ci++)
                for (int tap = 0; tap < taps; tap++)
                    flipped[(co * gradient.Cin + ci) * taps + tap] = weight[(ci * gradient.Cout + co) * taps + taps - 1 - tap];
    }

    /// <summary>dw (+)= the weight gradient. Each band has its own sums, which are added in order.</summary>
    public static void WeightGradient(in ConvShape s, float* x, float* dy, GradientTarget dw)
    {
        int rows = BandRows(s), size = s.Cout * s.Depth;
        nint bands = s.Batch * Launch.CeilDiv(s.OutHeight, rows);
        using Scratch sums = new(bands * size);
        Launch.Run(new PlanarConvWeightGradient { Shape = s, X = x, Dy = dy, Sums = sums.Pointer, Rows = rows }, bands, 1);
        for (nint i = 0; i < size; i++)
        {
            float sum = 0f;
            for (nint band = 0; band < bands; band++) sum += sums.Pointer[band * size + i];
            dw.StoreOne(sum, dw.Pointer + i);
        }
    }

    private static int BandRows(in ConvShape s) =>
        (int)Math.Clamp(BandPixels / s.OutWidth, 1, Math.Max(1, Launch.CeilDiv((nint)s.Batch * s.OutHeight, TargetItems)));
}

/// <summary>One item: a band of output rows of one image.</summary>
internal unsafe struct PlanarConvForward : IKernel
{
    public ConvShape Shape;
    public float* X, Weight, Bias;

    /// <summary>The result, or the gradient of an input.</summary>
    public GradientTarget Y;
    public int Rows;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint n = Count<V>(), step = PlanarConv.Vectors * n, bands = Launch.CeilDiv(s.OutHeight, Rows), depth = s.Depth;
        GradientTarget target = Y;
        using PlanarBand band = new(s, Rows, step);
        using Scratch results = new(step);
        for (nint item = begin; item < end; item++)
        {
            int row = (int)(item % bands) * Rows, rows = Math.Min(Rows, s.OutHeight - row);
            band.Fill(X, item / bands, row, rows);
            for (nint r = 0; r < rows; r++)
                for (nint x = 0; x < s.OutWidth; x += step)
                    for (nint co = 0; co < s.Cout; co++)
                    {
                        float bias = Bias == null ? 0f : Bias[co];
                        Step<V>(
                            band.Pointer + r * s.Cin * band.Stride + x, band.Offsets, Weight + co * depth, depth, bias, results.Pointer);
                        float* y = target.Pointer + ((item / bands * s.OutHeight + row + r) * s.OutWidth + x) * s.Cout + co;
                        nint count = Math.Min(step, s.OutWidth - x);
                        for (nint i = 0; i < count; i++) target.StoreOne(results.Pointer[i], y + i * s.Cout);
                    }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Step<V>(float* x, int* offsets, float* weight, nint depth, float bias, float* results) where V : unmanaged
    {
        nint n = Count<V>();
        V c0 = Broadcast<V>(bias), c1 = c0, c2 = c0, c3 = c0;
        for (nint k = 0; k < depth; k++)
        {
            float* p = x + offsets[k];
            V w = Factor<V>(weight[k]);
            c0 = FmaBy(w, Load<V>(p), c0);
            c1 = FmaBy(w, Load<V>(p + n), c1);
            c2 = FmaBy(w, Load<V>(p + 2 * n), c2);
            c3 = FmaBy(w, Load<V>(p + 3 * n), c3);
        }
        Store(c0, results);
        Store(c1, results + n);
        Store(c2, results + 2 * n);
        Store(c3, results + 3 * n);
    }
}

/// <summary>One item: the sums over a band of output rows of one image, (Cout, Cin, Kh, Kw).</summary>
internal unsafe struct PlanarConvWeightGradient : IKernel
{
    private const int Taps = 8;

    public ConvShape Shape;
    public float* X, Dy, Sums;
    public int Rows;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint n = Count<V>(), bands = Launch.CeilDiv(s.OutHeight, Rows), depth = s.Depth, width = Launch.CeilDiv(s.OutWidth, n) * n;
        using PlanarBand band = new(s, Rows, n);
        using Scratch gradient = new(Rows * width), totals = new(Taps * n);
        for (nint item = begin; item < end; item++)
        {
            int row = (int)(item % bands) * Rows, rows = Math.Min(Rows, s.OutHeight - row);
            band.Fill(X, item / bands, row, rows);
            for (nint co = 0; co < s.Cout; co++)
            {
                float* dy = Dy + (item / bands * s.OutHeight + row) * s.OutWidth * s.Cout + co, sums = Sums + (item * s.Cout + co) * depth;
                for (nint r = 0; r < rows; r++)
                    for (nint i = 0; i < width; i++)
                        gradient.Pointer[r * width + i] = i < s.OutWidth ? dy[(r * s.OutWidth + i) * s.Cout] : 0f;
                for (nint k = 0; k < depth; k += Taps)
                {
                    new Span<float>(totals.Pointer, (int)(Taps * n)).Clear();
                    for (nint r = 0; r < rows; r++)
                        Row<V>(band.Pointer + r * s.Cin * band.Stride, gradient.Pointer + r * width, width, band.Offsets + k,
                            Math.Min(Taps, depth - k), totals.Pointer);
                    for (nint i = 0; i < Math.Min(Taps, depth - k); i++) sums[k + i] = Sum(Load<V>(totals.Pointer + i * n));
                }
            }
        }
    }

    /// <summary>Adds the products of one row to the totals of eight taps; per row, to keep sums short.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Row<V>(float* x, float* dy, nint width, int* offsets, nint taps, float* totals) where V : unmanaged
    {
        nint n = Count<V>();
        float* p0 = x + offsets[0], p1 = x + offsets[Math.Min(1, taps - 1)], p2 = x + offsets[Math.Min(2, taps - 1)];
        float* p3 = x + offsets[Math.Min(3, taps - 1)];
        float* p4 = x + offsets[Math.Min(4, taps - 1)], p5 = x + offsets[Math.Min(5, taps - 1)], p6 = x + offsets[Math.Min(6, taps - 1)];
        float* p7 = x + offsets[Math.Min(7, taps - 1)];
        V c0 = default, c1 = default, c2 = default, c3 = default, c4 = default, c5 = default, c6 = default, c7 = default;
        for (nint i = 0; i < width; i += n)
        {
            V g = Load<V>(dy + i);
            c0 = Fma(g, Load<V>(p0 + i), c0);
            c1 = Fma(g, Load<V>(p1 + i), c1);
            c2 = Fma(g, Load<V>(p2 + i), c2);
            c3 = Fma(g, Load<V>(p3 + i), c3);
            c4 = Fma(g, Load<V>(p4 + i), c4);
            c5 = Fma(g, Load<V>(p5 + i), c5);
            c6 = Fma(g, Load<V>(p6 + i), c6);
            c7 = Fma(g, Load<V>(p7 + i), c7);
        }
        Store(c0 + Load<V>(totals), totals);
        Store(c1 + Load<V>(totals + n), totals + n);
        Store(c2 + Load<V>(totals + 2 * n), totals + 2 * n);
        Store(c3 + Load<V>(totals + 3 * n), totals + 3 * n);
        Store(c4 + Load<V>(totals + 4 * n), totals + 4 * n);
        Store(c5 + Load<V>(totals + 5 * n), totals + 5 * n);
        Store(c6 + Load<V>(totals + 6 * n), totals + 6 * n);
        Store(c7 + Load<V>(totals + 7 * n), totals + 7 * n);
    }
}
