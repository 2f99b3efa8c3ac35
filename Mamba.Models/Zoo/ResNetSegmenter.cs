using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Zoo;

/// <summary>
/// The paper's ResNet segmentation model, with torchvision's ResNet as encoder. Four transposed convolutions with ReLU in between upsample
/// from 1/32 to 1/2 of the size. A bilinear resize gives 256 x 256 for any input.
/// </summary>
public sealed class ResNetSegmenter : VisionModel
{
    private const int OutputSize = 256;
    private readonly ResNetEncoder _encoder;
    private readonly ConvTranspose2d[] _decoder;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Input channels, classes, and the width of the first stage.</param>
    /// <param name="variant">The encoder; not the CIFAR form.</param>
    public ResNetSegmenter(Scope scope, ModelConfig config, ResNetVariant variant)
        : base(scope.Store, config)
    {
        ResNetEncoderConfig encoder = variant.Encoder(config) with { Numbered = true };
        _encoder = new ResNetEncoder(scope / "encoder", encoder);
        // Aliases with torchvision's names, so that its pretrained weights load directly.
        (string Name, int Index)[] parts = [("conv1", 0), ("bn1", 1), ("layer1", 4), ("layer2", 5), ("layer3", 6), ("layer4", 7)];
        foreach ((string name, int index) in parts) scope.Alias(name, scope / "encoder" / index);
        int first = (variant.Bottleneck ? 8 : 4) * encoder.Width;
        int[] channels = [encoder.Outputs, first, first / 2, first / 4, config.Classes];
        _decoder = [.. channels[1..].Select((n, i) => new ConvTranspose2d(scope / "decoder" / (2 * i), new ConvConfig(channels[i], n,
            Kernel: 4) { Stride = 2, Padding = 1 }))];
    }

    /// <inheritdoc/>
    public override ModelOutput Output => ModelOutput.Logits;

    /// <inheritdoc/>
    public override int SizeMultiple => 32;

    /// <inheritdoc/>
    protected override Tensor Run(Tensor images)
    {
        using MemoryScope scope = new();
        Tensor x = _encoder.Forward(images); // (B, H / 32, W / 32, C)
        for (int i = 0; i < _decoder.Length; i++)
        {
            if (i > 0) x = Ops.Relu(x);
            x = _decoder[i].Forward(x); // (B, H / 2^(4 - i), W / 2^(4 - i), channels)
        }
        return scope.Return(Ops.ResizeBilinear(x, OutputSize, alignCorners: false));
    }
}
