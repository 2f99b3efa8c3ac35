using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Optim;
using Mamba.Models.Data.Loading;
using Mamba.Models.Files;
using Mamba.Models.Metrics;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>
/// Trains a model in epochs, each followed by validation. Between two results of <see cref="Run"/> the model holds the validated weights,
/// for the caller to save. After each step, and between results, <see cref="ResumableTraining.Save"/> writes a checkpoint.
/// <see cref="Restore"/> resumes from it with the same model, data and plan, to the same bits.
/// </summary>
/// <param name="model">The model; trained in place.</param>
/// <param name="train">The training data, shuffled by epoch.</param>
/// <param name="validation">The validation data, in order.</param>
/// <param name="plan">How to train.</param>
/// <param name="gradients">What computes the gradients of steps: this process if null. The caller disposes it.</param>
public sealed class Trainer(
    VisionModel model, BatchLoader train, BatchLoader validation, TrainingPlan plan, IStepGradients? gradients = null) : IResumable
{
    private readonly Optimizer _optimizer = plan.Recipe.CreateOptimizer(model.Parameters, plan.LearningRate, plan.MaxGradientNorm);
    private readonly WeightAverage? _average = plan.AverageDecay is { } decay ? new WeightAverage(model.Parameters, decay) : null;
    private readonly Tensor[] _sparse = plan.KeepZeros ? [.. SparseWeights.Of(model.Parameters).Select(w => w.Tensor)] : [];
    private readonly IStepGradients _gradients = gradients ?? new ShardGradients(model, train, plan);
    private readonly List<EpochResult> _epochs = [];
    private double _secondsBefore, _epochBegan, _lossSum;
    private long? _started;
    private int _epoch = 1, _batch, _images, _learned;

    /// <summary>Sees each batch of a validation and the probabilities of its images; null for nobody.</summary>
    public Action<Batch, Tensor>? Observe { get; init; }

    /// <summary>What tells the time.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>The best validation score so far; minus infinity before the first epoch.</summary>
    public double BestScore { get; private set; } = double.NegativeInfinity;

    /// <summary>The epoch of <see cref="BestScore"/>, from 1; 0 before the first.</summary>
    public int BestEpoch { get; private set; }

    /// <summary>The epochs that are done.</summary>
    public IReadOnlyList<EpochResult> Epochs => _epochs;

    /// <summary>Training images of an epoch.</summary>
    public int TrainingImages => train.Samples;

    /// <summary>The number of steps taken.</summary>
    public long Steps => _optimizer.Steps;

    /// <summary>The seconds of training, including those before a checkpoint.</summary>
    public double Seconds => _secondsBefore + (_started is { } began ? Clock.GetElapsedTime(began).TotalSeconds : 0);

    /// <summary>Where training stands.</summary>
    public TrainingState State => new()
    {
        Epoch = _epoch,
        Batch = _batch,
        Images = _images,
        Learned = _learned,
        LossSum = _lossSum,
        Steps = _optimizer.Steps,
        LearningRate = _optimizer.LearningRate,
        BestScore = BestScore,
        BestEpoch = BestEpoch,
        Plateau = plan.Plateau?.State,
        AverageUpdates = _average?.Updates,
        Seconds = Seconds,
        EpochBegan = _epochBegan,
        Epochs = [.. _epochs],
        Width = Core.Simd.Isa.Current.ToString(),
    };

    /// <summary>The tensors of a checkpoint: weights and buffers, the optimizer's moments, the average of the weights.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Tensors =>
    [
        .. (_average?.Weights ?? model.Parameters.All).Select(t => ("model." + t.Name, t.Tensor)),
        .. _optimizer.State.Select(t => ("optimizer." + t.Name, t.Tensor)),
        .. (_average?.Average ?? []).Select(t => ("average." + t.Name, t.Tensor)),
    ];

    /// <summary>Whether training is over: all epochs are done, patience has run out, or the budget is spent.</summary>
    public bool Done => _epoch > plan.Epochs || RanOutOfPatience || (_batch == 0 && IsSpent);

    /// <summary>Why training is over before all epochs are done, in words; null where it is not.</summary>
    public string? EndedBy => !Done || _epoch > plan.Epochs ? null
        : RanOutOfPatience ? FormattableString.Invariant($"{plan.Patience} epochs without a better one")
        : FormattableString.Invariant($"{plan.Budget!.Describe(Steps)}, in epoch {_epoch - 1}");

    private bool RanOutOfPatience => _epoch - 1 - BestEpoch >= plan.Patience;

    private bool IsSpent => plan.Budget?.IsSpent(Steps, Seconds) == true;

    /// <summary>Restores the state of a checkpoint. Call it before <see cref="Run"/>.</summary>
    /// <param name="file">The checkpoint, opened with its seal.</param>
    /// <param name="state">Its state.</param>
    /// <exception cref="CheckpointException">The checkpoint is of another model, data set or plan; nothing was changed.</exception>
    public void Restore(SafetensorsFile file, TrainingState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        ResumableTraining.Read(
            file, state, [.. Tensors], train.Batches,
            fits: state.Plateau.HasValue == plan.Plateau is not null && state.AverageUpdates.HasValue == _average is not null);
        (_epoch, _batch, _images, _learned, _lossSum) = (state.Epoch, state.Batch, state.Images, state.Learned, state.LossSum);
        (BestScore, BestEpoch, _secondsBefore, _epochBegan) = (state.BestScore, state.BestEpoch, state.Seconds, state.EpochBegan);
        (_optimizer.Steps, _optimizer.LearningRate) = (state.Steps, state.LearningRate);
        if (plan.Plateau is { } plateau) plateau.State = state.Plateau!.Value;
        if (_average is { } average) average.Updates = state.AverageUpdates!.Value;
        _epochs.AddRange(state.Epochs);
    }

    /// <summary>
    /// Runs one epoch per result that is asked for. A requested <paramref name="cancellation"/> ends it after the running step, without an
    /// exception and without a result of that epoch. The model keeps what it has learned, to be saved and resumed.
    /// </summary>
    /// <param name="progress">Called after each step, or null.</param>
    /// <param name="cancellation">Asks to stop.</param>
    /// <returns>One result per epoch; <see cref="BestEpoch"/> tells whether it is the best so far.</returns>
    /// <exception cref="TrainingException">A loss or a gradient is not finite; the model is as it was before the step.</exception>
    public IEnumerable<EpochResult> Run(Action<TrainingProgress>? progress = null, CancellationToken cancellation = default)
    {
        _started ??= Clock.GetTimestamp();
        while (!Done)
        {
            if (_batch == 0) _epochBegan = Seconds;
            TrainEpoch(progress, cancellation);
            _average?.Swap();
            if (cancellation.IsCancellationRequested) yield break;
            double loss = _lossSum / _learned, rate = _images / (Seconds - _epochBegan);
            progress?.Invoke(new TrainingProgress(_epoch, _images, loss, rate, Validating: true));

            Evaluation result;
            try
            {
                result = Evaluator.Run(model, validation, plan.Objective, new EvaluationOptions { Observe = Observe }, cancellation);
            }
            catch (OperationCanceledException)
            {
                yield break;
            }
            double score = result.SelectionBy(plan.Monitor);
            if (score > BestScore) (BestScore, BestEpoch) = (score, _epoch);
            plan.Plateau?.Observe(result.Loss);
            _epochs.Add(new EpochResult(_epoch, loss, result, _optimizer.LearningRate, Seconds - _epochBegan, rate));
            (_epoch, _batch, _images, _learned, _lossSum) = (_epoch + 1, 0, 0, 0, 0);
            yield return _epochs[^1];
            if (!Done) _average?.Swap();
        }
    }

    private string LowerRate => FormattableString.Invariant($"a learning rate below {plan.LearningRate:g3} may help");

    private void TrainEpoch(Action<TrainingProgress>? progress, CancellationToken cancellation)
    {
        if (_batch > 0 && IsSpent) return; // interrupted in the validation of the last epoch
        model.Parameters.Training = true;
        try
        {
            while (_batch < train.Batches)
            {
                string? skipped = TakeStep(cancellation);
                double rate = _images / (Seconds - _epochBegan);
                progress?.Invoke(new TrainingProgress(_epoch, _images, _lossSum / _learned, rate, Validating: false) { Skipped = skipped });
                if (cancellation.IsCancellationRequested) return;
                if (IsSpent) break;
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return;
        }
        finally
        {
            _gradients.EndEpoch();
        }
        if (_learned == 0)
            throw new TrainingException(FormattableString.Invariant($"every step of epoch {_epoch} was skipped; {LowerRate}"));
    }

    /// <summary>Takes the next step.</summary>
    /// <returns>Why it was skipped; null if it was taken.</returns>
    private string? TakeStep(CancellationToken cancellation)
    {
        StepOrder order = new(_optimizer.Steps, _epoch, _batch, Math.Min(plan.Accumulate, train.Batches - _batch));
        IReadOnlyList<Shard> shards = _gradients.Compute(order, cancellation);
        string? failure = shards[^1].Failure ?? Update(shards);
        if (failure is not null && plan.OnNonFinite == NonFiniteAction.Stop)
        {
            int step = _batch + shards.Count, before = _images + shards.SkipLast(1).Sum(shard => shard.Images);
            throw new TrainingException(FormattableString.Invariant(
                $"{failure} in step {step} of epoch {_epoch}, after {before} images; {LowerRate}"));
        }
        int images = train.ImagesIn(order.FirstBatch, order.Batches);
        (_batch, _images) = (_batch + order.Batches, _images + images);
        if (failure is null) (_lossSum, _learned) = (_lossSum + shards.Sum(shard => shard.Loss * shard.Images), _learned + images);
        return failure;
    }

    /// <summary>Applies the gradient that the parameters hold; returns what was not finite, or null.</summary>
    private string? Update(IReadOnlyList<Shard> shards)
    {
        SparseWeights.ClearGradients(_sparse);
        _optimizer.LearningRate = plan.LearningRate * plan.Schedule(_optimizer.Steps) * (plan.Plateau?.Scale ?? 1);
        try
        {
            _optimizer.Step();
        }
        catch (NonFiniteException e)
        {
            return e.Message;
        }
        foreach (Shard shard in shards) model.Parameters.MoveStatistics(shard.Moments);
        _average?.Update();
        return null;
    }
}
