using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Convolution;

/// <summary>
/// The Winograd weight gradient: dg = G^T [sum over tiles of (B^T d B) (A dY A^T)] G. The sum is a product of two tile matrices for each of
/// the 36 positions. It takes a quarter of the multiplications of the direct sum, like <see cref="Winograd"/>.
/// </summary>
internal static unsafe class WinogradGradient
{
    /// <summary>Input channels per position: full vectors of each width, and full tiles of rows.</summary>
    public const int Block = 48;

    // Transformed tiles of both sides, for one part of the sum: 8 MiB, which stays in L3 between writing and reading.
    private const nint PartFloats = 1 << 21;
    private const int TargetItems = 8;

    // Products scale with Cin Cout, transforms with Cin + Cout: bounds half their harmonic mean.
    private const int FewestChannels = 20;
    private const int FewestPixels = 96;

    /// <summary>Whether this is faster than the direct sum, by shape only.</summary>
    public static bool Suits(in ConvShape s) =>
        s is { KernelHeight: 3, KernelWidth: 3, StrideX: 1, StrideY: 1, DilationX: 1, DilationY: 1, Groups: 1 }
        && (long)s.Cin * s.Cout >= FewestChannels * ((long)s.Cin + s.Cout) && s.Batch * s.OutHeight * s.OutWidth >= FewestPixels;

    /// <summary>A convolution whose window over a tile of outputs is the tile itself.</summary>
    private static ConvShape ResultTiles(in ConvShape s) => s with
    {
        Height = s.OutHeight,
        Width = s.OutWidth,
        Cin = s.Cout,
        KernelHeight = 1,
        KernelWidth = 1,
        PaddingX = 0,
        PaddingY = 0,
    };

    /// <summary>dw (+)= the gradient, (Cout, Cin, 3, 3).</summary>
    public static void Run(in ConvShape s, float* x, float* dy, GradientTarget dw)
    {
        VectorWidth width = Conv.WidthFor(s);
        nint panel = PackedPanels.Width(width), panels = Launch.CeilDiv(s.Cout, panel), blocks = Launch.CeilDiv(s.Cin, Block);
        nint across = Launch.CeilDiv(s.OutWidth, Winograd.OutputSize), down = Launch.CeilDiv(s.OutHeight, Winograd.OutputSize);
        nint rows = s.Batch * down;
        nint inputRow = across * blocks * Block, gradientRow = across * panels * panel;
        nint perPart = Launch.BalancedSize(rows, PartFloats / (Winograd.Positions * (inputRow + gradientRow)));
        nint inputStride = Gemm.OddCacheLines(perPart * inputRow), gradientStride = Gemm.OddCacheLines(perPart * gradientRow);
        using Scratch inputs = new(Winograd.Positions * inputStride), gradients = new(Winograd.Positions * gradientStride);
        ConvShape wide = s with { OutWidth = (int)across * Winograd.OutputSize };
        WinogradTiles<InputTransform> inputTiles = new()
        {
            Shape = wide,
            X = x,
            To = inputs.Pointer,
            Across = across,
            Down = down,
            Block = Block,
            Point = inputStride,
        };
        WinogradTiles<GradientTransform> gradientTiles = new()
        {
            Shape = ResultTiles(s) with { OutWidth = wide.OutWidth },
            X = dy,
            To = gradients.Pointer,
            Across = across,
            Down = down,
            Block = panel,
            Point = gradientStride,
        };
        WinogradWeightGradient sum = new()
        {
            Shape = s,
            Inputs = inputs.Pointer,
            Gradients = gradients.Pointer,
            InputStride = inputStride,
            GradientStride = gradientStride,
            RowsPerItem = Block,
            PanelsPerItem = Math.Min(2, panels),
        };
        if (sum.Items < TargetItems) sum.PanelsPerItem = 1;
        while (sum.Items < TargetItems && sum.RowsPerItem > MicroKernel.MaxRows) sum.RowsPerItem /= 2;
        for (nint first = 0; first < rows; first += perPart)
        {
            nint count = Math.Min(perPart, rows - first);
            (inputTiles.First, inputTiles.Tiles, gradientTiles.First, gradientTiles.Tiles, sum.Tiles) =
                (first, count * across, first, count * across, count * across);
            sum.Dw = new GradientTarget(dw.Pointer, dw.Accumulate || first > 0);
            Launch.Run(inputTiles, count, 1, width);
            Launch.Run(gradientTiles, count, 1, width);
            Launch.Run(sum, sum.Items, 1, width);
        }
    }
}

/// <summary>One item: transforms a row of tiles. For each position and block of channels the result is a matrix (tiles, block).</summary>
internal unsafe struct WinogradTiles<T> : IKernel where T : ITileTransform
{
    /// <summary>A convolution whose window over a tile of outputs is a tile of T.</summary>
    public ConvShape Shape;
    public float* X, To;

    /// <summary>
    /// First row of tiles; tiles per row; rows of tiles per image; tiles of this part; channels per block; position stride in floats.
    /// </summary>
    public nint First, Across, Down, Tiles, Block, Point;

    public override readonly string ToString() => $"WinogradTiles[{typeof(T).Name}] {Shape}";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), channels = Shape.Cin;
        using PaddedBand band = new(Shape, Winograd.OutputSize);
        using Scratch work = new(Winograd.Positions * n);
        for (nint item = begin; item < end; item++)
        {
            nint row = First + item;
            band.Fill(X, row / Down, 0, (int)(row % Down) * Winograd.OutputSize, Winograd.OutputSize);
            for (nint t = 0; t < Across; t++)
                TransformTile<V>(band.Pointer + t * Winograd.OutputSize * channels, band.RowStride, item * Across + t, work.Pointer);
        }
    }

    /// <summary>All channels of a tile. Separate from the call that fills the band, around which constants would be spilled.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void TransformTile<V>(float* tile, nint row, nint index, float* work) where V : unmanaged
    {
        nint n = Count<V>(), channels = Shape.Cin, block = Block, point = Point;
        // The last vector may read into the next pixel; its surplus lanes only reach sums that are never stored.
        for (nint first = 0; first < channels; first += block)
        {
            float* to = To + first * Tiles + index * block;
            nint count = Math.Min(block, channels - first);
            for (nint c = 0; c < count; c += n) Winograd.Transform<V, T>(tile + first + c, row, channels, to + c, point, work);
        }
    }
}

/// <summary>
/// One item: the windows of some input channels and panels of output channels, summed over tiles at each position and transformed back.
/// </summary>
internal unsafe struct WinogradWeightGradient : IKernel
{
    public ConvShape Shape;
    public float* Inputs, Gradients;
    public GradientTarget Dw;
    public nint Tiles, InputStride, GradientStride, RowsPerItem, PanelsPerItem;

    public readonly nint Items => Launch.CeilDiv(Shape.Cin, RowsPerItem) * Launch.CeilDiv(Panels, PanelsPerItem);

    private readonly nint Panels => Launch.CeilDiv(Shape.Cout, PackedPanels.Width(Conv.WidthFor(Shape)));

    public override readonly string ToString() => $"WinogradWeightGradient {Shape}";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        const int Taps = 9;
        nint n = Count<V>(), width = 2 * n, columns = PanelsPerItem * width, point = RowsPerItem * columns + n;
        nint ranges = Launch.CeilDiv(Shape.Cin, RowsPerItem);
        using Scratch sums = new(Winograd.Positions * point), work = new(3 * Winograd.InputSize * n), windows = new(RowsPerItem * Taps * n);
        using Scratch transposed = new(RowsPerItem * Taps * n);
        TileShape product = new TileShape
        {
            ARowStride = 1,
            AColumnStride = WinogradGradient.Block,
            Outer = 1,
            Inner = 1,
            Length = Tiles,
            CRowStride = columns,
        }.InBlocks<V>();
        for (nint item = begin; item < end; item++)
        {
            nint firstRow = item % ranges * RowsPerItem, rows = Math.Min(RowsPerItem, Shape.Cin - firstRow);
            nint first = item / ranges * columns, last = Math.Min(Shape.Cout, first + columns);
            float* inputs = Inputs + firstRow / WinogradGradient.Block * WinogradGradient.Block * Tiles + firstRow % WinogradGradient.Block;
            for (nint p = 0; p < Winograd.Positions; p++)
                for (nint c = first; c < last; c += width)
                    PanelProduct.Run<V>(
                        product, rows, inputs + p * InputStride, Gradients + p * GradientStride + c * Tiles,
                            sums.Pointer + p * point + c - first, Math.Min(width, last - c), default);
            for (nint c = first; c < last; c += n)
            {
                nint lanes = Math.Min(n, last - c);
                float* m = sums.Pointer + c - first, window = windows.Pointer;
                GradientTarget dw = Dw.At((c * Shape.Cin + firstRow) * Taps);
                for (nint r = 0; r < rows; r++, m += columns, window += Taps * n)
                {
                    PrefetchShare(dw.Pointer, Shape.Cin * Taps, lanes, rows * Taps, r, rows);
                    for (nint x = 0; x < Winograd.InputSize; x++)
                        Winograd.TransformWeightGradient<V>(
                            m + x * point, Winograd.InputSize * point, work.Pointer + x * n, Winograd.InputSize * n);
                    for (nint y = 0; y < 3; y++)
                        Winograd.TransformWeightGradient<V>(work.Pointer + y * Winograd.InputSize * n, n, window + y * 3 * n, n);
                }
                GatherWeightGradient.Write<V>(windows.Pointer, lanes, rows * Taps, transposed.Pointer, dw, Shape.Cin * Taps);
            }
        }
    }
}
