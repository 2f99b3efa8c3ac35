using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Pooling;

/// <summary>
/// Bilinear interpolation along one axis: output i is (1 - w) x[low] + w x[high]. With aligned corners the source position is i (In - 1) /
/// (Out - 1), otherwise (i + 1/2) In / Out - 1/2, at least 0 (PyTorch's convention).
/// </summary>
internal readonly unsafe ref struct ResizeAxis
{
    private readonly Scratch _scratch;

    /// <summary>For each output, its two inputs and the weight of the second.</summary>
    public readonly int* Low, High;
    public readonly float* Weight;

    /// <summary>For each input, the range [First, End) of outputs that read it.</summary>
    public readonly int* First, End;

    public ResizeAxis(int input, int output, bool alignCorners)
    {
        _scratch = new Scratch(3 * (nint)output + 2 * (nint)input);
        Low = (int*)_scratch.Pointer;
        High = Low + output;
        Weight = (float*)(High + output);
        First = (int*)(Weight + output);
        End = First + input;
        new Span<int>(First, input).Fill(output);
        new Span<int>(End, input).Clear();
        double scale = Scale(input, output, alignCorners);
        for (int i = 0; i < output; i++)
        {
            double source = alignCorners ? i * scale : Math.Max(0, (i + 0.5) * scale - 0.5);
            int low = Math.Min((int)source, input - 1), high = Math.Min(low + 1, input - 1);
            (Low[i], High[i], Weight[i]) = (low, high, (float)(source - low));
            for (int x = low; x <= high; x++)
            {
                First[x] = Math.Min(First[x], i);
                End[x] = Math.Max(End[x], i + 1);
            }
        }
    }

    /// <summary>Inputs per output.</summary>
    public static double Scale(int input, int output, bool alignCorners) =>
        !alignCorners ? (double)input / output : output > 1 ? (double)(input - 1) / (output - 1) : 0;

    public void Dispose() => _scratch.Dispose();
}

/// <summary>
/// y = the bilinear resize of x: two rows are interpolated first, in full vectors, then the pixels of the result. Items are output rows.
/// </summary>
internal unsafe struct ResizeForward : IKernel
{
    public float* X, Y, WeightY, WeightX;
    public int* LowY, HighY, LowX, HighX;
    public nint Height, Width, Channels, OutHeight, OutWidth;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), channels = Channels, row = Width * channels;
        using Scratch scratch = new(row);
        float* mix = scratch.Pointer;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / OutHeight, oy = item % OutHeight;
            float* low = X + (image * Height + LowY[oy]) * row, high = X + (image * Height + HighY[oy]) * row;
            V wy = Broadcast<V>(WeightY[oy]);
            for (nint i = 0; i < row; i += n)
            {
                nint lanes = Math.Min(n, row - i);
                V a = Load<V>(low + i, lanes);
                Store(Fma(Load<V>(high + i, lanes) - a, wy, a), mix + i, lanes);
            }
            float* y = Y + item * OutWidth * channels;
            if (channels == 1)
            {
                for (nint ox = 0; ox < OutWidth; ox++)
                {
                    float a = mix[LowX[ox]];
                    y[ox] = float.MultiplyAddEstimate(mix[HighX[ox]] - a, WeightX[ox], a);
                }
                continue;
            }
            if (channels == n) // one vector per pixel: without the inner loop it takes half the time
            {
                for (nint ox = 0; ox < OutWidth; ox++, y += n)
                {
                    V a = Load<V>(mix + LowX[ox] * n);
                    Store(Fma(Load<V>(mix + HighX[ox] * n) - a, Broadcast<V>(WeightX[ox]), a), y);
                }
                continue;
            }
            for (nint ox = 0; ox < OutWidth; ox++, y += channels)
            {
                float* left = mix + LowX[ox] * channels, right = mix + HighX[ox] * channels;
                V wx = Broadcast<V>(WeightX[ox]);
                for (nint c = 0; c < channels; c += n)
                {
                    nint lanes = Math.Min(n, channels - c);
                    V a = Load<V>(left + c, lanes);
                    Store(Fma(Load<V>(right + c, lanes) - a, wx, a), y + c, lanes);
                }
            }
        }
    }
}

/// <summary>
/// dx (+)= the transpose of the resize. Items are input rows. First the output rows that read one are summed in full vectors, then the
/// pixels of the sum are distributed to their sources.
/// </summary>
internal unsafe struct ResizeBackward : IKernel
{
    public float* Dy, WeightY, WeightX;
    public GradientTarget Dx;
    public int* LowY, HighY, LowX, HighX, FirstY, EndY;
    public nint Height, Width, Channels, OutHeight, OutWidth;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), channels = Channels, outRow = OutWidth * channels;
        using Scratch scratch = new(outRow);
        float* sum = scratch.Pointer;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / Height, y = item % Height;
            new Span<float>(sum, (int)outRow).Clear();
            for (nint oy = FirstY[y]; oy < EndY[y]; oy++)
            {
                float wy = (LowY[oy] == y ? 1f - WeightY[oy] : 0f) + (HighY[oy] == y ? WeightY[oy] : 0f);
                if (wy == 0f) continue;
                float* dy = Dy + (image * OutHeight + oy) * outRow;
                V w = Broadcast<V>(wy);
                for (nint i = 0; i < outRow; i += n)
                {
                    nint lanes = Math.Min(n, outRow - i);
                    Store(Fma(Load<V>(dy + i, lanes), w, Load<V>(sum + i, lanes)), sum + i, lanes);
                }
            }
            float* row = Dx.Pointer + item * Width * channels, g = sum;
            Dx.Prepare(row, Width * channels);
            for (nint ox = 0; ox < OutWidth; ox++, g += channels)
            {
                float* left = row + LowX[ox] * channels, right = row + HighX[ox] * channels;
                if (channels == 1)
                {
                    *left += (1f - WeightX[ox]) * *g;
                    *right += WeightX[ox] * *g;
                    continue;
                }
                V toRight = Broadcast<V>(WeightX[ox]), toLeft = Broadcast<V>(1f - WeightX[ox]);
                for (nint c = 0; c < channels; c += n)
                {
                    nint lanes = Math.Min(n, channels - c);
                    V v = Load<V>(g + c, lanes);
                    Store(Fma(v, toLeft, Load<V>(left + c, lanes)), left + c, lanes);
                    Store(Fma(v, toRight, Load<V>(right + c, lanes)), right + c, lanes);
                }
            }
        }
    }
}
