using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Zoo;

/// <summary>A variant of <see cref="RegNet"/>.</summary>
/// <param name="Depths">Blocks of each stage.</param>
/// <param name="Widths">Channels of each stage.</param>
/// <param name="GroupWidth">Channels per group of the 3x3 convolutions.</param>
/// <param name="SqueezeExcitation">Whether blocks have squeeze and excitation: RegNetY rather than RegNetX.</param>
public sealed record RegNetVariant(IReadOnlyList<int> Depths, IReadOnlyList<int> Widths, int GroupWidth, bool SqueezeExcitation)
{
    /// <summary>RegNetX with 400 million multiply-adds.</summary>
    public static RegNetVariant X400 { get; } = new([1, 2, 7, 12], [32, 64, 160, 400], GroupWidth: 16, SqueezeExcitation: false);

    /// <summary>RegNetY with 400 million multiply-adds.</summary>
    public static RegNetVariant Y400 { get; } = new([1, 3, 6, 6], [48, 104, 208, 440], GroupWidth: 8, SqueezeExcitation: true);
}

/// <summary>
/// RegNet (Radosavovic et al. 2020) with torchvision's names: a stem, four stages of residual blocks with grouped 3x3 convolutions, global
/// average pooling and a linear layer. Accepts images of any size.
/// </summary>
public sealed class RegNet : VisionModel
{
    private const int StemChannels = 32;

    private readonly ConvBatchNorm _stem;
    private readonly Block[] _blocks;
    private readonly Linear _head;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Input channels and classes.</param>
    /// <param name="variant">The variant.</param>
    public RegNet(Scope scope, ModelConfig config, RegNetVariant variant)
        : base(scope.Store, config)
    {
        _stem = ConvNormActivation.At(scope / "stem", new ConvConfig(config.InputChannels, StemChannels, Kernel: 3)
        {
            Stride = 2,
            Activation = Activation.Relu,
        });
        List<Block> blocks = [];
        int channels = StemChannels;
        for (int stage = 0; stage < variant.Depths.Count; stage++)
        {
            Scope place = scope / "trunk_output" / $"block{stage + 1}";
            for (int i = 0; i < variant.Depths[stage]; i++, channels = variant.Widths[stage])
                blocks.Add(new Block(place / $"block{stage + 1}-{i}", variant, channels, variant.Widths[stage], i == 0 ? 2 : 1));
        }
        _blocks = [.. blocks];
        _head = new Linear(scope / "fc", channels, config.Classes, weightInit: Init.Normal(0.01), biasInit: Init.Zeros);
    }

    /// <inheritdoc/>
    public override ModelOutput Output => ModelOutput.Logits;

    /// <inheritdoc/>
    public override int SizeMultiple => 1;

    /// <inheritdoc/>
    protected override Tensor Run(Tensor images)
    {
        using MemoryScope memory = new();
        Tensor x = _stem.Forward(images); // (B, H / 2, W / 2, 32), rounded up
        foreach (Block block in _blocks) x = block.Forward(x); // (B, H / 32, W / 32, last width)
        return memory.Return(_head.Forward(MeanOfImage(x))); // (B, classes)
    }

    /// <summary>1x1, grouped 3x3, optional squeeze and excitation, 1x1; ReLU in between, and after the shortcut is added.</summary>
    private sealed class Block
    {
        private readonly ConvBatchNorm? _shortcut;
        private readonly ConvBatchNorm _reduce;
        private readonly ConvBatchNorm _mix;
        private readonly SqueezeExcitation? _excitation;
        private readonly ConvBatchNorm _expand;

        public Block(Scope scope, RegNetVariant variant, int inputs, int outputs, int stride)
        {
            Scope branch = scope / "f";
            if (stride != 1 || inputs != outputs)
                _shortcut = ConvNormActivation.At(scope / "proj", new ConvConfig(inputs, outputs, Kernel: 1) { Stride = stride });
            _reduce = ConvNormActivation.At(branch / "a", new ConvConfig(inputs, outputs, Kernel: 1) { Activation = Activation.Relu });
            _mix = ConvNormActivation.At(branch / "b", new ConvConfig(outputs, outputs, Kernel: 3)
            {
                Stride = stride,
                Groups = outputs / variant.GroupWidth,
                Activation = Activation.Relu,
            });
            // A quarter of the block's inputs, as in the paper.
            if (variant.SqueezeExcitation) _excitation = new SqueezeExcitation(branch / "se", outputs, inputs / 4);
            _expand = ConvNormActivation.At(branch / "c", new ConvConfig(outputs, outputs, Kernel: 1));
        }

        public Tensor Forward(Tensor x)
        {
            using MemoryScope memory = new();
            Tensor h = _mix.Forward(_reduce.Forward(x)); // (B, H / stride, W / stride, outputs)
            if (_excitation is not null) h = _excitation.Forward(h);
            return memory.Return(Ops.Relu(Ops.Add(_expand.Forward(h), _shortcut is null ? x : _shortcut.Forward(x))));
        }
    }
}
