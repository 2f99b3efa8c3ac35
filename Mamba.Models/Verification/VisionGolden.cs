using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Zoo;

namespace Mamba.Models.Verification;

/// <summary>Holds a vision model against reference values.</summary>
internal sealed class VisionGolden : GoldenModel
{
    private const int MaxSize = 1 << 12; // of what a file may choose

    private readonly VisionModel _model;

    public VisionGolden(ModelGoldenFile file)
        : this(Create(file))
    {
    }

    private VisionGolden(VisionModel model)
        : base(model.Parameters) => _model = model;

    /// <summary>The zoo's name of a model: torchvision's with dashes.</summary>
    public static string NameOf(ModelGoldenFile file) => file.Model.Replace('_', '-');

    /// <inheritdoc/>
    public override void Dispose() => _model.Dispose();

    /// <inheritdoc/>
    public override void Compare(ModelGoldenCase golden, GoldenErrors errors, CancellationToken cancellation)
    {
        Tensor images = ChannelsLast(golden.Input.Make());
        if (golden.Training is { } training)
        {
            Func<Tensor, Tensor> loss = LossOf(training, _model.Output);
            Optimize(() => loss(_model.Forward(images)), training, errors, cancellation);
        }
        else if (golden.Output is { } output) Evaluate(images, golden, output, errors, cancellation);
        else throw UnknownMode(golden);
    }

    private void Evaluate(Tensor images, ModelGoldenCase golden, Digest expected, GoldenErrors errors, CancellationToken cancellation)
    {
        if (!Parameters.Training) // as it is, and frozen
        {
            using MemoryScope scope = new();
            Parameters.Freeze();
            errors.Compare("output", "output, frozen", expected, ChannelsFirst(_model.Forward(images)), largestRms: 0);
            Parameters.Thaw();
            cancellation.ThrowIfCancellationRequested();
        }
        images.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = _model.Forward(images), output = ChannelsFirst(y);
        errors.Compare("output", "output", expected, output, largestRms: 0);
        errors.CompareAll("buffers", golden.Buffers, name => GoldenParameters.Find(Parameters, name));
        if (golden.Cotangent is null) return;

        cancellation.ThrowIfCancellationRequested();
        CompareGradients(tape, output, golden.Cotangent, golden, errors);
        if (golden.InputGradient is { } inputGradient)
            errors.Compare("input_grad", "input_grad", inputGradient, ChannelsFirst(images.Grad!.Value), largestRms: 0);
    }

    /// <summary>The loss of a prediction with respect to the case's target: a mask, or a class an image.</summary>
    private static Func<Tensor, Tensor> LossOf(GoldenTraining golden, ModelOutput output)
    {
        if (golden.Loss == "cross_entropy")
        {
            if (golden.Then != "floor") throw new UnsupportedCaseException($"unknown target '{golden.Then}'");
            int[] classes = Classes(golden.Target);
            return y => Ops.CrossEntropy(y, classes);
        }
        if (golden.Then != "ge 0.75") throw new UnsupportedCaseException($"unknown target '{golden.Then}'");
        Tensor mask = ChannelsLast(golden.Target.Make());
        foreach (ref float value in mask.Span) value = value >= 0.75f ? 1f : 0f;
        return golden.Loss switch
        {
            "bce_dice" => y => Ops.BceDice(output == ModelOutput.Logits ? Ops.Sigmoid(y) : y, mask),
            "dice" => y => Ops.DiceWithLogits(y, mask),
            "bce_with_logits" => y => Ops.BinaryCrossEntropyWithLogits(y, mask),
            _ => throw new UnsupportedCaseException($"unknown loss '{golden.Loss}'"),
        };
    }

    /// <summary>The model without dropout and drop-path: what chance decides cannot be compared.</summary>
    private static VisionModel Create(ModelGoldenFile file)
    {
        ModelEntry entry = Registry.Find(NameOf(file));
        ModelConfig own = entry.Config with { DropPath = 0, Dropout = 0 };
        ModelConfig config = own with
        {
            ImageSize = Size("image_size", own.ImageSize),
            Patch = Size("patch", own.Patch),
            Features = Size("features", own.Features),
        };
        return entry.Build(new Scope(new ParameterStore { SkipInitialValues = true }), config);

        int? Size(string name, int? value) => value is null || file.OptionalSize(name) is not { } given ? value
            : given is > 0 and <= MaxSize ? given
            : throw new ArgumentException($"'{name}' is {given}; expected 1 to {MaxSize}");
    }

    private static Tensor ChannelsLast(Tensor x) => Ops.Permute(x, 0, 2, 3, 1);

    private static Tensor ChannelsFirst(Tensor x) => x.Shape.Rank == 4 ? Ops.Permute(x, 0, 3, 1, 2) : x;
}
