using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Zoo;

/// <summary>
/// AlexNet (Krizhevsky et al. 2012) in the "one weird trick" form, with torchvision's names: five convolutions, then three linear layers,
/// which have most of the weights. It has no normalization layers. Accepts images of any size from <see cref="Smallest"/> on.
/// </summary>
public sealed class AlexNet : VisionModel
{
    /// <summary>Channels of the first convolution in torchvision.</summary>
    public const int DefaultWidth = 64;

    /// <summary>The smallest height and width of an image: below it the last pool has no output.</summary>
    public const int Smallest = 63;

    /// <summary>Dropout probability of the inputs of the linear layers.</summary>
    public const double DefaultDropout = 0.5;

    private const int PooledSide = 6;

    private static readonly PoolOptions s_pool = new() { Stride = 2 };

    private readonly Conv2d _conv1;
    private readonly Conv2d _conv2;
    private readonly Conv2d _conv3;
    private readonly Conv2d _conv4;
    private readonly Conv2d _conv5;
    private readonly Dropout _dropout1;
    private readonly Dropout _dropout2;
    private readonly Linear _hidden1;
    private readonly Linear _hidden2;
    private readonly Linear _head;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Input channels, classes, dropout, and channels of the first convolution, with which the others scale.</param>
    public AlexNet(Scope scope, ModelConfig config)
        : base(scope.Store, config)
    {
        int width = config.Width ?? DefaultWidth, hidden = 64 * width;
        Scope features = scope / "features", classifier = scope / "classifier";
        _conv1 = Convolution(features / 0, config.InputChannels, width, kernel: 11, stride: 4);
        _conv2 = Convolution(features / 3, width, 3 * width, kernel: 5);
        _conv3 = Convolution(features / 6, 3 * width, 6 * width, kernel: 3);
        _conv4 = Convolution(features / 8, 6 * width, 4 * width, kernel: 3);
        _conv5 = Convolution(features / 10, 4 * width, 4 * width, kernel: 3);
        _dropout1 = new Dropout(classifier / 0, config.Dropout ?? 0);
        _hidden1 = new Linear(classifier / 1, 4 * width * PooledSide * PooledSide, hidden);
        _dropout2 = new Dropout(classifier / 3, config.Dropout ?? 0);
        _hidden2 = new Linear(classifier / 4, hidden, hidden);
        _head = new Linear(classifier / 6, hidden, config.Classes);
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
        Tensor x = Ops.MaxPool2d(_conv1.Forward(images), kernel: 3, s_pool); // (B, 27, 27, 64) for images of 224 x 224
        x = Ops.MaxPool2d(_conv2.Forward(x), kernel: 3, s_pool); // (B, 13, 13, 192)
        x = _conv4.Forward(_conv3.Forward(x)); // (B, 13, 13, 256)
        x = Ops.MaxPool2d(_conv5.Forward(x), kernel: 3, s_pool); // (B, 6, 6, 256)
        x = ByChannel(Ops.AdaptiveAvgPool2d(x, PooledSide)); // (B, 9216)
        x = Ops.Relu(_hidden1.Forward(_dropout1.Forward(x))); // (B, 4096)
        x = Ops.Relu(_hidden2.Forward(_dropout2.Forward(x))); // (B, 4096)
        return memory.Return(_head.Forward(x)); // (B, classes)
    }

    private static Conv2d Convolution(Scope scope, int inputs, int outputs, int kernel, int stride = 1) =>
        new(scope, new ConvConfig(inputs, outputs, kernel)
        {
            Stride = stride,
            Padding = kernel == 11 ? 2 : kernel / 2,
            Activation = Activation.Relu,
        });
}
