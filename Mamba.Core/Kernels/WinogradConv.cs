using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels;

/// <summary>One item: a band of rows of tiles of one image, times a range of weight panels.</summary>
internal unsafe struct WinogradConv : IKernel
{
    public ConvShape Shape;
    public float* X, Packed, Y;
    public Epilogue Epilogue;

    /// <summary>Tiles in a row, rows of tiles in a band, bands in an image, tiles in a block.</summary>
    public nint Across, TileRows, Bands, Block;

    public nint PanelsPerItem, Split;

    public override readonly string ToString() => $"WinogradConv {Shape}";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint n = Count<V>(), width = 2 * n, channels = Launch.Chunks(s.Cin, n) * n;
        using Band band = new(s with { OutWidth = (int)Across * Winograd.Outputs }, (int)TileRows * Winograd.Outputs);
        using Scratch inputs = new(Winograd.Points * Block * channels), results = new(PanelsPerItem * Winograd.Points * Block * width), work = new(Winograd.Points * n);
        TileShape product = new TileShape { ARow = channels, AStep = 1, Outer = 1, Inner = 1, Length = s.Cin, CRow = width }.Cut<V>();
        nint inputPoint = Block * channels, resultPoint = Block * width, weightPoint = s.Cin * width;
        for (nint item = begin; item < end; item++)
        {
            nint part = item % Split, image = item / Split / Bands, row = item / Split % Bands * TileRows * Winograd.Outputs;
            nint tileRows = Math.Min(TileRows, Launch.Chunks(s.OutHeight - row, Winograd.Outputs)), tiles = tileRows * Across;
            if (tiles <= 0) continue;
            nint first = part * PanelsPerItem, last = Math.Min(Launch.Chunks(s.Cout, width), first + PanelsPerItem);
            band.Fill(X, image, 0, (int)row, (int)tileRows * Winograd.Outputs);
            for (nint start = 0, count; start < tiles; start += count)
            {
                count = Math.Min(Block, tiles - start);
                for (nint t = 0; t < count; t++)
                {
                    float* corner = band.Pointer + ((start + t) / Across * band.RowStride + (start + t) % Across * s.Cin) * Winograd.Outputs;
                    // The last vector may reach into the next pixel; what its surplus lanes hold is never read.
                    for (nint c = 0; c < s.Cin; c += n)
                        Winograd.Evaluate<V, InputTile>(corner + c, band.RowStride, s.Cin, inputs.Pointer + t * channels + c, inputPoint, work.Pointer);
                }
                for (nint point = 0; point < Winograd.Points; point++)
                    for (nint panel = first; panel < last; panel++)
                        TileColumn.Run<V>(
                            product, count, inputs.Pointer + point * inputPoint, Packed + (panel * Winograd.Points + point) * weightPoint,
                            results.Pointer + ((panel - first) * Winograd.Points + point) * resultPoint, Columns(panel * width, width), default);
                for (nint panel = first; panel < last; panel++)
                    for (nint t = 0; t < count; t++)
                    {
                        nint y = row + (start + t) / Across * Winograd.Outputs, x = (start + t) % Across * Winograd.Outputs;
                        for (nint half = 0; half < Columns(panel * width, width); half += n)
                            Interpolate<V>(
                                results.Pointer + (panel - first) * Winograd.Points * resultPoint + t * width + half, resultPoint, image, y, x, panel * width + half, work.Pointer);
                    }
            }
        }
    }

    /// <summary>Columns of a panel that hold output channels, in whole vectors.</summary>
    private readonly nint Columns(nint channel, nint width) => Shape.Cout - channel <= width / 2 ? width / 2 : width;

    /// <summary>A vector of output channels of a tile, from its values at the points; what lies beyond the image is not written.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Interpolate<V>(float* m, nint point, nint image, nint y, nint x, nint channel, float* work) where V : unmanaged
    {
        nint n = Count<V>(), lanes = Math.Min(n, Shape.Cout - channel);
        nint rows = Math.Min(Winograd.Outputs, Shape.OutHeight - y), columns = Math.Min(Winograd.Outputs, Shape.OutWidth - x);
        for (nint i = 0; i < Winograd.Inputs; i++) Winograd.TransformOutput<V>(m + i * point, Winograd.Inputs * point, work + i * n, Winograd.Inputs * n);
        V bias = Epilogue.Bias == null ? default : Load<V>(Epilogue.Bias + channel, lanes);
        bool add = Epilogue.Add, relu = Epilogue.Relu;
        for (nint i = 0; i < rows; i++)
        {
            float* line = work + i * Winograd.Inputs * n, target = Y + ((image * Shape.OutHeight + y + i) * Shape.OutWidth + x) * Shape.Cout + channel;
            Winograd.TransformOutput<V>(line, n, line, n);
            for (nint j = 0; j < columns; j++, target += Shape.Cout)
            {
                V value = Load<V>(line + j * n) + bias;
                if (add) value += Load<V>(target, lanes);
                Store(relu ? Max(default, value) : value, target, lanes);
            }
        }
    }
}
