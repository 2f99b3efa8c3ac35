using System.Diagnostics;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Optim;
using Mamba.Models.Data;
using Mamba.Models.Training;

namespace Mamba.Models.Sequences;

/// <summary>
/// Trains a model on a task with AdamW, in epochs of a number of steps, each followed by an evaluation on validation sequences. Between two
/// results of <see cref="Run"/> the model holds the evaluated weights. After each step it can be saved, and <see cref="Restore"/> resumes
/// from there to the same bits.
/// </summary>
/// <param name="model">The model; trained in place.</param>
/// <param name="task">The task.</param>
/// <param name="plan">How to train.</param>
public sealed class SequenceTrainer(SequenceModel model, SequenceTask task, SequencePlan plan) : IResumable
{
    private readonly AdamW _optimizer = new(model.Parameters.Parameters, plan.LearningRate, plan.WeightDecay)
    {
        MaxGradientNorm = plan.MaxGradientNorm,
        Groups = plan.Groups,
    };

    private readonly List<EpochResult> _epochs = [];
    private readonly Stopwatch _watch = new();
    private double _secondsBefore, _epochBegan, _lossSum;
    private int _epoch = 1, _batch;

    /// <summary>The best validation accuracy so far; minus infinity before the first epoch.</summary>
    public double BestScore { get; private set; } = double.NegativeInfinity;

    /// <summary>The epoch of <see cref="BestScore"/>, from 1; 0 before the first.</summary>
    public int BestEpoch { get; private set; }

    /// <summary>The epochs that are done.</summary>
    public IReadOnlyList<EpochResult> Epochs => _epochs;

    /// <summary>The number of steps taken.</summary>
    public long Steps => _optimizer.Steps;

    /// <summary>The seconds of training, including those before a checkpoint.</summary>
    public double Seconds => _secondsBefore + _watch.Elapsed.TotalSeconds;

    /// <summary>Whether training is over: all epochs are done, or patience has run out.</summary>
    public bool Done => _epoch > plan.Epochs || _epoch - 1 - BestEpoch >= plan.Patience;

    /// <inheritdoc/>
    public TrainingState State => new()
    {
        Epoch = _epoch,
        Batch = _batch,
        Images = Seen(_batch),
        Learned = Seen(_batch),
        LossSum = _lossSum,
        Steps = _optimizer.Steps,
        LearningRate = _optimizer.LearningRate,
        BestScore = BestScore,
        BestEpoch = BestEpoch,
        Seconds = Seconds,
        EpochBegan = _epochBegan,
        Epochs = [.. _epochs],
        Width = Core.Simd.Isa.Current.ToString(),
    };

    /// <inheritdoc/>
    public IEnumerable<(string Name, Tensor Tensor)> Tensors =>
    [
        .. model.Parameters.All.Select(t => ("model." + t.Name, t.Tensor)),
        .. _optimizer.State.Select(t => ("optimizer." + t.Name, t.Tensor)),
    ];

    /// <inheritdoc/>
    public void Restore(SafetensorsFile file, TrainingState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        ResumableTraining.Read(
            file, state, [.. Tensors], plan.StepsPerEpoch, fits: state is { Plateau: null, AverageUpdates: null });
        (_epoch, _batch, _lossSum) = (state.Epoch, state.Batch, state.LossSum);
        (BestScore, BestEpoch, _secondsBefore, _epochBegan) = (state.BestScore, state.BestEpoch, state.Seconds, state.EpochBegan);
        (_optimizer.Steps, _optimizer.LearningRate) = (state.Steps, state.LearningRate);
        _epochs.AddRange(state.Epochs);
    }

    /// <summary>
    /// Runs one epoch per result that is asked for. A requested <paramref name="cancellation"/> ends it after the running step, without an
    /// exception and without a result of that epoch.
    /// </summary>
    /// <param name="progress">Called after each step, or null.</param>
    /// <param name="cancellation">Asks to stop.</param>
    /// <returns>One result per epoch; <see cref="BestEpoch"/> tells whether it is the best so far.</returns>
    /// <exception cref="TrainingException">A loss or a gradient is not finite; the model is as it was before the step.</exception>
    public IEnumerable<EpochResult> Run(Action<TrainingProgress>? progress = null, CancellationToken cancellation = default)
    {
        _watch.Start();
        while (!Done)
        {
            if (_batch == 0) _epochBegan = Seconds;
            TrainEpoch(progress, cancellation);
            if (cancellation.IsCancellationRequested) yield break;
            double loss = _lossSum / _batch, rate = (double)_batch * plan.Batch / (Seconds - _epochBegan);
            progress?.Invoke(new TrainingProgress(_epoch, Seen(_batch), loss, rate, Validating: true));

            Evaluation result;
            try
            {
                result = SequenceEvaluator.Run(model, task, SplitPart.Val, plan.Evaluated, plan.Batch, cancellation);
            }
            catch (OperationCanceledException)
            {
                yield break;
            }
            if (IsBest(result)) (BestScore, BestEpoch) = (result.Selection, _epoch);
            _epochs.Add(new EpochResult(_epoch, loss, result, _optimizer.LearningRate, Seconds - _epochBegan, rate));
            (_epoch, _batch, _lossSum) = (_epoch + 1, 0, 0);
            yield return _epochs[^1];
        }
    }

    /// <summary>A better accuracy, or the same with a lower loss: all answers are soon right, and confidence still grows.</summary>
    private bool IsBest(Evaluation result) => result.Selection > BestScore
        || (result.Selection == BestScore && result.Loss < _epochs[BestEpoch - 1].Validation.Loss);

    private void TrainEpoch(Action<TrainingProgress>? progress, CancellationToken cancellation)
    {
        model.Parameters.Training = true;
        while (_optimizer.Steps < plan.EndOf(_epoch))
        {
            _lossSum += Learn();
            _batch++;
            int seen = Seen(_batch);
            progress?.Invoke(new TrainingProgress(_epoch, seen, _lossSum / _batch, seen / (Seconds - _epochBegan), Validating: false));
            if (cancellation.IsCancellationRequested) return;
        }
    }

    /// <summary>Sequences of some steps.</summary>
    private int Seen(int steps) => (int)Math.Min(int.MaxValue, (long)steps * plan.Batch);

    /// <summary>One step: the mean cross-entropy of the answers of a batch.</summary>
    private double Learn()
    {
        model.Parameters.ZeroGrad();
        model.Parameters.Step = _optimizer.Steps;
        try
        {
            using Tape tape = new();
            SequenceBatch batch = task.Batch(SplitPart.Train, _optimizer.Steps * plan.Batch, plan.Batch);
            Tensor loss = Ops.CrossEntropy(model.Module.Forward(batch.Inputs), batch.Targets);
            NonFiniteException.ThrowIfAny("the loss", loss);
            double value = loss.Item();
            tape.Backward(loss);
            _optimizer.LearningRate = plan.LearningRate * plan.Schedule(_optimizer.Steps);
            _optimizer.Step();
            return value;
        }
        catch (NonFiniteException e)
        {
            throw new TrainingException(FormattableString.Invariant(
                $"{e.Message} in step {_optimizer.Steps + 1}; a learning rate below {plan.LearningRate:g3} may help"));
        }
    }
}
