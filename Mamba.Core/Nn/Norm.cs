namespace Mamba.Core.Nn;

/// <summary>
/// Batch normalization with PyTorch's names: weight, bias, running_mean, running_var. Like PyTorch's BatchNorm1d, it also takes (B, C) and
/// (B, L, C).
/// </summary>
public sealed class BatchNorm2d : IModule
{
    private readonly BatchNormOptions _training, _evaluation;
    private readonly ParameterStore _store;
    private readonly int _number;

    /// <summary>Declares the parameters and the running statistics.</summary>
    /// <param name="scope">The layer's scope.</param>
    /// <param name="channels">Channels.</param>
    /// <param name="options">
    /// Momentum, eps, activation; <see cref="BatchNormOptions.Default"/> if null. The model decides whether it trains.
    /// </param>
    public BatchNorm2d(Scope scope, int channels, BatchNormOptions? options = null)
    {
        options ??= BatchNormOptions.Default;
        (_training, _evaluation) = (options with { Training = true }, options with { Training = false });
        _store = scope.Store;
        Weight = scope.Parameter("weight", Init.Ones, channels);
        Bias = scope.Parameter("bias", Init.Zeros, channels);
        RunningMean = scope.Buffer("running_mean", Init.Zeros, channels);
        RunningVar = scope.Buffer("running_var", Init.Ones, channels);
        _number = _store.Add(this);
    }

    /// <summary>(channels).</summary>
    public Tensor Weight { get; }

    /// <summary>(channels).</summary>
    public Tensor Bias { get; }

    /// <summary>(channels); updated from training batches.</summary>
    public Tensor RunningMean { get; }

    /// <summary>(channels); updated from training batches.</summary>
    public Tensor RunningVar { get; }

    /// <summary>The scale and shift of a channel in normalization by the running statistics.</summary>
    internal (double Scale, double Shift) Affine(int channel)
    {
        double scale = Weight.Span[channel] / Math.Sqrt(RunningVar.Span[channel] + (double)_evaluation.Eps);
        return (scale, Bias.Span[channel] - RunningMean.Span[channel] * scale);
    }

    /// <summary>Normalizes by the batch statistics while the model trains, otherwise by the running ones.</summary>
    /// <param name="x">(B, H, W, channels), or any (..., channels).</param>
    /// <returns>The shape of x.</returns>
    public Tensor Forward(Tensor x) => Ops.BatchNormLayer(
        x, Weight, Bias, RunningMean, RunningVar, _store.Training ? _training : _evaluation, _store.Moments, _number);

    /// <summary>Moves the running statistics towards those of a batch.</summary>
    /// <param name="moments">The means of its channels, then their variances.</param>
    /// <param name="rows">The number of values per channel.</param>
    internal void Move(ReadOnlySpan<double> moments, int rows) =>
        Ops.MoveStatistics(RunningMean, RunningVar, moments, rows, _training.Momentum);
}

/// <summary>Group normalization with PyTorch's names.</summary>
/// <param name="scope">The layer's scope.</param>
/// <param name="groups">Number of groups.</param>
/// <param name="channels">Channels.</param>
/// <param name="eps">Added to the variance.</param>
public sealed class GroupNorm(Scope scope, int groups, int channels, float eps = Ops.NormEps) : IModule
{
    /// <summary>(channels).</summary>
    public Tensor Weight { get; } = scope.Parameter("weight", Init.Ones, channels);

    /// <summary>(channels).</summary>
    public Tensor Bias { get; } = scope.Parameter("bias", Init.Zeros, channels);

    /// <summary>Normalizes.</summary>
    /// <param name="x">(B, ..., channels).</param>
    /// <returns>The shape of x.</returns>
    public Tensor Forward(Tensor x) => Ops.GroupNorm(x, groups, Weight, Bias, eps);

    /// <summary>
    /// Normalizes, takes the maximum over windows, and applies an activation: the same values as the three operators in sequence. Inference
    /// takes the maxima first, and normalizes only those.
    /// </summary>
    /// <param name="x">(B, H, W, channels).</param>
    /// <param name="kernel">The window, which is also the stride.</param>
    /// <param name="activation">Applied to the maxima.</param>
    /// <returns>(B, H / kernel, W / kernel, channels).</returns>
    /// <exception cref="ShapeException">The shape does not fit.</exception>
    public Tensor ForwardMaxPool(Tensor x, Size2d kernel, Activation activation = Activation.None) =>
        Ops.GroupNormMaxPool2d(x, groups, Weight, Bias, eps, kernel, activation);
}

/// <summary>Layer normalization with PyTorch's names.</summary>
/// <param name="scope">The layer's scope.</param>
/// <param name="channels">Extent of the last dimension.</param>
/// <param name="eps">Added to the variance.</param>
public sealed class LayerNorm(Scope scope, int channels, float eps = Ops.NormEps) : IModule
{
    /// <summary>(channels).</summary>
    public Tensor Weight { get; } = scope.Parameter("weight", Init.Ones, channels);

    /// <summary>(channels).</summary>
    public Tensor Bias { get; } = scope.Parameter("bias", Init.Zeros, channels);

    /// <summary>Normalizes.</summary>
    /// <param name="x">(..., channels).</param>
    /// <returns>The shape of x.</returns>
    public Tensor Forward(Tensor x) => Ops.LayerNorm(x, Weight, Bias, eps);
}

/// <summary>Root-mean-square normalization with mamba_ssm's name: weight.</summary>
/// <param name="scope">The layer's scope.</param>
/// <param name="channels">Extent of the last dimension.</param>
/// <param name="eps">Added to the mean square.</param>
public sealed class RmsNorm(Scope scope, int channels, float eps = Ops.NormEps) : IModule
{
    /// <summary>(channels).</summary>
    public Tensor Weight { get; } = scope.Parameter("weight", Init.Ones, channels);

    /// <summary>Normalizes.</summary>
    /// <param name="x">(..., channels).</param>
    /// <returns>The shape of x.</returns>
    public Tensor Forward(Tensor x) => Ops.RmsNorm(x, Weight, eps);
}
