using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>
/// The layer of torchvision's later networks: a convolution without bias that keeps the size or divides it by its stride, a batch norm and
/// an activation. Convolutions are initialized normal by fan out, ignoring groups, as in torchvision.
/// </summary>
internal static class ConvNormActivation
{
    /// <summary>The layer with its convolution at <c>0</c> and its norm at <c>1</c> of a scope.</summary>
    public static ConvBatchNorm At(Scope scope, ConvConfig config) => At(scope / 0, scope / 1, config);

    /// <summary>The layer with separate scopes for convolution and norm.</summary>
    public static ConvBatchNorm At(Scope conv, Scope norm, ConvConfig config)
    {
        (int height, int width) = (config.Kernel.Height, config.Kernel.Width);
        return new(conv, norm, config with
        {
            Padding = (height / 2, width / 2),
            Bias = false,
            WeightInit = Init.KaimingNormal(config.Outputs * height * width),
        });
    }
}
