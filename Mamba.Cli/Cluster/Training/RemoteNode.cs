using System.Diagnostics;
using System.Runtime.InteropServices;
using Mamba.Cli.Cluster.Wire;
using Mamba.Models.Training;
using Orleans.Runtime;

namespace Mamba.Cli.Cluster.Training;

/// <summary>What a part of a step gave.</summary>
/// <param name="First">Its first shard.</param>
/// <param name="Shards">Its shards; the first one that failed is the last.</param>
/// <param name="Blocks">The sums of gradients, in order.</param>
internal sealed record PartResult(int First, IReadOnlyList<Shard> Shards, IReadOnlyList<GradientBlock> Blocks);

/// <summary>A node, as its coordinator sees it. It does one thing at a time.</summary>
/// <param name="node">Its service.</param>
/// <param name="silo">Its silo.</param>
/// <param name="session">The run.</param>
/// <param name="figures">What it has done.</param>
internal sealed class RemoteNode(INode node, SiloAddress silo, Guid session, NodeFigures figures)
{
    private readonly List<float[]> _buffers = [];
    private Task _work = Task.CompletedTask;

    public SiloAddress Silo => silo;

    public NodeFigures Figures => figures;

    /// <summary>Whether it does nothing, and did not fail last.</summary>
    public bool IsFree => _work.IsCompleted && !HasFailed;

    /// <summary>Whether it is doing something.</summary>
    public bool IsBusy => !_work.IsCompleted;

    /// <summary>Whether its last part failed; it gets no further one until it has answered.</summary>
    public bool HasFailed { get; private set; }

    /// <summary>Parts that failed one after the other.</summary>
    public int Failures { get; private set; }

    /// <summary>Why the last part failed.</summary>
    public string Failure { get; private set; } = "";

    /// <summary>It answers again, and may get parts.</summary>
    public void Recover() => HasFailed = false;

    /// <summary>Asks whether it is there, and knows the run.</summary>
    public Task<bool> Beat() => node.Beat(session);

    /// <summary>Ends its part in the run; it may be gone already.</summary>
    public Task Leave() => node.Leave(session);

    /// <summary>Tells it that its part is wanted no more.</summary>
    public void Drop() => node.Drop(session).Ignore();

    /// <summary>Lets it compute a part.</summary>
    /// <param name="part">The shards.</param>
    /// <param name="weights">The weights, which stay as they are until this has ended.</param>
    /// <param name="stop">The part is wanted no more; what is on its way is waited for.</param>
    /// <exception cref="Exception">The node is gone, or cannot compute it.</exception>
    public Task<PartResult> Run(PartOrder part, byte[][] weights, CancellationToken stop)
    {
        // Off this thread at once: it has a part of its own to compute.
        Task<PartResult> work = Task.Run(() => RunGuarded(part, weights, stop), CancellationToken.None);
        _work = work.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return work;
    }

    private async Task<PartResult> RunGuarded(PartOrder part, byte[][] weights, CancellationToken stop)
    {
        try
        {
            long start = Stopwatch.GetTimestamp();
            PartResult result = await Exchange(part, weights, stop);
            double speed = (part.End - part.First) / Stopwatch.GetElapsedTime(start).TotalSeconds;
            figures.Speed = figures.Speed is { } before ? 0.7 * before + 0.3 * speed : speed;
            figures.State = "works";
            Failures = 0;
            return result;
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            (HasFailed, Failures, Failure) = (true, Failures + 1, e.Message);
            figures.State = "silent";
            throw;
        }
    }

    private async Task<PartResult> Exchange(PartOrder part, byte[][] weights, CancellationToken stop)
    {
        await Window.Run(Enumerable.Range(0, weights.Length), async i =>
        {
            await node.Load(session, (long)i * WeightBytes.PieceLength, weights[i]);
            figures.AddSent(weights[i].Length);
        }, stop);
        PartAnswer answer = await node.Compute(session, part);
        stop.ThrowIfCancellationRequested();
        List<GradientBlock> blocks = [];
        for (int i = 0; i < answer.Blocks.Length; i++) blocks.Add(await Receive(answer.Blocks[i], i, weights.Sum(w => w.Length), stop));
        IReadOnlyList<Shard> shards =
            [.. answer.Shards.Select(s => new Shard(s.Loss, s.Images) { Moments = s.Moments, Failure = s.Failure })];
        return new PartResult(part.First, shards, blocks);
    }

    /// <summary>Fetches the values of a block.</summary>
    private async Task<GradientBlock> Receive(BlockHead head, int index, int most, CancellationToken stop)
    {
        if (head.Length is < 0 || head.Length > most) throw new ClusterException($"{figures.Name}: a block of {head.Length} values");
        if (_buffers.Count <= index) _buffers.Add([]);
        if (_buffers[index].Length != head.Length) _buffers[index] = new float[head.Length];
        float[] values = _buffers[index];
        int bytes = head.Length * sizeof(float);
        await Window.Run(Enumerable.Range(0, (bytes + WeightBytes.PieceLength - 1) / WeightBytes.PieceLength), async i =>
        {
            int at = i * WeightBytes.PieceLength, length = Math.Min(WeightBytes.PieceLength, bytes - at);
            Piece piece = await node.Sums(session, index, at, length);
            piece.Bytes.AsSpan(0, length).CopyTo(MemoryMarshal.AsBytes(values.AsSpan())[at..]);
            figures.AddReceived(length);
        }, stop);
        return new GradientBlock(head.First, head.Count, values, head.Present);
    }
}
