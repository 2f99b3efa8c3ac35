using System.Diagnostics;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Optim;
using Mamba.Models.Data.Loading;
using Mamba.Models.Metrics;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>
/// Trains a model: epochs of steps, each followed by validation. The caller keeps the weights, after each epoch: while a result is in its hands the model
/// holds the weights that were validated. After each step, and while a result is in its hands, <see cref="Save"/> writes a checkpoint, from which
/// <see cref="Restore"/> lets another trainer of the same model, data and plan go on to the same bits.
/// </summary>
/// <param name="model">The model; trained in place.</param>
/// <param name="train">The training data, shuffled by epoch.</param>
/// <param name="validation">The validation data, in order.</param>
/// <param name="plan">How to train.</param>
public sealed class Trainer(VisionModel model, BatchLoader train, BatchLoader validation, TrainingPlan plan)
{
    private readonly Optimizer _optimizer = plan.Recipe.CreateOptimizer(model.Parameters, plan.LearningRate, plan.MaxGradientNorm);
    private readonly WeightAverage? _average = plan.AverageDecay is { } decay ? new WeightAverage(model.Parameters, decay) : null;
    private readonly NumericsCheck? _numerics = plan.CheckNumerics ? new NumericsCheck(model.Parameters.All) : null;
    private readonly (Tensor Tensor, float[] Before)[] _buffers = [.. model.Parameters.All.Where(p => !p.Tensor.RequiresGrad).Select(p => (p.Tensor, new float[p.Tensor.Count]))];
    private readonly List<EpochResult> _epochs = [];
    private readonly Stopwatch _watch = new();
    private double _secondsBefore, _epochBegan, _lossSum;
    private int _epoch = 1, _batch, _images, _learned;

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

    /// <summary>The seconds that training has taken, those before a checkpoint included.</summary>
    public double Seconds => _secondsBefore + _watch.Elapsed.TotalSeconds;

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

    /// <summary>The numbers that training stands on: weights and buffers, the optimizer's moments, the average.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Tensors =>
    [
        .. (_average?.Weights ?? model.Parameters.All).Select(t => ("model." + t.Name, t.Tensor)),
        .. _optimizer.State.Select(t => ("optimizer." + t.Name, t.Tensor)),
        .. (_average?.Average ?? []).Select(t => ("average." + t.Name, t.Tensor)),
    ];

    /// <summary>Whether no epoch is left: all are done, or patience has run out.</summary>
    public bool Done => _epoch > plan.Epochs || _epoch - 1 - BestEpoch >= plan.Patience;

    /// <summary>Writes a checkpoint.</summary>
    /// <param name="path">The file; it appears whole or not at all.</param>
    /// <param name="state"><see cref="State"/>, with what the run adds to it.</param>
    /// <param name="cancellation">Gives up; a file that was there stays as it is.</param>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public void Save(string path, TrainingState state, CancellationToken cancellation = default) => Safetensors.WriteSealed(path, Tensors, state.ToMetadata(), cancellation);

    /// <summary>Takes the place at which a checkpoint was written. To be called before <see cref="Run"/>.</summary>
    /// <param name="file">The checkpoint, opened with its seal.</param>
    /// <param name="state">Its state.</param>
    /// <exception cref="CheckpointException">It is of another model, data or plan; nothing was changed.</exception>
    public void Restore(SafetensorsFile file, TrainingState state)
    {
        (string Name, Tensor Tensor)[] tensors = [.. Tensors];
        foreach ((string name, Tensor tensor) in tensors)
            if (!file.Contains(name) || !file.Shape(name).AsSpan().SequenceEqual(tensor.Shape.ToArray()))
                throw new CheckpointException($"{file.Path}: does not fit this run: no tensor '{name}' of shape {tensor.Shape}");
        bool fits = file.Names.Count == tensors.Length + 1 && state.Batch <= train.Batches && state.Epochs.Count == state.Epoch - 1
            && state.BestEpoch <= state.Epochs.Count && state.Plateau.HasValue == plan.Plateau is not null && state.AverageUpdates.HasValue == _average is not null;
        if (!fits) throw new CheckpointException($"{file.Path}: does not fit this run: it stands in epoch {state.Epoch} after {state.Batch} batches, with {file.Names.Count - 1} tensors; expected at most {train.Batches} batches and {tensors.Length} tensors");
        foreach ((string name, Tensor tensor) in tensors) file.ReadFloats(name, tensor.Span);
        (_epoch, _batch, _images, _learned, _lossSum) = (state.Epoch, state.Batch, state.Images, state.Learned, state.LossSum);
        (BestScore, BestEpoch, _secondsBefore, _epochBegan) = (state.BestScore, state.BestEpoch, state.Seconds, state.EpochBegan);
        (_optimizer.Steps, _optimizer.LearningRate) = (state.Steps, state.LearningRate);
        if (plan.Plateau is { } plateau) plateau.State = state.Plateau!.Value;
        if (_average is { } average) average.Updates = state.AverageUpdates!.Value;
        _epochs.AddRange(state.Epochs);
    }

    /// <summary>
    /// Runs the epochs one by one as they are asked for. When <paramref name="cancellation"/> is requested, it ends after the step that is running, without
    /// an exception: the epoch gives no result, and the model holds what it has learned so far, to be saved and to go on from.
    /// </summary>
    /// <param name="progress">Called after each step, or null.</param>
    /// <param name="cancellation">Asks to stop.</param>
    /// <returns>A result an epoch. Whether it is the best so far shows in <see cref="BestEpoch"/>.</returns>
    /// <exception cref="TrainingException">A loss or a gradient is not finite; the model is as it was before the step.</exception>
    public IEnumerable<EpochResult> Run(Action<TrainingProgress>? progress = null, CancellationToken cancellation = default)
    {
        _watch.Start();
        while (!Done)
        {
            if (_batch == 0) _epochBegan = Seconds;
            TrainEpoch(progress, cancellation);
            _average?.Swap();
            if (cancellation.IsCancellationRequested) yield break;
            double loss = _lossSum / _learned, rate = train.Samples / (Seconds - _epochBegan);
            progress?.Invoke(new TrainingProgress(_epoch, train.Samples, loss, rate, Validating: true));

            Evaluation result;
            try
            {
                result = Evaluator.Run(model, validation, plan.Objective, cancellation: cancellation);
            }
            catch (OperationCanceledException)
            {
                yield break;
            }
            if (result.Scores.Headline > BestScore) (BestScore, BestEpoch) = (result.Scores.Headline, _epoch);
            plan.Plateau?.Observe(result.Loss);
            _epochs.Add(new EpochResult(_epoch, loss, result, _optimizer.LearningRate, Seconds - _epochBegan, rate));
            (_epoch, _batch, _images, _learned, _lossSum) = (_epoch + 1, 0, 0, 0, 0);
            yield return _epochs[^1];
            if (!Done) _average?.Swap();
        }
    }

    private void TrainEpoch(Action<TrainingProgress>? progress, CancellationToken cancellation)
    {
        model.Parameters.Training = true;
        foreach (Batch batch in train.Epoch(_epoch, _batch))
        {
            int count = batch.Indices.Length;
            string? skipped = null;
            try
            {
                _lossSum += Step(batch) * count;
                _learned += count;
            }
            catch (NonFiniteException e)
            {
                foreach ((Tensor tensor, float[] before) in _buffers) before.CopyTo(tensor.Span);
                skipped = e.Message;
                if (plan.OnNonFinite == NonFiniteAction.Stop)
                    throw new TrainingException(FormattableString.Invariant($"{e.Message} in step {_batch + 1} of epoch {_epoch}, after {_images} images; a learning rate below {plan.LearningRate:g3} may help"));
            }
            _batch++;
            _images += count;
            progress?.Invoke(new TrainingProgress(_epoch, _images, _lossSum / _learned, _images / (Seconds - _epochBegan), Validating: false) { Skipped = skipped });
            if (cancellation.IsCancellationRequested) return;
        }
        if (_learned == 0) throw new TrainingException(FormattableString.Invariant($"every step of epoch {_epoch} was skipped; a learning rate below {plan.LearningRate:g3} may help"));
    }

    private double Step(Batch batch)
    {
        using Batch _ = batch;
        // A forward pass moves running statistics before its loss can be seen.
        foreach ((Tensor tensor, float[] before) in _buffers) tensor.Span.CopyTo(before);
        model.Parameters.Step = _optimizer.Steps;
        model.Parameters.ZeroGrad();
        using Tape tape = new() { Numerics = _numerics };
        Tensor loss = plan.Objective.Loss(plan.Objective.Predict(model, batch.Images), model.Output, batch.Targets, training: true);
        NonFiniteException.ThrowIfAny("the loss", loss);
        double value = loss.Item();
        tape.Backward(loss);
        _optimizer.LearningRate = plan.LearningRate * plan.Schedule(_optimizer.Steps) * (plan.Plateau?.Scale ?? 1);
        _optimizer.Step();
        _average?.Update();
        return value;
    }
}
