using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Zoo;

/// <summary>
/// U-Net (Ronneberger et al. 2015) as trained by the paper's authors: four levels of two 3x3 convolutions with batch norm and ReLU, with 32
/// to 512 channels. Transposed convolutions upsample, and skips are concatenated.
/// </summary>
public sealed class UNet : VisionModel
{
    /// <summary>Channels of the first level in the paper; each further level has twice as many.</summary>
    public const int DefaultWidth = 32;

    /// <summary>Levels above the bottleneck in the paper.</summary>
    public const int DefaultDepth = 4;

    private readonly DoubleConv[] _encoders;
    private readonly DoubleConv[] _decoders;
    private readonly ConvTranspose2d[] _upconvs;
    private readonly Conv2d _conv;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Input channels, classes, channels of the first level (Width) and levels (Depth).</param>
    public UNet(Scope scope, ModelConfig config)
        : base(scope.Store, config)
    {
        int levels = config.Depth ?? DefaultDepth;
        int[] features = [.. Enumerable.Range(0, levels + 1).Select(i => checked((config.Width ?? DefaultWidth) << i))];
        int channels = config.InputChannels;
        _encoders = new DoubleConv[levels + 1];
        for (int i = 0; i <= levels; i++)
        {
            _encoders[i] = new DoubleConv(scope / (i < levels ? $"encoder{i + 1}" : "bottleneck"), channels, features[i]);
            channels = _encoders[i].Outputs;
        }
        (_upconvs, _decoders) = (new ConvTranspose2d[levels], new DoubleConv[levels]);
        for (int i = levels - 1; i >= 0; i--)
        {
            Scope up = scope / $"upconv{i + 1}";
            int raised = up.Width(features[i]);
            _upconvs[i] = new ConvTranspose2d(up, new ConvConfig(channels, raised, Kernel: 2) { Stride = 2 });
            _decoders[i] = new DoubleConv(scope / $"decoder{i + 1}", raised + _encoders[i].Outputs, features[i]);
            channels = _decoders[i].Outputs;
        }
        _conv = new Conv2d(scope / "conv", new ConvConfig(channels, config.Classes, Kernel: 1));
    }

    /// <inheritdoc/>
    public override ModelOutput Output => ModelOutput.Logits;

    /// <inheritdoc/>
    public override int SizeMultiple => 1 << _decoders.Length;

    /// <inheritdoc/>
    protected override Tensor Run(Tensor images)
    {
        using MemoryScope scope = new();
        Tensor x = images;
        TensorList skips = default;
        for (int i = 0; i < _decoders.Length; i++)
        {
            skips = skips.Append(_encoders[i].Forward(x)); // (B, H / 2^i, W / 2^i, features[i])
            x = Ops.MaxPool2d(skips[i], kernel: 2);
        }
        x = _encoders[^1].Forward(x);
        for (int i = skips.Count - 1; i >= 0; i--) x = Decode(i, x, skips[i]);
        return scope.Return(_conv.Forward(x));
    }

    private Tensor Decode(int level, Tensor x, Tensor skip)
    {
        using MemoryScope scope = new();
        return scope.Return(_decoders[level].Forward(Ops.Concat([_upconvs[level].Forward(x), skip])));
    }

    /// <summary>Convolution, batch norm, ReLU, twice; numbered as in PyTorch's Sequential.</summary>
    private sealed class DoubleConv(Scope scope, int inputs, int outputs)
    {
        private readonly string _layer = scope.Path;
        private readonly ConvBatchNorm _first = new(scope / 0, scope / 1, Window(inputs, (scope / 0).Width(outputs)));
        private readonly ConvBatchNorm _second =
            new(scope / 3, scope / 4, Window((scope / 0).Width(outputs), (scope / 3).Width(outputs)));

        public int Outputs { get; } = (scope / 3).Width(outputs);

        public Tensor Forward(Tensor x)
        {
            using MemoryScope memory = new();
            Tensor y = memory.Return(_second.Forward(_first.Forward(x)));
            LayerObserver.Current?.FeatureMap(_layer, y);
            return y;
        }

        private static ConvConfig Window(int inputs, int outputs) => new(inputs, outputs, Kernel: 3)
        {
            Padding = 1,
            Activation = Activation.Relu
        };
    }
}
