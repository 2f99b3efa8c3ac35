using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>Configuration of <see cref="ResNetEncoder"/>.</summary>
/// <param name="Inputs">Channels of the images.</param>
/// <param name="Width">Channels of the first stage, before a bottleneck's expansion; each later stage has twice as many.</param>
/// <param name="Blocks">Residual blocks of each stage.</param>
public sealed record ResNetEncoderConfig(int Inputs, int Width, IReadOnlyList<int> Blocks)
{
    /// <summary>Whether a block is 1x1, 3x3, 1x1 with a fourfold expansion, instead of two 3x3.</summary>
    public bool Bottleneck { get; init; }

    /// <summary>
    /// Whether it is the form for CIFAR (He et al. 2016, section 4.2): a 3x3 stem that keeps the size, and parameter-free shortcuts
    /// ("option A"). The other form has a 7x7 stem with pooling, which quarters the size, and projection shortcuts.
    /// </summary>
    public bool Cifar { get; init; }

    /// <summary>
    /// Whether the parts are numbered 0, 1, 4, 5, ... as a Sequential of torchvision's children, instead of named conv1, bn1, layer1,
    /// layer2, ...
    /// </summary>
    public bool Numbered { get; init; }

    /// <summary>Channels of the result.</summary>
    public int Outputs => (Width << (Blocks.Count - 1)) * (Bottleneck ? 4 : 1);
}

/// <summary>
/// The residual network (He et al. 2016) without its head, with torchvision's parameter names: a stem, then stages of residual blocks. Each
/// stage after the first halves the size and doubles the channels. Convolutions are initialized normal by fan out (CIFAR form: fan in), as
/// in the original code.
/// </summary>
public sealed class ResNetEncoder : IModule
{
    private static readonly PoolOptions s_stemPool = new() { Stride = 2, Padding = 1 };

    private readonly ResNetEncoderConfig _config;
    private readonly ConvBatchNorm _stem;
    private readonly ResidualBlock[] _blocks;

    /// <summary>Declares the stem and the stages.</summary>
    /// <param name="scope">The encoder's scope.</param>
    /// <param name="config">Its sizes and names.</param>
    public ResNetEncoder(Scope scope, ResNetEncoderConfig config)
    {
        _config = config;
        _stem = new ConvBatchNorm(
            config.Numbered ? scope / 0 : scope / "conv1", config.Numbered ? scope / 1 : scope / "bn1",
            Convolution(config.Cifar, config.Inputs, config.Width, config.Cifar ? 3 : 7,
                config.Cifar ? 1 : 2) with
            { Activation = Activation.Relu });
        List<ResidualBlock> blocks = [];
        int channels = config.Width;
        for (int stage = 0; stage < config.Blocks.Count; stage++)
        {
            Scope place = config.Numbered ? scope / (stage + 4) : scope / $"layer{stage + 1}"; // 2 and 3 are the stem's ReLU and pooling
            for (int i = 0; i < config.Blocks[stage]; i++)
            {
                ResidualBlock block = new(place / i, config, channels, config.Width << stage, stage > 0 && i == 0 ? 2 : 1);
                blocks.Add(block);
                channels = block.Outputs;
            }
        }
        _blocks = [.. blocks];
    }

    /// <summary>Extracts the features.</summary>
    /// <param name="images">(B, H, W, inputs), of any size.</param>
    /// <returns>
    /// (B, H / 32, W / 32, outputs), rounded up, for four stages; a quarter of the size for the three stages of the CIFAR form.
    /// </returns>
    public Tensor Forward(Tensor images)
    {
        using MemoryScope memory = new();
        Tensor x = _stem.Forward(images);
        if (!_config.Cifar) x = Ops.MaxPool2d(x, kernel: 3, s_stemPool);
        foreach (ResidualBlock block in _blocks) x = block.Forward(x);
        return memory.Return(x);
    }

    private static ConvConfig Convolution(bool fanIn, int inputs, int outputs, int kernel, int stride = 1) =>
        new(inputs, outputs, kernel)
        {
            Stride = stride,
            Padding = kernel / 2,
            Bias = false,
            WeightInit = Init.KaimingNormal((fanIn ? inputs : outputs) * kernel * kernel),
        };

    /// <summary>Convolutions with batch norm, ReLU in between, and again after the shortcut is added.</summary>
    private sealed class ResidualBlock
    {
        private readonly string _layer;
        private readonly ConvBatchNorm[] _layers;
        private readonly Func<Tensor, Tensor>? _shortcut;

        public ResidualBlock(Scope scope, ResNetEncoderConfig config, int inputs, int width, int stride)
        {
            (_layer, Outputs) = (scope.Path, width * (config.Bottleneck ? 4 : 1));
            (int Outputs, int Kernel, int Stride)[] layers = config.Bottleneck
                ? [(width, 1, 1), (width, 3, stride), (Outputs, 1, 1)]
                : [(width, 3, stride), (width, 3, 1)];
            _layers = new ConvBatchNorm[layers.Length];
            for (int i = 0, channels = inputs; i < layers.Length; i++)
            {
                bool last = i == layers.Length - 1; // its channels are those of the shortcut
                int filters = last ? Outputs : (scope / $"conv{i + 1}").Width(layers[i].Outputs);
                ConvConfig layer = Convolution(config.Cifar, channels, filters, layers[i].Kernel, layers[i].Stride);
                Activation activation = last ? Activation.None : Activation.Relu;
                channels = filters;
                _layers[i] = new ConvBatchNorm(scope / $"conv{i + 1}", scope / $"bn{i + 1}", layer with { Activation = activation });
            }
            if (stride == 1 && inputs == Outputs) return;
            if (config.Cifar)
            {
                PoolOptions every = new() { Stride = stride };
                _shortcut = x => PadChannels(Ops.MaxPool2d(x, kernel: 1, every), Outputs); // a one-pixel window subsamples
                return;
            }
            ConvBatchNorm project = new(scope / "downsample" / 0, scope / "downsample" / 1, Convolution(fanIn: false, inputs, Outputs,
                kernel: 1, stride));
            _shortcut = project.Forward;
        }

        public int Outputs { get; }

        public Tensor Forward(Tensor x)
        {
            using MemoryScope memory = new();
            Tensor h = x;
            foreach (ConvBatchNorm layer in _layers) h = layer.Forward(h);
            Tensor y = memory.Return(Ops.Relu(Ops.Add(h, _shortcut is null ? x : _shortcut(x))));
            LayerObserver.Current?.FeatureMap(_layer, y);
            return y;
        }

        /// <summary>Adds the same number of zero channels before and after.</summary>
        private static Tensor PadChannels(Tensor x, int channels)
        {
            int before = (channels - x.Shape[3]) / 2;
            Tensor Zeros(int count) => Tensor.Zeros(x.Shape.With(3, count));
            return Ops.Concat([Zeros(before), x, Zeros(channels - x.Shape[3] - before)]);
        }
    }
}
