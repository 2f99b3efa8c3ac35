using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Core.Optim;
using Mamba.Models.Language;
using Mamba.Models.Zoo;

namespace Mamba.Models.Verification;

/// <summary>
/// Holds a model against reference values: outputs, gradients, running statistics and steps of training, each case from the same filled
/// weights.
/// </summary>
public static class ModelGolden
{
    private const int MaxSize = 1 << 12; // of what a file may choose

    /// <summary>Runs all cases of one file.</summary>
    /// <param name="path">A JSON file of the format that the goldens' README describes.</param>
    /// <param name="cancellation">Stops between cases, and between the steps of one.</param>
    /// <returns>A verdict per case; a model that the zoo lacks is one unsupported case.</returns>
    /// <exception cref="CheckpointException">The file cannot be read, or is no golden file of a model.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IReadOnlyList<VerificationResult> Run(string path, CancellationToken cancellation = default)
    {
        ModelGoldenFile file = ModelGoldenFile.Open(path);
        if (LanguageRegistry.Models.Any(m => m.Name == file.Model)) return LanguageGolden.Run(path, file, cancellation);
        if (ClassifierGolden.Knows(file.Model)) return ClassifierGolden.Run(path, file, cancellation);
        if (!Registry.Models.Any(m => m.Name == NameOf(file)))
            return [VerificationResult.Unsupported(path, file.Model, $"unknown model '{file.Model}'")];
        try
        {
            List<VerificationResult> results = [CheckTensors(path, file)];
            foreach (ModelGoldenCase golden in results[0].Passed ? file.Cases : []) results.Add(RunCase(path, file, golden, cancellation));
            return results;
        }
        catch (ArgumentException e) // sizes that no model has
        {
            return [VerificationResult.Unsupported(path, file.Model, e.Message)];
        }
    }

    private static VerificationResult CheckTensors(string path, ModelGoldenFile file)
    {
        using VisionModel model = Create(file);
        return GoldenParameters.Check(path, file, model.Parameters);
    }

    private static VerificationResult RunCase(string path, ModelGoldenFile file, ModelGoldenCase golden, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        using MemoryScope scope = new();
        using VisionModel model = Create(file);
        foreach (FilledTensor tensor in file.Tensors) tensor.Fill(model.Parameters[tensor.Name].Span);
        model.Parameters.Training = golden.Mode != "eval";
        GoldenErrors errors = new(golden.Tolerances);
        try
        {
            Tensor images = ChannelsLast(golden.Input.Make());
            if (golden.Training is { } training) Optimize(model, images, training, errors, cancellation);
            else if (golden.Output is { } output) Evaluate(model, images, golden, output, errors, cancellation);
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
        VisionModel model, Tensor images, ModelGoldenCase golden, Digest expected, GoldenErrors errors, CancellationToken cancellation)
    {
        if (!model.Parameters.Training) // as it is, and frozen
        {
            using MemoryScope scope = new();
            model.Parameters.Freeze();
            errors.Compare("output", "output, frozen", expected, ChannelsFirst(model.Forward(images)), largestRms: 0);
            model.Parameters.Thaw();
            cancellation.ThrowIfCancellationRequested();
        }
        images.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = model.Forward(images), output = ChannelsFirst(y);
        errors.Compare("output", "output", expected, output, largestRms: 0);
        errors.CompareAll("buffers", golden.Buffers, n => GoldenParameters.Find(model.Parameters, n));
        if (golden.Cotangent is null) return;

        cancellation.ThrowIfCancellationRequested();
        Tensor weights = golden.Cotangent.Make();
        float[] scaled = Array.ConvertAll(weights.Span.ToArray(), w => w / weights.Count); // loss = sum(output * cotangent) / numel(output)
        tape.Backward(output, Tensor.From(scaled, weights.Shape.ToArray()));
        errors.CompareAll("grads", golden.Gradients, n => GoldenParameters.Find(model.Parameters, n).Grad);
        if (golden.InputGradient is { } inputGradient)
            errors.Compare("input_grad", "input_grad", inputGradient, ChannelsFirst(images.Grad!.Value), largestRms: 0);
    }

    private static void Optimize(
        VisionModel model, Tensor images, GoldenTraining golden, GoldenErrors errors, CancellationToken cancellation)
    {
        Func<Tensor, Tensor> loss = LossOf(golden, model.Output);
        Optimizer optimizer = GoldenParameters.Optimizer(golden.Optimizer, model.Parameters);
        foreach (double expected in golden.Losses)
        {
            cancellation.ThrowIfCancellationRequested();
            model.Parameters.ZeroGrad();
            using Tape tape = new();
            Tensor value = loss(model.Forward(images));
            errors.Add("losses", "loss", Math.Abs(value.Item() - expected) / Math.Abs(expected));
            tape.Backward(value);
            optimizer.Step();
        }
    }

    /// <summary>The loss of a prediction with respect to the case's target: a mask, or a class an image.</summary>
    private static Func<Tensor, Tensor> LossOf(GoldenTraining golden, ModelOutput output)
    {
        Tensor filled = golden.Target.Make();
        if (golden.Loss == "cross_entropy")
        {
            if (golden.Then != "floor") throw new UnsupportedCaseException($"unknown target '{golden.Then}'");
            int[] classes = Array.ConvertAll(filled.Span.ToArray(), x => (int)x);
            return y => Ops.CrossEntropy(y, classes);
        }
        if (golden.Then != "ge 0.75") throw new UnsupportedCaseException($"unknown target '{golden.Then}'");
        Tensor mask = ChannelsLast(filled);
        foreach (ref float value in mask.Span) value = value >= 0.75f ? 1f : 0f;
        return golden.Loss switch
        {
            "bce_dice" => y => Ops.BceDice(output == ModelOutput.Logits ? Ops.Sigmoid(y) : y, mask),
            "dice" => y => Ops.DiceWithLogits(y, mask),
            "bce_with_logits" => y => Ops.BinaryCrossEntropyWithLogits(y, mask),
            _ => throw new UnsupportedCaseException($"unknown loss '{golden.Loss}'"),
        };
    }

    /// <summary>The zoo's name of a model: torchvision's with dashes.</summary>
    private static string NameOf(ModelGoldenFile file) => file.Model.Replace('_', '-');

    /// <summary>
    /// The model as the file describes it, but for dropout and drop-path: what chance decides cannot be compared. The file has all values,
    /// so none are made.
    /// </summary>
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

        int? Size(string name, int? value) => value is null || file.Size(name) is not { } given ? value
            : given is > 0 and <= MaxSize ? given
            : throw new ArgumentException($"'{name}' is {given}; expected 1 to {MaxSize}");
    }

    private static Tensor ChannelsLast(Tensor x) => Ops.Permute(x, 0, 2, 3, 1);

    private static Tensor ChannelsFirst(Tensor x) => x.Shape.Rank == 4 ? Ops.Permute(x, 0, 3, 1, 2) : x;
}
