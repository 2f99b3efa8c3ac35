using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Convolution;

/// <summary>One item: a band of rows of tiles of one image, times a range of weight panels.</summary>
internal unsafe struct WinogradConv : IKernel
{
    public ConvShape Shape;
    public float* X, Packed, Y;
    public Epilogue Epilogue;

    /// <summary>Tiles per row, rows of tiles per image and per band, bands per image, tiles per block.</summary>
    public nint Across, Down, RowsPerBand, Bands, Block;

    public nint PanelsPerItem, Split;

    public override readonly string ToString() => $"WinogradConv {Shape}";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint n = Count<V>(), width = 2 * n, channels = Launch.CeilDiv(s.Cin, n) * n;
        using PaddedBand band = new(s with { OutWidth = (int)Across * Winograd.OutputSize }, (int)RowsPerBand * Winograd.OutputSize);
        // All positions of a tile are written, and read, together. A stride that is a multiple of 4 KiB would map them to one set of L1.
        nint inputStride = Gemm.OddCacheLines(Block * channels), resultStride = Gemm.OddCacheLines(Block * width);
        using Scratch inputs = new(Winograd.Positions * inputStride), results = new(PanelsPerItem * Winograd.Positions * resultStride);
        using Scratch work = new(Winograd.Positions * n);
        Buffers buffers = new()
        {
            Inputs = inputs.Pointer,
            Results = results.Pointer,
            Work = work.Pointer,
            Channels = channels,
            InputStride = inputStride,
            ResultStride = resultStride,
        };
        TileShape product = new TileShape
        {
            ARowStride = channels,
            AColumnStride = 1,
            Outer = 1,
            Inner = 1,
            Length = s.Cin,
            CRowStride = width,
        }.InBlocks<V>();
        for (nint item = begin; item < end; item++)
        {
            nint part = item % Split, image = item / Split / Bands, row = item / Split % Bands * RowsPerBand;
            nint rows = Math.Min(RowsPerBand, Down - row);
            nint first = part * PanelsPerItem, last = Math.Min(Launch.CeilDiv(s.Cout, width), first + PanelsPerItem);
            band.Fill(X, image, 0, (int)(row * Winograd.OutputSize), (int)rows * Winograd.OutputSize);
            for (nint start = 0, count; start < rows * Across; start += count)
            {
                count = Math.Min(Block, rows * Across - start);
                TransformTiles<V>(band.Pointer, band.RowStride, new(image, row, start, count), first, last, buffers);
                Multiply<V>(product, count, first, last, buffers);
                InverseTransformTiles<V>(new(image, row, start, count), first, last, buffers);
            }
        }
    }

    /// <summary>B^T d B of each tile. Prefetches the output lines, so that they arrive during the products.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void TransformTiles<V>(float* band, nint bandStride, TileBlock tiles, nint first, nint last, in Buffers to)
        where V : unmanaged
    {
        nint n = Count<V>(), width = 2 * n, channels = Shape.Cin, padded = to.Channels, stride = to.InputStride;
        float* inputs = to.Inputs, work = to.Work;
        for (nint t = 0; t < tiles.Count; t++)
        {
            nint index = tiles.Start + t;
            float* tile = band + (index / Across * bandStride + index % Across * channels) * Winograd.OutputSize;
            if (CanPrefetch) PrefetchResults(ResultsOf(tiles, t), first * width, Math.Min(Shape.Cout, last * width));
            // The last vector may read into the next pixel; its surplus lanes are never used.
            for (nint c = 0; c < channels; c += n)
                Winograd.Transform<V, InputTransform>(tile + c, bandStride, channels, inputs + t * padded + c, stride, work);
        }
    }

    /// <summary>The product of a block of tiles with the weights of some panels, for each position.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Multiply<V>(in TileShape product, nint tiles, nint first, nint last, in Buffers buffers) where V : unmanaged
    {
        nint width = 2 * Count<V>(), weightStride = Shape.Cin * width;
        for (nint position = 0; position < Winograd.Positions; position++)
            for (nint panel = first; panel < last; panel++)
                PanelProduct.Run<V>(
                    product, tiles, buffers.Inputs + position * buffers.InputStride,
                    Packed + (panel * Winograd.Positions + position) * weightStride,
                    buffers.Results + ((panel - first) * Winograd.Positions + position) * buffers.ResultStride,
                    Columns(panel * width, width), default);
    }

    /// <summary>A^T m A of each tile and panel, with the epilogue.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void InverseTransformTiles<V>(TileBlock tiles, nint first, nint last, in Buffers from) where V : unmanaged
    {
        nint n = Count<V>(), width = 2 * n, stride = from.ResultStride;
        for (nint panel = first; panel < last; panel++)
            for (nint t = 0; t < tiles.Count; t++)
            {
                TileResults to = ResultsOf(tiles, t);
                float* result = from.Results + (panel - first) * Winograd.Positions * stride + t * width;
                for (nint half = 0; half < Columns(panel * width, width); half += n)
                    InverseTransform<V>(result + half, stride, to, panel * width + half, from.Work);
            }
    }

    /// <summary>The destination of a tile's outputs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly TileResults ResultsOf(in TileBlock tiles, nint t)
    {
        nint tile = tiles.Start + t, y = (tiles.Row + tile / Across) * Winograd.OutputSize, x = tile % Across * Winograd.OutputSize;
        return new(
            Y + ((tiles.Image * Shape.OutHeight + y) * Shape.OutWidth + x) * Shape.Cout,
            Math.Min(Winograd.OutputSize, Shape.OutHeight - y),
            Math.Min(Winograd.OutputSize, Shape.OutWidth - x));
    }

    /// <summary>Prefetches a tile's output lines while the products are summed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void PrefetchResults(in TileResults to, nint first, nint last)
    {
        for (nint i = 0; i < to.Rows; i++)
            for (nint j = 0; j < to.Columns; j++)
                Prefetch(to.Start + (i * Shape.OutWidth + j) * Shape.Cout + first, last - first);
    }

    /// <summary>Columns of a panel that hold output channels, rounded up to vectors.</summary>
    private readonly nint Columns(nint channel, nint width) => Shape.Cout - channel <= width / 2 ? width / 2 : width;

    /// <summary>The inverse transform of one vector of output channels of a tile. Outputs beyond the image are not written.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void InverseTransform<V>(float* m, nint point, in TileResults to, nint channel, float* work) where V : unmanaged
    {
        nint n = Count<V>(), lanes = Math.Min(n, Shape.Cout - channel), size = Winograd.InputSize * n, step = Winograd.InputSize * point;
        float* column = work;
        for (nint i = 0; i < Winograd.InputSize; i++, m += point, column += n)
        {
            Winograd.TransformOutput<V>(m, step, out V y0, out V y1, out V y2, out V y3);
            Store(y0, column);
            Store(y1, column + size);
            Store(y2, column + 2 * size);
            Store(y3, column + 3 * size);
        }
        V bias = Epilogue.Bias == null ? default : Load<V>(Epilogue.Bias + channel, lanes);
        bool whole = to.Columns == Winograd.OutputSize && lanes == n, add = Epilogue.Add, relu = Epilogue.Relu;
        nint pixel = Shape.Cout, line = Shape.OutWidth * pixel;
        float* row = work, target = to.Start + channel;
        for (nint i = 0; i < to.Rows; i++, row += size, target += line)
        {
            Winograd.TransformOutput<V>(row, n, out V y0, out V y1, out V y2, out V y3);
            if (whole)
            {
                Write(y0 + bias, target, n, add, relu);
                Write(y1 + bias, target + pixel, n, add, relu);
                Write(y2 + bias, target + 2 * pixel, n, add, relu);
                Write(y3 + bias, target + 3 * pixel, n, add, relu);
                continue;
            }
            Store(y0, row);
            Store(y1, row + n);
            Store(y2, row + 2 * n);
            Store(y3, row + 3 * n);
            for (nint j = 0; j < to.Columns; j++) Write(Load<V>(row + j * n) + bias, target + j * pixel, lanes, add, relu);
        }
    }

    /// <summary>Adds the addend, applies the activation and stores.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<V>(V value, float* target, nint lanes, bool add, bool relu) where V : unmanaged
    {
        if (add) value += Load<V>(target, lanes);
        Store(relu ? NonNegative(value) : value, target, lanes);
    }

    /// <summary>The address of a tile's first output, and the rows and columns of outputs inside the image.</summary>
    private readonly struct TileResults(float* start, nint rows, nint columns)
    {
        public readonly float* Start = start;
        public readonly nint Rows = rows, Columns = columns;
    }

    /// <summary>Tiles [Start, Start + Count) of a band that starts at a row of tiles.</summary>
    private readonly record struct TileBlock(nint Image, nint Row, nint Start, nint Count);

    /// <summary>Scratch of an item: a block of tiles in the transform domain, before and after the products.</summary>
    private struct Buffers
    {
        public float* Inputs, Results, Work;

        /// <summary>Input channels rounded up to vectors; strides between positions, in floats.</summary>
        public nint Channels, InputStride, ResultStride;
    }
}
