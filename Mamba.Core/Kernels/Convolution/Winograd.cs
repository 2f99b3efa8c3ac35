using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Convolution;

/// <summary>
/// 3x3 convolution of stride 1 by minimal filtering, F(4x4, 3x3) (Winograd 1980; Lavin and Gray 2016). 4x4 results of a channel take 36
/// products instead of 144: Y = A^T [(G g G^T) (B^T d B)] A. Tiles d of 6x6 inputs, which overlap by two pixels, and windows g are
/// transformed. In the transform domain the sum over channels is a matrix product for each of 36 positions.
/// </summary>
/// <remarks>
/// The interpolation points are 0, 1, -1, 1/2, -2 and infinity. The usual 0, 1, -1, 2, -2 take slightly fewer operations but have 1.5 times
/// the error. Their root mean square error is 1.6e-6 of the results, against 1.1e-6 here (64 channels, uniform inputs).
/// </remarks>
internal static unsafe class Winograd
{
    /// <summary>Outputs of a tile in one direction.</summary>
    public const int OutputSize = 4;

    /// <summary>Inputs of a tile in one direction, and interpolation points.</summary>
    public const int InputSize = 6;

    /// <summary>Positions of the transform domain.</summary>
    public const int Positions = InputSize * InputSize;

    // With fewer channels the transforms cost more than they save; with fewer pixels, so does the weight transform.
    private const int FewestChannels = 16;
    private const int FewestPixels = 192;

    // Tiles multiplied together, which share one read of all weights. With many channels the weights come from beyond L2.
    private const nint MaxTiles = 48;
    private const int TargetItems = 8;
    private const int MaxColumns = 128;

    /// <summary>Whether Winograd is faster, by shape only.</summary>
    public static bool Suits(in ConvShape s) =>
        s is { KernelHeight: 3, KernelWidth: 3, StrideX: 1, StrideY: 1, DilationX: 1, DilationY: 1, Groups: 1 }
        && s is { Cin: >= FewestChannels, Cout: >= FewestChannels }
        && s.Batch * s.OutHeight * s.OutWidth >= FewestPixels;

    /// <summary>y = x * weights, the weights packed by <see cref="WinogradPacking"/>.</summary>
    public static void Forward(in ConvShape s, float* x, float* packed, float* y, in Epilogue epilogue)
    {
        VectorWidth width = Conv.WidthFor(s);
        nint panelWidth = PackedPanels.Width(width), panels = Launch.CeilDiv(s.Cout, panelWidth);
        nint across = Launch.CeilDiv(s.OutWidth, OutputSize), down = Launch.CeilDiv(s.OutHeight, OutputSize);
        nint perBand = Launch.BalancedSize(down, Math.Max(1, MaxTiles / across)), bands = Launch.CeilDiv(down, perBand);
        nint items = s.Batch * bands;
        // Few bands and many output channels (deep layers): also split the channels.
        nint shares = items >= TargetItems ? 1 : Launch.CeilDiv(TargetItems, items);
        nint split = Math.Min(panels, Math.Max(Launch.CeilDiv(s.Cout, MaxColumns), shares));
        nint perItem = Launch.CeilDiv(panels, split);
        split = Launch.CeilDiv(panels, perItem);
        Launch.Run(
            new WinogradConv
            {
                Shape = s,
                X = x,
                Packed = packed,
                Y = y,
                Epilogue = epilogue,
                Across = across,
                Down = down,
                RowsPerBand = perBand,
                Bands = bands,
                Block = Math.Min(MaxTiles, perBand * across),
                PanelsPerItem = perItem,
                Split = split,
            },
            items * split, 1, width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Transform<V, T>(float* tile, nint row, nint pixel, float* to, nint point, float* work)
        where V : unmanaged where T : ITileTransform
    {
        nint n = Count<V>(), size = T.Size * n;
        float* from = tile, columns = work;
        for (nint x = 0; x < T.Size; x++, from += pixel, columns += n) T.Run<V>(from, row, columns, size);
        float* rows = work, target = to;
        for (nint y = 0; y < InputSize; y++, rows += size, target += InputSize * point) T.Run<V>(rows, n, target, point);
    }

    /// <summary>G g. This method and the next ones read and write strided vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void TransformWeight<V>(float* g, nint step, float* to, nint toStep) where V : unmanaged
    {
        V g0 = Load<V>(g), g1 = Load<V>(g + step), g2 = Load<V>(g + 2 * step), third = Broadcast<V>(1f / 3), ends = (g0 + g2) * third;
        V middle = g1 * third;
        Store(g0, to);
        Store(ends + middle, to + toStep);
        Store(middle - ends, to + 2 * toStep);
        Store(Fma(g0, Broadcast<V>(-16f / 15), Fma(g1, Broadcast<V>(-8f / 15), g2 * Broadcast<V>(-4f / 15))), to + 3 * toStep);
        Store(Fma(g0, Broadcast<V>(1f / 15), Fma(g1, Broadcast<V>(-2f / 15), g2 * Broadcast<V>(4f / 15))), to + 4 * toStep);
        Store(g2, to + 5 * toStep);
    }

    /// <summary>G^T m.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void TransformWeightGradient<V>(float* m, nint step, float* to, nint toStep) where V : unmanaged
    {
        V third = Broadcast<V>(1f / 3), m1 = Load<V>(m + step) * third, m2 = Load<V>(m + 2 * step) * third, m3 = Load<V>(m + 3 * step);
        V m4 = Load<V>(m + 4 * step);
        V difference = m1 - m2;
        Store(Fma(Broadcast<V>(-16f / 15), m3, Fma(Broadcast<V>(1f / 15), m4, Load<V>(m) + difference)), to);
        Store(Fma(Broadcast<V>(-8f / 15), m3, Fma(Broadcast<V>(-2f / 15), m4, m1 + m2)), to + toStep);
        Store(Fma(Broadcast<V>(-4f / 15), m3, Fma(Broadcast<V>(4f / 15), m4, Load<V>(m + 5 * step) + difference)), to + 2 * toStep);
    }

    /// <summary>A^T m of strided vectors, in registers.</summary>
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
}

/// <summary>The transform of one direction of a tile.</summary>
internal unsafe interface ITileTransform
{
    /// <summary>Pixels of a tile in one direction.</summary>
    static abstract int Size { get; }

    /// <summary>Reads <see cref="Size"/> strided vectors and writes one for each interpolation point.</summary>
    static abstract void Run<V>(float* d, nint step, float* to, nint toStep) where V : unmanaged;
}

/// <summary>B^T d for a tile of inputs.</summary>
internal readonly unsafe struct InputTransform : ITileTransform
{
    public static int Size => Winograd.InputSize;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Run<V>(float* d, nint step, float* to, nint toStep) where V : unmanaged
    {
        V d1 = Load<V>(d + step), d2 = Load<V>(d + 2 * step), d3 = Load<V>(d + 3 * step), d4 = Load<V>(d + 4 * step);
        V a = d4 - d2, b = d3 - d1;
        Store(Fma(Broadcast<V>(1.5f), b, Load<V>(d) - d2 + a), to);
        Store(Fma(Broadcast<V>(2.5f), d3, Fma(Broadcast<V>(0.5f), d2, d4 - d1)), to + toStep);
        Store(Fma(Broadcast<V>(-2.5f), d2, Fma(Broadcast<V>(0.5f), d3, d4 + d1)), to + 2 * toStep);
        Store(b + b + a, to + 3 * toStep);
        Store(Fma(Broadcast<V>(-0.5f), b, a), to + 4 * toStep);
        Store(Fma(Broadcast<V>(1.5f), a, Load<V>(d + 5 * step) - d3 - b), to + 5 * toStep);
    }
}

/// <summary>A dY for a tile of output gradients.</summary>
internal readonly unsafe struct GradientTransform : ITileTransform
{
    public static int Size => Winograd.OutputSize;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Run<V>(float* d, nint step, float* to, nint toStep) where V : unmanaged
    {
        V d0 = Load<V>(d), d1 = Load<V>(d + step), d2 = Load<V>(d + 2 * step), d3 = Load<V>(d + 3 * step);
        V even = d0 + d2, odd = d1 + d3;
        Store(d0, to);
        Store(even + odd, to + toStep);
        Store(even - odd, to + 2 * toStep);
        Store(Fma(Broadcast<V>(0.125f), d3, Fma(Broadcast<V>(0.25f), d2, Fma(Broadcast<V>(0.5f), d1, d0))), to + 3 * toStep);
        Store(Fma(Broadcast<V>(-8f), d3, Fma(Broadcast<V>(4f), d2, Fma(Broadcast<V>(-2f), d1, d0))), to + 4 * toStep);
        Store(d3, to + 5 * toStep);
    }
}

/// <summary>
/// The weights of a 3x3 convolution in the transform domain: a matrix (Cin, panel) for each panel of output channels and each position.
/// </summary>
/// <param name="Direct">The packing for direct convolution.</param>
internal readonly record struct WinogradPacking(ConvPacking Direct) : IWeightPacking
{
    public nint Size => Direct.Size / WinogradWeights.Taps * Winograd.Positions;

    public unsafe void Pack(float* weight, float* packed)
    {
        WinogradWeights kernel = new() { Weight = weight, Packed = packed, Cin = Direct.Cin, Cout = Direct.Cout, Flipped = Direct.Flipped };
        Launch.Run(kernel, Launch.CeilDiv(Direct.Cout, PackedPanels.Width(Direct.Width)) * kernel.Blocks, 4, Direct.Width);
    }
}

/// <summary>
/// One item: transposes, transforms and stores the windows of a block of input channels and one panel of output channels.
/// </summary>
internal unsafe struct WinogradWeights : IKernel
{
    public const int Taps = 9;

    // As many transposed windows as fit in L1. They are stored position by position, since the 36 addresses of one channel are a power of
    // two apart.
    private const nint Block = PackedPanels.TransposeRows / Taps;

    /// <summary>(Cout, Cin, 3, 3), or flipped (Cin, Cout, 3, 3).</summary>
    public float* Weight;

    public float* Packed;
    public nint Cin, Cout;
    public bool Flipped;

    public readonly nint Blocks => Launch.CeilDiv(Cin, Block);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), width = 2 * n, point = Gemm.OddCacheLines(Block * width), tap = Flipped ? -width : width;
        using Scratch windows = new(PackedPanels.TransposeRows * width), values = new(Winograd.Positions * point);
        using Scratch work = new(Winograd.InputSize * 3 * n);
        for (nint item = begin; item < end; item++)
        {
            nint panel = item / Blocks, first = item % Blocks * Block, count = Math.Min(Block, Cin - first);
            nint columns = Math.Min(width, Cout - panel * width);
            float* target = Packed + (panel * Winograd.Positions * Cin + first) * width;
            if (columns < width) new Span<float>(windows.Pointer, (int)(count * Taps * width)).Clear();
            if (Flipped)
                for (nint c = 0; c < count; c++)
                    Transpose.Run(Weight + ((first + c) * Cout + panel * width) * Taps, Taps, columns, Taps,
                        windows.Pointer + c * Taps * width, width);
            else Transpose.Run(Weight + (panel * width * Cin + first) * Taps, Cin * Taps, columns, count * Taps, windows.Pointer, width);
            for (nint c = 0; c < count; c++)
            {
                // Prefetch the next block, in the order in which it will be transposed.
                if (Flipped) Prefetch(Weight + ((first + Block + c) * Cout + panel * width) * Taps, columns * Taps);
                else PrefetchShare(Weight + (panel * width * Cin + first + Block) * Taps, Cin * Taps, columns, Block * Taps, c, count);
                for (nint half = 0; half < width; half += n)
                {
                    float* g = windows.Pointer + (c * Taps + (Flipped ? Taps - 1 : 0)) * width + half;
                    float* u = values.Pointer + c * width + half;
                    for (nint x = 0; x < 3; x++) Winograd.TransformWeight<V>(g + x * tap, 3 * tap, work.Pointer + x * n, 3 * n);
                    for (nint y = 0; y < Winograd.InputSize; y++)
                        Winograd.TransformWeight<V>(work.Pointer + y * 3 * n, n, u + y * Winograd.InputSize * point, point);
                }
            }
            for (nint p = 0; p < Winograd.Positions; p++)
                for (nint i = 0; i < count * width; i += n) Store(Load<V>(values.Pointer + p * point + i), target + p * Cin * width + i);
        }
    }
}
