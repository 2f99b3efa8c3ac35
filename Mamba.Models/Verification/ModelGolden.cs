using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;
using Mamba.Models.Language;
using Mamba.Models.Zoo;

namespace Mamba.Models.Verification;

/// <summary>
/// Holds a model against reference values: outputs, gradients, running statistics and steps of training, each case from the same filled
/// weights.
/// </summary>
public static class ModelGolden
{
    /// <summary>Runs all cases of one file.</summary>
    /// <param name="path">A JSON file of the format that the goldens' README describes.</param>
    /// <param name="cancellation">Stops between cases, and between the steps of one.</param>
    /// <returns>A verdict per case; a model that the zoo lacks is one unsupported case.</returns>
    /// <exception cref="CheckpointException">The file cannot be read, or is no golden file of a model.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IReadOnlyList<VerificationResult> Run(string path, CancellationToken cancellation = default)
    {
        ModelGoldenFile file = ModelGoldenFile.Open(path);
        try
        {
            List<VerificationResult> results = [CheckTensors(path, file)];
            foreach (ModelGoldenCase golden in results[0].Passed ? file.Cases : []) results.Add(RunCase(path, file, golden, cancellation));
            return results;
        }
        catch (ArgumentException e) // a model, a mixer or sizes that there are not
        {
            return [VerificationResult.Unsupported(path, file.Model, e.Message)];
        }
    }

    /// <summary>The model as the file describes it. The file has all values, so what it is made with does not matter.</summary>
    /// <exception cref="ArgumentException">There is no such model, or it has no such configuration.</exception>
    private static GoldenModel Create(ModelGoldenFile file) =>
        LanguageRegistry.Models.Any(m => m.Name == file.Model) ? new LanguageGolden(file)
        : ClassifierGolden.Knows(file.Model) ? new ClassifierGolden(file)
        : Registry.Models.Any(m => m.Name == VisionGolden.NameOf(file)) ? new VisionGolden(file)
        : throw new ArgumentException($"unknown model '{file.Model}'");

    private static VerificationResult CheckTensors(string path, ModelGoldenFile file)
    {
        using GoldenModel model = Create(file);
        return GoldenParameters.Check(path, file, model.Parameters);
    }

    private static VerificationResult RunCase(string path, ModelGoldenFile file, ModelGoldenCase golden, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        using MemoryScope scope = new();
        using GoldenModel model = Create(file);
        foreach (FilledTensor tensor in file.Tensors) tensor.Fill(model.Parameters[tensor.Name].Span);
        model.Parameters.Training = model.Trains(golden);
        GoldenErrors errors = new(golden.Tolerances);
        try
        {
            model.Compare(golden, errors, cancellation);
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
}
