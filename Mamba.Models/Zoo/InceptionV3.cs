using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Zoo;

/// <summary>
/// Inception v3 (Szegedy et al. 2016) as built by torchvision. The auxiliary training head <c>AuxLogits</c> is left out. Torchvision's
/// weights expect its <c>transform_input</c>: normalization by mean and deviation 0.5. Accepts images of any size from
/// <see cref="Smallest"/> on.
/// </summary>
public sealed class InceptionV3 : VisionModel
{
    /// <summary>The smallest height and width of an image: below it the last pool has no output.</summary>
    public const int Smallest = 75;

    /// <summary>Dropout probability of the inputs of the last layer.</summary>
    public const double DefaultDropout = 0.5;

    private const int LastChannels = 2048;
    private const double Deviation = 0.1; // of the initial weights

    private static readonly PoolOptions s_halve = new() { Stride = 2 };
    private static readonly PoolOptions s_keep = new() { Stride = 1, Padding = 1 };

    private readonly ConvBatchNorm[] _stem;
    private readonly Mixed[] _blocks;
    private readonly Dropout _dropout;
    private readonly Linear _head;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's scope.</param>
    /// <param name="config">Input channels, classes and dropout.</param>
    public InceptionV3(Scope scope, ModelConfig config)
        : base(scope.Store, config)
    {
        _stem =
        [
            InceptionLayer.At(scope / "Conv2d_1a_3x3", new ConvConfig(config.InputChannels, 32, Kernel: 3) { Stride = 2 }, Deviation),
            InceptionLayer.At(scope / "Conv2d_2a_3x3", new ConvConfig(32, 32, Kernel: 3), Deviation),
            InceptionLayer.At(scope / "Conv2d_2b_3x3", new ConvConfig(32, 64, Kernel: 3) { Padding = 1 }, Deviation),
            InceptionLayer.At(scope / "Conv2d_3b_1x1", new ConvConfig(64, 80, Kernel: 1), Deviation),
            InceptionLayer.At(scope / "Conv2d_4a_3x3", new ConvConfig(80, 192, Kernel: 3), Deviation),
        ];
        _blocks =
        [
            Square(scope / "Mixed_5b", 192, pooled: 32),
            Square(scope / "Mixed_5c", 256, pooled: 64),
            Square(scope / "Mixed_5d", 288, pooled: 64),
            HalveSquare(scope / "Mixed_6a", 288),
            Factored(scope / "Mixed_6b", 768, hidden: 128),
            Factored(scope / "Mixed_6c", 768, hidden: 160),
            Factored(scope / "Mixed_6d", 768, hidden: 160),
            Factored(scope / "Mixed_6e", 768, hidden: 192),
            HalveFactored(scope / "Mixed_7a", 768),
            Forked(scope / "Mixed_7b", 1280),
            Forked(scope / "Mixed_7c", 2048),
        ];
        _dropout = new Dropout(scope / "dropout", config.Dropout ?? 0);
        _head = new Linear(scope / "fc", LastChannels, config.Classes, weightInit: Init.TruncatedNormal(Deviation));
        scope.LeaveOut("AuxLogits");
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
        Tensor x = _stem[2].Forward(_stem[1].Forward(_stem[0].Forward(images))); // (B, 147, 147, 64) for images of 299 x 299
        x = Ops.MaxPool2d(x, kernel: 3, s_halve); // (B, 73, 73, 64)
        x = _stem[4].Forward(_stem[3].Forward(x)); // (B, 71, 71, 192)
        x = Ops.MaxPool2d(x, kernel: 3, s_halve); // (B, 35, 35, 192)
        foreach (Mixed block in _blocks) x = block.Forward(x); // (B, 8, 8, 2048)
        return memory.Return(_head.Forward(_dropout.Forward(MeanOfImage(x)))); // (B, classes)
    }

    /// <summary>Inception-A: branches of 1x1, of 5x5, of two 3x3, and of an average pool.</summary>
    private static Mixed Square(Scope scope, int inputs, int pooled) => new(
        new Branch(scope, inputs, new Layer("branch1x1", 64, 1)),
        new Branch(scope, inputs, new("branch5x5_1", 48, 1), new("branch5x5_2", 64, 5)),
        new Branch(scope, inputs, new("branch3x3dbl_1", 64, 1), new("branch3x3dbl_2", 96, 3), new("branch3x3dbl_3", 96, 3)),
        new Branch(scope, inputs, new Layer("branch_pool", pooled, 1)) { Pool = Pool.Mean });

    /// <summary>Inception-B: halves the size with branches of 3x3, of two 3x3, and of a max pool.</summary>
    private static Mixed HalveSquare(Scope scope, int inputs) => new(
        new Branch(scope, inputs, new Layer("branch3x3", 384, 3) { Halves = true }),
        new Branch(
            scope, inputs, new("branch3x3dbl_1", 64, 1), new("branch3x3dbl_2", 96, 3), new("branch3x3dbl_3", 96, 3) { Halves = true }),
        new Branch(scope, inputs) { Pool = Pool.HalvingMaximum });

    /// <summary>Inception-C: branches of 1x1, of 7x7 in two factors, of two 7x7, and of an average pool.</summary>
    private static Mixed Factored(Scope scope, int inputs, int hidden) => new(
        new Branch(scope, inputs, new Layer("branch1x1", 192, 1)),
        new Branch(
            scope, inputs, new("branch7x7_1", hidden, 1), new("branch7x7_2", hidden, (1, 7)), new("branch7x7_3", 192, (7, 1))),
        new Branch(
            scope, inputs, new("branch7x7dbl_1", hidden, 1), new("branch7x7dbl_2", hidden, (7, 1)), new("branch7x7dbl_3", hidden, (1, 7)),
            new("branch7x7dbl_4", hidden, (7, 1)), new("branch7x7dbl_5", 192, (1, 7))),
        new Branch(scope, inputs, new Layer("branch_pool", 192, 1)) { Pool = Pool.Mean });

    /// <summary>Inception-D: halves the size with branches of 3x3, of 7x7 and 3x3, and of a max pool.</summary>
    private static Mixed HalveFactored(Scope scope, int inputs) => new(
        new Branch(scope, inputs, new("branch3x3_1", 192, 1), new("branch3x3_2", 320, 3) { Halves = true }),
        new Branch(
            scope, inputs, new("branch7x7x3_1", 192, 1), new("branch7x7x3_2", 192, (1, 7)), new("branch7x7x3_3", 192, (7, 1)),
            new("branch7x7x3_4", 192, 3) { Halves = true }),
        new Branch(scope, inputs) { Pool = Pool.HalvingMaximum });

    /// <summary>Inception-E: branches of 1x1, of parallel 1x3 and 3x1 after 1x1 and after 3x3, and of an average pool.</summary>
    private static Mixed Forked(Scope scope, int inputs) => new(
        new Branch(scope, inputs, new Layer("branch1x1", 320, 1)),
        new Branch(
            scope, inputs, new("branch3x3_1", 384, 1), new("branch3x3_2a", 384, (1, 3)) { Ends = true },
            new("branch3x3_2b", 384, (3, 1)) { Ends = true }),
        new Branch(
            scope, inputs, new("branch3x3dbl_1", 448, 1), new("branch3x3dbl_2", 384, 3),
            new("branch3x3dbl_3a", 384, (1, 3)) { Ends = true }, new("branch3x3dbl_3b", 384, (3, 1)) { Ends = true }),
        new Branch(scope, inputs, new Layer("branch_pool", 192, 1)) { Pool = Pool.Mean });

    /// <summary>The pool at the start of a branch.</summary>
    private enum Pool
    {
        None,
        Mean,
        HalvingMaximum,
    }

    /// <summary>A layer of a branch.</summary>
    private sealed class Layer(string name, int outputs, Size2d kernel)
    {
        public string Name { get; } = name;

        public int Outputs { get; } = outputs;

        /// <summary>Whether it has stride 2 and no padding; otherwise it keeps the size.</summary>
        public bool Halves { get; init; }

        /// <summary>Whether it is one of two parallel layers at the end of a branch.</summary>
        public bool Ends { get; init; }

        public ConvBatchNorm Declare(Scope scope, int inputs) => InceptionLayer.At(
            scope / Name, new ConvConfig(inputs, Outputs, kernel)
            {
                Stride = Halves ? 2 : 1,
                Padding = Halves ? 0 : (kernel.Height / 2, kernel.Width / 2),
            }, Deviation);
    }

    /// <summary>Layers in sequence, optionally after a pool, optionally with two parallel layers at the end.</summary>
    private sealed class Branch
    {
        private readonly ConvBatchNorm[] _chain;
        private readonly ConvBatchNorm[] _ends;

        public Branch(Scope scope, int inputs, params Layer[] layers)
        {
            List<ConvBatchNorm> chain = [], ends = [];
            foreach (Layer layer in layers)
            {
                (layer.Ends ? ends : chain).Add(layer.Declare(scope, inputs));
                if (!layer.Ends) inputs = layer.Outputs;
            }
            (_chain, _ends) = ([.. chain], [.. ends]);
        }

        public Pool Pool { get; init; }

        /// <summary>Appends the outputs of the branch to a list of outputs.</summary>
        public TensorList AddTo(TensorList results, Tensor x)
        {
            if (Pool == Pool.Mean) x = Ops.AvgPool2d(x, kernel: 3, s_keep);
            if (Pool == Pool.HalvingMaximum) x = Ops.MaxPool2d(x, kernel: 3, s_halve);
            foreach (ConvBatchNorm layer in _chain) x = layer.Forward(x);
            if (_ends.Length == 0) return results.Append(x);
            foreach (ConvBatchNorm end in _ends) results = results.Append(end.Forward(x));
            return results;
        }
    }

    /// <summary>Parallel branches with concatenated outputs.</summary>
    private sealed class Mixed(params Branch[] branches)
    {
        public Tensor Forward(Tensor x)
        {
            using MemoryScope memory = new();
            TensorList results = default;
            foreach (Branch branch in branches) results = branch.AddTo(results, x);
            return memory.Return(Ops.Concat(results.AsSpan()));
        }
    }
}
