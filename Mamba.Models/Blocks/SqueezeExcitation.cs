using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>
/// Squeeze and excitation (Hu et al. 2018): each channel of an image is scaled by a factor between 0 and 1, which two small layers compute
/// from the channel means. Names are torchvision's.
/// </summary>
public sealed class SqueezeExcitation : IModule
{
    private readonly Conv2d _squeeze;
    private readonly Conv2d _excite;

    /// <summary>Declares <c>fc1</c> and <c>fc2</c>, 1x1 convolutions with a bias.</summary>
    /// <param name="scope">The block's scope.</param>
    /// <param name="channels">Channels, C.</param>
    /// <param name="squeezed">Hidden channels.</param>
    /// <param name="activation">The activation of the first layer.</param>
    /// <param name="biasInit">Initial biases; PyTorch's default if null.</param>
    public SqueezeExcitation(
        Scope scope, int channels, int squeezed, Activation activation = Activation.Relu, Initializer? biasInit = null)
    {
        _squeeze = Layer(scope / "fc1", channels, squeezed, activation, biasInit);
        _excite = Layer(scope / "fc2", squeezed, channels, Activation.Sigmoid, biasInit);
    }

    /// <summary>Scales the channels.</summary>
    /// <param name="x">(B, H, W, C).</param>
    /// <returns>(B, H, W, C).</returns>
    public Tensor Forward(Tensor x)
    {
        using MemoryScope memory = new();
        Tensor scales = _excite.Forward(_squeeze.Forward(Ops.AdaptiveAvgPool2d(x, 1))); // (B, 1, 1, C)
        return memory.Return(Ops.Multiply(x, scales));
    }

    private static Conv2d Layer(Scope scope, int inputs, int outputs, Activation activation, Initializer? biasInit) =>
        new(scope, new ConvConfig(inputs, outputs, Kernel: 1)
        {
            Activation = activation,
            WeightInit = Init.KaimingNormal(outputs),
            BiasInit = biasInit,
        });
}
