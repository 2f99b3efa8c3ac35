using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels;

/// <summary>
/// What batch, group and instance normalisation share. The rows (pixels) of x fall into segments (all of them, or one image each); for every
/// segment and channel there are two sums forward, two sums backward, and three coefficients that turn them into the result.
/// </summary>
internal static unsafe class ChannelNorm
{
    private const nint ElementsPerChunk = 16384;

    /// <summary>Rows that are summed in float; longer sums are of such sums, in double. An error here is a shift of a whole channel.</summary>
    private const nint RowsPerSum = 64;

    /// <summary>Mean and (biased) variance of each channel in each segment, in one pass over x.</summary>
    public static void Moments(float* x, nint segments, nint rows, nint channels, double* mean, double* variance)
    {
        using Partials partials = new(segments, rows, channels);
        partials.Run(new ChannelMoments { X = x }, channels);
        for (nint s = 0; s < segments; s++)
            for (nint c = 0; c < channels; c++)
            {
                // Deviations are from one of the segment's elements, which is near enough to the mean: no cancellation.
                (double sum, double squares) = partials.Total(s, c);
                double shift = sum / rows;
                mean[s * channels + c] = x[(s * rows + Pivot(rows)) * channels + c] + shift;
                variance[s * channels + c] = Math.Max(0, squares / rows - shift * shift);
            }
    }

    /// <summary>The row whose elements stand for the mean: not the first, which is a corner of the image, where padding makes outliers.</summary>
    private static nint Pivot(nint rows) => rows * 2 / 3;

    /// <summary>y = (x - mean) scale + shift, the three given for each segment and channel; taking the mean off first cancels where it is harmless.</summary>
    public static void Apply(float* x, float* y, nint segments, nint rows, nint channels, float* mean, float* scale, float* shift) =>
        Launch.Run(
            new ChannelAffine { X = x, Y = y, Mean = mean, Scale = scale, Shift = shift, Rows = rows, Channels = channels }, segments * rows,
            Math.Max(1, ElementsPerChunk / channels), Isa.For(channels));

    /// <summary>The sums of dy and of dy (x - mean) for each segment and channel.</summary>
    public static void GradientSums(float* x, float* dy, nint segments, nint rows, nint channels, float* mean, double* sumDy, double* sumDyX)
    {
        using Partials partials = new(segments, rows, channels);
        partials.Run(new ChannelGradientSums { X = x, Dy = dy, Mean = mean }, channels);
        for (nint s = 0; s < segments; s++)
            for (nint c = 0; c < channels; c++) (sumDy[s * channels + c], sumDyX[s * channels + c]) = partials.Total(s, c);
    }

    /// <summary>dx (+)= alpha dy + beta (x - mean) + gamma, all four for each segment and channel.</summary>
    public static void GradientApply(
        float* x, float* dy, float* dx, nint segments, nint rows, nint channels, float* mean, float* alpha, float* beta, float* gamma, bool add) =>
        Launch.Run(
            new ChannelGradient { X = x, Dy = dy, Dx = dx, Mean = mean, Alpha = alpha, Beta = beta, Gamma = gamma, Rows = rows, Channels = channels, Add = add },
            segments * rows, Math.Max(1, ElementsPerChunk / channels), Isa.For(channels));

    /// <summary>A kernel that sums two things over the rows of a chunk.</summary>
    private interface IChannelSums
    {
        /// <summary>Adds up rows [begin, end) of one segment into first[c] and second[c].</summary>
        void Sum<V>(nint begin, nint end, nint segment, nint firstRow, nint rows, nint channels, float* first, float* second) where V : unmanaged;
    }

    /// <summary>Two sums for each (segment, chunk of rows, channel), and their totals in double, in order.</summary>
    private readonly ref struct Partials
    {
        private readonly Scratch _sums;
        private readonly nint _segments, _rows, _channels, _perChunk, _chunks;

        public Partials(nint segments, nint rows, nint channels)
        {
            (_segments, _rows, _channels) = (segments, rows, channels);
            _perChunk = Math.Clamp(ElementsPerChunk / channels, 1, RowsPerSum);
            _chunks = Launch.Chunks(rows, _perChunk);
            _sums = new Scratch(segments * _chunks * 2 * channels);
        }

        public void Run<TSums>(TSums sums, nint channels) where TSums : unmanaged, IChannelSums => Launch.Run(
            new SumKernel<TSums> { Sums = sums, Rows = _rows, PerChunk = _perChunk, Chunks = _chunks, Channels = channels, Target = _sums.Pointer },
            _segments * _chunks, Math.Max(1, ElementsPerChunk / (_perChunk * channels)), Isa.For(channels));

        public (double First, double Second) Total(nint segment, nint channel)
        {
            double first = 0, second = 0;
            float* p = _sums.Pointer + segment * _chunks * 2 * _channels + channel;
            for (nint i = 0; i < _chunks; i++, p += 2 * _channels)
            {
                first += p[0];
                second += p[_channels];
            }
            return (first, second);
        }

        public void Dispose() => _sums.Dispose();
    }

    private struct SumKernel<TSums> : IKernel where TSums : unmanaged, IChannelSums
    {
        public TSums Sums;
        public nint Rows, PerChunk, Chunks, Channels;
        public float* Target;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            for (nint item = begin; item < end; item++)
            {
                nint segment = item / Chunks, first = item % Chunks * PerChunk;
                float* target = Target + item * 2 * Channels;
                Sums.Sum<V>(segment * Rows + first, segment * Rows + Math.Min(Rows, first + PerChunk), segment, segment * Rows, Rows, Channels, target, target + Channels);
            }
        }
    }

    private struct ChannelMoments : IChannelSums
    {
        public float* X;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Sum<V>(nint begin, nint end, nint segment, nint firstRow, nint rows, nint channels, float* first, float* second) where V : unmanaged
        {
            nint n = Count<V>();
            for (nint c = 0; c < channels; c += n)
            {
                nint lanes = Math.Min(n, channels - c);
                V pivot = Load<V>(X + (firstRow + Pivot(rows)) * channels + c, lanes), s0 = default, s1 = default, q0 = default, q1 = default;
                float* x = X + begin * channels + c;
                nint r = begin;
                if (lanes == n)
                    for (; r < end - 1; r += 2, x += 2 * channels)
                    {
                        V d0 = Load<V>(x) - pivot, d1 = Load<V>(x + channels) - pivot;
                        s0 += d0;
                        s1 += d1;
                        q0 = Fma(d0, d0, q0);
                        q1 = Fma(d1, d1, q1);
                    }
                for (; r < end; r++, x += channels)
                {
                    V d = Load<V>(x, lanes) - pivot;
                    s0 += d;
                    q0 = Fma(d, d, q0);
                }
                Store(s0 + s1, first + c, lanes);
                Store(q0 + q1, second + c, lanes);
            }
        }
    }

    private struct ChannelGradientSums : IChannelSums
    {
        public float* X, Dy, Mean;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Sum<V>(nint begin, nint end, nint segment, nint firstRow, nint rows, nint channels, float* first, float* second) where V : unmanaged
        {
            nint n = Count<V>();
            for (nint c = 0; c < channels; c += n)
            {
                nint lanes = Math.Min(n, channels - c);
                V mean = Load<V>(Mean + segment * channels + c, lanes), s0 = default, s1 = default, q0 = default, q1 = default;
                float* x = X + begin * channels + c, dy = Dy + begin * channels + c;
                nint r = begin;
                if (lanes == n)
                    for (; r < end - 1; r += 2, x += 2 * channels, dy += 2 * channels)
                    {
                        V g0 = Load<V>(dy), g1 = Load<V>(dy + channels);
                        s0 += g0;
                        s1 += g1;
                        q0 = Fma(g0, Load<V>(x) - mean, q0);
                        q1 = Fma(g1, Load<V>(x + channels) - mean, q1);
                    }
                for (; r < end; r++, x += channels, dy += channels)
                {
                    V g = Load<V>(dy, lanes);
                    s0 += g;
                    q0 = Fma(g, Load<V>(x, lanes) - mean, q0);
                }
                Store(s0 + s1, first + c, lanes);
                Store(q0 + q1, second + c, lanes);
            }
        }
    }

    private struct ChannelAffine : IKernel
    {
        public float* X, Y, Mean, Scale, Shift;
        public nint Rows, Channels;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            nint n = Count<V>(), channels = Channels;
            for (nint from = begin; from < end;)
            {
                nint segment = from / Rows, to = Math.Min(end, (segment + 1) * Rows);
                for (nint c = 0; c < channels; c += n)
                {
                    nint lanes = Math.Min(n, channels - c);
                    nint k = segment * channels + c;
                    V mean = Load<V>(Mean + k, lanes), scale = Load<V>(Scale + k, lanes), shift = Load<V>(Shift + k, lanes);
                    float* x = X + from * channels + c, y = Y + from * channels + c;
                    if (lanes == n)
                        for (nint r = from; r < to; r++, x += channels, y += channels) Store(Fma(Load<V>(x) - mean, scale, shift), y);
                    else
                        for (nint r = from; r < to; r++, x += channels, y += channels) Store(Fma(Load<V>(x, lanes) - mean, scale, shift), y, lanes);
                }
                from = to;
            }
        }
    }

    private struct ChannelGradient : IKernel
    {
        public float* X, Dy, Dx, Mean, Alpha, Beta, Gamma;
        public nint Rows, Channels;
        public bool Add;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            nint n = Count<V>(), channels = Channels;
            bool add = Add;
            for (nint from = begin; from < end;)
            {
                nint segment = from / Rows, to = Math.Min(end, (segment + 1) * Rows);
                for (nint c = 0; c < channels; c += n)
                {
                    nint lanes = Math.Min(n, channels - c), k = segment * channels + c;
                    V mean = Load<V>(Mean + k, lanes), alpha = Load<V>(Alpha + k, lanes), beta = Load<V>(Beta + k, lanes), gamma = Load<V>(Gamma + k, lanes);
                    float* x = X + from * channels + c, dy = Dy + from * channels + c, dx = Dx + from * channels + c;
                    if (lanes == n)
                        for (nint r = from; r < to; r++, x += channels, dy += channels, dx += channels)
                        {
                            V g = Fma(Load<V>(dy), alpha, Fma(Load<V>(x) - mean, beta, gamma));
                            Store(add ? g + Load<V>(dx) : g, dx);
                        }
                    else
                        for (nint r = from; r < to; r++, x += channels, dy += channels, dx += channels)
                        {
                            V g = Fma(Load<V>(dy, lanes), alpha, Fma(Load<V>(x, lanes) - mean, beta, gamma));
                            Store(add ? g + Load<V>(dx, lanes) : g, dx, lanes);
                        }
                }
                from = to;
            }
        }
    }
}
