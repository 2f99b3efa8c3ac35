using Mamba.Core.Kernels;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>What PyTorch adds to a variance by default.</summary>
    internal const float NormEps = 1e-5f;

    /// <summary>
    /// Batch normalisation (Ioffe and Szegedy 2015): each channel by its mean and variance over all other dimensions. In training these are the
    /// batch's, and the running statistics move towards them (the variance unbiased, as in PyTorch); otherwise the running statistics are used.
    /// </summary>
    /// <param name="x">(..., C).</param>
    /// <param name="weight">(C).</param>
    /// <param name="bias">(C).</param>
    /// <param name="runningMean">(C); written in training.</param>
    /// <param name="runningVar">(C); written in training.</param>
    /// <param name="training">Whether to use, and learn from, the statistics of this batch.</param>
    /// <param name="momentum">The weight of this batch in the running statistics.</param>
    /// <param name="eps">Added to the variance.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, or there is one value a channel to take statistics of.</exception>
    public static Tensor BatchNorm(
        Tensor x, Tensor weight, Tensor bias, Tensor runningMean, Tensor runningVar, bool training, float momentum = 0.1f, float eps = NormEps)
    {
        (int channels, int rows) = Channels(x, "BatchNorm");
        Check.Extents(weight, "BatchNorm", "weight", channels);
        Check.Extents(bias, "BatchNorm", "bias", channels);
        Check.Extents(runningMean, "BatchNorm", "running mean", channels);
        Check.Extents(runningVar, "BatchNorm", "running variance", channels);
        Check.That(!training || rows > 1, "BatchNorm", $"input {x.Shape} has one value a channel; training needs more");

        using Scratch moments = Scratch.OfDoubles(2 * (nint)channels);
        double* mean = moments.Doubles, variance = mean + channels;
        if (training)
        {
            ChannelNorm.Moments(x.Pointer, 1, rows, channels, mean, variance);
            for (int c = 0; c < channels; c++)
            {
                runningMean.Span[c] = (float)((1 - momentum) * (double)runningMean.Span[c] + momentum * mean[c]);
                runningVar.Span[c] = (float)((1 - momentum) * (double)runningVar.Span[c] + momentum * variance[c] * rows / (rows - 1));
            }
        }
        else
        {
            for (int c = 0; c < channels; c++) (mean[c], variance[c]) = (runningMean.Span[c], runningVar.Span[c]);
        }
        return Normalize(x, weight, bias, 1, rows, channels, channels, mean, variance, eps, constantStatistics: !training);
    }

    /// <summary>Group normalisation (Wu and He 2018): each group of channels of each image by its own mean and variance.</summary>
    /// <param name="x">(B, ..., C).</param>
    /// <param name="groups">How many groups; it divides C.</param>
    /// <param name="weight">(C), or null for 1.</param>
    /// <param name="bias">(C), or null for 0.</param>
    /// <param name="eps">Added to the variance.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor GroupNorm(Tensor x, int groups, Tensor? weight = null, Tensor? bias = null, float eps = NormEps) =>
        NormalizeImages("GroupNorm", x, groups, weight, bias, eps);

    /// <summary>Instance normalisation (Ulyanov et al. 2016): each channel of each image by its own mean and variance.</summary>
    /// <param name="x">(B, ..., C).</param>
    /// <param name="weight">(C), or null for 1.</param>
    /// <param name="bias">(C), or null for 0.</param>
    /// <param name="eps">Added to the variance.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor InstanceNorm(Tensor x, Tensor? weight = null, Tensor? bias = null, float eps = NormEps) =>
        NormalizeImages("InstanceNorm", x, x.Shape.Rank > 0 ? x.Shape[-1] : 0, weight, bias, eps);

    /// <summary>Layer normalisation (Ba et al. 2016): each row by its mean and variance over the last dimension.</summary>
    /// <param name="x">(..., C).</param>
    /// <param name="weight">(C), or null for 1.</param>
    /// <param name="bias">(C), or null for 0.</param>
    /// <param name="eps">Added to the variance.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor LayerNorm(Tensor x, Tensor? weight = null, Tensor? bias = null, float eps = NormEps) =>
        NormalizeRows("LayerNorm", x, weight, bias, eps, center: true);

    /// <summary>Root-mean-square normalisation (Zhang and Sennrich 2019): x weight / sqrt(mean(x^2) + eps) over the last dimension.</summary>
    /// <param name="x">(..., C).</param>
    /// <param name="weight">(C).</param>
    /// <param name="eps">Added to the mean square.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor RmsNorm(Tensor x, Tensor weight, float eps = NormEps) => NormalizeRows("RmsNorm", x, weight, null, eps, center: false);

    private static Tensor NormalizeImages(string name, Tensor x, int groups, Tensor? weight, Tensor? bias, float eps)
    {
        Check.That(x.Shape.Rank >= 2 && x.Shape[0] > 0, name, $"input {x.Shape}; expected (B, ..., C)");
        (int channels, int rows) = Channels(x, name);
        Check.That(groups > 0 && channels % groups == 0, name, $"{groups} groups for {channels} channels");
        Check.Extents(weight, name, "weight", channels);
        Check.Extents(bias, name, "bias", channels);
        int images = x.Shape[0], perGroup = channels / groups;

        int count = images * channels;
        using Scratch moments = Scratch.OfDoubles(2 * (nint)count);
        double* mean = moments.Doubles, variance = mean + count;
        ChannelNorm.Moments(x.Pointer, images, rows / images, channels, mean, variance);
        for (int first = 0; first < count; first += perGroup)
        {
            // The variance of a group is the mean of its channels' variances plus the variance of their means.
            double groupMean = 0, groupVariance = 0;
            for (int c = first; c < first + perGroup; c++) groupMean += mean[c] / perGroup;
            for (int c = first; c < first + perGroup; c++) groupVariance += (variance[c] + (mean[c] - groupMean) * (mean[c] - groupMean)) / perGroup;
            for (int c = first; c < first + perGroup; c++) (mean[c], variance[c]) = (groupMean, groupVariance);
        }
        return Normalize(x, weight, bias, images, rows / images, channels, groups, mean, variance, eps, constantStatistics: false);
    }

    /// <summary>The common part of the norms whose statistics are a mean and a variance for each segment and channel.</summary>
    private static Tensor Normalize(
        Tensor x, Tensor? weight, Tensor? bias, int segments, int rows, int channels, int groups, double* mean, double* variance, float eps, bool constantStatistics)
    {
        int count = segments * channels;
        Tensor y = Tensor.Empty(x.Shape);
        Tensor statistics = Tensor.Empty(2, count); // mean and 1 / sqrt(variance + eps)
        using (Scratch coefficients = new(2 * count))
        {
            float* scale = coefficients.Pointer, shift = scale + count, m = statistics.Pointer, r = m + count, gain = weight.Pointer, offset = bias.Pointer;
            for (int i = 0; i < count; i++)
            {
                int c = i % channels;
                double rstd = 1 / Math.Sqrt(variance[i] + eps), w = gain == null ? 1 : gain[c];
                m[i] = (float)mean[i];
                r[i] = (float)rstd;
                scale[i] = (float)(w * rstd);
                // What rounding took off the mean is put back here.
                shift[i] = (float)((offset == null ? 0 : offset[c]) - (mean[i] - m[i]) * w * rstd);
            }
            ChannelNorm.Apply(x.Pointer, y.Pointer, segments, rows, channels, m, scale, shift);
        }

        if (Tape.Needs(x, weight, bias))
            Tape.Push(y, (x, weight, bias, statistics, segments, rows, channels, groups, constantStatistics), static (context, dy) =>
            {
                (Tensor x, Tensor? weight, Tensor? bias, Tensor statistics, int segments, int rows, int channels, int groups, bool constantStatistics) = context;
                int count = segments * channels;
                float* m = statistics.Pointer, r = m + count, w = weight.Pointer;
                using Scratch sums = Scratch.OfDoubles(2 * (nint)count);
                double* sumDy = sums.Doubles, sumDyX = sumDy + count;
                ChannelNorm.GradientSums(x.Pointer, dy.Pointer, segments, rows, channels, m, sumDy, sumDyX);
                for (int i = 0; i < count; i++) sumDyX[i] *= r[i];
                AddPerChannel(weight, new Span<double>(sumDyX, count), channels);
                AddPerChannel(bias, new Span<double>(sumDy, count), channels);
                if (!x.NeedsGrad) return;

                // dx = r (w dy - mean(w dy) - x^ mean(w dy x^)), the means over the elements that share a mean and a variance.
                using Scratch coefficients = new(3 * count);
                float* alpha = coefficients.Pointer, beta = alpha + count, gamma = beta + count;
                int perGroup = channels / groups;
                for (int first = 0; first < count; first += perGroup)
                {
                    double a = 0, b = 0, n = (double)rows * perGroup;
                    for (int i = first; i < first + perGroup; i++)
                    {
                        double factor = w == null ? 1 : w[i % channels];
                        a += factor * sumDy[i];
                        b += factor * sumDyX[i];
                    }
                    for (int i = first; i < first + perGroup; i++)
                    {
                        alpha[i] = r[i] * (w == null ? 1f : w[i % channels]);
                        beta[i] = constantStatistics ? 0f : (float)(-b / n * r[i] * r[i]);
                        gamma[i] = constantStatistics ? 0f : (float)(-a / n * r[i]);
                    }
                }
                GradSlot dx = x.OpenGrad();
                ChannelNorm.GradientApply(x.Pointer, dy.Pointer, dx.Pointer, segments, rows, channels, m, alpha, beta, gamma, dx.Accumulate);
            }, x, weight, statistics);
        return y;
    }

    /// <summary>Adds sums given for each segment and channel to the gradient of a parameter (C).</summary>
    private static void AddPerChannel(Tensor? parameter, ReadOnlySpan<double> sums, int channels)
    {
        if (Open(parameter) is not { } slot) return;
        Span<float> gradient = slot.Span;
        for (int c = 0; c < channels; c++)
        {
            double sum = 0;
            for (int i = c; i < sums.Length; i += channels) sum += sums[i];
            gradient[c] = slot.Accumulate ? gradient[c] + (float)sum : (float)sum;
        }
    }

    private static Tensor NormalizeRows(string name, Tensor x, Tensor? weight, Tensor? bias, float eps, bool center)
    {
        (int columns, int rows) = Channels(x, name);
        Check.Extents(weight, name, "weight", columns);
        Check.Extents(bias, name, "bias", columns);
        nint grain = Math.Max(1, Launch.ElementGrain / columns);
        Tensor y = Tensor.Empty(x.Shape), statistics = Tensor.Empty(2, rows);
        Launch.Run(
            new RowNormForward
            {
                X = x.Pointer,
                Y = y.Pointer,
                Weight = weight is null ? null : weight.Pointer,
                Bias = bias is null ? null : bias.Pointer,
                Mean = statistics.Pointer,
                Rstd = statistics.Pointer + rows,
                Columns = columns,
                Eps = eps,
                Center = center,
            },
            rows, grain);

        if (Tape.Needs(x, weight, bias))
            Tape.Push(y, (x, weight, bias, statistics, columns, rows, grain, center), static (context, dy) =>
            {
                (Tensor x, Tensor? weight, Tensor? bias, Tensor statistics, int columns, int rows, nint grain, bool center) = context;
                nint parts = Launch.Chunks(rows, grain);
                using Scratch partial = new(parts * 2 * columns);
                GradSlot? dx = x.NeedsGrad ? x.OpenGrad() : null;
                Launch.Run(
                    new RowNormBackward
                    {
                        X = x.Pointer,
                        Dy = dy.Pointer,
                        Dx = dx is { } g ? g.Pointer : null,
                        Weight = weight is null ? null : weight.Pointer,
                        Mean = statistics.Pointer,
                        Rstd = statistics.Pointer + rows,
                        Partial = partial.Pointer,
                        Columns = columns,
                        PerChunk = grain,
                        Center = center,
                        Accumulate = dx is { Accumulate: true },
                    },
                    rows, grain);
                using Scratch total = Scratch.OfDoubles(2 * (nint)columns);
                Span<double> sums = new(total.Doubles, 2 * columns);
                sums.Clear();
                for (nint p = 0; p < parts; p++)
                    for (int i = 0; i < sums.Length; i++) sums[i] += partial.Pointer[p * sums.Length + i];
                AddPerChannel(weight, sums[..columns], columns);
                AddPerChannel(bias, sums[columns..], columns);
            }, x, weight, statistics);
        return y;
    }

    private static (int Channels, int Rows) Channels(Tensor x, string name)
    {
        Check.That(x.Shape.Rank >= 1 && x.Count > 0, name, $"input {x.Shape}; expected (..., C), not empty");
        return (x.Shape[-1], x.Count / x.Shape[-1]);
    }
}
