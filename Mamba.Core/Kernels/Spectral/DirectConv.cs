using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Spectral;

/// <summary>
/// y_t = sum_i taps_i x_(t + First + i), zero-padded: convolution with a short kernel, or its transpose. One item: a part of a sequence.
/// </summary>
internal unsafe struct DirectConv : IKernel
{
    private const int Block = 8;

    public LongConvShape Shape;
    public float* X, Taps;

    /// <summary>Tap stride in floats: negative for reversed taps.</summary>
    public nint TapStride;

    public nint First;
    public GradientTarget Y;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        LongConvShape s = Shape;
        nint n = Count<V>(), channels = s.Channels, taps = s.AllTaps;
        for (nint item = begin; item < end; item++)
        {
            nint start = item % s.Parts * s.PartLength, stop = Math.Min(s.Length, start + s.PartLength);
            nint offset = item / s.Parts * s.Length * channels;
            // In [inside, outside), all taps of all tokens of a block are in range.
            nint inside = Math.Min(stop, Math.Max(start, -First)), outside = Math.Max(inside, Math.Min(stop, s.Length - First - taps + 1));
            for (nint c = 0; c < channels; c += n)
            {
                nint lanes = Math.Min(n, channels - c), t = start;
                for (; t < inside; t++) Token<V>(offset + c, t, Taps + c, lanes);
                for (; lanes == n && t <= outside - Block; t += Block) Tokens<V>(offset + c, t, Taps + c, taps);
                for (; t < stop; t++) Token<V>(offset + c, t, Taps + c, lanes);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void Token<V>(nint offset, nint t, float* taps, nint lanes) where V : unmanaged
    {
        nint first = Math.Max(0, -(t + First)), last = Math.Min(Shape.AllTaps, Shape.Length - (t + First)), channels = Shape.Channels;
        float* y = Y.Pointer + offset + t * channels, x = X + offset + (t + First) * channels;
        V sum = Y.Start<V>(y, lanes);
        for (nint i = first; i < last; i++) sum = Fma(Load<V>(x + i * channels, lanes), Load<V>(taps + i * TapStride, lanes), sum);
        Store(sum, y, lanes);
    }

    /// <summary>Eight tokens: eight independent chains, and each tap is loaded once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void Tokens<V>(nint offset, nint t, float* tap, nint taps) where V : unmanaged
    {
        nint channels = Shape.Channels, n = Count<V>();
        GradientTarget target = Y;
        float* y = target.Pointer + offset + t * channels, x = X + offset + (t + First) * channels;
        V y0 = target.Start<V>(y, n), y1 = target.Start<V>(y + channels, n), y2 = target.Start<V>(y + 2 * channels, n);
        V y3 = target.Start<V>(y + 3 * channels, n), y4 = target.Start<V>(y + 4 * channels, n);
        V y5 = target.Start<V>(y + 5 * channels, n), y6 = target.Start<V>(y + 6 * channels, n);
        V y7 = target.Start<V>(y + 7 * channels, n);
        for (nint i = 0; i < taps; i++, tap += TapStride, x += channels)
        {
            V w = Load<V>(tap);
            y0 = Fma(Load<V>(x), w, y0);
            y1 = Fma(Load<V>(x + channels), w, y1);
            y2 = Fma(Load<V>(x + 2 * channels), w, y2);
            y3 = Fma(Load<V>(x + 3 * channels), w, y3);
            y4 = Fma(Load<V>(x + 4 * channels), w, y4);
            y5 = Fma(Load<V>(x + 5 * channels), w, y5);
            y6 = Fma(Load<V>(x + 6 * channels), w, y6);
            y7 = Fma(Load<V>(x + 7 * channels), w, y7);
        }
        Store(y0, y);
        Store(y1, y + channels);
        Store(y2, y + 2 * channels);
        Store(y3, y + 3 * channels);
        Store(y4, y + 4 * channels);
        Store(y5, y + 5 * channels);
        Store(y6, y + 6 * channels);
        Store(y7, y + 7 * channels);
    }
}

/// <summary>
/// dtaps_s = sum_t dy_t u_(t - s), for s from -BackTaps on, over a part of each sequence of a part of the batch. One item is such a part,
/// with its own sums.
/// </summary>
internal unsafe struct DirectTapGradient : IKernel
{
    private const int Block = 4;

    public LongConvShape Shape;
    public float* U, Dy;

    /// <summary>(items, taps, C).</summary>
    public float* Sums;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        LongConvShape s = Shape;
        nint n = Count<V>(), channels = s.Channels, taps = s.AllTaps;
        for (nint item = begin; item < end; item++)
        {
            nint start = item % s.Parts * s.PartLength, stop = Math.Min(s.Length, start + s.PartLength);
            nint first = item / s.Parts * s.PartBatch, last = Math.Min(s.Batch, first + s.PartBatch);
            float* sums = Sums + item * taps * channels;
            new Span<float>(sums, (int)(taps * channels)).Clear();
            for (nint b = first; b < last; b++)
                for (nint c = 0; c < channels; c += n)
                {
                    nint lanes = Math.Min(n, channels - c), tap = 0, offset = b * s.Length * channels + c;
                    for (; tap <= taps - Block; tap += Block)
                        FourTaps<V>(offset, tap - s.BackTaps, start, stop, lanes, sums + tap * channels + c);
                    for (; tap < taps; tap++)
                        AddSum<V>(offset, tap - s.BackTaps, start, stop, lanes, sums + tap * channels + c);
                }
        }
    }

    /// <summary>Taps s to s + 3, together where the tokens of all four are in range.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void FourTaps<V>(nint offset, nint s, nint start, nint stop, nint lanes, float* sums) where V : unmanaged
    {
        nint channels = Shape.Channels;
        nint from = Math.Min(stop, Math.Max(start, s + Block - 1)), to = Math.Max(from, Math.Min(stop, Shape.Length + s));
        V s0 = Load<V>(sums, lanes), s1 = Load<V>(sums + channels, lanes), s2 = Load<V>(sums + 2 * channels, lanes);
        V s3 = Load<V>(sums + 3 * channels, lanes);
        float* dy = Dy + offset + from * channels, u = U + offset + (from - s) * channels;
        for (nint t = from; t < to; t++, dy += channels, u += channels)
        {
            V g = Load<V>(dy, lanes);
            s0 = Fma(Load<V>(u, lanes), g, s0);
            s1 = Fma(Load<V>(u - channels, lanes), g, s1);
            s2 = Fma(Load<V>(u - 2 * channels, lanes), g, s2);
            s3 = Fma(Load<V>(u - 3 * channels, lanes), g, s3);
        }
        Store(s0, sums, lanes);
        Store(s1, sums + channels, lanes);
        Store(s2, sums + 2 * channels, lanes);
        Store(s3, sums + 3 * channels, lanes);
        for (nint i = 0; i < Block; i++, sums += channels)
        {
            AddSum<V>(offset, s + i, start, from, lanes, sums);
            AddSum<V>(offset, s + i, to, stop, lanes, sums);
        }
    }

    /// <summary>One tap, over the tokens in range.</summary>
    private readonly void AddSum<V>(nint offset, nint s, nint start, nint stop, nint lanes, float* at) where V : unmanaged
    {
        nint channels = Shape.Channels;
        V sum = Load<V>(at, lanes);
        for (nint t = Math.Max(start, s); t < Math.Min(stop, Shape.Length + s); t++)
            sum = Fma(Load<V>(U + offset + (t - s) * channels, lanes), Load<V>(Dy + offset + t * channels, lanes), sum);
        Store(sum, at, lanes);
    }
}
