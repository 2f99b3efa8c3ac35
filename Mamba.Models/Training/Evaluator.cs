using System.Diagnostics;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data.Loading;
using Mamba.Models.Metrics;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>The result of an evaluation.</summary>
/// <param name="Images">Images evaluated.</param>
/// <param name="Loss">The loss, averaged over images.</param>
/// <param name="Scores">The scores of the task.</param>
/// <param name="MillisecondsPerImage">Time of the model alone, without decoding.</param>
public sealed record Evaluation(int Images, double Loss, Scores Scores, double MillisecondsPerImage);

/// <summary>Evaluates models: validation during training, and <c>mamba eval</c>.</summary>
public static class Evaluator
{
    /// <summary>Evaluates a model on one pass over the data, in order.</summary>
    /// <param name="model">The model.</param>
    /// <param name="loader">The data.</param>
    /// <param name="objective">The loss and the metrics.</param>
    /// <param name="progress">Called with the images done so far, or null.</param>
    /// <param name="numerics">Checks the result of every operator for NaN and infinity; null for speed.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>The result.</returns>
    /// <exception cref="NonFiniteException">
    /// The result of an operator is NaN or infinite, and <paramref name="numerics"/> is given.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Evaluation Run(
        VisionModel model,
        BatchLoader loader,
        Objective objective,
        Action<int>? progress = null,
        NumericsCheck? numerics = null,
        CancellationToken cancellation = default)
    {
        bool thaw = !model.Parameters.IsFrozen;
        model.Parameters.Freeze();
        IMetrics metrics = objective.NewMetrics(loader.Labels);
        double totalLoss = 0;
        Stopwatch watch = new();
        try
        {
            foreach (Batch batch in loader.Epoch(0, cancellation: cancellation))
            {
                using MemoryScope scope = new();
                using Tape? tape = numerics is null ? null : new Tape { Numerics = numerics }; // it checks what it records
                int images = batch.Indices.Length, size = batch.Targets.Count / images;
                watch.Start();
                Tensor y = objective.Predict(model, batch.Images);
                Tensor probabilities = model.Probabilities(y);
                watch.Stop();
                totalLoss += images * (double)objective.Loss(y, model.Output, batch.Targets, training: false).Item();
                for (int i = 0; i < images; i++)
                    metrics.Add(probabilities.Span.Slice(i * size, size), batch.Targets.Span.Slice(i * size, size));
                batch.Dispose();
                progress?.Invoke(metrics.Images);
            }
        }
        finally
        {
            if (thaw) model.Parameters.Thaw();
        }
        int count = metrics.Images;
        return new Evaluation(count, totalLoss / count, metrics.Result(), watch.Elapsed.TotalMilliseconds / count);
    }
}
