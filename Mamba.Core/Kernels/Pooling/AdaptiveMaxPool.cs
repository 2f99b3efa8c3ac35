using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Pooling;

/// <summary>
/// y = the maximum of each window. If Taps is given, it receives the index of the maximum's pixel, row by row in the window. Items are
/// output rows.
/// </summary>
internal unsafe struct AdaptiveMaxPoolForward : IKernel
{
    public PoolWindows Windows;
    public float* X, Y, Taps;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        PoolWindows w = Windows;
        nint n = Count<V>(), channels = w.Channels;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / w.OutHeight, oy = item % w.OutHeight, top = w.FirstY[oy], bottom = w.EndY[oy];
            for (nint ox = 0; ox < w.OutWidth; ox++)
            {
                nint left = w.FirstX[ox], width = w.EndX[ox] - left, target = (item * w.OutWidth + ox) * channels;
                for (nint c = 0; c < channels; c += n)
                {
                    nint lanes = Math.Min(n, channels - c);
                    V max = Broadcast<V>(float.NegativeInfinity), tap = default;
                    for (nint y = top; y < bottom; y++)
                    {
                        float* x = X + ((image * w.Height + y) * w.Width + left) * channels + c;
                        for (nint i = 0; i < width; i++, x += channels)
                            WindowMaximum.Take(Load<V>(x, lanes), Broadcast<V>((y - top) * width + i), ref max, ref tap);
                    }
                    Store(max, Y + target + c, lanes);
                    if (Taps != null) Store(tap, Taps + target + c, lanes);
                }
            }
        }
    }
}

/// <summary>dx (+)= dy at the maximum's pixel. Items are input rows, gathered from the windows that cover them.</summary>
internal unsafe struct AdaptiveMaxPoolBackward : IKernel
{
    public PoolWindows Windows;
    public float* Taps, Dy;
    public GradientTarget Dx;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        PoolWindows w = Windows;
        nint n = Count<V>(), channels = w.Channels;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / w.Height, y = item % w.Height;
            float* row = Dx.Pointer + item * w.Width * channels;
            Dx.Prepare(row, w.Width * channels);
            for (nint oy = 0; oy < w.OutHeight; oy++)
            {
                if (!w.Covers(oy, y)) continue;
                nint top = w.FirstY[oy], source = (image * w.OutHeight + oy) * w.OutWidth * channels;
                for (nint ox = 0; ox < w.OutWidth; ox++, source += channels)
                {
                    nint left = w.FirstX[ox], width = w.EndX[ox] - left;
                    for (nint i = 0; i < width; i++)
                    {
                        V tap = Broadcast<V>((y - top) * width + i);
                        float* target = row + (left + i) * channels;
                        for (nint c = 0; c < channels; c += n)
                        {
                            nint lanes = Math.Min(n, channels - c);
                            V g = Select(Equal(Load<V>(Taps + source + c, lanes), tap), Load<V>(Dy + source + c, lanes), default);
                            Store(Load<V>(target + c, lanes) + g, target + c, lanes);
                        }
                    }
                }
            }
        }
    }
}
