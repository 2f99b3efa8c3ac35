using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Norms;

/// <summary>
/// The coefficients of normalization for each segment and channel, (x - mean) scale + shift: arrays (segments, channels).
/// </summary>
internal readonly unsafe struct ChannelAffine(float* start, nint count)
{
    public readonly float* Mean = start, Scale = start + count, Shift = start + 2 * count;

    /// <summary>Writes each segment's coefficients, repeated several times.</summary>
    public void RepeatTo(in ChannelAffine wide, nint segments, nint channels, nint times)
    {
        for (nint s = 0; s < segments; s++)
            for (nint t = 0; t < times; t++)
            {
                nint from = s * channels, to = (s * times + t) * channels;
                Unsafe.CopyBlockUnaligned(wide.Mean + to, Mean + from, (uint)channels * sizeof(float));
                Unsafe.CopyBlockUnaligned(wide.Scale + to, Scale + from, (uint)channels * sizeof(float));
                Unsafe.CopyBlockUnaligned(wide.Shift + to, Shift + from, (uint)channels * sizeof(float));
            }
    }

    /// <summary>A vector of channels of a segment.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Load<V>(nint index, nint lanes, out V mean, out V scale, out V shift) where V : unmanaged
    {
        mean = Vec.Load<V>(Mean + index, lanes);
        scale = Vec.Load<V>(Scale + index, lanes);
        shift = Vec.Load<V>(Shift + index, lanes);
    }
}

/// <summary>
/// Shared by batch, group and instance normalization. The rows (pixels) of x form segments: all of them, or one image each. Each segment
/// and channel has two forward sums, two backward sums, and three coefficients.
/// </summary>
internal static unsafe class ChannelNorm
{
    private const nint ElementsPerChunk = 16384;

    // Elements per block. Two vectors of channels at a time are summed; the rest of each line stays in L1 for the next two.
    private const nint ElementsPerBlock = 4096;

    /// <summary>Rows summed in float32. Longer sums add such partial sums in double, since an error here shifts a whole channel.</summary>
    private const nint RowsPerSum = 64;

    // With fewer rows, repeating the coefficients costs more than it saves.
    private const nint LeastRowsRepeated = 64;

    /// <summary>Mean and (biased) variance of each channel in each segment, in one pass over x.</summary>
    public static void Moments(float* x, nint segments, nint rows, nint channels, double* mean, double* variance)
    {
        using Partials partials = new(segments, rows, channels);
        partials.Run(new Deviations { X = x }, channels);
        for (nint s = 0; s < segments; s++)
            for (nint c = 0; c < channels; c++)
            {
                // Deviations are from one element of the segment, close enough to the mean to avoid cancellation.
                (double sum, double squares) = partials.Total(s, c);
                double shift = sum / rows;
                mean[s * channels + c] = x[(s * rows + Pivot(rows)) * channels + c] + shift;
                variance[s * channels + c] = Math.Max(0, squares / rows - shift * shift);
            }
    }

    /// <summary>
    /// The row whose elements approximate the mean. Not the first row, a corner of the image, where padding causes outliers.
    /// </summary>
    private static nint Pivot(nint rows) => rows * 2 / 3;

    /// <summary>y = f((x - mean) scale + shift); the mean is subtracted first, where cancellation is harmless.</summary>
    public static void Apply<TActivation>(float* x, float* y, nint segments, nint rows, nint channels, in ChannelAffine affine)
        where TActivation : unmanaged, IActivation
    {
        // Rows that do not fill vectors are joined into longer rows with repeated coefficients.
        nint together = Isa.RowsOfWholeVectors(channels);
        if (together == 1 || rows % together != 0 || rows < LeastRowsRepeated)
        {
            Launch.Run(
                new ChannelForward<TActivation> { X = x, Y = y, Affine = affine, Rows = rows, Channels = channels }, segments * rows,
                Math.Max(1, ElementsPerChunk / channels), Isa.For(channels));
            return;
        }
        nint wide = channels * together;
        using Scratch repeated = new(3 * segments * wide);
        ChannelAffine wideAffine = new(repeated.Pointer, segments * wide);
        affine.RepeatTo(wideAffine, segments, channels, together);
        Launch.Run(
            new ChannelForward<TActivation> { X = x, Y = y, Affine = wideAffine, Rows = rows / together, Channels = wide },
            segments * rows / together, Math.Max(1, ElementsPerChunk / wide), Isa.For(wide));
    }

    /// <summary>The sums of g and of g (x - mean) for each segment and channel, where g = f'(...) dy.</summary>
    public static void GradientSums<TActivation>(
        float* x, float* dy, nint segments, nint rows, nint channels, in ChannelAffine affine, double* sumG, double* sumGX)
        where TActivation : unmanaged, IActivation
    {
        using Partials partials = new(segments, rows, channels);
        partials.Run(new Gradients<TActivation> { X = x, Dy = dy, Affine = affine }, channels);
        for (nint s = 0; s < segments; s++)
            for (nint c = 0; c < channels; c++) (sumG[s * channels + c], sumGX[s * channels + c]) = partials.Total(s, c);
    }

    /// <summary>dx (+)= scale g + beta (x - mean) + gamma, where g = f'(...) dy, with one beta and gamma per segment and channel.</summary>
    public static void GradientApply<TActivation>(
        float* x, float* dy, GradientTarget dx, nint segments, nint rows, nint channels, in ChannelAffine affine,
        float* beta, float* gamma)
        where TActivation : unmanaged, IActivation =>
        Launch.Run(
            new ChannelBackward<TActivation>
            {
                Gradients = new Gradients<TActivation> { X = x, Dy = dy, Affine = affine },
                Dx = dx,
                Beta = beta,
                Gamma = gamma,
                Rows = rows,
                Channels = channels,
            },
            segments * rows, Math.Max(1, ElementsPerChunk / channels), Isa.For(channels));

    /// <summary>
    /// The terms of the two sums of each segment and channel: g, and g d, where d is a deviation from an approximate mean.
    /// </summary>
    private interface ITerms
    {
        /// <summary>The constants of a vector of channels of a segment.</summary>
        void Constants<V>(nint segment, nint rows, nint channels, nint channel, nint lanes, out V mean, out V scale, out V shift)
            where V : unmanaged;

        /// <summary>Loads the inputs of the terms at an element.</summary>
        void Read<V>(nint element, nint lanes, out V x, out V dy) where V : unmanaged;

        /// <summary>The same for two adjacent full vectors: one instruction loads both on ARM64.</summary>
        void Read<V>(nint element, out V x0, out V x1, out V dy0, out V dy1) where V : unmanaged;

        /// <summary>The terms of a vector.</summary>
        void At<V>(V x, V dy, V mean, V scale, V shift, out V g, out V d) where V : unmanaged;
    }

    /// <summary>Two partial sums for each (segment, chunk of rows, channel), and their totals in double, in order.</summary>
    private readonly ref struct Partials
    {
        private readonly Scratch _sums;
        private readonly nint _segments, _rows, _channels, _perChunk, _chunks;

        public Partials(nint segments, nint rows, nint channels)
        {
            (_segments, _rows, _channels) = (segments, rows, channels);
            _perChunk = Math.Clamp(ElementsPerChunk / channels, 1, RowsPerSum);
            _chunks = Launch.CeilDiv(rows, _perChunk);
            _sums = new Scratch(segments * _chunks * 2 * channels);
        }

        public void Run<TTerms>(TTerms terms, nint channels) where TTerms : unmanaged, ITerms => Launch.Run(
            new ChannelSums<TTerms>
            {
                Terms = terms,
                Rows = _rows,
                PerChunk = _perChunk,
                Chunks = _chunks,
                Channels = channels,
                Target = _sums.Pointer,
            },
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

    /// <summary>One item: both sums over a chunk of rows of a segment; even and odd rows have separate sums.</summary>
    private struct ChannelSums<TTerms> : IKernel where TTerms : unmanaged, ITerms
    {
        public TTerms Terms;
        public nint Rows, PerChunk, Chunks, Channels;
        public float* Target;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            nint n = Count<V>(), channels = Channels;
            TTerms terms = Terms;
            for (nint item = begin; item < end; item++)
            {
                nint segment = item / Chunks, first = item % Chunks * PerChunk;
                nint from = (segment * Rows + first) * channels, to = (segment * Rows + Math.Min(Rows, first + PerChunk)) * channels;
                float* target = Target + item * 2 * channels;
                nint c = 0;
                for (; c <= channels - 2 * n; c += 2 * n)
                {
                    terms.Constants(segment, Rows, channels, c, n, out V mean0, out V scale0, out V shift0);
                    terms.Constants(segment, Rows, channels, c + n, n, out V mean1, out V scale1, out V shift1);
                    V even0 = default, even1 = default, odd0 = default, odd1 = default, evenProduct0 = default, evenProduct1 = default;
                    V oddProduct0 = default, oddProduct1 = default;
                    nint i = from + c;
                    for (; i < to - channels; i += 2 * channels)
                    {
                        terms.Read(i, out V x0, out V x1, out V dy0, out V dy1);
                        Add(terms, x0, dy0, mean0, scale0, shift0, ref even0, ref evenProduct0);
                        Add(terms, x1, dy1, mean1, scale1, shift1, ref even1, ref evenProduct1);
                        terms.Read(i + channels, out x0, out x1, out dy0, out dy1);
                        Add(terms, x0, dy0, mean0, scale0, shift0, ref odd0, ref oddProduct0);
                        Add(terms, x1, dy1, mean1, scale1, shift1, ref odd1, ref oddProduct1);
                    }
                    if (i < to)
                    {
                        terms.Read(i, out V x0, out V x1, out V dy0, out V dy1);
                        Add(terms, x0, dy0, mean0, scale0, shift0, ref even0, ref evenProduct0);
                        Add(terms, x1, dy1, mean1, scale1, shift1, ref even1, ref evenProduct1);
                    }
                    Store(even0 + odd0, target + c);
                    Store(even1 + odd1, target + c + n);
                    Store(evenProduct0 + oddProduct0, target + channels + c);
                    Store(evenProduct1 + oddProduct1, target + channels + c + n);
                }
                for (; c < channels; c += n)
                {
                    nint lanes = Math.Min(n, channels - c);
                    terms.Constants(segment, Rows, channels, c, lanes, out V mean, out V scale, out V shift);
                    V even = default, odd = default, evenProduct = default, oddProduct = default;
                    nint i = from + c;
                    for (; i < to - channels; i += 2 * channels)
                    {
                        terms.Read(i, lanes, out V x, out V dy);
                        Add(terms, x, dy, mean, scale, shift, ref even, ref evenProduct);
                        terms.Read(i + channels, lanes, out x, out dy);
                        Add(terms, x, dy, mean, scale, shift, ref odd, ref oddProduct);
                    }
                    if (i < to)
                    {
                        terms.Read(i, lanes, out V x, out V dy);
                        Add(terms, x, dy, mean, scale, shift, ref even, ref evenProduct);
                    }
                    Store(even + odd, target + c, lanes);
                    Store(evenProduct + oddProduct, target + channels + c, lanes);
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Add<V>(in TTerms terms, V x, V dy, V mean, V scale, V shift, ref V sum, ref V product) where V : unmanaged
        {
            terms.At(x, dy, mean, scale, shift, out V g, out V d);
            sum += g;
            product = Fma(g, d, product);
        }
    }

    /// <summary>The deviations from one element of the segment, and their squares.</summary>
    private struct Deviations : ITerms
    {
        public float* X;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Constants<V>(
            nint segment, nint rows, nint channels, nint channel, nint lanes, out V mean, out V scale, out V shift)
            where V : unmanaged
        {
            mean = Load<V>(X + (segment * rows + Pivot(rows)) * channels + channel, lanes);
            scale = shift = default;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Read<V>(nint element, nint lanes, out V x, out V dy) where V : unmanaged
        {
            x = Load<V>(X + element, lanes);
            dy = default;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Read<V>(nint element, out V x0, out V x1, out V dy0, out V dy1) where V : unmanaged
        {
            float* x = X + element;
            x0 = Load<V>(x);
            x1 = Load<V>(x + Count<V>());
            dy0 = dy1 = default;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void At<V>(V x, V dy, V mean, V scale, V shift, out V g, out V d) where V : unmanaged => g = d = x - mean;
    }

    /// <summary>The gradients before the activation, and their products with the deviations from the mean.</summary>
    private struct Gradients<TActivation> : ITerms where TActivation : unmanaged, IActivation
    {
        public float* X, Dy;
        public ChannelAffine Affine;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Constants<V>(
            nint segment, nint rows, nint channels, nint channel, nint lanes, out V mean, out V scale, out V shift)
            where V : unmanaged =>
            Affine.Load(segment * channels + channel, lanes, out mean, out scale, out shift);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Read<V>(nint element, nint lanes, out V x, out V dy) where V : unmanaged
        {
            x = Load<V>(X + element, lanes);
            dy = Load<V>(Dy + element, lanes);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Read<V>(nint element, out V x0, out V x1, out V dy0, out V dy1) where V : unmanaged
        {
            float* x = X + element, dy = Dy + element;
            x0 = Load<V>(x);
            x1 = Load<V>(x + Count<V>());
            dy0 = Load<V>(dy);
            dy1 = Load<V>(dy + Count<V>());
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void At<V>(V x, V dy, V mean, V scale, V shift, out V g, out V d) where V : unmanaged
        {
            d = x - mean;
            g = dy;
            if (typeof(TActivation) != typeof(Identity)) g *= Activations.Slope<TActivation, V>(Fma(d, scale, shift));
        }
    }

    private struct ChannelForward<TActivation> : IKernel where TActivation : unmanaged, IActivation
    {
        public float* X, Y;
        public ChannelAffine Affine;
        public nint Rows, Channels;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            nint n = Count<V>(), channels = Channels, block = Math.Max(1, ElementsPerBlock / channels);
            float* x = X, y = Y;
            for (nint from = begin, to; from < end; from = to)
            {
                nint segment = from / Rows, c = 0;
                to = Math.Min(Math.Min(end, from + block), (segment + 1) * Rows);
                for (; c <= channels - 2 * n; c += 2 * n)
                {
                    Affine.Load(segment * channels + c, n, out V mean0, out V scale0, out V shift0);
                    Affine.Load(segment * channels + c + n, n, out V mean1, out V scale1, out V shift1);
                    float* target = y + from * channels + c;
                    for (float* source = x + from * channels + c; source < x + to * channels; source += channels, target += channels)
                    {
                        V a = Load<V>(source), b = Load<V>(source + n); // adjacent: one instruction loads or stores both on ARM64
                        V first = TActivation.Apply(Fma(a - mean0, scale0, shift0));
                        V second = TActivation.Apply(Fma(b - mean1, scale1, shift1));
                        Store(first, target);
                        Store(second, target + n);
                    }
                }
                for (; c < channels; c += n)
                {
                    nint lanes = Math.Min(n, channels - c);
                    Affine.Load(segment * channels + c, lanes, out V mean, out V scale, out V shift);
                    for (nint i = from * channels + c; i < to * channels; i += channels)
                        Store(TActivation.Apply(Fma(Load<V>(x + i, lanes) - mean, scale, shift)), y + i, lanes);
                }
            }
        }
    }

    private struct ChannelBackward<TActivation> : IKernel where TActivation : unmanaged, IActivation
    {
        public Gradients<TActivation> Gradients;
        public GradientTarget Dx;
        public float* Beta, Gamma;
        public nint Rows, Channels;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            nint n = Count<V>(), channels = Channels, block = Math.Max(1, ElementsPerBlock / channels);
            Gradients<TActivation> gradients = Gradients;
            GradientTarget target = Dx;
            float* dx = target.Pointer;
            for (nint from = begin, to; from < end; from = to)
            {
                nint segment = from / Rows, c = 0, k = segment * channels;
                to = Math.Min(Math.Min(end, from + block), (segment + 1) * Rows);
                for (; c <= channels - 2 * n; c += 2 * n)
                {
                    gradients.Affine.Load(k + c, n, out V mean0, out V scale0, out V shift0);
                    gradients.Affine.Load(k + c + n, n, out V mean1, out V scale1, out V shift1);
                    V beta0 = Load<V>(Beta + k + c), beta1 = Load<V>(Beta + k + c + n), gamma0 = Load<V>(Gamma + k + c);
                    V gamma1 = Load<V>(Gamma + k + c + n);
                    for (nint i = from * channels + c; i < to * channels; i += channels)
                    {
                        gradients.Read(i, out V x0, out V x1, out V dy0, out V dy1);
                        gradients.At(x0, dy0, mean0, scale0, shift0, out V g0, out V d0);
                        gradients.At(x1, dy1, mean1, scale1, shift1, out V g1, out V d1);
                        V r0 = Fma(g0, scale0, Fma(d0, beta0, gamma0)), r1 = Fma(g1, scale1, Fma(d1, beta1, gamma1));
                        target.StorePair(r0, r1, dx + i);
                    }
                }
                for (; c < channels; c += n)
                {
                    nint lanes = Math.Min(n, channels - c);
                    gradients.Affine.Load(k + c, lanes, out V mean, out V scale, out V shift);
                    V beta = Load<V>(Beta + k + c, lanes), gamma = Load<V>(Gamma + k + c, lanes);
                    for (nint i = from * channels + c; i < to * channels; i += channels)
                    {
                        gradients.Read(i, lanes, out V x, out V dy);
                        gradients.At(x, dy, mean, scale, shift, out V g, out V d);
                        V r = Fma(g, scale, Fma(d, beta, gamma));
                        target.Store(r, dx + i, lanes);
                    }
                }
            }
        }
    }
}
