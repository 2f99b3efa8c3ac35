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

    /// <summary>Tiles in a row, rows of tiles in an image and in a band, bands in an image, tiles in a block.</summary>
    public nint Across, Down, RowsPerBand, Bands, Block;

    public nint PanelsPerItem, Split;

    public override readonly string ToString() => $"WinogradConv {Shape}";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint n = Count<V>(), width = 2 * n, channels = Launch.CeilDiv(s.Cin, n) * n;
        using PaddedBand band = new(s with { OutWidth = (int)Across * Winograd.OutputSize }, (int)RowsPerBand * Winograd.OutputSize);
        // All positions of a tile are written, and read, together. With a stride that is a multiple of 4 KiB they would share a set of the
        // first-level cache.
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

    /// <summary>B^T d B of each tile. The lines of its results are prefetched, so that they arrive during the products.</summary>
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
            PrefetchResults(PositionOf(tiles.Image, tiles.Row, index), first * width, Math.Min(Shape.Cout, last * width));
            // The last vector may reach into the next pixel. The surplus lanes are never read.
            for (nint c = 0; c < channels; c += n)
                Winograd.Transform<V, InputTransform>(tile + c, bandStride, channels, inputs + t * padded + c, stride, work);
        }
    }

    /// <summary>For each position the product of a block of tiles with the weights of some panels.</summary>
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
        float* results = from.Results, work = from.Work;
        for (nint panel = first; panel < last; panel++)
            for (nint t = 0; t < tiles.Count; t++)
            {
                TilePosition at = PositionOf(tiles.Image, tiles.Row, tiles.Start + t);
                float* result = results + (panel - first) * Winograd.Positions * stride + t * width;
                for (nint half = 0; half < Columns(panel * width, width); half += n)
                    InverseTransform<V>(result + half, stride, at, panel * width + half, work);
            }
    }

    /// <summary>The first result of a tile, counted from a row of tiles on.</summary>
    private readonly TilePosition PositionOf(nint image, nint row, nint tile) =>
        new(image, (row + tile / Across) * Winograd.OutputSize, tile % Across * Winograd.OutputSize);

    /// <summary>Rows and columns of a tile's results that are inside the image.</summary>
    private readonly (nint Rows, nint Columns) Inside(TilePosition at) =>
        (Math.Min(Winograd.OutputSize, Shape.OutHeight - at.Y), Math.Min(Winograd.OutputSize, Shape.OutWidth - at.X));

    private readonly float* Result(TilePosition at) => Y + ((at.Image * Shape.OutHeight + at.Y) * Shape.OutWidth + at.X) * Shape.Cout;

    /// <summary>The lines of a tile's results come from memory while the products are summed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void PrefetchResults(TilePosition at, nint first, nint last)
    {
        (nint rows, nint columns) = Inside(at);
        float* result = Result(at);
        for (nint i = 0; i < rows; i++)
            for (nint j = 0; j < columns; j++)
                Prefetch(result + (i * Shape.OutWidth + j) * Shape.Cout + first, last - first);
    }

    /// <summary>Columns of a panel that hold output channels, in whole vectors.</summary>
    private readonly nint Columns(nint channel, nint width) => Shape.Cout - channel <= width / 2 ? width / 2 : width;

    /// <summary>The inverse transform of a vector of output channels of a tile. Results beyond the image are not written.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void InverseTransform<V>(float* m, nint point, TilePosition at, nint channel, float* work) where V : unmanaged
    {
        nint n = Count<V>(), lanes = Math.Min(n, Shape.Cout - channel);
        (nint rows, nint columns) = Inside(at);
        V bias = Epilogue.Bias == null ? default : Load<V>(Epilogue.Bias + channel, lanes);
        bool add = Epilogue.Add, relu = Epilogue.Relu;
        for (nint i = 0; i < Winograd.InputSize; i++)
            Winograd.TransformOutput<V>(m + i * point, Winograd.InputSize * point, work + i * n, Winograd.InputSize * n);
        for (nint i = 0; i < rows; i++)
        {
            float* line = work + i * Winograd.InputSize * n, target = Result(at) + i * Shape.OutWidth * Shape.Cout + channel;
            Winograd.TransformOutput<V>(line, n, line, n);
            for (nint j = 0; j < columns; j++, target += Shape.Cout)
            {
                V value = Load<V>(line + j * n) + bias;
                if (add) value += Load<V>(target, lanes);
                Store(relu ? Max(default, value) : value, target, lanes);
            }
        }
    }

    private readonly record struct TilePosition(nint Image, nint Y, nint X);

    /// <summary>Tiles [Start, Start + Count) of a band that starts at a row of tiles.</summary>
    private readonly record struct TileBlock(nint Image, nint Row, nint Start, nint Count);

    /// <summary>Scratch of an item: a block of tiles in the transform domain, before and after the products.</summary>
    private struct Buffers
    {
        public float* Inputs, Results, Work;

        /// <summary>Input channels in whole vectors; floats from a position to the next.</summary>
        public nint Channels, InputStride, ResultStride;
    }
}
