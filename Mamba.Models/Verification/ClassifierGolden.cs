using System.Text.Json;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Core.Optim;
using Mamba.Models.Blocks;
using Mamba.Models.Sequences;

namespace Mamba.Models.Verification;

/// <summary>Holds a classifier of sequences against reference values: logits, gradients and steps of training.</summary>
internal static class ClassifierGolden
{
    /// <summary>Whether a model of this name is one.</summary>
    public static bool Knows(string model) => model is "s4d-classifier" or "s4d-classifier-prenorm";

    /// <summary>Runs all cases of one file, each from the same filled weights.</summary>
    public static IReadOnlyList<VerificationResult> Run(string path, ModelGoldenFile file, CancellationToken cancellation)
    {
        try
        {
            List<VerificationResult> results = [GoldenParameters.Check(path, file, Create(file).Parameters)];
            foreach (ModelGoldenCase golden in results[0].Passed ? file.Cases : []) results.Add(RunCase(path, file, golden, cancellation));
            return results;
        }
        catch (ArgumentException e) // the configuration, or a mixer that is not built
        {
            return [VerificationResult.Unsupported(path, file.Model, e.Message)];
        }
    }

    private static VerificationResult RunCase(string path, ModelGoldenFile file, ModelGoldenCase golden, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        using MemoryScope scope = new();
        SequenceClassifier model = Create(file);
        foreach (FilledTensor tensor in file.Tensors) tensor.Fill(model.Parameters[tensor.Name].Span);
        model.Parameters.Training = golden.Mode != "eval";
        GoldenErrors errors = new(golden.Tolerances);
        try
        {
            Tensor sequences = golden.Input.Make(); // (B, L, channels), as here
            if (golden.Training is { } training) Optimize(model, sequences, training, errors, cancellation);
            else if (golden.Output is { } output) Evaluate(model, sequences, golden, output, errors);
            else throw new UnsupportedCaseException($"unknown mode '{golden.Mode}'");
        }
        catch (UnsupportedCaseException e)
        {
            return VerificationResult.Unsupported(path, golden.Title, e.Message);
        }
        catch (Exception e) when (e is FailedCaseException or ArgumentException) // operators and optimizers refuse what does not fit
        {
            return VerificationResult.Failed(path, golden.Title, e.Message);
        }
        return VerificationResult.Compared(path, golden.Title, errors.Output, errors.Gradient, errors.Problem);
    }

    private static void Evaluate(
        SequenceClassifier model, Tensor sequences, ModelGoldenCase golden, Digest expected, GoldenErrors errors)
    {
        if (!model.Parameters.Training)
        {
            using MemoryScope scope = new();
            model.Parameters.Freeze();
            errors.Compare("output", "output, frozen", expected, model.Forward(sequences), largestRms: 0);
            model.Parameters.Thaw();
        }
        sequences.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = model.Forward(sequences);
        errors.Compare("output", "output", expected, y, largestRms: 0);
        if (golden.Cotangent is null) return;
        Tensor weights = golden.Cotangent.Make();
        float[] scaled = Array.ConvertAll(weights.Span.ToArray(), w => w / weights.Count); // loss = sum(output * cotangent) / numel(output)
        tape.Backward(y, Tensor.From(scaled, weights.Shape.ToArray()));
        errors.CompareAll("grads", golden.Gradients, n => GoldenParameters.Find(model.Parameters, n).Grad);
        if (golden.InputGradient is { } gradient)
            errors.Compare("input_grad", "input_grad", gradient, sequences.Grad!.Value, largestRms: 0);
    }

    private static void Optimize(
        SequenceClassifier model, Tensor sequences, GoldenTraining golden, GoldenErrors errors, CancellationToken cancellation)
    {
        if (golden.Loss != "cross_entropy" || golden.Then != "floor") throw new UnsupportedCaseException($"unknown loss '{golden.Loss}'");
        int[] classes = Array.ConvertAll(golden.Target.Make().Span.ToArray(), x => (int)x);
        Optimizer optimizer = GoldenParameters.Optimizer(golden.Optimizer, model.Parameters);
        foreach (double expected in golden.Losses)
        {
            cancellation.ThrowIfCancellationRequested();
            model.Parameters.ZeroGrad();
            using Tape tape = new();
            Tensor value = Ops.CrossEntropy(model.Forward(sequences), classes);
            errors.Add("losses", "loss", Math.Abs(value.Item() - expected) / Math.Abs(expected));
            tape.Backward(value);
            optimizer.Step();
        }
    }

    private static SequenceClassifier Create(ModelGoldenFile file)
    {
        SequenceClassifierConfig config = new(
            MixerKind.S4d, Size("d_input"), Size("d_model"), Size("n_layers"), Size("classes"))
        {
            States = Size("d_state"),
            PreNorm = Property("prenorm").ValueKind == JsonValueKind.True,
        };
        return new SequenceClassifier(new Scope(new ParameterStore()), config);

        int Size(string name) => Property(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt32(out int size) ? size
            : throw new ArgumentException($"the configuration's '{name}' is no whole number");

        JsonElement Property(string name) =>
            file.Config.ValueKind == JsonValueKind.Object && file.Config.TryGetProperty(name, out JsonElement value) ? value
                : throw new ArgumentException($"the configuration lacks '{name}'");
    }
}
