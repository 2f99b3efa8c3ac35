using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Spectral;

/// <summary>Converts the kernels of a group of channels from rows to lanes, and their gradients back.</summary>
internal static unsafe class LongConvTaps
{
    /// <summary>
    /// Writes c_s to row s for s &gt;= 0, and to row (rows + s) for s &lt; 0, with a row stride of <paramref name="stride"/> floats. The
    /// rows in between are not written.
    /// </summary>
    public static void Pack(
        in LongConvShape s, in LongConvInputs x, nint channel, nint lanes, float* to, nint stride, nint rows)
    {
        new Span<float>(to, (int)stride).Clear(); // c_0 without taps
        if (s.Taps > 0) Transpose.Run(x.Kernel + channel * s.KernelLength, s.KernelLength, lanes, s.Taps, to, stride);
        for (nint lane = 0; lane < lanes; lane++)
        {
            float* back = x.Back + (channel + lane) * s.BackLength;
            for (nint i = 0; i < s.BackTaps; i++) to[(rows - 1 - i) * stride + lane] = back[i];
            if (x.Skip != null) to[lane] += x.Skip[channel + lane];
        }
    }

    /// <summary>Writes the gradients of a group's kernels, with rows as in <see cref="Pack"/>, times a factor.</summary>
    public static void Unpack(
        in LongConvShape s, float* from, nint stride, nint rows, float scale, nint channel, nint lanes, in LongConvGradients to)
    {
        (GradientTarget kernel, GradientTarget ahead, GradientTarget skip) = (to.Kernel, to.Back, to.Skip);
        for (nint c = channel, lane = 0; lane < lanes; lane++, c++)
        {
            // In this order: two of the kernels may be the same tensor.
            if (kernel.IsWanted) Write(kernel.At(c * s.KernelLength), s.KernelLength, from + lane, stride, s.Taps, scale);
            if (ahead.IsWanted)
                Write(ahead.At(c * s.BackLength), s.BackLength, from + (rows - 1) * stride + lane, -stride, s.BackTaps, scale);
            if (skip.IsWanted) skip.StoreOne(scale * from[lane], skip.Pointer + c);
        }
    }

    private static void Write(GradientTarget to, nint length, float* from, nint stride, nint taps, float scale)
    {
        for (nint i = 0; i < taps; i++) to.StoreOne(scale * from[i * stride], to.Pointer + i);
        to.Prepare(to.Pointer + taps, length - taps); // taps that reach no token
    }
}
