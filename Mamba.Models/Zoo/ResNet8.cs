using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Zoo;

/// <summary>
/// The residual network of MLPerf Tiny's image classification (Banbury et al. 2021; mlcommons/tiny, <c>resnet_v1_eembc</c>): a stem, three
/// stacks of one block each with 16, 32 and 64 channels, global average pooling and a linear layer. Convolutions have a bias; norms have
/// Keras's eps and momentum. Accepts images of any size; the reference uses 32 x 32.
/// </summary>
public sealed class ResNet8 : VisionModel
{
    /// <summary>Channels of the first stack in MLPerf Tiny.</summary>
    public const int DefaultWidth = 16;

    private static readonly BatchNormOptions s_keras = new() { Eps = 1e-3f, Momentum = 0.01f };

    private readonly ConvBatchNorm _stem;
    private readonly Stack _stack1;
    private readonly Stack _stack2;
    private readonly Stack _stack3;
    private readonly Linear _head;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Input channels, classes, and the width of the first stack.</param>
    public ResNet8(Scope scope, ModelConfig config)
        : base(scope.Store, config)
    {
        int width = config.Width ?? DefaultWidth;
        _stem = Layer(scope, "", Convolution(config.InputChannels, width, kernel: 3) with { Activation = Activation.Relu });
        _stack1 = new Stack(scope / "stack1", width, width);
        _stack2 = new Stack(scope / "stack2", width, 2 * width);
        _stack3 = new Stack(scope / "stack3", 2 * width, 4 * width);
        _head = new Linear(
            scope / "fc", 4 * width, config.Classes, weightInit: Init.KaimingNormal(4 * width), biasInit: Init.Zeros);
    }

    /// <inheritdoc/>
    public override ModelOutput Output => ModelOutput.Logits;

    /// <inheritdoc/>
    public override int SizeMultiple => 1;

    /// <inheritdoc/>
    protected override Tensor Run(Tensor images)
    {
        using MemoryScope memory = new();
        Tensor x = _stem.Forward(images); // (B, H, W, 16)
        x = _stack1.Forward(x); // (B, H, W, 16)
        x = _stack2.Forward(x); // (B, H / 2, W / 2, 32), rounded up
        x = _stack3.Forward(x); // (B, H / 4, W / 4, 64)
        return memory.Return(_head.Forward(Ops.AdaptiveAvgPool2d(x, 1).Reshape(x.Shape[0], x.Shape[3]))); // (B, classes)
    }

    private static ConvBatchNorm Layer(Scope scope, string number, ConvConfig config) =>
        new(scope / $"conv{number}", scope / $"bn{number}", config, s_keras);

    /// <summary>
    /// TensorFlow's padding 'same' for images of even size: with stride 2, a 3 x 3 window starts inside and reaches one pixel beyond the
    /// image.
    /// </summary>
    private static ConvConfig Convolution(int inputs, int outputs, int kernel, int stride = 1) => new(inputs, outputs, kernel)
    {
        Stride = stride,
        Padding = kernel == 1 ? 0 : stride == 1 ? 1 : new Padding2d(0, 0, 1, 1),
        WeightInit = Init.KaimingNormal(inputs * kernel * kernel),
        BiasInit = Init.Zeros,
    };

    /// <summary>
    /// Two convolutions with norms. Where the channels change, the first has stride 2 and the shortcut is a 1 x 1 convolution.
    /// </summary>
    private sealed class Stack
    {
        private readonly string _layer;
        private readonly ConvBatchNorm _conv1;
        private readonly ConvBatchNorm _conv2;
        private readonly Conv2d? _shortcut;

        public Stack(Scope scope, int inputs, int outputs)
        {
            _layer = scope.Path;
            int stride = inputs == outputs ? 1 : 2, between = (scope / "conv1").Width(outputs);
            _conv1 = Layer(scope, "1", Convolution(inputs, between, kernel: 3, stride) with { Activation = Activation.Relu });
            _conv2 = Layer(scope, "2", Convolution(between, outputs, kernel: 3));
            if (stride == 2) _shortcut = new Conv2d(scope / "shortcut", Convolution(inputs, outputs, kernel: 1, stride));
        }

        public Tensor Forward(Tensor x)
        {
            using MemoryScope memory = new();
            Tensor h = _conv2.Forward(_conv1.Forward(_shortcut is null ? x : StartOutside(x)));
            Tensor y = memory.Return(Ops.Relu(Ops.Add(h, _shortcut is null ? x : _shortcut.Forward(x))));
            LayerObserver.Current?.FeatureMap(_layer, y);
            return y;
        }

        /// <summary>For an odd size, 'same' also needs a pixel before the image.</summary>
        private static Tensor StartOutside(Tensor x)
        {
            int top = x.Shape[1] % 2, left = x.Shape[2] % 2;
            return top + left == 0 ? x : Ops.Pad(x, new Padding2d(top, left, 0, 0));
        }
    }
}
