using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Zoo;

/// <summary>A variant of <see cref="ResNet"/>.</summary>
/// <param name="Blocks">Residual blocks of each stage.</param>
/// <param name="Bottleneck">Whether a block is 1x1, 3x3, 1x1 instead of two 3x3.</param>
/// <param name="Cifar">Whether it is the CIFAR form for small images, with parameter-free shortcuts.</param>
public sealed record ResNetVariant(IReadOnlyList<int> Blocks, bool Bottleneck = false, bool Cifar = false)
{
    /// <summary>ResNet-18.</summary>
    public static ResNetVariant ResNet18 { get; } = new([2, 2, 2, 2]);

    /// <summary>ResNet-50.</summary>
    public static ResNetVariant ResNet50 { get; } = new([3, 4, 6, 3], Bottleneck: true);

    /// <summary>ResNet-20 for CIFAR.</summary>
    public static ResNetVariant ResNet20 { get; } = new([3, 3, 3], Cifar: true);

    /// <summary>Channels of the first stage in the paper of He et al.</summary>
    public int Width => Cifar ? 16 : 64;

    /// <summary>
    /// The encoder of a configuration. The CIFAR form scales in depth, with the same number of blocks per stage (ResNet-56 has 27 blocks).
    /// </summary>
    /// <exception cref="ArgumentException">A depth is given for another form, or is not a multiple of the number of stages.</exception>
    internal ResNetEncoderConfig Encoder(ModelConfig config)
    {
        IReadOnlyList<int> blocks = Blocks;
        if (config.Depth is { } depth && depth != Blocks.Sum())
        {
            if (!Cifar || depth < 1 || depth % Blocks.Count != 0)
            {
                string expected = Cifar ? $"a multiple of {Blocks.Count} blocks" : $"the {Blocks.Sum()} blocks of this form";
                throw new ArgumentException($"ResNet: depth {depth}; expected {expected}", nameof(config));
            }
            blocks = [.. Blocks.Select(_ => depth / Blocks.Count)];
        }
        return new(config.InputChannels, config.Width ?? Width, blocks) { Bottleneck = Bottleneck, Cifar = Cifar };
    }
}

/// <summary>
/// The residual network (He et al. 2016) as a classifier: encoder, global average pooling, linear layer. ResNet-18 and -50 have
/// torchvision's names, the CIFAR form those of akamaster/pytorch_resnet_cifar10. Accepts images of any size.
/// </summary>
public sealed class ResNet : VisionModel
{
    private readonly ResNetEncoder _encoder;
    private readonly Linear _head;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Input channels, classes, and the width of the first stage.</param>
    /// <param name="variant">The variant.</param>
    public ResNet(Scope scope, ModelConfig config, ResNetVariant variant)
        : base(scope.Store, config)
    {
        ResNetEncoderConfig encoder = variant.Encoder(config);
        _encoder = new ResNetEncoder(scope, encoder);
        _head = variant.Cifar
            ? new Linear(scope / "linear", encoder.Outputs, config.Classes, weightInit: Init.KaimingNormal(encoder.Outputs))
            : new Linear(scope / "fc", encoder.Outputs, config.Classes);
    }

    /// <inheritdoc/>
    public override ModelOutput Output => ModelOutput.Logits;

    /// <inheritdoc/>
    public override int SizeMultiple => 1;

    /// <inheritdoc/>
    protected override Tensor Run(Tensor images)
    {
        using MemoryScope scope = new();
        Tensor x = _encoder.Forward(images); // (B, H / 32, W / 32, C)
        return scope.Return(_head.Forward(Ops.AdaptiveAvgPool2d(x, 1).Reshape(x.Shape[0], x.Shape[3])));
    }
}
