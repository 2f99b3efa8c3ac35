using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Sequences;

namespace Mamba.Models.Verification;

/// <summary>Holds a classifier of sequences against reference values: logits, gradients and steps of training.</summary>
internal sealed class ClassifierGolden : GoldenModel
{
    private readonly SequenceClassifier _model;

    public ClassifierGolden(ModelGoldenFile file)
        : this(Create(file))
    {
    }

    private ClassifierGolden(SequenceClassifier model)
        : base(model.Parameters) => _model = model;

    /// <summary>Whether a model of this name is one.</summary>
    public static bool Knows(string model) => model is "s4d-classifier" or "s4d-classifier-prenorm";

    /// <inheritdoc/>
    public override void Compare(ModelGoldenCase golden, GoldenErrors errors, CancellationToken cancellation)
    {
        Tensor sequences = golden.Input.Make(); // (B, L, channels), as here
        if (golden.Training is { } training)
        {
            if (training.Loss != "cross_entropy" || training.Then != "floor")
                throw new UnsupportedCaseException($"unknown loss '{training.Loss}'");
            int[] classes = Classes(training.Target);
            Optimize(() => Ops.CrossEntropy(_model.Forward(sequences), classes), training, errors, cancellation);
        }
        else if (golden.Output is { } output) Evaluate(sequences, golden, output, errors);
        else throw UnknownMode(golden);
    }

    private void Evaluate(Tensor sequences, ModelGoldenCase golden, Digest expected, GoldenErrors errors)
    {
        if (!Parameters.Training)
        {
            using MemoryScope scope = new();
            Parameters.Freeze();
            errors.Compare("output", "output, frozen", expected, _model.Forward(sequences), largestRms: 0);
            Parameters.Thaw();
        }
        sequences.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = _model.Forward(sequences);
        errors.Compare("output", "output", expected, y, largestRms: 0);
        if (golden.Cotangent is null) return;
        CompareGradients(tape, y, golden.Cotangent, golden, errors);
        if (golden.InputGradient is { } gradient)
            errors.Compare("input_grad", "input_grad", gradient, sequences.Grad!.Value, largestRms: 0);
    }

    private static SequenceClassifier Create(ModelGoldenFile file)
    {
        SequenceClassifierConfig config = new(
            MixerKind.S4d, file.Size("d_input"), file.Size("d_model"), file.Size("n_layers"), file.Size("classes"))
        {
            States = file.Size("d_state"),
            PreNorm = file.Flag("prenorm"),
        };
        return new SequenceClassifier(new Scope(new ParameterStore()), config);
    }
}
