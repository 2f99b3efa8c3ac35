using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Convolution;

/// <summary>
/// Depthwise convolution (groups = Cin); lanes are output channels. The usual window, 3x3 with stride 1, has its own kernels
/// (<see cref="Depthwise3x3{TIn, TOut}"/>), in which four output channels may share an input channel. For any other multiplier m = Cout /
/// Cin above 1, each input channel is first repeated m times.
/// </summary>
internal static unsafe class DepthwiseConv
{
    public static void Forward(in ConvShape s, float* x, float* weight, float* bias, float* y)
    {
        if (NeedsRepeatedInputs(s))
        {
            using Scratch repeated = Repeat(s, x);
            Forward(WithRepeatedInputs(s), repeated.Pointer, weight, bias, y);
            return;
        }
        using Scratch taps = DepthwiseTaps.Of(weight, s.Cout, s.KernelHeight * s.KernelWidth);
        if (HasFourOutputsPerInput(s))
            Run3x3<FourLanesPerChannel, LanePerChannel>(s, WidthFor(s), x, taps.Pointer, s.Cout, bias, y);
        else if (Is3x3(s)) Run3x3<LanePerChannel, LanePerChannel>(s, WidthFor(s), x, taps.Pointer, s.Cout, bias, y);
        else
            Launch.Run(
                new DepthwiseForward { Shape = s, X = x, Taps = taps.Pointer, Bias = bias, Y = y },
                (nint)s.Batch * s.OutHeight, RowsPerItem(s.OutWidth, s.Cout), WidthFor(s));
    }

    public static void InputGradient(in ConvShape s, float* dy, float* weight, GradientTarget dx)
    {
        if (NeedsRepeatedInputs(s))
        {
            nint count = (nint)s.Batch * s.Height * s.Width * s.Cin, m = s.CoutGroup;
            using Scratch repeated = new(count * m);
            InputGradient(WithRepeatedInputs(s), dy, weight, repeated.Pointer);
            for (nint i = 0; i < count; i++)
            {
                float sum = 0f;
                for (nint j = 0; j < m; j++) sum += repeated.Pointer[i * m + j];
                dx.StoreOne(sum, dx.Pointer + i);
            }
            return;
        }
        using Scratch taps = DepthwiseTaps.Of(weight, s.Cout, s.KernelHeight * s.KernelWidth);
        // With stride 1 it is the convolution of dy with the reversed taps.
        float* last = taps.Pointer + (s.KernelHeight * s.KernelWidth - 1) * (nint)s.Cout;
        if (HasFourOutputsPerInput(s))
            Run3x3<LanePerChannel, FourLanesPerChannel>(s.InputGradient, WidthFor(s), dy, last, -s.Cout, null, dx);
        else if (Is3x3(s)) Run3x3<LanePerChannel, LanePerChannel>(s.InputGradient, WidthFor(s), dy, last, -s.Cout, null, dx);
        else
            Launch.Run(
                new DepthwiseInputGradient { Shape = s, Dy = dy, Taps = taps.Pointer, Dx = dx },
                (nint)s.Batch * s.Height, RowsPerItem(s.Width, s.Cout), WidthFor(s));
    }

    public static void WeightGradient(in ConvShape s, float* x, float* dy, GradientTarget dw)
    {
        if (NeedsRepeatedInputs(s))
        {
            using Scratch repeated = Repeat(s, x);
            WeightGradient(WithRepeatedInputs(s), repeated.Pointer, dy, dw);
            return;
        }
        const int TargetItems = 16;
        nint taps = s.KernelHeight * s.KernelWidth, rows = (nint)s.Batch * s.OutHeight;
        nint blocks = Launch.CeilDiv(s.Cout, DepthwiseSums.Block);
        nint perPart = Launch.CeilDiv(rows, Launch.CeilDiv(TargetItems, blocks)), parts = Launch.CeilDiv(rows, perPart);
        int size = checked((int)(taps * s.Cout));
        using Scratch sums = new(parts * size), zeroRow = ZeroRow(s);
        DepthwiseSums all = new() { Shape = s, X = x, Dy = dy, Sums = sums.Pointer, Parts = parts, RowsPerPart = perPart };
        if (HasFourOutputsPerInput(s))
            Launch.Run(
                new Depthwise3x3WeightGradient<FourLanesPerChannel> { All = all, ZeroRow = zeroRow.Pointer },
                parts * blocks, 1, WidthFor(s));
        else if (Is3x3(s))
            Launch.Run(
                new Depthwise3x3WeightGradient<LanePerChannel> { All = all, ZeroRow = zeroRow.Pointer }, parts * blocks, 1, WidthFor(s));
        else Launch.Run(new DepthwiseWeightGradient { All = all }, parts * blocks, 1, WidthFor(s));

        Span<float> sum = new(sums.Pointer, size);
        for (nint p = 1; p < parts; p++) TensorPrimitives.Add(sum, new ReadOnlySpan<float>(sums.Pointer + p * size, size), sum);
        Transpose.Run(sums.Pointer, s.Cout, taps, s.Cout, dw.Pointer, dw.Accumulate);
    }

    private static bool NeedsRepeatedInputs(in ConvShape s) => s.CoutGroup > 1 && !HasFourOutputsPerInput(s);

    /// <summary>The shape after repeating each input channel for every output channel.</summary>
    private static ConvShape WithRepeatedInputs(in ConvShape s) => s with { Cin = s.Cout, Groups = s.Cout };

    private static bool Is3x3(in ConvShape s) =>
        s is { KernelHeight: 3, KernelWidth: 3, StrideY: 1, StrideX: 1, DilationY: 1, DilationX: 1, PaddingY: <= 2, PaddingX: <= 2 }
        && s.PaddingRight == s.PaddingX && s.PaddingBottom == s.PaddingY;

    private static bool HasFourOutputsPerInput(in ConvShape s)
    {
        nint lanes = Isa.Lanes(WidthFor(s));
        return Is3x3(s) && s.CoutGroup == LaneGroups.Size && lanes % LaneGroups.Size == 0 && s.Cout % lanes == 0;
    }

    /// <summary>With a multiplier, a power of two that divides the channels leaves no partial vectors.</summary>
    private static VectorWidth WidthFor(in ConvShape s) => Isa.For(s.CoutGroup == 1 ? s.Cout : s.Cout & -s.Cout);

    private static void Run3x3<TIn, TOut>(
        in ConvShape s, VectorWidth width, float* x, float* taps, nint tapStride, float* bias, GradientTarget y)
        where TIn : struct, IChannelLanes where TOut : struct, IChannelLanes
    {
        using Scratch zeroRow = ZeroRow(s);
        Launch.Run(
            new Depthwise3x3<TIn, TOut>
            {
                Shape = s,
                X = x,
                Taps = taps,
                TapStride = tapStride,
                Bias = bias,
                Y = y,
                ZeroRow = zeroRow.Pointer,
            },
            (nint)s.Batch * s.OutHeight, RowsPerItem(s.OutWidth, Math.Max(s.Cin, s.Cout)), width);
    }

    private static nint RowsPerItem(int width, int channels) => Math.Max(1, 8192 / Math.Max(1, width * channels));

    private static Scratch ZeroRow(in ConvShape s)
    {
        int count = s.Width * s.Cin;
        Scratch zeros = new(count);
        new Span<float>(zeros.Pointer, count).Clear();
        return zeros;
    }

    private static Scratch Repeat(in ConvShape s, float* x)
    {
        nint m = s.CoutGroup, count = (nint)s.Batch * s.Height * s.Width * s.Cin;
        Scratch repeated = new(count * m);
        for (nint i = 0; i < count; i++) new Span<float>(repeated.Pointer + i * m, (int)m).Fill(x[i]);
        return repeated;
    }
}

/// <summary>One item: an output row.</summary>
internal unsafe struct DepthwiseForward : IKernel
{
    public ConvShape Shape;
    public float* X, Taps, Bias, Y;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint n = Count<V>(), channels = s.Cout;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / s.OutHeight, oy = item % s.OutHeight;
            for (nint c = 0; c < channels; c += n)
            {
                nint lanes = Math.Min(n, channels - c);
                V bias = Bias == null ? default : Load<V>(Bias + c, lanes);
                for (nint ox = 0; ox < s.OutWidth; ox++)
                {
                    V sum = bias;
                    for (nint ky = 0; ky < s.KernelHeight; ky++)
                    {
                        nint y = oy * s.StrideY - s.PaddingY + ky * s.DilationY;
                        if ((nuint)y >= (nuint)s.Height) continue;
                        float* row = X + ((image * s.Height + y) * s.Width * channels) + c;
                        for (nint kx = 0; kx < s.KernelWidth; kx++)
                        {
                            nint x = ox * s.StrideX - s.PaddingX + kx * s.DilationX;
                            if ((nuint)x >= (nuint)s.Width) continue;
                            V tap = Load<V>(Taps + (ky * s.KernelWidth + kx) * channels + c, lanes);
                            sum = Fma(Load<V>(row + x * channels, lanes), tap, sum);
                        }
                    }
                    Store(sum, Y + ((item * s.OutWidth + ox) * channels) + c, lanes);
                }
            }
        }
    }
}

/// <summary>One item: an input row, gathered from the output pixels that depend on it.</summary>
internal unsafe struct DepthwiseInputGradient : IKernel
{
    public ConvShape Shape;
    public float* Dy, Taps;
    public GradientTarget Dx;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint n = Count<V>(), channels = s.Cout;
        GradientTarget dx = Dx;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / s.Height, y = item % s.Height;
            for (nint c = 0; c < channels; c += n)
            {
                nint lanes = Math.Min(n, channels - c);
                for (nint x = 0; x < s.Width; x++)
                {
                    V sum = default;
                    for (nint ky = 0; ky < s.KernelHeight; ky++)
                    {
                        nint up = y + s.PaddingY - ky * s.DilationY;
                        if (up < 0 || up % s.StrideY != 0 || up / s.StrideY >= s.OutHeight) continue;
                        float* row = Dy + ((image * s.OutHeight + up / s.StrideY) * s.OutWidth * channels) + c;
                        for (nint kx = 0; kx < s.KernelWidth; kx++)
                        {
                            nint left = x + s.PaddingX - kx * s.DilationX;
                            if (left < 0 || left % s.StrideX != 0 || left / s.StrideX >= s.OutWidth) continue;
                            V tap = Load<V>(Taps + (ky * s.KernelWidth + kx) * channels + c, lanes);
                            sum = Fma(Load<V>(row + left / s.StrideX * channels, lanes), tap, sum);
                        }
                    }
                    dx.Store(sum, dx.Pointer + ((item * s.Width + x) * channels) + c, lanes);
                }
            }
        }
    }
}

/// <summary>
/// Fields shared by the weight gradient kernels. One item is a block of channels over some of the output rows. Each part has its own sums,
/// [part][tap][channel].
/// </summary>
internal unsafe struct DepthwiseSums
{
    /// <summary>Channels per block: full vectors of every width.</summary>
    public const nint Block = 128;

    public ConvShape Shape;
    public float* X, Dy, Sums;
    public nint Parts, RowsPerPart;

    public readonly DepthwiseItem Item(nint item)
    {
        nint part = item % Parts, channel = item / Parts * Block, row = part * RowsPerPart;
        return new DepthwiseItem(part, row, Math.Min((nint)Shape.Batch * Shape.OutHeight, row + RowsPerPart), channel,
            Math.Min(Shape.Cout, channel + Block));
    }
}

/// <summary>A part's index, rows (of the whole batch) and channels.</summary>
internal readonly record struct DepthwiseItem(nint Index, nint Row, nint RowEnd, nint Channel, nint ChannelEnd);

/// <summary>The weight gradient for any window.</summary>
internal unsafe struct DepthwiseWeightGradient : IKernel
{
    public DepthwiseSums All;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = All.Shape;
        nint n = Count<V>(), channels = s.Cout;
        for (nint item = begin; item < end; item++)
        {
            DepthwiseItem part = All.Item(item);
            float* sums = All.Sums + part.Index * s.KernelHeight * s.KernelWidth * channels;
            for (nint ky = 0; ky < s.KernelHeight; ky++)
                for (nint kx = 0; kx < s.KernelWidth; kx++)
                    for (nint c = part.Channel; c < part.ChannelEnd; c += n)
                    {
                        nint lanes = Math.Min(n, channels - c);
                        V sum = default;
                        for (nint r = part.Row; r < part.RowEnd; r++)
                        {
                            nint image = r / s.OutHeight, y = r % s.OutHeight * s.StrideY - s.PaddingY + ky * s.DilationY;
                            if ((nuint)y >= (nuint)s.Height) continue;
                            float* row = All.X + ((image * s.Height + y) * s.Width * channels) + c;
                            float* dy = All.Dy + (r * s.OutWidth * channels) + c;
                            for (nint ox = 0; ox < s.OutWidth; ox++)
                            {
                                nint x = ox * s.StrideX - s.PaddingX + kx * s.DilationX;
                                if ((nuint)x >= (nuint)s.Width) continue;
                                sum = Fma(Load<V>(row + x * channels, lanes), Load<V>(dy + ox * channels, lanes), sum);
                            }
                        }
                        Store(sum, sums + (ky * s.KernelWidth + kx) * channels + c, lanes);
                    }
        }
    }
}
