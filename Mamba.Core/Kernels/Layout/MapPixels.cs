using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Layout;

/// <summary>The input row and column of each output row and column; -1 for none.</summary>
internal readonly unsafe ref struct PixelMap
{
    private readonly Scratch _scratch;

    public readonly int* Rows, Columns;

    public PixelMap(int height, int width)
    {
        _scratch = new Scratch((nint)height + width);
        Rows = (int*)_scratch.Pointer;
        Columns = Rows + height;
    }

    public void Dispose() => _scratch.Dispose();
}

/// <summary>The sizes of channels-last images whose pixels are mapped: the input's, and the result's.</summary>
internal readonly record struct MapShape(int Batch, int Height, int Width, int Channels, int OutHeight, int OutWidth)
{
    /// <summary>The number of columns from ox on that are contiguous in the input too.</summary>
    public unsafe nint Run(int* columns, nint ox)
    {
        nint end = ox + 1;
        if (columns[ox] < 0)
            while (end < OutWidth && columns[end] < 0) end++;
        else
            while (end < OutWidth && columns[end] == columns[ox] + (end - ox)) end++;
        return end - ox;
    }
}

/// <summary>Each pixel of y is a pixel of x or a constant: padding and nearest-neighbour resize. Items are output rows.</summary>
internal unsafe struct MapPixels : IKernel
{
    public MapShape Shape;
    public float* X, Y;
    public int* Rows, Columns;
    public float Value;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        MapShape s = Shape;
        nint n = Count<V>(), channels = s.Channels;
        V value = Broadcast<V>(Value);
        for (nint item = begin; item < end; item++)
        {
            nint row = Rows[item % s.OutHeight], run;
            float* y = Y + item * s.OutWidth * channels, x = X + (item / s.OutHeight * s.Height + row) * s.Width * channels;
            for (nint ox = 0; ox < s.OutWidth; ox += run)
            {
                run = row < 0 ? s.OutWidth : s.Run(Columns, ox);
                bool inside = row >= 0 && Columns[ox] >= 0;
                float* from = inside ? x + Columns[ox] * channels : null, to = y + ox * channels;
                for (nint i = 0; i < run * channels; i += n)
                {
                    nint lanes = Math.Min(n, run * channels - i);
                    Store(inside ? Load<V>(from + i, lanes) : value, to + i, lanes);
                }
            }
        }
    }
}

/// <summary>dx (+)= the sum, in order, of dy over all pixels copied from it. Items are input rows.</summary>
internal unsafe struct MapPixelsBackward : IKernel
{
    public MapShape Shape;
    public float* Dy;
    public GradientTarget Dx;
    public int* Rows, Columns;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        MapShape s = Shape;
        nint n = Count<V>(), channels = s.Channels;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / s.Height, y = item % s.Height, run;
            float* row = Dx.Pointer + item * s.Width * channels;
            Dx.Prepare(row, s.Width * channels);
            for (nint oy = 0; oy < s.OutHeight; oy++)
            {
                if (Rows[oy] != y) continue;
                float* dy = Dy + (image * s.OutHeight + oy) * s.OutWidth * channels;
                for (nint ox = 0; ox < s.OutWidth; ox += run)
                {
                    run = s.Run(Columns, ox);
                    if (Columns[ox] < 0) continue;
                    float* from = dy + ox * channels, to = row + Columns[ox] * channels;
                    for (nint i = 0; i < run * channels; i += n)
                    {
                        nint lanes = Math.Min(n, run * channels - i);
                        Store(Load<V>(to + i, lanes) + Load<V>(from + i, lanes), to + i, lanes);
                    }
                }
            }
        }
    }
}
