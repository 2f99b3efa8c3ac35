using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Convolution;

/// <summary>
/// Direct convolution as an implicit matrix product. The input under a band of output rows is copied, with zero padding, into scratch that
/// stays in cache. In that copy the factors of an output pixel are one contiguous run of (kx, ci) for each ky. A tile of twelve pixels
/// broadcasts them against the packed weights. No im2col matrix is stored.
/// </summary>
internal static unsafe class Conv
{
    // Output pixels of a band: enough tiles to amortize loading a weight panel, few enough to keep the band in L2.
    private const int BandPixels = 384;
    private const int TargetItems = 8;

    /// <summary>y = x * weights, the weights packed by <see cref="ConvPacking"/>.</summary>
    public static void Forward(in ConvShape s, float* x, float* packed, float* y, in Epilogue epilogue)
    {
        VectorWidth width = WidthFor(s);
        if (s.IsPointwise)
        {
            Gemm.RunPacked((nint)s.Batch * s.Height * s.Width, s.Cout, s.Cin, new Matrix(x, s.Cin), packed, y, s.Cout, epilogue, width);
            return;
        }
        if (Im2Col.Suits(s))
        {
            Im2Col.Forward(s, x, packed, y, epilogue, width);
            return;
        }
        ForwardInBands(s, x, packed, y, epilogue, width);
    }

    /// <summary>The same by bands of output rows, whatever the shape, with the short summation blocks of convolutions.</summary>
    public static void ForwardInBands(in ConvShape s, float* x, float* packed, float* y, in Epilogue epilogue, VectorWidth width)
    {
        nint panels = Launch.CeilDiv(s.CoutGroup, PackedPanels.Width(width));
        int rows = BandRows(s);
        nint bands = (nint)s.Batch * Launch.CeilDiv(s.OutHeight, rows);
        // Few bands and many output channels (deep layers): also split the channels.
        nint split = PanelShares(bands * s.Groups, panels);
        nint perItem = Launch.CeilDiv(panels, split);
        split = Launch.CeilDiv(panels, perItem);
        Launch.Run(
            new ConvForward
            {
                Shape = s,
                X = x,
                Packed = packed,
                Y = y,
                Epilogue = epilogue,
                Rows = rows,
                PanelsPerItem = perItem,
                Split = split,
            },
            bands * s.Groups * split, 1, width);
    }

    /// <summary>The width that wastes the fewest lanes on the output channels of a group.</summary>
    public static VectorWidth WidthFor(in ConvShape s) => Isa.For(s.CoutGroup);

    /// <summary>
    /// The weight gradient in PyTorch's layout. For each tap and input channel it is a row of products with all output channels, summed
    /// over pixels. Bands of pixels form partial sums, which are added in order.
    /// </summary>
    public static void WeightGradient(in ConvShape s, float* x, float* dy, GradientTarget dw)
    {
        if (s.IsPointwise)
        {
            nint pixels = (nint)s.Batch * s.Height * s.Width;
            Gemm.Run(s.Cout, s.Cin, pixels, new Matrix(dy, s.Cout).Transposed, new Matrix(x, s.Cin), dw.Pointer, s.Cin,
                new Epilogue(add: dw.Accumulate));
            return;
        }
        if (Im2Col.Suits(s))
        {
            Im2Col.WeightGradient(s, x, dy, dw);
            return;
        }
        if (WinogradGradient.Suits(s))
        {
            WinogradGradient.Run(s, x, dy, dw);
            return;
        }
        DirectWeightGradient(s, x, dy, dw);
    }

    private static void DirectWeightGradient(in ConvShape s, float* x, float* dy, GradientTarget dw)
    {
        VectorWidth width = WidthFor(s);
        nint panels = Launch.CeilDiv(s.CoutGroup, PackedPanels.Width(width)), columns = panels * PackedPanels.Width(width);
        nint size = s.Groups * s.Depth * columns;
        int rows = BandRows(s);
        nint bands = (nint)s.Batch * Launch.CeilDiv(s.OutHeight, rows);
        // Partial sums cost memory and a pass over it: few of them for large weights, whose panels are split among threads instead.
        nint parts = Math.Clamp((1 << 20) / Math.Max(1, size), 1, Math.Min(16, bands));
        nint split = PanelShares(parts * s.Groups, panels);
        nint perItem = Launch.CeilDiv(panels, split);
        split = Launch.CeilDiv(panels, perItem);
        nint bandsPerPart = Launch.CeilDiv(bands, parts);
        parts = Launch.CeilDiv(bands, bandsPerPart);
        using Scratch sums = new(parts * size);
        Launch.Run(
            new ConvWeightGradient
            {
                Shape = s,
                X = x,
                Dy = dy,
                Sums = sums.Pointer,
                Rows = rows,
                Bands = bands,
                BandsPerPart = bandsPerPart,
                Columns = columns,
                PanelsPerItem = perItem,
                Split = split,
            },
            parts * s.Groups * split, 1, width);
        GatherWeightGradient gather = new() { Shape = s, Sums = sums.Pointer, Dw = dw, Parts = parts, Size = size, Columns = columns };
        Launch.Run(gather, s.Groups * Launch.CeilDiv(s.CinGroup, GatherWeightGradient.ChannelsPerItem), 1);
    }

    /// <summary>Output rows of a band.</summary>
    internal static int BandRows(in ConvShape s) => Math.Clamp(BandPixels / Math.Max(1, s.OutWidth), 1, Math.Max(1, s.OutHeight));

    /// <summary>The number of work items that split the weight panels of a band: several where there are few bands.</summary>
    internal static nint PanelShares(nint bands, nint panels) =>
        bands >= TargetItems ? 1 : Math.Min(panels, Launch.CeilDiv(TargetItems, Math.Max(1, bands)));
}

/// <summary>One item: a band of output rows of one image and group, times a range of weight panels.</summary>
internal unsafe struct ConvForward : IKernel
{
    public ConvShape Shape;
    public float* X, Packed, Y;
    public Epilogue Epilogue;
    public nint PanelsPerItem, Split;
    public int Rows;

    public override readonly string ToString() => $"ConvForward {Shape}";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint width = 2 * Count<V>(), bandsPerImage = Launch.CeilDiv(s.OutHeight, Rows);
        nint groupSize = Launch.CeilDiv(s.CoutGroup, width) * width * s.Depth;
        using PaddedBand band = new(s, Rows);
        // Adjacent taps are adjacent in the band unless dilated: then every tap is a run of its own.
        bool adjacent = s.DilationX == 1;
        TileShape tile = new TileShape
        {
            ARowStride = (nint)s.StrideX * s.CinGroup,
            AColumnStride = 1,
            CRowStride = s.Cout,
            Outer = s.KernelHeight,
            OuterStride = s.DilationY * band.RowStride,
            Inner = adjacent ? 1 : s.KernelWidth,
            InnerStride = (nint)s.DilationX * s.CinGroup,
            Length = adjacent ? (nint)s.KernelWidth * s.CinGroup : s.CinGroup,
        }.InBlocks<V>();
        for (nint item = begin; item < end; item++)
        {
            nint part = item % Split, group = item / Split % s.Groups, index = item / Split / s.Groups;
            nint image = index / bandsPerImage;
            int row = (int)(index % bandsPerImage) * Rows, rows = Math.Min(Rows, s.OutHeight - row);
            band.Fill(X, image, group, row, rows);
            float* y = Y + ((image * s.OutHeight + row) * s.OutWidth * s.Cout) + group * s.CoutGroup;
            nint first = part * PanelsPerItem * width, last = Math.Min(s.CoutGroup, first + PanelsPerItem * width);
            for (nint c = first; c < last; c += width)
                for (nint r = 0; r < rows; r++)
                    PanelProduct.Run<V>(
                        tile, s.OutWidth, band.Pointer + r * s.StrideY * band.RowStride, Packed + group * groupSize + c * s.Depth,
                        y + (r * s.OutWidth * s.Cout) + c, Math.Min(width, s.CoutGroup - c), Epilogue.At(group * s.CoutGroup + c));
        }
    }
}

/// <summary>One item: the sum over some of the bands, for one group and a range of panels, laid out [tap, ci][co].</summary>
internal unsafe struct ConvWeightGradient : IKernel
{
    public ConvShape Shape;
    public float* X, Dy, Sums;
    public nint Bands, BandsPerPart, Columns, PanelsPerItem, Split;
    public int Rows;

    public override readonly string ToString() => $"ConvWeightGradient {Shape}";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint width = 2 * Count<V>(), bandsPerImage = Launch.CeilDiv(s.OutHeight, Rows);
        using PaddedBand band = new(s, Rows);
        using Scratch panel = new(width * Rows * s.OutWidth);
        // The tile's rows are the adjacent factors (kx, ci) of a tap row, or the channels of one tap where dilation separates the taps.
        bool adjacent = s.DilationX == 1;
        nint runs = adjacent ? 1 : s.KernelWidth, run = adjacent ? (nint)s.KernelWidth * s.CinGroup : s.CinGroup;
        for (nint item = begin; item < end; item++)
        {
            nint part = item % Split, group = item / Split % s.Groups, chunk = item / Split / s.Groups;
            float* sums = Sums + ((chunk * s.Groups + group) * s.Depth * Columns);
            nint first = part * PanelsPerItem * width, last = Math.Min(Columns, first + PanelsPerItem * width);
            nint firstBand = chunk * BandsPerPart, lastBand = Math.Min(Bands, firstBand + BandsPerPart);
            for (nint index = firstBand; index < lastBand; index++)
            {
                nint image = index / bandsPerImage;
                int row = (int)(index % bandsPerImage) * Rows, rows = Math.Min(Rows, s.OutHeight - row);
                band.Fill(X, image, group, row, rows);
                PanelSource source = Gradients(image, group, row, rows);
                TileShape tile = Tile<V>(rows, band.RowStride);
                for (nint c = first; c < last; c += width)
                {
                    PackedPanels.Pack<V>(source, c, panel.Pointer);
                    for (nint ky = 0; ky < s.KernelHeight; ky++)
                        for (nint j = 0; j < runs; j++)
                            PanelProduct.Run<V>(
                                tile, run, band.Pointer + ky * s.DilationY * band.RowStride + j * s.DilationX * s.CinGroup, panel.Pointer,
                                sums + ((ky * runs + j) * run * Columns) + c, width, new Epilogue(add: index > firstBand));
                }
            }
        }
    }

    /// <summary>The output gradients of a band of pixels, as a source to pack.</summary>
    private readonly PanelSource Gradients(nint image, nint group, int row, int rows) => new()
    {
        Base = Dy + ((image * Shape.OutHeight + row) * Shape.OutWidth * Shape.Cout) + group * Shape.CoutGroup,
        Outer = 1,
        Inner = 1,
        Length = (nint)rows * Shape.OutWidth,
        RowStride = Shape.Cout,
        Columns = Shape.CoutGroup,
        ColumnStride = 1,
    };

    /// <summary>The tile of a sum over the pixels of a band, one run per row.</summary>
    private readonly TileShape Tile<V>(int rows, nint bandStride) where V : unmanaged => new TileShape
    {
        ARowStride = 1,
        AColumnStride = (nint)Shape.StrideX * Shape.CinGroup,
        CRowStride = Columns,
        Outer = rows,
        OuterStride = Shape.StrideY * bandStride,
        Inner = 1,
        Length = Shape.OutWidth,
    }.InBlocks<V>();
}

/// <summary>
/// Adds the partial weight gradients and transposes [group][tap, ci][co] to PyTorch's (Cout, Cin / groups, Kh, Kw). One item is a block of
/// input channels. One vector of output channels at a time is transposed in a buffer, so that reads and writes are contiguous.
/// </summary>
internal unsafe struct GatherWeightGradient : IKernel
{
    public const nint ChannelsPerItem = 16;

    public ConvShape Shape;
    public float* Sums;
    public GradientTarget Dw;
    public nint Parts, Size, Columns;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), taps = Shape.KernelHeight * Shape.KernelWidth, channels = Shape.CinGroup;
        nint blocks = Launch.CeilDiv(channels, ChannelsPerItem);
        using Scratch summed = new(n * ChannelsPerItem * taps), transposed = new(n * ChannelsPerItem * taps);
        for (nint item = begin; item < end; item++)
        {
            nint group = item / blocks, first = item % blocks * ChannelsPerItem, count = Math.Min(ChannelsPerItem, channels - first);
            nint run = count * taps;
            for (nint co = 0; co < Shape.CoutGroup; co += n)
            {
                nint lanes = Math.Min(n, Shape.CoutGroup - co);
                float* sums = Sums + (group * Shape.Depth + first) * Columns + co, target = summed.Pointer;
                GradientTarget dw = Dw.At((group * Shape.CoutGroup + co) * Shape.Depth + first * taps);
                for (nint ci = 0; ci < count; ci++, sums += Columns)
                {
                    PrefetchShare(dw.Pointer, Shape.Depth, lanes, run, ci, count);
                    for (nint tap = 0; tap < taps; tap++, target += n)
                    {
                        V sum = default;
                        for (nint p = 0; p < Parts; p++) sum += Load<V>(sums + p * Size + tap * channels * Columns, lanes);
                        Store(sum, target);
                    }
                }
                Write<V>(summed.Pointer, lanes, run, transposed.Pointer, dw, Shape.Depth);
            }
        }
    }

    /// <summary>Transposes (run, a vector of output channels) in a buffer, and writes or adds it to the weights of each channel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write<V>(float* sums, nint lanes, nint run, float* transposed, GradientTarget gradient, nint row) where V : unmanaged
    {
        nint n = Count<V>();
        float* dw = gradient.Pointer;
        Transpose.Run(sums, n, run, lanes, transposed, run);
        for (nint lane = 0; lane < lanes; lane++, transposed += run, dw += row)
        {
            nint i = 0;
            for (; i <= run - n; i += n) gradient.Store(Load<V>(transposed + i), dw + i);
            for (; i < run; i++) gradient.StoreOne(transposed[i], dw + i);
        }
    }
}
