using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Pooling;

/// <summary>Fields shared by pools over the windows of two <see cref="PoolAxis"/>, on channels-last images.</summary>
internal unsafe struct PoolWindows
{
    public nint Height, Width, Channels, OutHeight, OutWidth;
    public int* FirstY, EndY, SizeY, FirstX, EndX, SizeX;

    public PoolWindows(Shape x, in PoolAxis vertical, in PoolAxis horizontal, int height, int width)
    {
        (Height, Width, Channels, OutHeight, OutWidth) = (x[1], x[2], x[3], height, width);
        FirstY = vertical.First;
        EndY = vertical.End;
        SizeY = vertical.Size;
        FirstX = horizontal.First;
        EndX = horizontal.End;
        SizeX = horizontal.Size;
    }

    /// <summary>Whether the windows of an output row cover an input row.</summary>
    public readonly bool Covers(nint oy, nint y) => y >= FirstY[oy] && y < EndY[oy];

    /// <summary>1 / the number of pixels that a window counts.</summary>
    public readonly float Share(nint oy, nint ox) => 1f / ((nint)SizeY[oy] * SizeX[ox]);
}

/// <summary>y = the mean of each window. Items are output rows.</summary>
internal unsafe struct AveragePoolForward : IKernel
{
    public PoolWindows Windows;
    public float* X, Y;

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
                nint left = w.FirstX[ox], right = w.EndX[ox];
                V factor = Broadcast<V>(w.Share(oy, ox));
                for (nint c = 0; c < channels; c += n)
                {
                    nint lanes = Math.Min(n, channels - c);
                    V sum = default;
                    for (nint y = top; y < bottom; y++)
                    {
                        V row = default; // per row, so that a large window does not lose low bits
                        float* x = X + ((image * w.Height + y) * w.Width + left) * channels + c;
                        for (nint i = left; i < right; i++, x += channels) row += Load<V>(x, lanes);
                        sum += row;
                    }
                    Store(sum * factor, Y + ((item * w.OutWidth + ox) * channels) + c, lanes);
                }
            }
        }
    }
}

/// <summary>dx (+)= dy over the size of its window. Items are input rows.</summary>
internal unsafe struct AveragePoolBackward : IKernel
{
    public PoolWindows Windows;
    public float* Dy;
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
                for (nint ox = 0; ox < w.OutWidth; ox++)
                {
                    nint left = w.FirstX[ox], right = w.EndX[ox];
                    V factor = Broadcast<V>(w.Share(oy, ox));
                    float* dy = Dy + (((image * w.OutHeight + oy) * w.OutWidth) + ox) * channels;
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
