using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Zoo;

/// <summary>
/// EfficientNet-B0 (Tan and Le 2019) with torchvision's names: a stem, sixteen inverted residuals with squeeze and excitation and SiLU, a
/// 1x1 convolution, global average pooling and a linear layer. Accepts images of any size.
/// </summary>
public sealed class EfficientNet : VisionModel
{
    /// <summary>Channels of the stem in torchvision.</summary>
    public const int DefaultWidth = InvertedResidualStage.DefaultWidth;

    /// <summary>Dropout probability of the inputs of the last layer.</summary>
    public const double DefaultDropout = 0.2;

    /// <summary>Stochastic depth in torchvision: block i of sixteen, from 0, is dropped with i / 16 of this probability.</summary>
    public const double DefaultDropPath = 0.2;

    private const int LastChannels = 1280;

    // The paper's table 1.
    private static readonly InvertedResidualStage[] s_stages =
    [
        new(1, 16, 1, 1), new(6, 24, 2, 2), new(6, 40, 2, 2) { Kernel = 5 }, new(6, 80, 3, 2), new(6, 112, 3, 1) { Kernel = 5 },
        new(6, 192, 4, 2) { Kernel = 5 }, new(6, 320, 1, 1),
    ];

    private readonly IModule[] _features;
    private readonly Dropout _dropout;
    private readonly Linear _head;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">
    /// Input channels, classes, dropout, stochastic depth, and channels of the stem, with which the others scale.
    /// </param>
    public EfficientNet(Scope scope, ModelConfig config)
        : base(scope.Store, config)
    {
        int width = config.Width ?? DefaultWidth, channels = width, last = InvertedResidualStage.Scaled(LastChannels, width);
        Scope features = scope / "features";
        List<IModule> layers =
        [
            ConvNormActivation.At(
                features / 0, new ConvConfig(config.InputChannels, width, Kernel: 3) { Stride = 2, Activation = Activation.Silu }),
        ];
        for (int stage = 0; stage < s_stages.Length; stage++) channels = AddStage(layers, features / (stage + 1), stage, channels);
        layers.Add(ConvNormActivation.At(
            features / (s_stages.Length + 1), new ConvConfig(channels, last, Kernel: 1) { Activation = Activation.Silu }));
        _features = [.. layers];
        _dropout = new Dropout(scope / "classifier" / 0, config.Dropout ?? 0);
        _head = new Linear(
            scope / "classifier" / 1, last, config.Classes, weightInit: Init.Uniform(1 / Math.Sqrt(config.Classes)), biasInit: Init.Zeros);
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

    /// <summary>Adds the blocks of a stage; returns their channels.</summary>
    private int AddStage(List<IModule> layers, Scope place, int index, int channels)
    {
        InvertedResidualStage stage = s_stages[index];
        int outputs = InvertedResidualStage.Scaled(stage.Channels, Config.Width ?? DefaultWidth), blocks = s_stages.Sum(s => s.Blocks);
        for (int i = 0; i < stage.Blocks; i++, channels = outputs)
            layers.Add(new InvertedResidual(
                place / i / "block", new InvertedResidualConfig(channels, outputs, stage.Expansion)
                {
                    Kernel = stage.Kernel,
                    Stride = i == 0 ? stage.Stride : 1,
                    Activation = Activation.Silu,
                    Squeezed = Math.Max(1, channels / 4),
                    DropPath = (Config.DropPath ?? 0) * (layers.Count - 1) / blocks, // the stem is not a block
                }));
        return outputs;
    }
}
