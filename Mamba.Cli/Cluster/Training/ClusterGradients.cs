using System.Diagnostics;
using Mamba.Cli.Cluster.Silos;
using Mamba.Cli.Cluster.Wire;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Cluster.Training;

/// <summary>
/// The gradient of a step, computed by the coordinator and its nodes. Each gets a run of neighbouring shards and returns their sums; all
/// sums are added in the tree of <see cref="GradientSums"/>, so that nobody can see from the result who computed what. Shards of a node
/// that fails or is late are computed here.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="local">Computes shards in this process.</param>
/// <param name="pool">The nodes.</param>
/// <param name="options">When to begin, and when to wait no longer.</param>
internal sealed class ClusterGradients(VisionModel model, ShardGradients local, NodePool pool, ClusterGradients.Options options)
    : IStepGradients
{
    /// <summary>A node is late when it takes so much longer than the slowest of the others.</summary>
    private const double LateFactor = 4;

    /// <summary>
    /// A node that was too slow for any shard is tried again after a while: the speed it is taken to have grows each step.
    /// </summary>
    private const double Curiosity = 1.1;

    private readonly WeightBytes _weights = new(model.Parameters);
    private readonly GradientSums _own = new(model.Parameters), _all = new(model.Parameters);
    private byte[][]? _pieces;
    private double? _speed;
    private bool _begun;

    /// <summary>When to begin, and when to wait no longer.</summary>
    /// <param name="Nodes">Nodes to wait for before the first step.</param>
    /// <param name="Patience">The least time after which a node is late.</param>
    internal sealed record Options(int Nodes, TimeSpan Patience);

    /// <summary>Shards that were computed here for others.</summary>
    public long Recomputed { get; private set; }

    /// <summary>What this process computed.</summary>
    public NodeFigures Figures { get; } = new("coordinator", Core.Workers.Count);

    /// <inheritdoc/>
    public IReadOnlyList<Shard> Compute(StepOrder order, CancellationToken cancellation)
    {
        if (!_begun) WaitForNodes(cancellation);
        RemoteNode[] nodes = pool.Free;
        if (nodes.Length == 0 || order.Batches == 1)
        {
            IReadOnlyList<Shard> alone = local.Compute(order, cancellation);
            Figures.AddShards(alone.Count);
            return alone;
        }
        using CancellationTokenSource over = new();
        List<OpenPart> parts = Spread(order, nodes, over.Token);
        try
        {
            return Add(Collect(order, parts, cancellation), order);
        }
        finally
        {
            // What a node still computes of this step is wanted no more; its answer goes nowhere.
            over.Cancel();
        }
    }

    /// <inheritdoc/>
    public void EndEpoch() => local.EndEpoch();

    /// <inheritdoc/>
    public void Dispose() => local.Dispose();

    private void WaitForNodes(CancellationToken cancellation)
    {
        while (pool.Joined.Length < options.Nodes && !cancellation.WaitHandle.WaitOne(20))
        {
        }
        cancellation.ThrowIfCancellationRequested();
        _begun = true;
    }

    /// <summary>Cuts the step into parts and gives all but the first one to nodes.</summary>
    private List<OpenPart> Spread(StepOrder order, RemoteNode[] nodes, CancellationToken over)
    {
        int[] counts = Shares.Of([_speed, .. nodes.Select(n => n.Figures.Speed)], order.Batches);
        // Pieces that are still on their way, to a node that is late, stay as they are.
        if (pool.Joined.Any(n => n.IsBusy)) _pieces = null;
        _pieces = _weights.Read(_pieces);
        List<OpenPart> parts = [new OpenPart(0, counts[0], null, null)];
        for (int i = 0, first = counts[0]; i < nodes.Length; first += counts[++i])
        {
            if (counts[i + 1] == 0)
            {
                nodes[i].Figures.Speed *= Curiosity;
                continue;
            }
            PartOrder part = new(order.Step, order.Epoch, order.FirstBatch, order.Batches, first, first + counts[i + 1]);
            parts.Add(new OpenPart(first, part.End, nodes[i], nodes[i].Run(part, _pieces, (int)model.Parameters.ParameterCount, over)));
        }
        return parts;
    }

    /// <summary>Computes the own part, then waits for those of nodes and computes what they owe.</summary>
    private List<PartResult> Collect(StepOrder order, List<OpenPart> parts, CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp();
        List<PartResult> results = [];
        if (parts[0].End > 0)
        {
            results.Add(Local(order, 0, parts[0].End, _own, cancellation));
            double speed = parts[0].End / Stopwatch.GetElapsedTime(start).TotalSeconds;
            _speed = Figures.Speed = _speed is { } before ? 0.7 * before + 0.3 * speed : speed;
            Figures.AddShards(parts[0].End);
        }
        List<OpenPart> open = [.. parts.Skip(1)];
        double slowest = Stopwatch.GetElapsedTime(start).TotalSeconds;
        while (open.Count > 0)
        {
            double left = Math.Max(options.Patience.TotalSeconds, LateFactor * slowest) - Stopwatch.GetElapsedTime(start).TotalSeconds;
            int done = Task.WaitAny([.. open.Select(p => p.Work!)], (int)(1000 * Math.Clamp(left, 0, 3600)), cancellation);
            OpenPart part = open[Math.Max(done, 0)];
            open.Remove(part);
            bool came = part.Work!.IsCompletedSuccessfully;
            if (came)
            {
                slowest = Math.Max(slowest, Stopwatch.GetElapsedTime(start).TotalSeconds);
                part.Node!.Figures.AddShards(part.End - part.First);
            }
            results.Add(came ? part.Work.Result : Replace(order, part, cancellation));
        }
        return results;
    }

    /// <summary>Computes what a node was asked for.</summary>
    private PartResult Replace(StepOrder order, OpenPart part, CancellationToken cancellation)
    {
        part.Work!.Ignore();
        part.Node!.Figures.AddLate();
        if (!part.Work!.IsCompleted)
        {
            part.Node.Figures.State = "late";
            part.Node.Drop();
        }
        Recomputed += part.End - part.First;
        Figures.AddShards(part.End - part.First);
        return Local(order, part.First, part.End, new GradientSums(model.Parameters), cancellation);
    }

    private PartResult Local(StepOrder order, int first, int end, GradientSums sums, CancellationToken cancellation)
    {
        sums.Clear();
        IReadOnlyList<Shard> shards = local.Compute(order, first, end, sums, cancellation);
        return new PartResult(first, shards, sums.Blocks);
    }

    /// <summary>Adds all sums in order; where a shard failed, those after it do not count, as if they had not been computed.</summary>
    private List<Shard> Add(List<PartResult> parts, StepOrder order)
    {
        List<Shard> shards = [];
        _all.Clear();
        foreach (PartResult part in parts.OrderBy(p => p.First))
        {
            shards.AddRange(part.Shards);
            if (shards[^1].Failure is not null) return shards;
            foreach (GradientBlock block in part.Blocks) _all.Add(block);
        }
        if (shards.Count != order.Batches)
            throw new ClusterException($"step {order.Step} has {shards.Count} shards; expected {order.Batches}");
        _all.MoveToParameters();
        return shards;
    }

    /// <summary>A part of the step.</summary>
    /// <param name="First">Its first shard.</param>
    /// <param name="End">Behind its last one.</param>
    /// <param name="Node">Who computes it; null for this process.</param>
    /// <param name="Work">The work of the node.</param>
    private sealed record OpenPart(int First, int End, RemoteNode? Node, Task<PartResult>? Work);
}
