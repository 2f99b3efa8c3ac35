using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>
/// The layer of the Inception networks in torchvision: a convolution without bias as <c>conv</c>, a batch norm as <c>bn</c>, and ReLU.
/// </summary>
internal static class InceptionLayer
{
    private static readonly BatchNormOptions s_norm = new() { Eps = 1e-3f };

    /// <summary>Declares the layer.</summary>
    /// <param name="scope">The layer's scope.</param>
    /// <param name="config">Sizes and padding.</param>
    /// <param name="deviation">Standard deviation of the initial weights.</param>
    public static ConvBatchNorm At(Scope scope, ConvConfig config, double deviation)
    {
        ConvConfig layer = config with { Bias = false, Activation = Activation.Relu, WeightInit = Init.TruncatedNormal(deviation) };
        return new(scope / "conv", scope / "bn", layer, s_norm);
    }
}
