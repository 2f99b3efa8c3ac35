using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>Configuration of <see cref="InvertedResidual"/>.</summary>
/// <param name="Inputs">Input channels.</param>
/// <param name="Outputs">Output channels.</param>
/// <param name="Expansion">Channels of the depthwise convolution relative to the input; 1 omits the expansion layer.</param>
public sealed record InvertedResidualConfig(int Inputs, int Outputs, int Expansion)
{
    /// <summary>Side of the depthwise window.</summary>
    public int Kernel { get; init; } = 3;

    /// <summary>Stride of the depthwise window.</summary>
    public int Stride { get; init; } = 1;

    /// <summary>The activation after each norm but the last.</summary>
    public Activation Activation { get; init; } = Activation.Relu6;

    /// <summary>Hidden channels of squeeze and excitation; null for none.</summary>
    public int? Squeezed { get; init; }

    /// <summary>The probability of dropping the branch for a training image.</summary>
    public double DropPath { get; init; }

    /// <summary>
    /// Whether the last convolution and its norm are numbered among the layers, as in MobileNetV2, instead of having their own scope.
    /// </summary>
    public bool FlatProjection { get; init; }
}

/// <summary>
/// The inverted residual of MobileNetV2 (Sandler et al. 2018) and EfficientNet (Tan and Le 2019): a 1x1 expansion, a depthwise convolution
/// and a linear 1x1 projection. The input is added where the shape does not change.
/// </summary>
public sealed class InvertedResidual : IModule
{
    private readonly ConvBatchNorm? _expand;
    private readonly ConvBatchNorm _depthwise;
    private readonly SqueezeExcitation? _excitation;
    private readonly ConvBatchNorm _project;
    private readonly DropPath _path;
    private readonly bool _residual;

    /// <summary>Declares the layers as <c>0</c>, <c>1</c>, ... of a scope, in execution order.</summary>
    /// <param name="layers">The scope of the layers.</param>
    /// <param name="config">The configuration.</param>
    public InvertedResidual(Scope layers, InvertedResidualConfig config)
    {
        int index = 0, hidden = config.Inputs * config.Expansion;
        if (config.Expansion != 1)
            _expand = ConvNormActivation.At(
                layers / index++, new ConvConfig(config.Inputs, hidden, Kernel: 1) { Activation = config.Activation });
        _depthwise = ConvNormActivation.At(layers / index++, new ConvConfig(hidden, hidden, config.Kernel)
        {
            Stride = config.Stride,
            Groups = hidden,
            Activation = config.Activation,
        });
        if (config.Squeezed is { } squeezed)
            _excitation = new SqueezeExcitation(layers / index++, hidden, squeezed, config.Activation, Init.Zeros);
        ConvConfig projection = new(hidden, config.Outputs, Kernel: 1);
        _project = config.FlatProjection ? ConvNormActivation.At(layers / index, layers / (index + 1), projection)
            : ConvNormActivation.At(layers / index, projection);
        _path = new DropPath(layers, config.DropPath);
        _residual = config.Stride == 1 && config.Inputs == config.Outputs;
    }

    /// <summary>Applies the block.</summary>
    /// <param name="x">(B, H, W, inputs).</param>
    /// <returns>(B, H / stride, W / stride, outputs), rounded up.</returns>
    public Tensor Forward(Tensor x)
    {
        using MemoryScope memory = new();
        Tensor h = _expand is null ? x : _expand.Forward(x); // (B, H, W, expansion inputs)
        h = _depthwise.Forward(h); // (B, H / stride, W / stride, expansion inputs)
        if (_excitation is not null) h = _excitation.Forward(h);
        h = _project.Forward(h); // (B, H / stride, W / stride, outputs)
        return memory.Return(_residual ? Ops.Add(_path.Forward(h), x) : h);
    }
}
