using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Pooling;

/// <summary>The sizes of a pooling over channels-last images.</summary>
internal readonly record struct PoolShape(int Batch, int Height, int Width, int Channels, int OutHeight, int OutWidth, int Kernel, int Stride, int Padding);

/// <summary>
/// The maximum of each window; where Taps is given also which tap it was, ky kernel + kx as a float, the first of equals. NaN is larger than anything, and
/// the last NaN of a window is its maximum, as in PyTorch. Items are output rows.
/// </summary>
internal unsafe struct MaxPoolForward : IKernel
{
    public PoolShape Shape;
    public float* X, Y, Taps;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        PoolShape s = Shape;
        nint n = Count<V>(), channels = s.Channels;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / s.OutHeight, top = item % s.OutHeight * s.Stride - s.Padding;
            nint firstY = Math.Max(0, -top), endY = Math.Min(s.Kernel, s.Height - top);
            for (nint ox = 0; ox < s.OutWidth; ox++)
            {
                nint left = ox * s.Stride - s.Padding;
                nint firstX = Math.Max(0, -left), endX = Math.Min(s.Kernel, s.Width - left);
                nint target = (item * s.OutWidth + ox) * channels;
                for (nint c = 0; c < channels; c += n)
                {
                    nint lanes = Math.Min(n, channels - c);
                    V max = Broadcast<V>(float.NegativeInfinity), tap = Broadcast<V>(firstY * s.Kernel + firstX);
                    for (nint ky = firstY; ky < endY; ky++)
                    {
                        float* x = X + ((image * s.Height + top + ky) * s.Width + left + firstX) * channels + c;
                        for (nint kx = firstX; kx < endX; kx++, x += channels)
                        {
                            V v = Load<V>(x, lanes), number = Equal(v, v), greater = Greater(v, max), here = Broadcast<V>(ky * s.Kernel + kx);
                            max = Select(number, Select(greater, v, max), v);
                            tap = Select(number, Select(greater, here, tap), here);
                        }
                    }
                    Store(max, Y + target + c, lanes);
                    if (Taps != null) Store(tap, Taps + target + c, lanes);
                }
            }
        }
    }
}

/// <summary>dx (+)= dy at the tap that won. Items are input rows, each gathering from the windows that cover it.</summary>
internal unsafe struct MaxPoolBackward : IKernel
{
    public PoolShape Shape;
    public float* Taps, Dy, Dx;
    public bool Add;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        PoolShape s = Shape;
        nint n = Count<V>(), channels = s.Channels;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / s.Height, y = item % s.Height;
            float* row = Dx + item * s.Width * channels;
            bool add = Add || s.Stride < s.Kernel; // windows that do not overlap write each pixel once
            if (!Add && (s.Stride != s.Kernel || s.Padding > 0 || y >= s.OutHeight * s.Stride || s.OutWidth * s.Stride != s.Width))
            {
                new Span<float>(row, (int)(s.Width * channels)).Clear();
                add = true;
            }
            for (nint ky = 0; ky < s.Kernel; ky++)
            {
                nint up = y + s.Padding - ky;
                if (up < 0 || up % s.Stride != 0 || up / s.Stride >= s.OutHeight) continue;
                nint source = (image * s.OutHeight + up / s.Stride) * s.OutWidth * channels;
                for (nint ox = 0; ox < s.OutWidth; ox++, source += channels)
                    for (nint kx = 0; kx < s.Kernel; kx++)
                    {
                        nint x = ox * s.Stride - s.Padding + kx;
                        if ((nuint)x >= (nuint)s.Width) continue;
                        V tap = Broadcast<V>(ky * s.Kernel + kx);
                        float* target = row + x * channels;
                        for (nint c = 0; c < channels; c += n)
                        {
                            nint lanes = Math.Min(n, channels - c);
                            V g = Select(Equal(Load<V>(Taps + source + c, lanes), tap), Load<V>(Dy + source + c, lanes), default);
                            Store(add ? Load<V>(target + c, lanes) + g : g, target + c, lanes);
                        }
                    }
            }
        }
    }
}

/// <summary>
/// Averages over windows [floor(i H / Out), ceil((i + 1) H / Out)), which may overlap and, where Out exceeds H, repeat pixels. Items are output rows.
/// </summary>
internal unsafe struct AdaptivePoolForward : IKernel
{
    public PoolShape Shape;
    public float* X, Y;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nint First(nint i, nint extent, nint outputs) => i * extent / outputs;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nint Last(nint i, nint extent, nint outputs) => ((i + 1) * extent + outputs - 1) / outputs;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        PoolShape s = Shape;
        nint n = Count<V>(), channels = s.Channels;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / s.OutHeight, oy = item % s.OutHeight, top = First(oy, s.Height, s.OutHeight), bottom = Last(oy, s.Height, s.OutHeight);
            for (nint ox = 0; ox < s.OutWidth; ox++)
            {
                nint left = First(ox, s.Width, s.OutWidth), right = Last(ox, s.Width, s.OutWidth);
                V factor = Broadcast<V>(1f / ((bottom - top) * (right - left)));
                for (nint c = 0; c < channels; c += n)
                {
                    nint lanes = Math.Min(n, channels - c);
                    V sum = default;
                    for (nint y = top; y < bottom; y++)
                    {
                        V row = default; // row by row, so that a large window does not lose low bits
                        float* x = X + ((image * s.Height + y) * s.Width + left) * channels + c;
                        for (nint i = left; i < right; i++, x += channels) row += Load<V>(x, lanes);
                        sum += row;
                    }
                    Store(sum * factor, Y + ((item * s.OutWidth + ox) * channels) + c, lanes);
                }
            }
        }
    }
}

/// <summary>dx (+)= dy over the size of its window. Items are input rows.</summary>
internal unsafe struct AdaptivePoolBackward : IKernel
{
    public PoolShape Shape;
    public float* Dy, Dx;
    public bool Add;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        PoolShape s = Shape;
        nint n = Count<V>(), channels = s.Channels;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / s.Height, y = item % s.Height;
            float* row = Dx + item * s.Width * channels;
            if (!Add) new Span<float>(row, (int)(s.Width * channels)).Clear();
            for (nint oy = 0; oy < s.OutHeight; oy++)
            {
                nint top = AdaptivePoolForward.First(oy, s.Height, s.OutHeight), bottom = AdaptivePoolForward.Last(oy, s.Height, s.OutHeight);
                if (y < top || y >= bottom) continue;
                for (nint ox = 0; ox < s.OutWidth; ox++)
                {
                    nint left = AdaptivePoolForward.First(ox, s.Width, s.OutWidth), right = AdaptivePoolForward.Last(ox, s.Width, s.OutWidth);
                    V factor = Broadcast<V>(1f / ((bottom - top) * (right - left)));
                    float* dy = Dy + (((image * s.OutHeight + oy) * s.OutWidth) + ox) * channels;
                    for (nint c = 0; c < channels; c += n)
                    {
                        nint lanes = Math.Min(n, channels - c);
                        V g = Load<V>(dy + c, lanes) * factor;
                        float* target = row + left * channels + c;
                        for (nint x = left; x < right; x++, target += channels) Store(Load<V>(target, lanes) + g, target, lanes);
                    }
                }
            }
        }
    }
}
