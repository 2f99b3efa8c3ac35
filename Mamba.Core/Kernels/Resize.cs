using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels;

/// <summary>
/// Bilinear interpolation along one axis: output i is (1 - w) x[low] + w x[high]. The source position is i (In - 1) / (Out - 1) where corners are
/// aligned, else (i + 1/2) In / Out - 1/2, not below 0 (PyTorch's convention).
/// </summary>
internal readonly struct ResizeAxis
{
    public ResizeAxis(int input, int output, bool alignCorners)
    {
        Low = new int[output];
        High = new int[output];
        Weight = new float[output];
        First = new int[input];
        End = new int[input];
        Array.Fill(First, output);
        double scale = alignCorners ? (output > 1 ? (double)(input - 1) / (output - 1) : 0) : (double)input / output;
        for (int i = 0; i < output; i++)
        {
            double source = alignCorners ? i * scale : Math.Max(0, (i + 0.5) * scale - 0.5);
            int low = Math.Min((int)source, input - 1);
            Low[i] = low;
            High[i] = Math.Min(low + 1, input - 1);
            Weight[i] = (float)(source - low);
            foreach (int x in (ReadOnlySpan<int>)[low, High[i]])
            {
                First[x] = Math.Min(First[x], i);
                End[x] = Math.Max(End[x], i + 1);
            }
        }
    }

    public int[] Low { get; }

    public int[] High { get; }

    public float[] Weight { get; }

    /// <summary>For each input position the range [First, End) of outputs that read it.</summary>
    public int[] First { get; }

    public int[] End { get; }
}

/// <summary>y = the bilinear resize of x. Items are output rows.</summary>
internal unsafe struct ResizeForward : IKernel
{
    public float* X, Y, WeightY, WeightX;
    public int* LowY, HighY, LowX, HighX;
    public nint Height, Width, Channels, OutHeight, OutWidth;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), channels = Channels;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / OutHeight, oy = item % OutHeight;
            float* low = X + (image * Height + LowY[oy]) * Width * channels, high = X + (image * Height + HighY[oy]) * Width * channels;
            V wy = Broadcast<V>(WeightY[oy]);
            float* y = Y + item * OutWidth * channels;
            for (nint ox = 0; ox < OutWidth; ox++, y += channels)
            {
                nint left = LowX[ox] * channels, right = HighX[ox] * channels;
                V wx = Broadcast<V>(WeightX[ox]);
                for (nint c = 0; c < channels; c += n)
                {
                    nint lanes = Math.Min(n, channels - c);
                    V a = Load<V>(low + left + c, lanes), b = Load<V>(low + right + c, lanes);
                    V d = Load<V>(high + left + c, lanes), e = Load<V>(high + right + c, lanes);
                    V top = Fma(b - a, wx, a), bottom = Fma(e - d, wx, d);
                    Store(Fma(bottom - top, wy, top), y + c, lanes);
                }
            }
        }
    }
}

/// <summary>dx (+)= the transpose of the resize. Items are input rows, each gathering from the output rows that read it.</summary>
internal unsafe struct ResizeBackward : IKernel
{
    public float* Dy, Dx, WeightY, WeightX;
    public int* LowY, HighY, LowX, HighX, FirstY, EndY;
    public nint Height, Width, Channels, OutHeight, OutWidth;
    public bool Add;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), channels = Channels;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / Height, y = item % Height;
            float* row = Dx + item * Width * channels;
            if (!Add) new Span<float>(row, (int)(Width * channels)).Clear();
            for (nint oy = FirstY[y]; oy < EndY[y]; oy++)
            {
                float wy = (LowY[oy] == y ? 1f - WeightY[oy] : 0f) + (HighY[oy] == y ? WeightY[oy] : 0f);
                if (wy == 0f) continue;
                float* dy = Dy + (image * OutHeight + oy) * OutWidth * channels;
                for (nint ox = 0; ox < OutWidth; ox++, dy += channels)
                {
                    float* left = row + LowX[ox] * channels, right = row + HighX[ox] * channels;
                    V toRight = Broadcast<V>(wy * WeightX[ox]), toLeft = Broadcast<V>(wy - wy * WeightX[ox]);
                    for (nint c = 0; c < channels; c += n)
                    {
                        nint lanes = Math.Min(n, channels - c);
                        V g = Load<V>(dy + c, lanes);
                        Store(Fma(g, toLeft, Load<V>(left + c, lanes)), left + c, lanes);
                        Store(Fma(g, toRight, Load<V>(right + c, lanes)), right + c, lanes);
                    }
                }
            }
        }
    }
}
