using Mamba.Core.Kernels;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Kernels.Norms;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>PyTorch's default epsilon.</summary>
    internal const float NormEps = 1e-5f;

    // Chunks of rows whose partial sums for weight and bias are added at the end, on one thread.
    private const int MostRowNormParts = 32;

    /// <summary>
    /// Batch normalization (Ioffe and Szegedy 2015; PyTorch's batch_norm): each channel by its mean and variance over all other dimensions.
    /// Training uses the batch's statistics and moves the running ones towards them (unbiased variance, as in PyTorch). Otherwise the
    /// running statistics are used.
    /// </summary>
    /// <param name="x">(B, C), (B, L, C), (B, H, W, C); any (..., C).</param>
    /// <param name="weight">(C), or null for 1.</param>
    /// <param name="bias">(C), or null for 0.</param>
    /// <param name="runningMean">(C), written in training; null in training to keep none.</param>
    /// <param name="runningVar">(C), written in training; null in training to keep none.</param>
    /// <param name="options">Training, momentum, eps, activation; <see cref="BatchNormOptions.Default"/> if null.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, or training has only one value per channel.</exception>
    /// <exception cref="ArgumentException">One of the running statistics is missing, or both outside of training.</exception>
    public static Tensor BatchNorm(
        Tensor x, Tensor? weight = null, Tensor? bias = null, Tensor? runningMean = null, Tensor? runningVar = null,
            BatchNormOptions? options = null) =>
        BatchNormLayer(x, weight, bias, runningMean, runningVar, options ?? BatchNormOptions.Default, null, 0);

    /// <summary>As <see cref="BatchNorm"/>; the statistics of the batch are recorded in <paramref name="moments"/> if given.</summary>
    internal static Tensor BatchNormLayer(
        Tensor x, Tensor? weight, Tensor? bias, Tensor? runningMean, Tensor? runningVar, BatchNormOptions options,
        BatchMoments? moments, int layer)
    {
        if (runningMean is null != runningVar is null || (runningMean is null && !options.Training))
            throw new ArgumentException("BatchNorm: expected both running statistics, or none and training.", nameof(runningVar));
        (int channels, int rows) = Channels(x, "BatchNorm");
        CheckActivation("BatchNorm", options.Activation);
        Check.That(channels > 0, "BatchNorm", $"input {x.Shape}; expected (..., C) with channels");
        Check.Extents(weight, "BatchNorm", "weight", channels);
        Check.Extents(bias, "BatchNorm", "bias", channels);
        Check.Extents(runningMean, "BatchNorm", "running mean", channels);
        Check.Extents(runningVar, "BatchNorm", "running variance", channels);
        Check.That(!options.Training || rows != 1, "BatchNorm", $"input {x.Shape} has one value a channel; training needs more");
        if (x.Count == 0) return Independent(Tensor.Empty(x.Shape), x, weight, bias); // the running statistics stay, as in PyTorch

        using Scratch scratch = Scratch.OfDoubles(2 * (nint)channels);
        double* mean = scratch.Doubles, variance = mean + channels;
        if (options.Training)
        {
            ChannelNorm.Moments(x.Pointer, 1, rows, channels, mean, variance);
            ReadOnlySpan<double> both = new(mean, 2 * channels);
            if (moments is not null) moments.Add(layer, rows, both);
            else if (runningMean is { } means && runningVar is { } variances)
                MoveStatistics(means, variances, both, rows, options.Momentum);
        }
        else
        {
            for (int c = 0; c < channels; c++) (mean[c], variance[c]) = (runningMean!.Value.Span[c], runningVar!.Value.Span[c]);
        }
        NormSegments segments = new(1, rows, channels, channels);
        NormStep step = Coefficients(x, weight, bias, segments, mean, variance, options.Eps, constant: !options.Training);
        return Normalize(step, options.Activation);
    }

    /// <summary>Moves running statistics towards those of a batch.</summary>
    /// <param name="runningMean">(C).</param>
    /// <param name="runningVar">(C).</param>
    /// <param name="moments">The C means of the batch, then its C variances.</param>
    /// <param name="rows">The number of values per channel.</param>
    /// <param name="momentum">The weight of the batch.</param>
    internal static void MoveStatistics(
        Tensor runningMean, Tensor runningVar, ReadOnlySpan<double> moments, int rows, float momentum)
    {
        Span<float> means = runningMean.Span, variances = runningVar.Span;
        for (int c = 0; c < means.Length; c++)
        {
            means[c] = (float)((1 - momentum) * (double)means[c] + momentum * moments[c]);
            variances[c] = (float)((1 - momentum) * (double)variances[c] + momentum * moments[means.Length + c] * rows / (rows - 1));
        }
    }

    /// <summary>
    /// Group normalization (Wu and He 2018; PyTorch's group_norm): each group of channels of each image by its own mean and variance.
    /// </summary>
    /// <param name="x">(B, ..., C).</param>
    /// <param name="groups">Number of groups; divides C.</param>
    /// <param name="weight">(C), or null for 1.</param>
    /// <param name="bias">(C), or null for 0.</param>
    /// <param name="eps">Added to the variance.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are no groups.</exception>
    public static Tensor GroupNorm(Tensor x, int groups, Tensor? weight = null, Tensor? bias = null, float eps = NormEps) =>
        NormalizeImages("GroupNorm", x, groups, weight, bias, eps, Activation.None);

    /// <summary>Instance normalization (Ulyanov et al. 2016): each channel of each image by its own mean and variance.</summary>
    /// <param name="x">(B, ..., C).</param>
    /// <param name="weight">(C), or null for 1.</param>
    /// <param name="bias">(C), or null for 0.</param>
    /// <param name="eps">Added to the variance.</param>
    /// <param name="activation">Applied to the result; as in <see cref="BatchNorm"/>.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor InstanceNorm(
        Tensor x, Tensor? weight = null, Tensor? bias = null, float eps = NormEps, Activation activation = Activation.None) =>
        NormalizeImages("InstanceNorm", x, x.Shape.Rank > 0 ? Math.Max(1, x.Shape[-1]) : 1, weight, bias, eps, activation);

    /// <summary>
    /// Layer normalization (Ba et al. 2016; PyTorch's layer_norm): each row by its mean and variance over the last dimension.
    /// </summary>
    /// <param name="x">(..., C).</param>
    /// <param name="weight">(C), or null for 1.</param>
    /// <param name="bias">(C), or null for 0.</param>
    /// <param name="eps">Added to the variance.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor LayerNorm(Tensor x, Tensor? weight = null, Tensor? bias = null, float eps = NormEps) =>
        NormalizeRows("LayerNorm", x, weight, bias, eps, center: true);

    /// <summary>
    /// Root-mean-square normalization (Zhang and Sennrich 2019; PyTorch's rms_norm): x weight / sqrt(mean(x^2) + eps) over the last
    /// dimension.
    /// </summary>
    /// <param name="x">(..., C).</param>
    /// <param name="weight">(C).</param>
    /// <param name="eps">Added to the mean square.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor RmsNorm(Tensor x, Tensor weight, float eps = NormEps) =>
        NormalizeRows("RmsNorm", x, weight, null, eps, center: false);

    /// <summary>
    /// Group normalization, max pooling, then an activation. Where nothing is recorded, pooling runs first. If no scale is negative, (x -
    /// mean) scale + shift is monotone in x, so it commutes with the maximum to the last bit. A 2x2 window leaves a quarter of the pixels
    /// to normalize.
    /// </summary>
    internal static Tensor GroupNormMaxPool2d(
        Tensor x, int groups, Tensor weight, Tensor bias, float eps, Size2d kernel, Activation activation)
    {
        if (Tape.Needs(x, weight, bias) || x.Count == 0)
            return Apply(activation, MaxPool2d(GroupNorm(x, groups, weight, bias, eps), kernel));
        NormStep step = MeasureGroups("GroupNorm", x, groups, weight, bias, eps);
        if (!step.IsMonotone) return Apply(activation, MaxPool2d(Normalize(step, Activation.None), kernel));
        return step.Pooled(MaxPool2d(x, kernel), activation);
    }

    private static Tensor NormalizeImages(string name, Tensor x, int groups, Tensor? weight, Tensor? bias, float eps, Activation activation)
    {
        CheckActivation(name, activation);
        NormStep step = MeasureGroups(name, x, groups, weight, bias, eps);
        return x.Count == 0 ? Independent(Tensor.Empty(x.Shape), x, weight, bias) : Normalize(step, activation);
    }

    /// <summary>The per-image statistics of groups of channels; none for an empty tensor.</summary>
    private static NormStep MeasureGroups(string name, Tensor x, int groups, Tensor? weight, Tensor? bias, float eps)
    {
        Check.That(x.Shape.Rank >= 2 && x.Shape[-1] > 0, name, $"input {x.Shape}; expected (B, ..., C) with channels");
        Check.Positive(groups, name, nameof(groups));
        (int channels, int rows) = Channels(x, name);
        Check.That(channels % groups == 0, name, $"{groups} groups for {channels} channels");
        Check.Extents(weight, name, "weight", channels);
        Check.Extents(bias, name, "bias", channels);
        if (x.Count == 0) return default;
        int images = x.Shape[0], perImage = rows / images, perGroup = channels / groups, count = images * channels;
        using Scratch moments = Scratch.OfDoubles(2 * (nint)count);
        double* mean = moments.Doubles, variance = mean + count;
        ChannelNorm.Moments(x.Pointer, images, perImage, channels, mean, variance);
        for (int first = 0; first < count; first += perGroup)
        {
            // The variance of a group is the mean of its channels' variances plus the variance of their means.
            double groupMean = 0, groupVariance = 0;
            for (int c = first; c < first + perGroup; c++) groupMean += mean[c] / perGroup;
            for (int c = first; c < first + perGroup; c++)
                groupVariance += (variance[c] + (mean[c] - groupMean) * (mean[c] - groupMean)) / perGroup;
            for (int c = first; c < first + perGroup; c++) (mean[c], variance[c]) = (groupMean, groupVariance);
        }
        return Coefficients(x, weight, bias, new NormSegments(images, perImage, channels, groups), mean, variance, eps, constant: false);
    }

    /// <summary>Shared by the norms with a mean and a variance per segment and channel.</summary>
    private static NormStep Coefficients(
        Tensor x, Tensor? weight, Tensor? bias, in NormSegments segments, double* mean, double* variance, float eps, bool constant)
    {
        int count = segments.Statistics, channels = segments.Channels;
        Tensor statistics = Tensor.Empty(4, count); // a ChannelAffine, then 1 / sqrt(variance + eps)
        ChannelAffine affine = new(statistics.Pointer, count);
        float* r = statistics.Pointer + 3 * count, gain = weight.Pointer, offset = bias.Pointer;
        for (int i = 0; i < count; i++)
        {
            int c = i % channels;
            double rstd = 1 / Math.Sqrt(variance[i] + eps), w = gain == null ? 1 : gain[c];
            affine.Mean[i] = (float)mean[i];
            affine.Scale[i] = (float)(w * rstd);
            // Corrects for the rounding of the mean to float32.
            affine.Shift[i] = (float)((offset == null ? 0 : offset[c]) - (mean[i] - affine.Mean[i]) * w * rstd);
            r[i] = (float)rstd;
        }
        return new NormStep(x, weight, bias, statistics, segments, constant);
    }

    private static Tensor Normalize(in NormStep step, Activation activation) => activation switch
    {
        Activation.Relu => Normalize<Relu>(step),
        Activation.LeakyRelu => Normalize<LeakyRelu>(step),
        Activation.Relu6 => Normalize<Relu6>(step),
        _ => Apply(activation, Normalize<Identity>(step)),
    };

    private static Tensor Normalize<TActivation>(in NormStep step) where TActivation : unmanaged, IActivation
    {
        Tensor y = Tensor.Empty(step.X.Shape);
        step.Forward<TActivation>(y);
        if (!Tape.Needs(step.X, step.Weight, step.Bias)) return y;
        if (typeof(TActivation) == typeof(Identity))
            Tape.Record(y, step, static (step, dy) => step.Values.Backward<TActivation>(dy), step.X, step.Weight, step.Statistics);
        else
            Tape.RecordRecomputable(
                y, step, static (step, dy) => step.Values.Backward<TActivation>(dy),
                static (step, y) => step.Values.Recompute<TActivation>(y),
                step.X, step.Weight, step.Statistics);
        return y;
    }

    /// <summary>Rows of pixels in segments with statistics of their own; channels of a group are adjacent and share them.</summary>
    private readonly record struct NormSegments(int Segments, int Rows, int Channels, int Groups)
    {
        public int Statistics => Segments * Channels;
    }

    /// <summary>A normalization by per-segment, per-channel statistics.</summary>
    private readonly record struct NormStep(
        Tensor X, Tensor? Weight, Tensor? Bias, Tensor Statistics, NormSegments Of, bool ConstantStatistics)
    {
        private int Count => Of.Statistics;

        private int Segments => Of.Segments;

        private int Rows => Of.Rows;

        private int Channels => Of.Channels;

        private ChannelAffine Affine => new(Statistics.Pointer, Count);

        /// <summary>Whether the normalization preserves the order of values: no scale is negative or NaN.</summary>
        public bool IsMonotone
        {
            get
            {
                for (int i = 0; i < Count; i++)
                    if (!(Affine.Scale[i] >= 0)) return false;
                return true;
            }
        }

        public void Forward<TActivation>(Tensor y) where TActivation : unmanaged, IActivation =>
            ChannelNorm.Apply<TActivation>(X.Pointer, y.Pointer, Segments, Rows, Channels, Affine);

        /// <summary>Forward again, of an input that may have to be recomputed first.</summary>
        public void Recompute<TActivation>(Tensor y) where TActivation : unmanaged, IActivation
        {
            X.Recompute();
            Forward<TActivation>(y);
            X.Release();
        }

        /// <summary>Normalizes the maxima of windows of the input, fused with the activation.</summary>
        public Tensor Pooled(Tensor maxima, Activation activation)
        {
            Tensor y = Tensor.Empty(maxima.Shape);
            int rows = maxima.Count / (Segments * Channels);
            if (activation != Activation.Gelu)
            {
                ChannelNorm.Apply<Identity>(maxima.Pointer, y.Pointer, Segments, rows, Channels, Affine);
                Tape.Needs(maxima, Statistics); // both stay reachable while the kernels hold only their addresses
                return Ops.Apply(activation, y);
            }
            ChannelNorm.Apply<Gelu>(maxima.Pointer, y.Pointer, Segments, rows, Channels, Affine);
            Tape.Needs(maxima, Statistics);
            MultiplyAdds.Add(0, y.Count);
            return y;
        }

        public void Backward<TActivation>(Tensor dy) where TActivation : unmanaged, IActivation
        {
            float* r = Statistics.Pointer + 3 * Count, w = Weight.Pointer;
            using Scratch sums = Scratch.OfDoubles(2 * (nint)Count);
            double* sumG = sums.Doubles, sumGX = sumG + Count;
            ChannelNorm.GradientSums<TActivation>(X.Pointer, dy.Pointer, Segments, Rows, Channels, Affine, sumG, sumGX);
            for (int i = 0; i < Count; i++) sumGX[i] *= r[i];
            AddPerChannel(Weight, new Span<double>(sumGX, Count), Channels);
            AddPerChannel(Bias, new Span<double>(sumG, Count), Channels);
            if (!X.NeedsGrad) return;

            // dx = r (w g - mean(w g) - x^ mean(w g x^)), with means over the elements that share statistics.
            using Scratch coefficients = new(2 * Count);
            float* beta = coefficients.Pointer, gamma = beta + Count;
            int perGroup = Channels / Of.Groups;
            for (int first = 0; first < Count; first += perGroup)
            {
                double a = 0, b = 0, n = (double)Rows * perGroup;
                for (int i = first; i < first + perGroup && !ConstantStatistics; i++)
                {
                    double factor = w == null ? 1 : w[i % Channels];
                    a += factor * sumG[i];
                    b += factor * sumGX[i];
                }
                for (int i = first; i < first + perGroup; i++)
                    (beta[i], gamma[i]) = ((float)(-b / n * r[i] * r[i]), (float)(-a / n * r[i]));
            }
            GradientTarget dx = X.OpenGrad().Target;
            ChannelNorm.GradientApply<TActivation>(X.Pointer, dy.Pointer, dx, Segments, Rows, Channels, Affine, beta, gamma);
        }
    }

    /// <summary>Adds per-segment, per-channel sums to the gradient of a parameter (C).</summary>
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
        if (x.Count == 0) return Independent(Tensor.Empty(x.Shape), x, weight, bias);
        Tensor y = Tensor.Empty(x.Shape), statistics = Tensor.Empty(2, rows);
        RowNormStep step = new(x, weight, bias, statistics, center);
        step.Forward(y, eps);
        if (Tape.Needs(x, weight, bias)) Tape.Record(y, step, static (step, dy) => step.Values.Backward(dy), x, weight, statistics);
        return y;
    }

    /// <summary>A normalization of rows; Statistics are (2, Rows): the means and 1 / standard deviation.</summary>
    private readonly record struct RowNormStep(Tensor X, Tensor? Weight, Tensor? Bias, Tensor Statistics, bool Center)
    {
        private int Rows => Statistics.Shape[1];

        private int Columns => X.Shape[-1];

        private nint Grain => RowNorm.RowsPerGroup * Math.Max(1, Launch.ElementGrain / (RowNorm.RowsPerGroup * (nint)Columns));

        public void Forward(Tensor y, float eps) => Launch.Run(
            new RowNormForward
            {
                X = X.Pointer,
                Y = y.Pointer,
                Weight = Weight.Pointer,
                Bias = Bias.Pointer,
                Mean = Statistics.Pointer,
                Rstd = Statistics.Pointer + Rows,
                Columns = Columns,
                Eps = eps,
                Center = Center,
            },
            Rows, Grain);

        public void Backward(Tensor dy)
        {
            nint grain = Math.Max(Grain, RowNorm.RowsPerGroup * Launch.CeilDiv(Rows, RowNorm.RowsPerGroup * MostRowNormParts));
            nint parts = Launch.CeilDiv(Rows, grain);
            using Scratch partial = new(parts * 2 * Columns);
            Launch.Run(
                new RowNormBackward
                {
                    X = X.Pointer,
                    Dy = dy.Pointer,
                    Dx = Open(X).Target,
                    Weight = Weight.Pointer,
                    Mean = Statistics.Pointer,
                    Rstd = Statistics.Pointer + Rows,
                    Partial = partial.Pointer,
                    Columns = Columns,
                    PerChunk = grain,
                    Center = Center,
                },
                Rows, grain);
            using Scratch total = Scratch.OfDoubles(2 * (nint)Columns);
            Span<double> sums = new(total.Doubles, 2 * Columns);
            sums.Clear();
            for (nint p = 0; p < parts; p++)
                for (int i = 0; i < sums.Length; i++) sums[i] += partial.Pointer[p * sums.Length + i];
            AddPerChannel(Weight, sums[..Columns], Columns);
            AddPerChannel(Bias, sums[Columns..], Columns);
        }
    }

    private static (int Channels, int Rows) Channels(Tensor x, string name)
    {
        Check.That(x.Shape.Rank >= 1, name, $"input {x.Shape}; expected (..., C)");
        return (x.Shape[-1], x.Count == 0 ? 0 : x.Count / x.Shape[-1]);
    }
}
