using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Zoo;

/// <summary>
/// VGG with eleven layers (Simonyan and Zisserman 2015, configuration A), with torchvision's names. Eight 3x3 convolutions with ReLU, five
/// of them followed by a pool; then three linear layers, which have most of the weights. Accepts images of any size from
/// <see cref="Smallest"/> on.
/// </summary>
public sealed class Vgg : VisionModel
{
    /// <summary>Channels of the first convolution in torchvision.</summary>
    public const int DefaultWidth = 64;

    /// <summary>The smallest height and width of an image: five pools halve them.</summary>
    public const int Smallest = 32;

    /// <summary>Dropout probability of the outputs of the hidden layers.</summary>
    public const double DefaultDropout = 0.5;

    private const int PooledSide = 7;

    // Channels of each convolution relative to the first; 0 is a pool.
    private static readonly int[] s_layers = [1, 0, 2, 0, 4, 4, 0, 8, 8, 0, 8, 8, 0];

    private readonly Conv2d?[] _features;
    private readonly Dropout _dropout1;
    private readonly Dropout _dropout2;
    private readonly Linear _hidden1;
    private readonly Linear _hidden2;
    private readonly Linear _head;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Input channels, classes, dropout, and channels of the first convolution, with which the others scale.</param>
    public Vgg(Scope scope, ModelConfig config)
        : base(scope.Store, config)
    {
        int width = config.Width ?? DefaultWidth, hidden = 64 * width, channels = config.InputChannels, index = 0;
        Scope features = scope / "features", classifier = scope / "classifier";
        _features = new Conv2d?[s_layers.Length];
        for (int i = 0; i < s_layers.Length; i++)
        {
            index += i == 0 ? 0 : s_layers[i - 1] == 0 ? 1 : 2; // a ReLU has a number too
            if (s_layers[i] == 0) continue;
            int outputs = s_layers[i] * width;
            _features[i] = Convolution(features / index, channels, outputs);
            channels = outputs;
        }
        _hidden1 = Hidden(classifier / 0, channels * PooledSide * PooledSide, hidden);
        _dropout1 = new Dropout(classifier / 2, config.Dropout ?? 0);
        _hidden2 = Hidden(classifier / 3, hidden, hidden);
        _dropout2 = new Dropout(classifier / 5, config.Dropout ?? 0);
        _head = Hidden(classifier / 6, hidden, config.Classes);
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
        Tensor x = images;
        foreach (Conv2d? layer in _features) x = layer is null ? Ops.MaxPool2d(x, kernel: 2) : layer.Forward(x); // (B, H / 32, W / 32, 512)
        x = ByChannel(Ops.AdaptiveAvgPool2d(x, PooledSide)); // (B, 25088)
        x = _dropout1.Forward(Ops.Relu(_hidden1.Forward(x))); // (B, 4096)
        x = _dropout2.Forward(Ops.Relu(_hidden2.Forward(x))); // (B, 4096)
        return memory.Return(_head.Forward(x)); // (B, classes)
    }

    private static Conv2d Convolution(Scope scope, int inputs, int outputs) => new(scope, new ConvConfig(inputs, outputs, Kernel: 3)
    {
        Padding = 1,
        Activation = Activation.Relu,
        WeightInit = Init.KaimingNormal(9 * outputs),
        BiasInit = Init.Zeros,
    });

    private static Linear Hidden(Scope scope, int inputs, int outputs) =>
        new(scope, inputs, outputs, weightInit: Init.Normal(0.01), biasInit: Init.Zeros);
}
