namespace Mamba.Core.Nn;

/// <summary>Configuration of a convolution layer. Layers over sequences use the column values only.</summary>
/// <param name="Inputs">Input channels.</param>
/// <param name="Outputs">Output channels.</param>
/// <param name="Kernel">The window.</param>
/// <example><code>new ConvConfig(64, 128, Kernel: 3) { Stride = 2, Padding = 1, Bias = false }</code></example>
public sealed record ConvConfig(int Inputs, int Outputs, Size2d Kernel)
{
    /// <summary>Step of the window.</summary>
    public Size2d Stride { get; init; } = 1;

    /// <summary>Zeros around the image, or <see cref="Padding2d.Same"/>.</summary>
    public Padding2d Padding { get; init; } = 0;

    /// <summary>Spacing of the taps.</summary>
    public Size2d Dilation { get; init; } = 1;

    /// <summary>Groups of channels that do not mix.</summary>
    public int Groups { get; init; } = 1;

    /// <summary>Transposed convolutions only: extra rows and columns of the output.</summary>
    public Size2d OutputPadding { get; init; } = 0;

    /// <summary>Less rounding error when training 1x1 windows; see <see cref="ConvOptions.ShortSums"/>.</summary>
    public bool ShortSums { get; init; }

    /// <summary>Applied to the result.</summary>
    public Activation Activation { get; init; }

    /// <summary>Whether there is a bias.</summary>
    public bool Bias { get; init; } = true;

    /// <summary>Initial weights; PyTorch's default if null.</summary>
    public Initializer? WeightInit { get; init; }

    /// <summary>Initial bias; PyTorch's default if null.</summary>
    public Initializer? BiasInit { get; init; }

    /// <summary>The options of the operator.</summary>
    internal ConvOptions Options => new()
    {
        Stride = Stride,
        Padding = Padding,
        Dilation = Dilation,
        Groups = Groups,
        OutputPadding = OutputPadding,
        ShortSums = ShortSums,
        Activation = Activation,
    };

    /// <summary>
    /// Declares <c>weight</c> with the given shape and, if configured, <c>bias</c>. The fan-in of the initialization follows from dimension
    /// 1 and the window, as in PyTorch.
    /// </summary>
    internal (Tensor Weight, Tensor? Bias) Declare(Scope scope, params ReadOnlySpan<int> weight)
    {
        if (Groups <= 0 || Inputs % Groups != 0 || Outputs % Groups != 0)
            throw new ArgumentException(
                $"{scope.Path}: {Groups} groups of {Inputs} inputs and {Outputs} outputs; expected groups of equal size.", nameof(weight));
        int fan = 1;
        foreach (int extent in weight[1..]) fan *= extent;
        Tensor declared = scope.Parameter("weight", WeightInit ?? Init.KaimingUniform(fan), weight);
        return (declared, Bias ? scope.Parameter("bias", BiasInit ?? Init.KaimingUniform(fan), Outputs) : null);
    }
}
