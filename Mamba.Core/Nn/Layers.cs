namespace Mamba.Core.Nn;

/// <summary>A linear layer with PyTorch's names and default initialisation.</summary>
public sealed class Linear
{
    /// <summary>Declares <c>weight</c> (outputs, inputs) and, if asked, <c>bias</c> (outputs).</summary>
    /// <param name="scope">The layer's place.</param>
    /// <param name="inputs">Inputs.</param>
    /// <param name="outputs">Outputs.</param>
    /// <param name="bias">Whether there is a bias.</param>
    /// <param name="weightInit">Initial weights; PyTorch's default if null.</param>
    /// <param name="biasInit">Initial bias; PyTorch's default if null.</param>
    public Linear(Scope scope, int inputs, int outputs, bool bias = true, Initializer? weightInit = null, Initializer? biasInit = null)
    {
        Weight = scope.Parameter("weight", weightInit ?? Init.KaimingUniform(inputs), outputs, inputs);
        Bias = bias ? scope.Parameter("bias", biasInit ?? Init.KaimingUniform(inputs), outputs) : null;
    }

    /// <summary>(outputs, inputs).</summary>
    public Tensor Weight { get; }

    /// <summary>(outputs), or null.</summary>
    public Tensor? Bias { get; }

    /// <summary>Applies the layer to the last dimension.</summary>
    /// <param name="x">(..., inputs).</param>
    /// <param name="residual">(..., outputs), added to the result; or null.</param>
    /// <returns>(..., outputs).</returns>
    public Tensor Forward(Tensor x, Tensor? residual = null) => Ops.Linear(x, Weight, Bias, residual);
}

/// <summary>What a <see cref="Conv2d"/> is made of.</summary>
/// <param name="Inputs">Input channels.</param>
/// <param name="Outputs">Output channels.</param>
/// <param name="Kernel">Side of the window.</param>
/// <param name="Stride">Step of the window.</param>
/// <param name="Padding">Zeros on every side.</param>
/// <param name="Dilation">Distance of the taps.</param>
/// <param name="Groups">Groups of channels.</param>
/// <param name="Bias">Whether there is a bias.</param>
public sealed record ConvConfig(int Inputs, int Outputs, int Kernel, int Stride = 1, int Padding = 0, int Dilation = 1, int Groups = 1, bool Bias = true)
{
    /// <summary>Initial weights; PyTorch's default if null.</summary>
    public Initializer? WeightInit { get; init; }

    /// <summary>Initial bias; PyTorch's default if null.</summary>
    public Initializer? BiasInit { get; init; }

    /// <summary>Declares <c>weight</c> of the given shape and, if asked, <c>bias</c>.</summary>
    internal (Tensor Weight, Tensor? Bias) Declare(Scope scope, int fan, params ReadOnlySpan<int> weight) =>
        (scope.Parameter("weight", WeightInit ?? Init.KaimingUniform(fan), weight), Bias ? scope.Parameter("bias", BiasInit ?? Init.KaimingUniform(fan), Outputs) : null);
}

/// <summary>A two-dimensional convolution with PyTorch's names and default initialisation.</summary>
public sealed class Conv2d
{
    private readonly ConvConfig _config;

    /// <summary>Declares <c>weight</c> and, if asked, <c>bias</c>.</summary>
    /// <param name="scope">The layer's place.</param>
    /// <param name="config">Its sizes.</param>
    public Conv2d(Scope scope, ConvConfig config)
    {
        _config = config;
        int fanIn = config.Inputs / config.Groups * config.Kernel * config.Kernel;
        (Weight, Bias) = config.Declare(scope, fanIn, config.Outputs, config.Inputs / config.Groups, config.Kernel, config.Kernel);
    }

    /// <summary>(outputs, inputs / groups, K, K).</summary>
    public Tensor Weight { get; }

    /// <summary>(outputs), or null.</summary>
    public Tensor? Bias { get; }

    /// <summary>Convolves.</summary>
    /// <param name="x">(B, H, W, inputs).</param>
    /// <returns>(B, H', W', outputs).</returns>
    public Tensor Forward(Tensor x) => Forward(x, Weight, Bias, relu: false);

    /// <summary>Convolves with other values in place of this layer's.</summary>
    internal Tensor Forward(Tensor x, Tensor weight, Tensor? bias, bool relu) =>
        Ops.Conv2d(x, weight, bias, _config.Stride, _config.Padding, _config.Dilation, _config.Groups, relu);
}

/// <summary>A one-dimensional convolution with PyTorch's names and default initialisation.</summary>
public sealed class Conv1d
{
    private readonly ConvConfig _config;
    private readonly Tensor _weight;
    private readonly Tensor? _bias;

    /// <summary>Declares <c>weight</c> and, if asked, <c>bias</c>.</summary>
    /// <param name="scope">The layer's place.</param>
    /// <param name="config">Its sizes.</param>
    public Conv1d(Scope scope, ConvConfig config)
    {
        _config = config;
        int fanIn = config.Inputs / config.Groups * config.Kernel;
        (_weight, _bias) = config.Declare(scope, fanIn, config.Outputs, config.Inputs / config.Groups, config.Kernel);
    }

    /// <summary>Convolves.</summary>
    /// <param name="x">(B, L, inputs).</param>
    /// <returns>(B, L', outputs).</returns>
    public Tensor Forward(Tensor x) => Ops.Conv1d(x, _weight, _bias, _config.Stride, _config.Padding, _config.Dilation, _config.Groups);
}

/// <summary>A two-dimensional transposed convolution with PyTorch's names and default initialisation.</summary>
public sealed class ConvTranspose2d
{
    private readonly ConvConfig _config;
    private readonly Tensor _weight;
    private readonly Tensor? _bias;

    /// <summary>Declares <c>weight</c> (inputs, outputs, K, K) and, if asked, <c>bias</c>.</summary>
    /// <param name="scope">The layer's place.</param>
    /// <param name="config">Its sizes; dilation and groups are not supported.</param>
    public ConvTranspose2d(Scope scope, ConvConfig config)
    {
        if (config.Dilation != 1 || config.Groups != 1) throw new ArgumentException("ConvTranspose2d: dilation and groups are not supported.", nameof(config));
        _config = config;
        int fan = config.Outputs * config.Kernel * config.Kernel; // PyTorch takes dimension 1 for the fan
        (_weight, _bias) = config.Declare(scope, fan, config.Inputs, config.Outputs, config.Kernel, config.Kernel);
    }

    /// <summary>Convolves.</summary>
    /// <param name="x">(B, H, W, inputs).</param>
    /// <returns>(B, H', W', outputs).</returns>
    public Tensor Forward(Tensor x) => Ops.ConvTranspose2d(x, _weight, _bias, _config.Stride, _config.Padding);
}

/// <summary>Batch normalisation with PyTorch's names: weight, bias, running_mean, running_var.</summary>
/// <param name="scope">The layer's place.</param>
/// <param name="channels">Channels.</param>
public sealed class BatchNorm2d(Scope scope, int channels)
{
    private readonly Tensor _weight = scope.Parameter("weight", Init.Ones, channels);
    private readonly Tensor _bias = scope.Parameter("bias", Init.Zeros, channels);
    private readonly Tensor _runningMean = scope.Buffer("running_mean", Init.Zeros, channels);
    private readonly Tensor _runningVar = scope.Buffer("running_var", Init.Ones, channels);
    private readonly ParameterStore _store = scope.Store;

    /// <summary>What normalisation by the running statistics multiplies a channel by, and then adds.</summary>
    internal (double Scale, double Shift) Affine(int channel)
    {
        double scale = _weight.Span[channel] / Math.Sqrt(_runningVar.Span[channel] + (double)Ops.NormEps);
        return (scale, _bias.Span[channel] - _runningMean.Span[channel] * scale);
    }

    /// <summary>Normalises by the batch's statistics while the model trains, by the running ones otherwise.</summary>
    /// <param name="x">(B, H, W, channels).</param>
    /// <param name="activation">What is applied to the result.</param>
    /// <returns>The shape of x.</returns>
    public Tensor Forward(Tensor x, Activation activation = Activation.None) =>
        Ops.BatchNorm(x, _weight, _bias, _runningMean, _runningVar, _store.Training, activation: activation);
}

/// <summary>Group normalisation with PyTorch's names.</summary>
/// <param name="scope">The layer's place.</param>
/// <param name="groups">Groups.</param>
/// <param name="channels">Channels.</param>
public sealed class GroupNorm(Scope scope, int groups, int channels)
{
    private readonly Tensor _weight = scope.Parameter("weight", Init.Ones, channels);
    private readonly Tensor _bias = scope.Parameter("bias", Init.Zeros, channels);

    /// <summary>Normalises.</summary>
    /// <param name="x">(B, ..., channels).</param>
    /// <returns>The shape of x.</returns>
    public Tensor Forward(Tensor x) => Ops.GroupNorm(x, groups, _weight, _bias);
}

/// <summary>Layer normalisation with PyTorch's names.</summary>
/// <param name="scope">The layer's place.</param>
/// <param name="channels">Extent of the last dimension.</param>
public sealed class LayerNorm(Scope scope, int channels)
{
    private readonly Tensor _weight = scope.Parameter("weight", Init.Ones, channels);
    private readonly Tensor _bias = scope.Parameter("bias", Init.Zeros, channels);

    /// <summary>Normalises.</summary>
    /// <param name="x">(..., channels).</param>
    /// <returns>The shape of x.</returns>
    public Tensor Forward(Tensor x) => Ops.LayerNorm(x, _weight, _bias);
}

/// <summary>Root-mean-square normalisation with mamba_ssm's name: weight.</summary>
/// <param name="scope">The layer's place.</param>
/// <param name="channels">Extent of the last dimension.</param>
public sealed class RmsNorm(Scope scope, int channels)
{
    private readonly Tensor _weight = scope.Parameter("weight", Init.Ones, channels);

    /// <summary>Normalises.</summary>
    /// <param name="x">(..., channels).</param>
    /// <returns>The shape of x.</returns>
    public Tensor Forward(Tensor x) => Ops.RmsNorm(x, _weight);
}
