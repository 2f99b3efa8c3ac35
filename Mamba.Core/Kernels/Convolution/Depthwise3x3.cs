using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Convolution;

/// <summary>How the lanes of a kernel, which are output channels, map to channels in memory.</summary>
internal unsafe interface IChannelLanes
{
    /// <summary>Lanes that share a channel in memory.</summary>
    static abstract int LanesPerChannel { get; }

    static abstract V Load<V>(float* p) where V : unmanaged;

    static abstract V Load<V>(float* p, nint lanes) where V : unmanaged;

    static abstract void Store<V>(V v, float* p, bool add) where V : unmanaged;

    static abstract void Store<V>(V v, float* p, nint lanes, bool add) where V : unmanaged;
}

/// <summary>A lane is a channel.</summary>
internal readonly unsafe struct LanePerChannel : IChannelLanes
{
    public static int LanesPerChannel => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<V>(float* p) where V : unmanaged => Vec.Load<V>(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<V>(float* p, nint lanes) where V : unmanaged => Vec.Load<V>(p, lanes);

    // Two stores: selecting the value to store would copy it.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<V>(V v, float* p, bool add) where V : unmanaged
    {
        if (add) Vec.Store(v + Vec.Load<V>(p), p);
        else Vec.Store(v, p);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<V>(V v, float* p, nint lanes, bool add) where V : unmanaged =>
        Vec.Store(add ? v + Vec.Load<V>(p, lanes) : v, p, lanes);
}

/// <summary>Four lanes read one channel, and their values add up to one. All vectors are full.</summary>
internal readonly unsafe struct FourLanesPerChannel : IChannelLanes
{
    public static int LanesPerChannel => LaneGroups.Size;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<V>(float* p) where V : unmanaged => LaneGroups.Repeat<V>(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<V>(float* p, nint lanes) where V : unmanaged => LaneGroups.Repeat<V>(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<V>(V v, float* p, bool add) where V : unmanaged => LaneGroups.Sum(v, p, add);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<V>(V v, float* p, nint lanes, bool add) where V : unmanaged => LaneGroups.Sum(v, p, add);
}

/// <summary>Three adjacent rows of an image; rows above and below the image are zeros.</summary>
internal readonly unsafe struct WindowRows(float* above, float* level, float* below)
{
    public readonly float* Above = above, Level = level, Below = below;

    public WindowRows(in ConvShape s, float* x, nint image, nint top, float* zeroRow)
        : this(Row(s, x, image, top, zeroRow), Row(s, x, image, top + 1, zeroRow), Row(s, x, image, top + 2, zeroRow))
    {
    }

    /// <summary>The rows from a channel on.</summary>
    public WindowRows From(nint channel) => new(Above + channel, Level + channel, Below + channel);

    private static float* Row(in ConvShape s, float* x, nint image, nint y, float* zeroRow) =>
        (nuint)y < (nuint)s.Height ? x + (image * s.Height + y) * s.Width * s.Cin : zeroRow;
}

/// <summary>
/// Depthwise convolution with 3x3 taps and stride 1. It walks along a row with one vector of channels. Each column of three pixels is
/// loaded once and added to its three sums. Nine taps, three sums and a pixel stay in registers. One item: an output row.
/// </summary>
internal unsafe struct Depthwise3x3<TIn, TOut> : IKernel where TIn : struct, IChannelLanes where TOut : struct, IChannelLanes
{
    /// <summary>The shape of the convolution, or of its input gradient; padding at most 2.</summary>
    public ConvShape Shape;
    public float* X, Bias;

    /// <summary>The result, or the gradient of an input.</summary>
    public GradientTarget Y;

    /// <summary>The nine taps in order, TapStride apart; each has one value per lane.</summary>
    public float* Taps;
    public nint TapStride;

    /// <summary>A row of zeros, used above and below the image.</summary>
    public float* ZeroRow;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), channels = (nint)TIn.LanesPerChannel * Shape.Cin;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / Shape.OutHeight, top = item % Shape.OutHeight - Shape.PaddingY;
            WindowRows rows = new(Shape, X, image, top, ZeroRow);
            float* y = Y.Pointer + item * Shape.OutWidth * Shape.Cout;
            nint c = 0;
            for (; c <= channels - n; c += n) Walk<V>(rows.From(c / TIn.LanesPerChannel), y + c / TOut.LanesPerChannel, c);
            if (c < channels) WalkPart<V>(rows.From(c / TIn.LanesPerChannel), y + c / TOut.LanesPerChannel, c, channels - c);
        }
    }

    /// <summary>
    /// An output row in the vector of channels from c on. Column x completes the sum of output x + padding - 2, which may lie before the
    /// row, and continues the sums of the next two outputs. Three columns per iteration, so that the sums rotate without copies.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Walk<V>(in WindowRows rows, float* y, nint c) where V : unmanaged
    {
        byte* above = (byte*)rows.Above, level = (byte*)rows.Level, below = (byte*)rows.Below;
        nint tap = TapStride, padding = Shape.PaddingX, before = 2 - padding, width = Shape.Width, x = 0, at = 0;
        nint column = (nint)Shape.Cin * sizeof(float), step = Shape.Cout;
        bool add = Y.Accumulate;
        float* taps = Taps + c;
        V t00 = Load<V>(taps), t01 = Load<V>(taps + tap), t02 = Load<V>(taps + 2 * tap);
        V t10 = Load<V>(taps + 3 * tap), t11 = Load<V>(taps + 4 * tap), t12 = Load<V>(taps + 5 * tap);
        V t20 = Load<V>(taps + 6 * tap), t21 = Load<V>(taps + 7 * tap), t22 = Load<V>(taps + 8 * tap);
        V bias = Bias == null ? default : Load<V>(Bias + c), sum = bias, next = bias;
        while (x < width)
        {
            V later;
            if (x >= before)
                for (; x <= width - 3; x += 3)
                {
                    Start(above + at, t02, t01, t00, bias, ref sum, ref next, out later);
                    Add(level + at, t12, t11, t10, ref sum, ref next, ref later);
                    Add(below + at, t22, t21, t20, ref sum, ref next, ref later);
                    TOut.Store(sum, y, add);
                    at += column;
                    y += step;
                    Start(above + at, t02, t01, t00, bias, ref next, ref later, out sum);
                    Add(level + at, t12, t11, t10, ref next, ref later, ref sum);
                    Add(below + at, t22, t21, t20, ref next, ref later, ref sum);
                    TOut.Store(next, y, add);
                    at += column;
                    y += step;
                    Start(above + at, t02, t01, t00, bias, ref later, ref sum, out next);
                    Add(level + at, t12, t11, t10, ref later, ref sum, ref next);
                    Add(below + at, t22, t21, t20, ref later, ref sum, ref next);
                    TOut.Store(later, y, add);
                    at += column;
                    y += step;
                }
            if (x == width) break;
            Start(above + at, t02, t01, t00, bias, ref sum, ref next, out later);
            Add(level + at, t12, t11, t10, ref sum, ref next, ref later);
            Add(below + at, t22, t21, t20, ref sum, ref next, ref later);
            at += column;
            if (x >= before)
            {
                TOut.Store(sum, y, add);
                y += step;
            }
            sum = next;
            next = later;
            x++;
        }
        if (padding > 0) TOut.Store(sum, y, add);
        if (padding > 1) TOut.Store(next, y + step, add);
    }

    /// <summary>Adds a pixel times the taps of its row to its three sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<V>(byte* pixel, V t2, V t1, V t0, ref V sum, ref V next, ref V later) where V : unmanaged
    {
        V p = TIn.Load<V>((float*)pixel);
        sum = Fma(p, t2, sum);
        next = Fma(p, t1, next);
        later = Fma(p, t0, later);
    }

    /// <summary>The same, but starts the third sum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Start<V>(byte* pixel, V t2, V t1, V t0, V bias, ref V sum, ref V next, out V later) where V : unmanaged
    {
        V p = TIn.Load<V>((float*)pixel);
        sum = Fma(p, t2, sum);
        next = Fma(p, t1, next);
        later = Fma(p, t0, bias);
    }

    /// <summary>An output row with fewer channels than lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void WalkPart<V>(in WindowRows rows, float* y, nint c, nint lanes) where V : unmanaged
    {
        float* above = rows.Above, level = rows.Level, below = rows.Below;
        bool add = Y.Accumulate;
        nint tap = TapStride;
        float* taps = Taps + c;
        V t00 = Load<V>(taps, lanes), t01 = Load<V>(taps + tap, lanes), t02 = Load<V>(taps + 2 * tap, lanes);
        V t10 = Load<V>(taps + 3 * tap, lanes), t11 = Load<V>(taps + 4 * tap, lanes), t12 = Load<V>(taps + 5 * tap, lanes);
        V t20 = Load<V>(taps + 6 * tap, lanes), t21 = Load<V>(taps + 7 * tap, lanes), t22 = Load<V>(taps + 8 * tap, lanes);
        V bias = Bias == null ? default : Load<V>(Bias + c, lanes);

        V next = bias, later = bias;
        nint padding = Shape.PaddingX, before = 2 - padding, width = Shape.Width, column = Shape.Cin, step = Shape.Cout;
        y -= before * step;
        for (nint x = 0; x < width; x++)
        {
            V pixel = TIn.Load<V>(above, lanes);
            V sum = Fma(pixel, t02, next);
            next = Fma(pixel, t01, later);
            later = Fma(pixel, t00, bias);
            pixel = TIn.Load<V>(level, lanes);
            sum = Fma(pixel, t12, sum);
            next = Fma(pixel, t11, next);
            later = Fma(pixel, t10, later);
            pixel = TIn.Load<V>(below, lanes);
            sum = Fma(pixel, t22, sum);
            next = Fma(pixel, t21, next);
            later = Fma(pixel, t20, later);
            if (x >= before) TOut.Store(sum, y, lanes, add);
            above += column;
            level += column;
            below += column;
            y += step;
        }
        if (padding > 0) TOut.Store(next, y, lanes, add);
        if (padding > 1) TOut.Store(later, y + step, lanes, add);
    }
}

/// <summary>
/// The weight gradient of the same convolution. Each column of three pixels is multiplied by the gradients of its three outputs. The nine
/// sums of a row stay in registers.
/// </summary>
internal unsafe struct Depthwise3x3WeightGradient<TIn> : IKernel where TIn : struct, IChannelLanes
{
    private const nint Taps = 9;

    public DepthwiseSums All;

    /// <summary>A row of zeros, used above and below the image.</summary>
    public float* ZeroRow;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = All.Shape;
        nint n = Count<V>(), channels = s.Cout;
        for (nint item = begin; item < end; item++)
        {
            DepthwiseItem part = All.Item(item);
            float* sums = All.Sums + part.Index * Taps * channels;
            for (nint tap = 0; tap < Taps; tap++)
                new Span<float>(sums + tap * channels + part.Channel, (int)(part.ChannelEnd - part.Channel)).Clear();
            for (nint row = part.Row; row < part.RowEnd; row++)
            {
                nint image = row / s.OutHeight, top = row % s.OutHeight - s.PaddingY;
                WindowRows rows = new(s, All.X, image, top, ZeroRow);
                float* dy = All.Dy + row * s.OutWidth * channels;
                nint c = part.Channel;
                for (; c <= part.ChannelEnd - n; c += n) Walk<V>(rows.From(c / TIn.LanesPerChannel), dy + c, sums + c, n);
                if (c < part.ChannelEnd) Walk<V>(rows.From(c / TIn.LanesPerChannel), dy + c, sums + c, channels - c);
            }
        }
    }

    /// <summary>Adds a row to the sums in some channels. Inlined twice, as in the forward pass.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void Walk<V>(WindowRows rows, float* dy, float* sums, nint lanes) where V : unmanaged
    {
        float* above = rows.Above, level = rows.Level, below = rows.Below;
        nint step = All.Shape.Cout, column = All.Shape.Cin, width = All.Shape.Width, padding = All.Shape.PaddingX;
        nint within = All.Shape.OutWidth - padding;
        V s00 = Load<V>(sums, lanes), s01 = Load<V>(sums + step, lanes), s02 = Load<V>(sums + 2 * step, lanes);
        V s10 = Load<V>(sums + 3 * step, lanes), s11 = Load<V>(sums + 4 * step, lanes), s12 = Load<V>(sums + 5 * step, lanes);
        V s20 = Load<V>(sums + 6 * step, lanes), s21 = Load<V>(sums + 7 * step, lanes), s22 = Load<V>(sums + 8 * step, lanes);

        // Column x is the left column of output x + padding, the middle one of the previous output and the right one of the output before
        // that.
        dy += padding * step;
        V left = padding > 0 ? Load<V>(dy - step, lanes) : default, middle = padding > 1 ? Load<V>(dy - 2 * step, lanes) : default;
        for (nint x = 0; x < width; x++)
        {
            V right = middle;
            middle = left;
            left = x < within ? Load<V>(dy, lanes) : default;
            V pixel = TIn.Load<V>(above, lanes);
            s00 = Fma(pixel, left, s00);
            s01 = Fma(pixel, middle, s01);
            s02 = Fma(pixel, right, s02);
            pixel = TIn.Load<V>(level, lanes);
            s10 = Fma(pixel, left, s10);
            s11 = Fma(pixel, middle, s11);
            s12 = Fma(pixel, right, s12);
            pixel = TIn.Load<V>(below, lanes);
            s20 = Fma(pixel, left, s20);
            s21 = Fma(pixel, middle, s21);
            s22 = Fma(pixel, right, s22);
            above += column;
            level += column;
            below += column;
            dy += step;
        }
        Store(s00, sums, lanes);
        Store(s01, sums + step, lanes);
        Store(s02, sums + 2 * step, lanes);
        Store(s10, sums + 3 * step, lanes);
        Store(s11, sums + 4 * step, lanes);
        Store(s12, sums + 5 * step, lanes);
        Store(s20, sums + 6 * step, lanes);
        Store(s21, sums + 7 * step, lanes);
        Store(s22, sums + 8 * step, lanes);
    }
}
