using Mamba.Core;
using Mamba.Models.Data.Loading;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>Computes gradients in this process: those of a step, or of some of its shards.</summary>
/// <param name="model">The model.</param>
/// <param name="train">The training data.</param>
/// <param name="plan">The loss, and the batches of a step.</param>
public sealed class ShardGradients(VisionModel model, BatchLoader train, TrainingPlan plan) : IStepGradients
{
    private readonly NumericsCheck? _numerics = plan.CheckNumerics ? new NumericsCheck(model.Parameters.All) : null;
    private readonly BatchMoments _moments = new();
    private readonly GradientSums _sums = new(model.Parameters);
    private GradientStream? _stream;
    private IEnumerator<Batch>? _pass;
    private IEnumerator<int>? _numbers;
    private int _epoch;

    /// <inheritdoc/>
    public IReadOnlyList<Shard> Compute(StepOrder order, CancellationToken cancellation)
    {
        if (order.Batches == 1) return [Compute(order, 0, (0, plan.Accumulate), null)];
        _sums.Clear();
        // A step that has begun is finished.
        IReadOnlyList<Shard> shards = Compute(order, 0, order.Batches, _sums, CancellationToken.None);
        if (shards[^1].Failure is null) _sums.MoveToParameters();
        return shards;
    }

    /// <summary>Computes neighbouring shards of a step.</summary>
    /// <param name="order">The step.</param>
    /// <param name="first">The first shard.</param>
    /// <param name="end">Behind the last one.</param>
    /// <param name="sums">
    /// Where their gradients are added. Those that tell what is final are empty before, and after a shard that fails in them.
    /// </param>
    /// <param name="cancellation">Stops between shards.</param>
    /// <returns>The shards in order; the first one that fails is the last.</returns>
    /// <exception cref="ArgumentException">The sums tell what is final, and are not empty.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public IReadOnlyList<Shard> Compute(StepOrder order, int first, int end, GradientSums sums, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(sums);
        if (sums is { Final: not null, Blocks.Count: > 0 }) throw new ArgumentException("ShardGradients: the sums are not empty.");
        List<Shard> shards = [];
        int[] ends = sums.Final is null ? [] : [.. GradientSums.BlocksOf(first, end).Select(b => b.First + b.Count)];
        (int, int) range = first == 0 && end == order.Batches ? (0, plan.Accumulate) : (first, end); // the last step may be shorter
        for (int shard = first; shard < end; shard++)
        {
            cancellation.ThrowIfCancellationRequested();
            bool streams = ends.Contains(shard + 1); // the last shard of a block
            shards.Add(streams ? Stream(order, shard, range, sums) : Compute(order, shard, range, null));
            if (shards[^1].Failure is not null) break;
            if (!streams) sums.AddFromParameters(shard);
        }
        return shards;
    }

    /// <inheritdoc/>
    public void EndEpoch()
    {
        _pass?.Dispose();
        (_pass, _numbers) = (null, null);
    }

    /// <inheritdoc/>
    public void Dispose() => EndEpoch();

    /// <summary>Computes one shard, and adds its gradient while the backward pass goes on.</summary>
    private Shard Stream(StepOrder order, int shard, (int First, int End) range, GradientSums sums)
    {
        _stream ??= new GradientStream(model.Parameters);
        _stream.Begin(sums, shard);
        Shard result = Compute(order, shard, range, _stream.Watch);
        if (result.Failure is null) _stream.End();
        else sums.Clear(); // a part of the gradient may be in them
        return result;
    }

    /// <summary>Computes one shard; its gradient is left with the parameters.</summary>
    private Shard Compute(StepOrder order, int shard, (int First, int End) range, GradientWatch? watch)
    {
        using Batch batch = Next(order, shard, range);
        if (!model.Parameters.Training) model.Parameters.Training = true;
        model.Parameters.ZeroGrad();
        model.Parameters.Step = order.Step * plan.Accumulate + shard;
        model.Parameters.Moments = _moments;
        _moments.Clear();
        int images = batch.Indices.Length;
        try
        {
            using Tape tape = new() { Numerics = _numerics, Watch = watch };
            Tensor loss = Loss(batch);
            NonFiniteException.ThrowIfAny("the loss", loss);
            double value = loss.Item();
            tape.Backward(plan.Accumulate == 1 ? loss
                : Ops.Scale(loss, (float)images / train.ImagesIn(order.FirstBatch, plan.Accumulate)));
            return new Shard(value, images) { Moments = _moments.Values.ToArray() };
        }
        catch (NonFiniteException e)
        {
            return new Shard(double.NaN, images) { Failure = e.Message };
        }
        finally
        {
            model.Parameters.Moments = null;
        }
    }

    /// <summary>The loss of the task, or its mixture with that of the teacher.</summary>
    private Tensor Loss(Batch batch)
    {
        Tensor prediction = plan.Objective.Predict(model, batch.Images);
        Tensor task = plan.Objective.Loss(prediction, model.Output, batch.Targets, training: true);
        return plan.Distillation?.Loss(task, plan.Objective, batch.Images, prediction, model.Output) ?? task;
    }

    /// <summary>A batch of the step. The pass goes on to the next ones, which are those of the same shards of later steps.</summary>
    private Batch Next(StepOrder order, int shard, (int First, int End) range)
    {
        int wanted = order.FirstBatch + shard;
        if (_pass is null || _epoch != order.Epoch || !_numbers!.MoveNext() || _numbers.Current != wanted)
        {
            EndEpoch();
            _epoch = order.Epoch;
            _numbers = Numbers(order, shard, range).GetEnumerator();
            _pass = train.Epoch(order.Epoch, Numbers(order, shard, range)).GetEnumerator();
            _numbers.MoveNext();
        }
        if (!_pass!.MoveNext())
            throw new ArgumentOutOfRangeException(nameof(order), order, $"ShardGradients: an epoch has {train.Batches} batches.");
        return _pass.Current;
    }

    /// <summary>The batches from a shard of this step on, and those of the same shards of later steps.</summary>
    private IEnumerable<int> Numbers(StepOrder order, int shard, (int First, int End) range)
    {
        for (int start = order.FirstBatch; start < train.Batches; start += plan.Accumulate, shard = range.First)
            for (int batch = start + shard; batch < Math.Min(start + range.End, train.Batches); batch++) yield return batch;
    }
}
