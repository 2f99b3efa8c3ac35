using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels;

/// <summary>
/// Convolution in which every input channel has its own kernels (groups = Cin): the lanes are output channels. With a multiplier m = Cout / Cin
/// above 1 the input is first repeated m times a channel, so that the lanes stay in step.
/// </summary>
internal static unsafe class DepthwiseConv
{
    public static void Forward(in ConvShape s, float* x, float* weight, float* bias, float* y)
    {
        using Scratch taps = new((nint)s.Cout * s.KernelHeight * s.KernelWidth);
        LanesLast(s, weight, taps.Pointer);
        nint grain = RowsPerItem(s.OutWidth, s.Cout);
        if (s.CoutGroup == 1)
        {
            Launch.Run(new DepthwiseForward { Shape = s, X = x, Taps = taps.Pointer, Bias = bias, Y = y }, (nint)s.Batch * s.OutHeight, grain, Isa.For(s.Cout));
            return;
        }
        using Scratch repeated = Repeat(s, x);
        Launch.Run(
            new DepthwiseForward { Shape = s with { Cin = s.Cout, Groups = s.Cout }, X = repeated.Pointer, Taps = taps.Pointer, Bias = bias, Y = y },
            (nint)s.Batch * s.OutHeight, grain, Isa.For(s.Cout));
    }

    public static void InputGradient(in ConvShape s, float* dy, float* weight, float* dx, bool add)
    {
        using Scratch taps = new((nint)s.Cout * s.KernelHeight * s.KernelWidth);
        LanesLast(s, weight, taps.Pointer);
        ConvShape wide = s with { Cin = s.Cout, Groups = s.Cout };
        nint items = (nint)s.Batch * s.Height, grain = RowsPerItem(s.Width, s.Cout);
        if (s.CoutGroup == 1)
        {
            Launch.Run(new DepthwiseInputGradient { Shape = s, Dy = dy, Taps = taps.Pointer, Dx = dx, Add = add }, items, grain, Isa.For(s.Cout));
            return;
        }
        nint pixels = (nint)s.Batch * s.Height * s.Width, m = s.CoutGroup;
        using Scratch gradient = new(pixels * s.Cout);
        Launch.Run(new DepthwiseInputGradient { Shape = wide, Dy = dy, Taps = taps.Pointer, Dx = gradient.Pointer }, items, grain, Isa.For(s.Cout));
        for (nint i = 0; i < pixels * s.Cin; i++)
        {
            float sum = 0f;
            for (nint j = 0; j < m; j++) sum += gradient.Pointer[i * m + j];
            dx[i] = add ? dx[i] + sum : sum;
        }
    }

    public static void WeightGradient(in ConvShape s, float* x, float* dy, float* dw, bool add)
    {
        const int WantedParts = 16;
        nint rows = (nint)s.Batch * s.OutHeight, perPart = Launch.Chunks(rows, WantedParts), parts = Launch.Chunks(rows, perPart);
        nint taps = s.KernelHeight * s.KernelWidth, size = taps * s.Cout;
        using Scratch sums = new(parts * size), repeated = s.CoutGroup == 1 ? new Scratch(1) : Repeat(s, x);
        Launch.Run(
            new DepthwiseWeightGradient
            {
                Shape = s with { Cin = s.Cout, Groups = s.Cout },
                X = s.CoutGroup == 1 ? x : repeated.Pointer,
                Dy = dy,
                Sums = sums.Pointer,
                RowsPerPart = perPart,
            },
            rows, perPart, Isa.For(s.Cout));
        for (nint c = 0; c < s.Cout; c++)
            for (nint tap = 0; tap < taps; tap++)
            {
                float sum = 0f;
                for (nint p = 0; p < parts; p++) sum += sums.Pointer[p * size + tap * s.Cout + c];
                dw[c * taps + tap] = add ? dw[c * taps + tap] + sum : sum;
            }
    }

    private static nint RowsPerItem(int width, int channels) => Math.Max(1, 8192 / Math.Max(1, width * channels));

    /// <summary>(Cout, 1, Kh, Kw) to (Kh, Kw, Cout).</summary>
    private static void LanesLast(in ConvShape s, float* weight, float* taps)
    {
        int count = s.KernelHeight * s.KernelWidth;
        for (int c = 0; c < s.Cout; c++)
            for (int tap = 0; tap < count; tap++) taps[tap * s.Cout + c] = weight[c * count + tap];
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
                            sum = Fma(Load<V>(row + x * channels, lanes), Load<V>(Taps + (ky * s.KernelWidth + kx) * channels + c, lanes), sum);
                        }
                    }
                    Store(sum, Y + ((item * s.OutWidth + ox) * channels) + c, lanes);
                }
            }
        }
    }
}

/// <summary>One item: an input row, which gathers from the output pixels that its pixels contributed to.</summary>
internal unsafe struct DepthwiseInputGradient : IKernel
{
    public ConvShape Shape;
    public float* Dy, Taps, Dx;
    public bool Add;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint n = Count<V>(), channels = s.Cout;
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
                            sum = Fma(
                                Load<V>(row + left / s.StrideX * channels, lanes), Load<V>(Taps + (ky * s.KernelWidth + kx) * channels + c, lanes), sum);
                        }
                    }
                    float* target = Dx + ((item * s.Width + x) * channels) + c;
                    Store(Add ? sum + Load<V>(target, lanes) : sum, target, lanes);
                }
            }
        }
    }
}

/// <summary>Items are output rows; each chunk of them sums into a place of its own.</summary>
internal unsafe struct DepthwiseWeightGradient : IKernel
{
    public ConvShape Shape;
    public float* X, Dy, Sums;
    public nint RowsPerPart;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ConvShape s = Shape;
        nint n = Count<V>(), channels = s.Cout;
        float* sums = Sums + (begin / RowsPerPart * s.KernelHeight * s.KernelWidth * channels);
        for (nint ky = 0; ky < s.KernelHeight; ky++)
            for (nint kx = 0; kx < s.KernelWidth; kx++)
                for (nint c = 0; c < channels; c += n)
                {
                    nint lanes = Math.Min(n, channels - c);
                    V sum = default;
                    for (nint item = begin; item < end; item++)
                    {
                        nint image = item / s.OutHeight, y = item % s.OutHeight * s.StrideY - s.PaddingY + ky * s.DilationY;
                        if ((nuint)y >= (nuint)s.Height) continue;
                        float* row = X + ((image * s.Height + y) * s.Width * channels) + c, dy = Dy + (item * s.OutWidth * channels) + c;
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
