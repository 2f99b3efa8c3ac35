using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Zoo;

/// <summary>
/// GoogLeNet (Szegedy et al. 2015) as built by torchvision: with batch norm, and with 3x3 convolutions where the paper has 5x5. The
/// auxiliary training heads <c>aux1</c> and <c>aux2</c> are left out. Torchvision's weights expect its <c>transform_input</c>:
/// normalization by mean and deviation 0.5. Accepts images of any size from <see cref="Smallest"/> on.
/// </summary>
public sealed class GoogLeNet : VisionModel
{
    /// <summary>The smallest height and width of an image: below it the third pool has no output.</summary>
    public const int Smallest = 15;

    /// <summary>Dropout probability of the inputs of the last layer.</summary>
    public const double DefaultDropout = 0.2;

    private const int LastChannels = 1024;
    private const double Deviation = 0.01; // of the initial weights

    private static readonly PoolOptions s_pool = new() { Stride = 2, CeilMode = true };
    private static readonly PoolOptions s_branchPool = new() { Stride = 1, Padding = 1, CeilMode = true };

    private readonly ConvBatchNorm _conv1;
    private readonly ConvBatchNorm _conv2;
    private readonly ConvBatchNorm _conv3;
    private readonly Inception[] _stage3;
    private readonly Inception[] _stage4;
    private readonly Inception[] _stage5;
    private readonly Dropout _dropout;
    private readonly Linear _head;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Input channels, classes and dropout.</param>
    public GoogLeNet(Scope scope, ModelConfig config)
        : base(scope.Store, config)
    {
        _conv1 = Layer(scope / "conv1", config.InputChannels, 64, kernel: 7, stride: 2);
        _conv2 = Layer(scope / "conv2", 64, 64, kernel: 1);
        _conv3 = Layer(scope / "conv3", 64, 192, kernel: 3);
        // The paper's table 1: 1x1, 3x3 and the layer before it, "5x5" and the layer before it, after the pool.
        _stage3 =
        [
            new(scope / "inception3a", 192, [64, 96, 128, 16, 32, 32]),
            new(scope / "inception3b", 256, [128, 128, 192, 32, 96, 64]),
        ];
        _stage4 =
        [
            new(scope / "inception4a", 480, [192, 96, 208, 16, 48, 64]),
            new(scope / "inception4b", 512, [160, 112, 224, 24, 64, 64]),
            new(scope / "inception4c", 512, [128, 128, 256, 24, 64, 64]),
            new(scope / "inception4d", 512, [112, 144, 288, 32, 64, 64]),
            new(scope / "inception4e", 528, [256, 160, 320, 32, 128, 128]),
        ];
        _stage5 =
        [
            new(scope / "inception5a", 832, [256, 160, 320, 32, 128, 128]),
            new(scope / "inception5b", 832, [384, 192, 384, 48, 128, 128]),
        ];
        _dropout = new Dropout(scope / "dropout", config.Dropout ?? 0);
        _head = new Linear(scope / "fc", LastChannels, config.Classes, weightInit: Init.TruncatedNormal(Deviation));
        scope.LeaveOut("aux1");
        scope.LeaveOut("aux2");
    }

    /// <inheritdoc/>
    public override ModelOutput Output => ModelOutput.Logits;

    /// <inheritdoc/>
    public override int SizeMultiple => 1;

    /// <inheritdoc/>
    public override int SmallestSide => Smallest;

    /// <inheritdoc/>
    protected override Tensor Run(Tensor images)
    {
        using MemoryScope memory = new();
        Tensor x = Ops.MaxPool2d(_conv1.Forward(images), kernel: 3, s_pool); // (B, H / 4, W / 4, 64)
        x = Ops.MaxPool2d(_conv3.Forward(_conv2.Forward(x)), kernel: 3, s_pool); // (B, H / 8, W / 8, 192)
        foreach (Inception block in _stage3) x = block.Forward(x); // (B, H / 8, W / 8, 480)
        x = Ops.MaxPool2d(x, kernel: 3, s_pool);
        foreach (Inception block in _stage4) x = block.Forward(x); // (B, H / 16, W / 16, 832)
        x = Ops.MaxPool2d(x, kernel: 2, s_pool);
        foreach (Inception block in _stage5) x = block.Forward(x); // (B, H / 32, W / 32, 1024)
        return memory.Return(_head.Forward(_dropout.Forward(MeanOfImage(x)))); // (B, classes)
    }

    private static ConvBatchNorm Layer(Scope scope, int inputs, int outputs, int kernel, int stride = 1) =>
        InceptionLayer.At(scope, new ConvConfig(inputs, outputs, kernel)
        {
            Stride = stride,
            Padding = kernel / 2,
            ShortSums = kernel == 1, // less rounding error before the pools behind every block
        }, Deviation);

    /// <summary>Four parallel branches with concatenated outputs.</summary>
    private sealed class Inception(Scope scope, int inputs, int[] channels)
    {
        private readonly ConvBatchNorm _point = Layer(scope / "branch1", inputs, channels[0], kernel: 1);
        private readonly ConvBatchNorm _before2 = Layer(scope / "branch2" / 0, inputs, channels[1], kernel: 1);
        private readonly ConvBatchNorm _branch2 = Layer(scope / "branch2" / 1, channels[1], channels[2], kernel: 3);
        private readonly ConvBatchNorm _before3 = Layer(scope / "branch3" / 0, inputs, channels[3], kernel: 1);
        private readonly ConvBatchNorm _branch3 = Layer(scope / "branch3" / 1, channels[3], channels[4], kernel: 3);
        private readonly ConvBatchNorm _pooled = Layer(scope / "branch4" / 1, inputs, channels[5], kernel: 1);

        public Tensor Forward(Tensor x)
        {
            using MemoryScope memory = new();
            Tensor branch1 = _point.Forward(x), branch2 = _branch2.Forward(_before2.Forward(x));
            Tensor branch3 = _branch3.Forward(_before3.Forward(x)), branch4 = _pooled.Forward(Ops.MaxPool2d(x, kernel: 3, s_branchPool));
            return memory.Return(Ops.Concat([branch1, branch2, branch3, branch4])); // (B, H, W, sum of the branches' channels)
        }
    }
}
