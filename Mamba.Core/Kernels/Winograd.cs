using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels;

/// <summary>
/// 3x3 convolution of stride 1 by minimal filtering, F(4x4, 3x3) (Winograd 1980; Lavin and Gray 2016): 4x4 results of a channel take 36 products instead
/// of 144. Tiles of 6x6 inputs, overlapping by two, and the windows are evaluated at 6x6 points, Y = A^T [(G g G^T) (B^T d B)] A; what is
/// a sum over channels is then a matrix product for each of the 36 points.
/// </summary>
/// <remarks>
/// The points are 0, 1, -1, 1/2, -2 and infinity. The usual 0, 1, -1, 2, -2 need a few operations less, but their error is two and a half times as large:
/// 3.2e-6 of the largest result against 1.3e-6 (64 channels, uniform inputs; direct summation 2e-7).
/// </remarks>
internal static unsafe class Winograd
{
    /// <summary>Results of a tile in one direction.</summary>
    public const int Outputs = 4;

    /// <summary>Inputs of a tile in one direction.</summary>
    public const int Inputs = 6;

    /// <summary>Points at which tile and window are evaluated.</summary>
    public const int Points = Inputs * Inputs;

    // Fewer channels do not pay for the transforms, nor do fewer pixels for those of the weights.
    private const int FewestChannels = 16;
    private const int FewestTiles = 12;

    // What a block of tiles takes in transformed inputs and results should leave room for weights in the second-level cache.
    private const nint BlockFloats = 160 * 1024;
    private const nint LargestBlock = 48;
    private const int WantedItems = 8;
    private const int MostColumns = 128;

    /// <summary>Whether this is the way to go, by shape alone.</summary>
    public static bool Suits(in ConvShape s) =>
        s is { KernelHeight: 3, KernelWidth: 3, StrideX: 1, StrideY: 1, DilationX: 1, DilationY: 1, Groups: 1, Cin: >= FewestChannels, Cout: >= FewestChannels }
        && s.Batch * Tiles(s.OutHeight) * Tiles(s.OutWidth) >= FewestTiles;

    /// <summary>Tiles that cover so many outputs.</summary>
    public static nint Tiles(int outputs) => Launch.Chunks(outputs, Outputs);

    /// <summary>y = x * weights, the weights packed by <see cref="WinogradPacking"/>.</summary>
    public static void Forward(in ConvShape s, float* x, float* packed, float* y, in Epilogue epilogue)
    {
        VectorWidth width = Conv.WidthFor(s);
        nint panelWidth = PackPanels.Width(width), panels = Launch.Chunks(s.Cout, panelWidth), across = Tiles(s.OutWidth), down = Tiles(s.OutHeight);
        nint rows = Math.Clamp(LargestBlock / across, 1, down), bands = Launch.Chunks(down, rows), items = s.Batch * bands;
        // Few bands and many output channels (deep layers): share the channels, too.
        nint split = Math.Min(panels, Math.Max(Launch.Chunks(s.Cout, MostColumns), items >= WantedItems ? 1 : Launch.Chunks(WantedItems, items)));
        nint perItem = Launch.Chunks(panels, split), channels = Launch.Chunks(s.Cin, Isa.Lanes(width)) * Isa.Lanes(width);
        split = Launch.Chunks(panels, perItem);
        nint block = Math.Clamp(BlockFloats / (Points * (channels + perItem * panelWidth)), MatrixTile.MostRows, LargestBlock);
        Launch.Run(
            new WinogradConv
            {
                Shape = s with { OutWidth = (int)across * Outputs },
                OutWidth = s.OutWidth,
                X = x,
                Packed = packed,
                Y = y,
                Epilogue = epilogue,
                TileRows = Launch.Chunks(down, bands),
                Bands = bands,
                Block = block,
                PanelsPerItem = perItem,
                Split = split,
            },
            items * split, 1, width);
    }

    /// <summary>B^T d: a row or column of a tile at the six points.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void TransformInput<V>(V d0, V d1, V d2, V d3, V d4, V d5, float* to, nint step) where V : unmanaged
    {
        V half = Broadcast<V>(0.5f), threeHalves = Broadcast<V>(1.5f), fiveHalves = Broadcast<V>(2.5f), two = Broadcast<V>(2f);
        V a = d4 - d2, b = d3 - d1;
        Store(Fma(threeHalves, b, d0 - d2 + a), to);
        Store(Fma(fiveHalves, d3, Fma(half, d2, d4 - d1)), to + step);
        Store(Fma(-fiveHalves, d2, Fma(half, d3, d4 + d1)), to + 2 * step);
        Store(Fma(two, b, a), to + 3 * step);
        Store(Fma(-half, b, a), to + 4 * step);
        Store(Fma(threeHalves, a, d5 - d3 - b), to + 5 * step);
    }

    /// <summary>A^T m: the four results of a row or column from those at the six points.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void TransformOutput<V>(float* m, nint step, out V y0, out V y1, out V y2, out V y3) where V : unmanaged
    {
        V m1 = Load<V>(m + step), m2 = Load<V>(m + 2 * step), m3 = Load<V>(m + 3 * step), m4 = Load<V>(m + 4 * step);
        V sum = m1 + m2, difference = m1 - m2;
        y0 = Load<V>(m) + sum + (m3 + m4);
        y1 = Fma(Broadcast<V>(-2f), m4, Fma(Broadcast<V>(0.5f), m3, difference));
        y2 = Fma(Broadcast<V>(4f), m4, Fma(Broadcast<V>(0.25f), m3, sum));
        y3 = Fma(Broadcast<V>(-8f), m4, Fma(Broadcast<V>(0.125f), m3, difference + Load<V>(m + 5 * step)));
    }

    /// <summary>G g: a row or column of a window at the six points.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void TransformWeight<V>(V g0, V g1, V g2, float* to, nint step) where V : unmanaged
    {
        V ends = (g0 + g2) * Broadcast<V>(1f / 3), middle = g1 * Broadcast<V>(1f / 3);
        Store(g0, to);
        Store(ends + middle, to + step);
        Store(middle - ends, to + 2 * step);
        Store(Fma(g0, Broadcast<V>(-16f / 15), Fma(g1, Broadcast<V>(-8f / 15), g2 * Broadcast<V>(-4f / 15))), to + 3 * step);
        Store(Fma(g0, Broadcast<V>(1f / 15), Fma(g1, Broadcast<V>(-2f / 15), g2 * Broadcast<V>(4f / 15))), to + 4 * step);
        Store(g2, to + 5 * step);
    }
}

/// <summary>The weights of a 3x3 convolution at Winograd's points: for each panel of output channels and each point a matrix (Cin, panel).</summary>
/// <param name="Direct">Their form for direct convolution.</param>
internal readonly record struct WinogradPacking(ConvPacking Direct) : IWeightPacking
{
    public nint Size => Direct.Size / 9 * Winograd.Points;

    public unsafe void Pack(float* weight, float* packed)
    {
        using Scratch direct = new(Direct.Size);
        Direct.Pack(weight, direct.Pointer);
        nint panels = Launch.Chunks(Direct.Cout, PackPanels.Width(Direct.Width));
        Launch.Run(new WinogradWeights { Direct = direct.Pointer, Packed = packed, Inputs = Direct.Cin }, panels * Direct.Cin, 16, Direct.Width);
    }
}

/// <summary>One item: the windows of one input channel and one panel of output channels.</summary>
internal unsafe struct WinogradWeights : IKernel
{
    public float* Direct, Packed;
    public nint Inputs;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), tap = 2 * n * Inputs;
        using Scratch columns = new(Winograd.Inputs * 3 * n);
        for (nint item = begin; item < end; item++)
            for (nint half = 0; half < 2 * n; half += n)
            {
                nint panel = item / Inputs, offset = item % Inputs * 2 * n + half;
                float* g = Direct + panel * 9 * tap + offset, u = Packed + panel * Winograd.Points * tap + offset, c = columns.Pointer;
                for (nint x = 0; x < 3; x++) Winograd.TransformWeight(Load<V>(g + x * tap), Load<V>(g + (3 + x) * tap), Load<V>(g + (6 + x) * tap), c + x * n, 3 * n);
                for (nint y = 0; y < Winograd.Inputs; y++, c += 3 * n) Winograd.TransformWeight(Load<V>(c), Load<V>(c + n), Load<V>(c + 2 * n), u + y * Winograd.Inputs * tap, tap);
            }
    }
}

/// <summary>One item: a band of rows of tiles of one image, times a range of weight panels.</summary>
internal unsafe struct WinogradConv : IKernel
{
    /// <summary>The convolution, its output as wide as the tiles.</summary>
    public ConvShape Shape;
    public float* X, Packed, Y;
    public Epilogue Epilogue;
    public nint TileRows, Bands, Block, PanelsPerItem, Split;
    public int OutWidth;

    public override readonly string ToString() => $"WinogradConv {Shape}";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint n = Count<V>(), width = 2 * n, channels = Launch.Chunks(s.Cin, n) * n, across = s.OutWidth / Winograd.Outputs;
        using Band band = new(s, (int)TileRows * Winograd.Outputs);
        using Scratch inputs = new(Winograd.Points * Block * channels), results = new(PanelsPerItem * Winograd.Points * Block * width), work = new(Winograd.Points * n);
        TileShape product = new() { ARow = channels, AStep = 1, Outer = 1, Inner = 1, Length = s.Cin, CRow = width };
        nint inputPoint = Block * channels, resultPoint = Block * width, weightPoint = s.Cin * width;
        for (nint item = begin; item < end; item++)
        {
            nint part = item % Split, image = item / Split / Bands, row = item / Split % Bands * TileRows * Winograd.Outputs;
            nint tiles = Math.Min(TileRows, Launch.Chunks(s.OutHeight - row, Winograd.Outputs)) * across;
            nint first = part * PanelsPerItem, last = Math.Min(Launch.Chunks(s.Cout, width), first + PanelsPerItem);
            if (tiles <= 0) continue;
            band.Fill(X, image, 0, (int)row, (int)(tiles / across) * Winograd.Outputs);
            for (nint start = 0, count; start < tiles; start += count)
            {
                count = Math.Min(Block, tiles - start);
                for (nint t = 0; t < count; t++)
                {
                    float* corner = band.Pointer + (start + t) / across * Winograd.Outputs * band.RowStride + (start + t) % across * Winograd.Outputs * s.Cin;
                    Evaluate<V>(corner, band.RowStride, s.Cin, inputs.Pointer + t * channels, inputPoint, work.Pointer);
                }
                for (nint point = 0; point < Winograd.Points; point++)
                    for (nint panel = first; panel < last; panel++)
                        MatrixTile.Column<V>(
                            product, count, inputs.Pointer + point * inputPoint, Packed + (panel * Winograd.Points + point) * weightPoint,
                            results.Pointer + ((panel - first) * Winograd.Points + point) * resultPoint, Lanes(panel * width, width, n), default);
                for (nint panel = first; panel < last; panel++)
                    for (nint t = 0; t < count; t++)
                    {
                        nint y = row + (start + t) / across * Winograd.Outputs, x = (start + t) % across * Winograd.Outputs;
                        for (nint half = 0; half < Lanes(panel * width, width, n); half += n)
                            Interpolate<V>(
                                results.Pointer + (panel - first) * Winograd.Points * resultPoint + t * width + half, resultPoint, image, y, x, panel * width + half, work.Pointer);
                    }
            }
        }
    }

    /// <summary>Columns of a panel that hold output channels, in whole vectors.</summary>
    private readonly nint Lanes(nint column, nint width, nint n) => Shape.Cout - column <= n ? n : width;

    /// <summary>All channels of a tile at the 36 points: columns first, then rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Evaluate<V>(float* tile, nint row, nint pixel, float* to, nint point, float* work) where V : unmanaged
    {
        nint n = Count<V>();
        // The last vector may reach into the next pixel; what its surplus lanes hold is never read.
        for (nint c = 0; c < pixel; c += n)
        {
            float* d = tile + c, w = work;
            for (nint x = 0; x < Winograd.Inputs; x++, d += pixel, w += n)
                Winograd.TransformInput(Load<V>(d), Load<V>(d + row), Load<V>(d + 2 * row), Load<V>(d + 3 * row), Load<V>(d + 4 * row), Load<V>(d + 5 * row), w, Winograd.Inputs * n);
            w = work;
            for (nint y = 0; y < Winograd.Inputs; y++, w += Winograd.Inputs * n)
                Winograd.TransformInput(
                    Load<V>(w), Load<V>(w + n), Load<V>(w + 2 * n), Load<V>(w + 3 * n), Load<V>(w + 4 * n), Load<V>(w + 5 * n), to + c + y * Winograd.Inputs * point, point);
        }
    }

    /// <summary>A vector of output channels of a tile, from its values at the 36 points; what lies beyond the image is not written.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Interpolate<V>(float* m, nint point, nint image, nint y, nint x, nint channel, float* work) where V : unmanaged
    {
        nint n = Count<V>(), lanes = Math.Min(n, Shape.Cout - channel), rowStep = (nint)OutWidth * Shape.Cout;
        nint rows = Math.Min(Winograd.Outputs, Shape.OutHeight - y), columns = Math.Min(Winograd.Outputs, OutWidth - x);
        for (nint i = 0; i < Winograd.Inputs; i++)
        {
            Winograd.TransformOutput(m + i * point, Winograd.Inputs * point, out V y0, out V y1, out V y2, out V y3);
            Store(y0, work + i * n);
            Store(y1, work + (Winograd.Inputs + i) * n);
            Store(y2, work + (2 * Winograd.Inputs + i) * n);
            Store(y3, work + (3 * Winograd.Inputs + i) * n);
        }
        V bias = Epilogue.Bias == null ? default : Load<V>(Epilogue.Bias + channel, lanes);
        float* target = Y + ((image * Shape.OutHeight + y) * OutWidth + x) * Shape.Cout + channel;
        for (nint i = 0; i < rows; i++, target += rowStep)
        {
            Winograd.TransformOutput(work + i * Winograd.Inputs * n, n, out V y0, out V y1, out V y2, out V y3);
            Write(y0 + bias, target, lanes);
            if (columns > 1) Write(y1 + bias, target + Shape.Cout, lanes);
            if (columns > 2) Write(y2 + bias, target + 2 * (nint)Shape.Cout, lanes);
            if (columns > 3) Write(y3 + bias, target + 3 * (nint)Shape.Cout, lanes);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void Write<V>(V value, float* target, nint lanes) where V : unmanaged
    {
        if (Epilogue.Add) value += Load<V>(target, lanes);
        Store(Epilogue.Relu ? Max(default, value) : value, target, lanes);
    }
}
