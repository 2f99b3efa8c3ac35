using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Pooling;

/// <summary>The sizes of a pool over channels-last images: window, stride, padding above and to the left, dilation.</summary>
internal readonly record struct PoolShape(
    int Batch, int Height, int Width, int Channels, int OutHeight, int OutWidth, int KernelHeight, int KernelWidth,
    int StrideY, int StrideX, int PaddingY, int PaddingX, int DilationY, int DilationX)
{
    /// <summary>Whether windows overlap.</summary>
    public bool Overlaps => (KernelHeight - 1L) * DilationY >= StrideY || (KernelWidth - 1L) * DilationX >= StrideX;

    /// <summary>Whether the windows of a row cover exactly the columns of the image, without gaps.</summary>
    public bool TilesColumns => StrideX == KernelWidth && DilationX == 1 && PaddingX == 0 && (long)OutWidth * StrideX == Width;

    /// <summary>Whether this row of the image is covered by windows without gaps.</summary>
    public bool TilesRow(nint y) => StrideY == KernelHeight && DilationY == 1 && PaddingY == 0 && y < (nint)OutHeight * StrideY;

    /// <summary>Whether windows are adjacent 2 x 2 squares, all inside the image.</summary>
    public bool IsHalving =>
        this is { KernelHeight: 2, KernelWidth: 2, StrideY: 2, StrideX: 2, PaddingY: 0, PaddingX: 0, DilationY: 1, DilationX: 1 }
            && 2L * OutHeight <= Height && 2L * OutWidth <= Width;

    /// <summary>The first tap inside the image, for a window that starts at a given pixel.</summary>
    public static nint FirstTap(nint start, nint dilation) => start >= 0 ? 0 : dilation == 1 ? -start : (-start + dilation - 1) / dilation;

    /// <summary>The end of the taps inside an image of this extent, for a window that starts at a given pixel.</summary>
    public static nint EndTap(nint start, nint dilation, nint extent, nint taps) =>
        Math.Min(taps, dilation == 1 ? extent - start : (extent - start + dilation - 1) / dilation);
}

/// <summary>The running maximum of a window with PyTorch's rules: the first on ties, but the last NaN, which no value replaces.</summary>
internal static class WindowMaximum
{
    /// <summary>The larger of a value and the maximum so far; NaN where either is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Of<V>(V value, V max) where V : unmanaged => Choose(value, max, value, max);

    /// <summary>The same, with the index of the maximum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Take<V>(V value, V tap, ref V max, ref V at) where V : unmanaged
    {
        at = Choose(value, max, tap, at);
        max = Choose(value, max, value, max);
    }

    /// <summary>One of two values, depending on whether a new value replaces the maximum so far.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Choose<V>(V value, V max, V displaced, V kept) where V : unmanaged =>
        Select(Equal(value, value), Select(Greater(value, max), displaced, kept), displaced);
}

/// <summary>
/// The maximum of each window. If Taps is given, it receives the maximum's tap, ky kernel + kx, as a float. A window without pixels gives
/// -infinity. Items are output rows.
/// </summary>
internal unsafe struct MaxPoolForward : IKernel
{
    public PoolShape Shape;
    public float* X, Y, Taps;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        PoolShape s = Shape;
        nint n = Count<V>(), channels = s.Channels, step = s.DilationX * channels;
        bool wanted = Taps != null;
        if (!wanted && s.IsHalving)
        {
            for (nint item = begin; item < end; item++)
                HalveRow<V>(X + (item / s.OutHeight * s.Height + item % s.OutHeight * 2) * s.Width * channels,
                    Y + item * s.OutWidth * channels);
            return;
        }
        for (nint item = begin; item < end; item++)
        {
            nint image = item / s.OutHeight, top = item % s.OutHeight * s.StrideY - s.PaddingY;
            nint firstY = PoolShape.FirstTap(top, s.DilationY), endY = PoolShape.EndTap(top, s.DilationY, s.Height, s.KernelHeight);
            for (nint ox = 0; ox < s.OutWidth; ox++)
            {
                nint left = ox * s.StrideX - s.PaddingX;
                nint firstX = PoolShape.FirstTap(left, s.DilationX), endX = PoolShape.EndTap(left, s.DilationX, s.Width, s.KernelWidth);
                nint target = (item * s.OutWidth + ox) * channels;
                // The first pixel, if all values are -infinity.
                float none = firstY < endY && firstX < endX ? firstY * s.KernelWidth + firstX : -1;
                for (nint c = 0; c < channels; c += n)
                {
                    nint lanes = Math.Min(n, channels - c);
                    V max = Broadcast<V>(float.NegativeInfinity), tap = Broadcast<V>(none);
                    for (nint ky = firstY; ky < endY; ky++)
                    {
                        float* x = X + ((image * s.Height + top + ky * s.DilationY) * s.Width + left + firstX * s.DilationX) * channels + c;
                        if (!wanted) // inference needs no taps
                            for (nint kx = firstX; kx < endX; kx++, x += step) max = WindowMaximum.Of(Load<V>(x, lanes), max);
                        else
                            for (nint kx = firstX; kx < endX; kx++, x += step)
                                WindowMaximum.Take(Load<V>(x, lanes), Broadcast<V>(ky * s.KernelWidth + kx), ref max, ref tap);
                    }
                    Store(max, Y + target + c, lanes);
                    if (wanted) Store(tap, Taps + target + c, lanes);
                }
            }
        }
    }

    /// <summary>A row of the usual 2 x 2 windows; the loops over taps above take six times as long.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void HalveRow<V>(float* x, float* y) where V : unmanaged
    {
        nint n = Count<V>(), channels = Shape.Channels, below = Shape.Width * channels;
        for (nint ox = 0; ox < Shape.OutWidth; ox++, x += 2 * channels, y += channels)
            for (nint c = 0; c < channels; c += n)
            {
                nint lanes = Math.Min(n, channels - c);
                float* window = x + c;
                V max = WindowMaximum.Of(Load<V>(window + channels, lanes), Load<V>(window, lanes));
                max = WindowMaximum.Of(Load<V>(window + below, lanes), max);
                max = WindowMaximum.Of(Load<V>(window + below + channels, lanes), max);
                Store(max, y + c, lanes);
            }
    }
}

/// <summary>dx (+)= dy at the maximum's tap. Items are input rows, gathered from the windows that cover them.</summary>
internal unsafe struct MaxPoolBackward : IKernel
{
    public PoolShape Shape;
    public float* Taps, Dy;
    public GradientTarget Dx;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        PoolShape s = Shape;
        nint n = Count<V>(), channels = s.Channels;
        for (nint item = begin; item < end; item++)
        {
            nint image = item / s.Height, y = item % s.Height;
            float* row = Dx.Pointer + item * s.Width * channels;
            bool add = Dx.Accumulate || s.Overlaps; // windows that do not overlap write each pixel once
            if (!Dx.Accumulate && !(s.TilesColumns && s.TilesRow(y)))
            {
                new Span<float>(row, (int)(s.Width * channels)).Clear();
                add = true;
            }
            for (nint ky = 0; ky < s.KernelHeight; ky++)
            {
                nint up = y + s.PaddingY - ky * s.DilationY;
                if (up < 0 || up % s.StrideY != 0 || up / s.StrideY >= s.OutHeight) continue;
                nint source = (image * s.OutHeight + up / s.StrideY) * s.OutWidth * channels;
                for (nint ox = 0; ox < s.OutWidth; ox++, source += channels)
                    for (nint kx = 0; kx < s.KernelWidth; kx++)
                    {
                        nint x = ox * s.StrideX - s.PaddingX + kx * s.DilationX;
                        if ((nuint)x >= (nuint)s.Width) continue;
                        V tap = Broadcast<V>(ky * s.KernelWidth + kx);
                        float* target = row + x * channels;
                        for (nint c = 0; c < channels; c += n)
                        {
                            nint lanes = Math.Min(n, channels - c);
                            V g = Select(Equal(Load<V>(Taps + source + c, lanes), tap), Load<V>(Dy + source + c, lanes), default);
                            Store(add ? Load<V>(target + c, lanes) + g : g, target + c, lanes);
                        }
                    }
            }
        }
    }
}
