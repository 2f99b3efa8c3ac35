using System.Diagnostics;
using Mamba.Core;
using Mamba.Core.Optim;
using Mamba.Models.Data;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>Training cannot go on: the message says where it stopped and what may help.</summary>
/// <param name="message">The whole message.</param>
public sealed class TrainingException(string message) : Exception(message);

/// <summary>One epoch of training.</summary>
/// <param name="Epoch">Its number, from 1.</param>
/// <param name="TrainLoss">The mean loss of its steps.</param>
/// <param name="Validation">The evaluation after it.</param>
/// <param name="LearningRate">The learning rate of its last step.</param>
/// <param name="Seconds">Its time, validation included.</param>
/// <param name="ImagesPerSecond">Training images a second, validation excluded.</param>
public sealed record EpochResult(int Epoch, double TrainLoss, Evaluation Validation, double LearningRate, double Seconds, double ImagesPerSecond);

/// <summary>Where training stands, after each step.</summary>
/// <param name="Epoch">The epoch, from 1.</param>
/// <param name="Images">Training images of this epoch seen so far.</param>
/// <param name="Loss">The mean loss of this epoch so far.</param>
/// <param name="ImagesPerSecond">Training images a second in this epoch.</param>
/// <param name="Validating">Whether the epoch's validation is running.</param>
public sealed record TrainingProgress(int Epoch, int Images, double Loss, double ImagesPerSecond, bool Validating);

/// <summary>How long and how fast to learn.</summary>
/// <param name="Recipe">Optimizer and decay.</param>
/// <param name="Objective">The loss and the metrics.</param>
/// <param name="LearningRate">The base learning rate.</param>
/// <param name="Epochs">The most epochs.</param>
public sealed record TrainingPlan(TrainingRecipe Recipe, Objective Objective, double LearningRate, int Epochs)
{
    /// <summary>Epochs without a better validation score after which training stops; null for never.</summary>
    public int? Patience { get; init; }

    /// <summary>The learning rate over the steps.</summary>
    public Schedule Schedule { get; init; } = Schedules.Constant;

    /// <summary>Lowers the learning rate further when the validation loss stops falling; null for never.</summary>
    public Plateau? Plateau { get; init; }

    /// <summary>Bound of the gradients' norm; null for none.</summary>
    public double? MaxGradientNorm { get; init; }

    /// <summary>The decay of an average of the weights (<see cref="WeightAverage"/>) that is validated and kept in their place; null for none.</summary>
    public double? AverageDecay { get; init; }
}

/// <summary>
/// Trains a model: epochs of steps, each followed by validation. The caller keeps the weights, after each epoch: while a result is in its hands the model
/// holds the weights that were validated.
/// </summary>
/// <param name="model">The model; trained in place.</param>
/// <param name="train">The training data, shuffled by epoch.</param>
/// <param name="validation">The validation data, in order.</param>
/// <param name="plan">How to train.</param>
public sealed class Trainer(VisionModel model, BatchLoader train, BatchLoader validation, TrainingPlan plan)
{
    private readonly Optimizer _optimizer = plan.Recipe.CreateOptimizer(model.Parameters, plan.LearningRate, plan.MaxGradientNorm);

    private readonly WeightAverage? _average = plan.AverageDecay is { } decay ? new WeightAverage(model.Parameters, decay) : null;

    /// <summary>The best validation score so far; minus infinity before the first epoch.</summary>
    public double BestScore { get; private set; } = double.NegativeInfinity;

    /// <summary>The epoch of <see cref="BestScore"/>, from 1; 0 before the first.</summary>
    public int BestEpoch { get; private set; }

    /// <summary>Training images of an epoch.</summary>
    public int TrainingImages => train.Samples;

    /// <summary>The number of steps taken.</summary>
    public long Steps => _optimizer.Steps;

    /// <summary>
    /// Runs the epochs one by one as they are asked for. When <paramref name="cancellation"/> is requested, it ends after the step that is running; the
    /// epoch then gives no result, and the model holds what it has learned so far.
    /// </summary>
    /// <param name="progress">Called after each step, or null.</param>
    /// <param name="cancellation">Asks to stop.</param>
    /// <returns>A result an epoch. Whether it is the best so far shows in <see cref="BestEpoch"/>.</returns>
    /// <exception cref="TrainingException">The loss is no longer a number.</exception>
    public IEnumerable<EpochResult> Run(Action<TrainingProgress>? progress = null, CancellationToken cancellation = default)
    {
        for (int epoch = 1; epoch <= plan.Epochs; epoch++)
        {
            Stopwatch watch = Stopwatch.StartNew();
            double loss = TrainEpoch(epoch, watch, progress, cancellation);
            _average?.Swap();
            if (cancellation.IsCancellationRequested) yield break;
            double rate = train.Samples / watch.Elapsed.TotalSeconds;
            progress?.Invoke(new TrainingProgress(epoch, train.Samples, loss, rate, Validating: true));

            Evaluation result;
            try
            {
                result = Evaluator.Run(model, validation, plan.Objective, progress: null, cancellation);
            }
            catch (OperationCanceledException)
            {
                yield break;
            }
            if (result.Scores.Headline > BestScore) (BestScore, BestEpoch) = (result.Scores.Headline, epoch);
            plan.Plateau?.Observe(result.Loss);
            yield return new EpochResult(epoch, loss, result, _optimizer.LearningRate, watch.Elapsed.TotalSeconds, rate);
            if (epoch - BestEpoch >= plan.Patience) yield break;
            _average?.Swap();
        }
    }

    private double TrainEpoch(int epoch, Stopwatch watch, Action<TrainingProgress>? progress, CancellationToken cancellation)
    {
        model.Parameters.Training = true;
        double total = 0;
        int images = 0;
        foreach (Batch batch in train.Epoch(epoch))
        {
            int count = batch.Indices.Length;
            double loss = Step(batch);
            if (!double.IsFinite(loss))
                throw new TrainingException(FormattableString.Invariant($"the loss is {loss} in epoch {epoch} after {images} images; a learning rate below {plan.LearningRate:g3} may help"));
            total += loss * count;
            images += count;
            progress?.Invoke(new TrainingProgress(epoch, images, total / images, images / watch.Elapsed.TotalSeconds, Validating: false));
            if (cancellation.IsCancellationRequested) break;
        }
        return total / Math.Max(1, images);
    }

    private double Step(Batch batch)
    {
        model.Parameters.Step = _optimizer.Steps;
        model.Parameters.ZeroGrad();
        using Tape tape = new();
        Tensor loss = plan.Objective.Loss(plan.Objective.Predict(model, batch.Images), model.Output, batch.Targets, training: true);
        double value = loss.Item();
        if (double.IsFinite(value))
        {
            tape.Backward(loss);
            _optimizer.LearningRate = plan.LearningRate * plan.Schedule(_optimizer.Steps) * (plan.Plateau?.Scale ?? 1);
            _optimizer.Step();
            _average?.Update();
        }
        batch.Dispose();
        return value;
    }
}
