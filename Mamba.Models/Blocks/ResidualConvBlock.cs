using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>
/// A convolution that keeps the size (or halves it), instance norm without parameters and an activation. As in MIC-DKFZ's
/// dynamic-network-architectures the convolution is listed twice, as <c>conv</c> and as <c>all_modules.0</c>.
/// </summary>
public sealed class ConvInstanceNorm : IModule
{
    private readonly Conv2d _conv;
    private readonly Activation _activation;

    /// <summary>Declares the convolution.</summary>
    /// <param name="scope">The block's scope.</param>
    /// <param name="config">Its sizes, and the activation that follows the norm.</param>
    public ConvInstanceNorm(Scope scope, ConvConfig config)
    {
        _conv = new Conv2d(scope / "conv", config with { Activation = Activation.None });
        scope.Alias("all_modules.0", scope / "conv");
        _activation = config.Activation;
    }

    /// <summary>Convolves and normalizes.</summary>
    /// <param name="x">(B, H, W, inputs).</param>
    /// <returns>(B, H', W', outputs).</returns>
    public Tensor Forward(Tensor x)
    {
        using MemoryScope memory = new();
        return memory.Return(Ops.InstanceNorm(_conv.Forward(x), activation: _activation));
    }
}

/// <summary>
/// The residual block of U-Mamba (Ma et al. 2024), after ResNet-D: two 3x3 convolutions with instance norm and leaky ReLU. The shortcut
/// averages 2x2 pixels where the size is halved, and projects where the channels change.
/// </summary>
public sealed class ResidualConvBlock : IModule
{
    private readonly string _layer;
    private readonly ConvInstanceNorm _conv1;
    private readonly ConvInstanceNorm _conv2;
    private readonly ConvInstanceNorm? _project;
    private readonly int _stride;

    /// <summary>Declares <c>conv1</c>, <c>conv2</c> and, where it projects, <c>skip</c>.</summary>
    /// <param name="scope">The block's scope.</param>
    /// <param name="inputs">Input channels.</param>
    /// <param name="outputs">Output channels.</param>
    /// <param name="stride">1, or 2 to halve the size, which must be even then.</param>
    public ResidualConvBlock(Scope scope, int inputs, int outputs, int stride)
    {
        (_layer, _stride) = (scope.Path, stride);
        int between = (scope / "conv1").Width(outputs);
        _conv1 = new ConvInstanceNorm(scope / "conv1", new ConvConfig(inputs, between, Kernel: 3)
        {
            Stride = stride,
            Padding = 1,
            Activation = Activation.LeakyRelu,
        });
        _conv2 = new ConvInstanceNorm(scope / "conv2", new ConvConfig(between, outputs, Kernel: 3) { Padding = 1 });
        int index = stride == 1 ? 0 : 1; // the averaging comes first in PyTorch's Sequential
        if (inputs != outputs) _project = new ConvInstanceNorm(scope / "skip" / index, new ConvConfig(inputs, outputs,
            Kernel: 1)
        { Bias = false });
    }

    /// <summary>Applies the block.</summary>
    /// <param name="x">(B, H, W, inputs).</param>
    /// <returns>(B, H / stride, W / stride, outputs).</returns>
    public Tensor Forward(Tensor x)
    {
        using MemoryScope memory = new();
        Tensor shortcut = _stride == 1 ? x : Ops.AdaptiveAvgPool2d(x, (x.Shape[1] / _stride, x.Shape[2] / _stride));
        if (_project is not null) shortcut = _project.Forward(shortcut);
        Tensor y = memory.Return(Ops.LeakyRelu(Ops.Add(_conv2.Forward(_conv1.Forward(x)), shortcut)));
        LayerObserver.Current?.FeatureMap(_layer, y);
        return y;
    }
}
