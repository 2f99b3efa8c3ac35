namespace Mamba.Core.Nn;

/// <summary>A two-dimensional convolution with PyTorch's names and default initialization.</summary>
public sealed class Conv2d : IModule
{
    private readonly ConvOptions _options;

    /// <summary>Declares <c>weight</c> and, if configured, <c>bias</c>.</summary>
    /// <param name="scope">The layer's scope.</param>
    /// <param name="config">The configuration.</param>
    /// <exception cref="ArgumentException">The groups do not divide inputs and outputs.</exception>
    public Conv2d(Scope scope, ConvConfig config)
    {
        _options = config.Options;
        (Weight, Bias) = config.Declare(scope, config.Outputs, config.Inputs / Math.Max(1, config.Groups), config.Kernel.Height,
            config.Kernel.Width);
    }

    /// <summary>(outputs, inputs / groups, Kh, Kw).</summary>
    public Tensor Weight { get; }

    /// <summary>(outputs), or null.</summary>
    public Tensor? Bias { get; }

    /// <summary>Convolves.</summary>
    /// <param name="x">(B, H, W, inputs).</param>
    /// <returns>(B, H', W', outputs).</returns>
    public Tensor Forward(Tensor x) => Ops.Conv2d(x, Weight, Bias, _options);
}

/// <summary>A one-dimensional convolution with PyTorch's names and default initialization.</summary>
public sealed class Conv1d : IModule
{
    private readonly ConvOptions _options;

    /// <summary>Declares <c>weight</c> and, if configured, <c>bias</c>.</summary>
    /// <param name="scope">The layer's scope.</param>
    /// <param name="config">The configuration.</param>
    /// <exception cref="ArgumentException">The groups do not divide inputs and outputs.</exception>
    public Conv1d(Scope scope, ConvConfig config)
    {
        _options = config.Options;
        (Weight, Bias) = config.Declare(scope, config.Outputs, config.Inputs / Math.Max(1, config.Groups), config.Kernel.Width);
    }

    /// <summary>(outputs, inputs / groups, K).</summary>
    public Tensor Weight { get; }

    /// <summary>(outputs), or null.</summary>
    public Tensor? Bias { get; }

    /// <summary>Convolves.</summary>
    /// <param name="x">(B, L, inputs).</param>
    /// <returns>(B, L', outputs).</returns>
    public Tensor Forward(Tensor x) => Ops.Conv1d(x, Weight, Bias, _options);
}

/// <summary>A two-dimensional transposed convolution with PyTorch's names and default initialization.</summary>
public sealed class ConvTranspose2d : IModule
{
    private readonly ConvOptions _options;

    /// <summary>Declares <c>weight</c> and, if configured, <c>bias</c>.</summary>
    /// <param name="scope">The layer's scope.</param>
    /// <param name="config">The configuration.</param>
    /// <exception cref="ArgumentException">The groups do not divide inputs and outputs.</exception>
    public ConvTranspose2d(Scope scope, ConvConfig config)
    {
        _options = config.Options;
        (Weight, Bias) = config.Declare(scope, config.Inputs, config.Outputs / Math.Max(1, config.Groups), config.Kernel.Height,
            config.Kernel.Width);
    }

    /// <summary>(inputs, outputs / groups, Kh, Kw).</summary>
    public Tensor Weight { get; }

    /// <summary>(outputs), or null.</summary>
    public Tensor? Bias { get; }

    /// <summary>Convolves.</summary>
    /// <param name="x">(B, H, W, inputs).</param>
    /// <returns>(B, H', W', outputs).</returns>
    public Tensor Forward(Tensor x) => Ops.ConvTranspose2d(x, Weight, Bias, _options);
}

/// <summary>A one-dimensional transposed convolution with PyTorch's names and default initialization.</summary>
public sealed class ConvTranspose1d : IModule
{
    private readonly ConvOptions _options;

    /// <summary>Declares <c>weight</c> and, if configured, <c>bias</c>.</summary>
    /// <param name="scope">The layer's scope.</param>
    /// <param name="config">The configuration.</param>
    /// <exception cref="ArgumentException">The groups do not divide inputs and outputs.</exception>
    public ConvTranspose1d(Scope scope, ConvConfig config)
    {
        _options = config.Options;
        (Weight, Bias) = config.Declare(scope, config.Inputs, config.Outputs / Math.Max(1, config.Groups), config.Kernel.Width);
    }

    /// <summary>(inputs, outputs / groups, K).</summary>
    public Tensor Weight { get; }

    /// <summary>(outputs), or null.</summary>
    public Tensor? Bias { get; }

    /// <summary>Convolves.</summary>
    /// <param name="x">(B, L, inputs).</param>
    /// <returns>(B, L', outputs).</returns>
    public Tensor Forward(Tensor x) => Ops.ConvTranspose1d(x, Weight, Bias, _options);
}
