using System.Diagnostics;
using CommunityToolkit.HighPerformance.Buffers;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Metrics;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>The result of an evaluation.</summary>
/// <param name="Images">Images evaluated.</param>
/// <param name="Loss">The loss, averaged over images.</param>
/// <param name="Scores">The scores of the task.</param>
/// <param name="MillisecondsPerImage">Time of the model alone, without decoding.</param>
public sealed record Evaluation(int Images, double Loss, Scores Scores, double MillisecondsPerImage)
{
    /// <summary>
    /// What selects the best epoch, larger is better: the headline of the scores, or minus the loss where that is NaN. Which of both it is
    /// depends on the truth alone, so that all epochs of a run compare.
    /// </summary>
    public double Selection => double.IsNaN(Scores.Headline) ? -Loss : Scores.Headline;

    /// <summary>As <see cref="Selection"/>, by a measure of that name.</summary>
    /// <param name="measure">A name in <see cref="Scores.Values"/>, or <c>loss</c>; null for the headline.</param>
    /// <returns>The measure, or minus the loss where that is NaN.</returns>
    /// <exception cref="ArgumentException">There is no such measure.</exception>
    public double SelectionBy(string? measure)
    {
        if (measure is null) return Selection;
        if (measure == "loss") return -Loss;
        string[] names = [.. Scores.Values.Select(value => value.Name)];
        int at = Array.IndexOf(names, measure);
        if (at < 0) throw new ArgumentException($"no measure '{measure}'; expected loss, {string.Join(", ", names)}");
        return double.IsNaN(Scores.Values[at].Value) ? -Loss : Scores.Values[at].Value;
    }
}

/// <summary>What was measured of a batch.</summary>
/// <param name="Loss">The loss, averaged over its images.</param>
/// <param name="Images">Its images, in order.</param>
public sealed record MeasuredBatch(float Loss, IReadOnlyList<MeasuredImage> Images);

/// <summary>Evaluates models: validation during training, and <c>mamba eval</c>.</summary>
public static class Evaluator
{
    /// <summary>Evaluates a model on one pass over the data, in order, at the model's resolution.</summary>
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
        CancellationToken cancellation = default) =>
        Run(model, loader, objective, new EvaluationOptions { Progress = progress, Numerics = numerics }, cancellation);

    /// <summary>Evaluates a model on one pass over the data, in order.</summary>
    /// <param name="model">The model.</param>
    /// <param name="loader">The data.</param>
    /// <param name="objective">The loss and the metrics.</param>
    /// <param name="options">Resolution, groups, distances.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>The result.</returns>
    /// <exception cref="ArgumentException">An option needs <see cref="EvaluationOptions.Data"/>, which is missing.</exception>
    /// <exception cref="NonFiniteException">The result of an operator is NaN or infinite, and the options check that.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Evaluation Run(
        VisionModel model, BatchLoader loader, Objective objective, EvaluationOptions options, CancellationToken cancellation = default)
    {
        if (options.Data is null && options.Resolution == MetricResolution.Image)
            throw new ArgumentException("Evaluator: scores at the images' own size need the data; expected EvaluationOptions.Data.");
        bool thaw = !model.Parameters.IsFrozen;
        model.Parameters.Freeze();
        IMetrics metrics = objective.NewMetrics(loader.Labels, options.Metrics);
        double totalLoss = 0;
        Stopwatch watch = new();
        try
        {
            foreach (Batch batch in loader.Epoch(0, cancellation: cancellation))
            {
                using MemoryScope scope = new();
                // A tape with NumericsCheck checks each step that it records.
                using Tape? tape = options.Numerics is { } numerics ? new Tape { Numerics = numerics } : null;
                int images = batch.Indices.Length;
                watch.Start();
                Tensor y = objective.Predict(model, batch.Images);
                Tensor probabilities = model.Probabilities(y);
                watch.Stop();
                float loss = objective.Loss(y, model.Output, batch.Targets, training: false).Item();
                totalLoss += images * (double)loss;
                List<MeasuredImage>? measured = options.OnMeasured is null ? null : [];
                for (int i = 0; i < images; i++)
                {
                    Add(metrics, batch, probabilities, i, options);
                    measured?.Add(metrics.Last());
                }
                if (measured is not null) options.OnMeasured!(new MeasuredBatch(loss, measured));
                options.Observe?.Invoke(batch, probabilities);
                batch.Dispose();
                options.Progress?.Invoke(metrics.Images);
            }
        }
        finally
        {
            if (thaw) model.Parameters.Thaw();
        }
        int count = metrics.Images;
        return new Evaluation(count, totalLoss / count, metrics.Result(), watch.Elapsed.TotalMilliseconds / count);
    }

    /// <summary>The result of an evaluation whose batches were measured in several processes: that of one process, to the bit.</summary>
    /// <param name="metrics">New metrics without any image.</param>
    /// <param name="batches">What <see cref="EvaluationOptions.OnMeasured"/> saw, in the order of the batches; one image at least.</param>
    /// <param name="milliseconds">The time of the model over all images.</param>
    /// <returns>The result.</returns>
    /// <exception cref="ArgumentException">A batch was measured by other metrics.</exception>
    /// <exception cref="InvalidOperationException">There is no image.</exception>
    public static Evaluation Join(IMetrics metrics, IEnumerable<MeasuredBatch> batches, double milliseconds)
    {
        double totalLoss = 0;
        foreach (MeasuredBatch batch in batches)
        {
            totalLoss += batch.Images.Count * (double)batch.Loss;
            foreach (MeasuredImage image in batch.Images) metrics.Add(image);
        }
        int count = metrics.Images;
        return new Evaluation(count, totalLoss / count, metrics.Result(), milliseconds / count);
    }

    private static void Add(IMetrics metrics, Batch batch, Tensor probabilities, int i, EvaluationOptions options)
    {
        int index = batch.Indices[i], size = batch.Targets.Count / batch.Indices.Length;
        string name = options.Data?.Name(index) ?? "";
        string? group = options.Group?.Invoke(index);
        Tensor own = probabilities.Rows(i, 1);
        bool picture = own.Shape.Rank == 4; // a classifier's are (1, classes)
        MetricImage image = picture ? new(own.Shape[1], own.Shape[2], name, group) : new(0, 0, name, group);
        if (options.Resolution == MetricResolution.Image && options.Data!.Load(index) is SegmentationSample sample)
            AddAtOwnSize(metrics, own, sample.Mask, image with { Spacing = options.Spacing?.Invoke(index) });
        else metrics.Add(own.Span, batch.Targets.Span.Slice(i * size, size), image);
    }

    private static void AddAtOwnSize(IMetrics metrics, Tensor probabilities, LabelMap mask, MetricImage image)
    {
        using MemoryScope scope = new();
        if (mask.Height != image.Height || mask.Width != image.Width)
            probabilities = Ops.ResizeBilinear(probabilities, (mask.Height, mask.Width), alignCorners: false);
        using SpanOwner<float> target = SpanOwner<float>.Allocate(mask.Classes.Length);
        for (int i = 0; i < mask.Classes.Length; i++) target.Span[i] = mask.Classes[i];
        metrics.Add(probabilities.Span, target.Span, image with { Height = mask.Height, Width = mask.Width });
    }
}
