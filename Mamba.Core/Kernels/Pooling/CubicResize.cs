using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Pooling;

/// <summary>
/// Cubic convolution interpolation along one axis (Keys 1981, with PyTorch's a = -3/4): output i is a weighted sum of four adjacent inputs.
/// Edge pixels are replicated.
/// </summary>
internal readonly unsafe ref struct CubicAxis
{
    public const int Taps = 4;
    private const double A = -0.75;
    private readonly Scratch _scratch;

    /// <summary>For each output, the indices of its inputs and their weights.</summary>
    public readonly int* Index;
    public readonly float* Weight;

    public CubicAxis(int input, int output, bool alignCorners)
    {
        _scratch = new Scratch(2 * Taps * (nint)output);
        Index = (int*)_scratch.Pointer;
        Weight = _scratch.Pointer + Taps * (nint)output;
        double scale = ResizeAxis.Scale(input, output, alignCorners);
        for (int i = 0; i < output; i++)
        {
            double source = alignCorners ? i * scale : (i + 0.5) * scale - 0.5, whole = Math.Floor(source), t = source - whole;
            ReadOnlySpan<double> weights = [Far(t + 1), Near(t), Near(1 - t), Far(2 - t)];
            for (int tap = 0; tap < Taps; tap++)
            {
                Index[(nint)i * Taps + tap] = (int)Math.Clamp((long)whole - 1 + tap, 0, input - 1);
                Weight[(nint)i * Taps + tap] = (float)weights[tap];
            }
        }
    }

    public void Dispose() => _scratch.Dispose();

    private static double Near(double x) => ((A + 2) * x - (A + 3)) * x * x + 1;

    private static double Far(double x) => ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;
}

/// <summary>The sizes and tables of a cubic resize.</summary>
internal unsafe struct CubicTables
{
    public nint Height, Width, Channels, OutHeight, OutWidth;
    public int* IndexY, IndexX;
    public float* WeightY, WeightX;

    public CubicTables(Shape x, Size2d size, in CubicAxis vertical, in CubicAxis horizontal)
    {
        (Height, Width, Channels, OutHeight, OutWidth) = (x[1], x[2], x[3], size.Height, size.Width);
        IndexY = vertical.Index;
        WeightY = vertical.Weight;
        IndexX = horizontal.Index;
        WeightX = horizontal.Weight;
    }
}

/// <summary>
/// y = the bicubic resize of x: four rows are interpolated first, in full vectors, then four pixels of the result. Items are output rows.
/// </summary>
internal unsafe struct CubicForward : IKernel
{
    public CubicTables Tables;
    public float* X, Y;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        CubicTables t = Tables;
        nint n = Count<V>(), channels = t.Channels, row = t.Width * channels;
        using Scratch scratch = new(row);
        float* mix = scratch.Pointer;
        for (nint item = begin; item < end; item++)
        {
            nint oy = item % t.OutHeight;
            float* image = X + item / t.OutHeight * t.Height * row, y = Y + item * t.OutWidth * channels;
            Mix<V>(image, row, t.IndexY + oy * CubicAxis.Taps, t.WeightY + oy * CubicAxis.Taps, row, mix);
            for (nint ox = 0; ox < t.OutWidth; ox++, y += channels)
                Mix<V>(mix, channels, t.IndexX + ox * CubicAxis.Taps, t.WeightX + ox * CubicAxis.Taps, channels, y);
        }
    }

    /// <summary>The weighted sum of four runs of floats; each starts at its index times a stride.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Mix<V>(float* from, nint step, int* index, float* weight, nint length, float* to) where V : unmanaged
    {
        nint n = Count<V>();
        float* a = from + index[0] * step, b = from + index[1] * step, c = from + index[2] * step, d = from + index[3] * step;
        V wa = Broadcast<V>(weight[0]), wb = Broadcast<V>(weight[1]), wc = Broadcast<V>(weight[2]), wd = Broadcast<V>(weight[3]);
        for (nint i = 0; i < length; i += n)
        {
            nint lanes = Math.Min(n, length - i);
            V sum = Fma(Load<V>(b + i, lanes), wb, Load<V>(a + i, lanes) * wa);
            Store(Fma(Load<V>(d + i, lanes), wd, Fma(Load<V>(c + i, lanes), wc, sum)), to + i, lanes);
        }
    }
}

/// <summary>
/// dx (+)= the transpose of the resize. Items are input rows. First the output rows that read one are summed in full vectors, then the
/// pixels of the sum are distributed to their sources.
/// </summary>
internal unsafe struct CubicBackward : IKernel
{
    public CubicTables Tables;
    public float* Dy;
    public GradientTarget Dx;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        CubicTables t = Tables;
        nint n = Count<V>(), channels = t.Channels, outRow = t.OutWidth * channels;
        using Scratch scratch = new(outRow);
        float* sum = scratch.Pointer;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / t.Height, y = item % t.Height;
            new Span<float>(sum, (int)outRow).Clear();
            for (nint k = 0; k < t.OutHeight * CubicAxis.Taps; k++)
                if (t.IndexY[k] == y) AddScaled<V>(Dy + (image * t.OutHeight + k / CubicAxis.Taps) * outRow, t.WeightY[k], sum, outRow);
            float* row = Dx.Pointer + item * t.Width * channels;
            Dx.Prepare(row, t.Width * channels);
            for (nint k = 0; k < t.OutWidth * CubicAxis.Taps; k++)
                AddScaled<V>(sum + k / CubicAxis.Taps * channels, t.WeightX[k], row + t.IndexX[k] * channels, channels);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddScaled<V>(float* from, float factor, float* to, nint length) where V : unmanaged
    {
        nint n = Count<V>();
        V w = Broadcast<V>(factor);
        for (nint i = 0; i < length; i += n)
        {
            nint lanes = Math.Min(n, length - i);
            Store(Fma(Load<V>(from + i, lanes), w, Load<V>(to + i, lanes)), to + i, lanes);
        }
    }
}
