using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Zoo;

/// <summary>
/// MobileNetV2 (Sandler et al. 2018) with torchvision's names: a stem, seventeen inverted residuals with ReLU6, a 1x1 convolution, global
/// average pooling and a linear layer. Accepts images of any size.
/// </summary>
public sealed class MobileNetV2 : VisionModel
{
    /// <summary>Channels of the stem in torchvision.</summary>
    public const int DefaultWidth = InvertedResidualStage.DefaultWidth;

    /// <summary>Dropout probability of the inputs of the last layer.</summary>
    public const double DefaultDropout = 0.2;

    private const int LastChannels = 1280;

    // The paper's table 2.
    private static readonly InvertedResidualStage[] s_stages =
        [new(1, 16, 1, 1), new(6, 24, 2, 2), new(6, 32, 3, 2), new(6, 64, 4, 2), new(6, 96, 3, 1), new(6, 160, 3, 2), new(6, 320, 1, 1)];

    private readonly IModule[] _features;
    private readonly Dropout _dropout;
    private readonly Linear _head;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Input channels, classes, dropout, and channels of the stem, with which the others scale.</param>
    public MobileNetV2(Scope scope, ModelConfig config)
        : base(scope.Store, config)
    {
        int width = config.Width ?? DefaultWidth, channels = width;
        Scope features = scope / "features";
        List<IModule> layers =
        [
            ConvNormActivation.At(features / 0, new ConvConfig(config.InputChannels, width, Kernel: 3)
            {
                Stride = 2,
                Activation = Activation.Relu6,
            }),
        ];
        foreach (InvertedResidualStage stage in s_stages)
            for (int i = 0; i < stage.Blocks; i++)
            {
                int outputs = InvertedResidualStage.Scaled(stage.Channels, width);
                layers.Add(new InvertedResidual(
                    features / layers.Count / "conv", new InvertedResidualConfig(channels, outputs, stage.Expansion)
                    {
                        Stride = i == 0 ? stage.Stride : 1,
                        FlatProjection = true,
                    }));
                channels = outputs;
            }
        int last = InvertedResidualStage.Scaled(LastChannels, width);
        layers.Add(ConvNormActivation.At(
            features / layers.Count, new ConvConfig(channels, last, Kernel: 1) { Activation = Activation.Relu6 }));
        _features = [.. layers];
        _dropout = new Dropout(scope / "classifier" / 0, config.Dropout ?? 0);
        _head = new Linear(scope / "classifier" / 1, last, config.Classes, weightInit: Init.Normal(0.01), biasInit: Init.Zeros);
    }

    /// <inheritdoc/>
    public override ModelOutput Output => ModelOutput.Logits;

    /// <inheritdoc/>
    public override int SizeMultiple => 1;

    /// <inheritdoc/>
    protected override Tensor Run(Tensor images)
    {
        using MemoryScope memory = new();
        Tensor x = images;
        foreach (IModule layer in _features) x = layer.Forward(x); // (B, H / 32, W / 32, 1280), rounded up
        return memory.Return(_head.Forward(_dropout.Forward(MeanOfImage(x)))); // (B, classes)
    }
}
