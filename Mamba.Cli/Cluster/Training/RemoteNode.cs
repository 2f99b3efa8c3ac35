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
    private static long s_parts;

    private readonly List<float[]> _buffers = [];
    private long _part, _dropped;
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
    public void Drop()
    {
        Volatile.Write(ref _dropped, _part);
        node.Drop(session, _part).Ignore();
    }

    /// <summary>Lets it compute a part.</summary>
    /// <param name="part">The shards.</param>
    /// <param name="weights">The weights, which stay as they are until this has ended.</param>
    /// <param name="length">How many values a gradient has.</param>
    /// <param name="stop">The part is wanted no more; what is on its way is waited for.</param>
    /// <exception cref="Exception">The node is gone, or cannot compute it.</exception>
    public Task<PartResult> Run(PartOrder part, byte[][] weights, int length, CancellationToken stop)
    {
        _part = Interlocked.Increment(ref s_parts);
        part = part with { Number = _part };
        // Off this thread at once: it has a part of its own to compute.
        Task<PartResult> work = Task.Run(() => RunGuarded(part, weights, length, stop), CancellationToken.None);
        _work = work.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return work;
    }

    private async Task<PartResult> RunGuarded(PartOrder part, byte[][] weights, int length, CancellationToken stop)
    {
        long start = Stopwatch.GetTimestamp();
        try
        {
            PartResult result = await Exchange(part, weights, length, stop);
            Measure(part, start);
            figures.State = "works";
            Failures = 0;
            return result;
        }
        catch (Exception) when (Volatile.Read(ref _dropped) == part.Number)
        {
            Measure(part, start); // it was late, and gets less from now on; that is no failure
            throw;
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            (HasFailed, Failures, Failure) = (true, Failures + 1, e.Message);
            figures.State = "silent";
            throw;
        }
    }

    private void Measure(PartOrder part, long start)
    {
        double speed = (part.End - part.First) / Stopwatch.GetElapsedTime(start).TotalSeconds;
        figures.Speed = figures.Speed is { } before ? 0.7 * before + 0.3 * speed : speed;
    }

    private async Task<PartResult> Exchange(PartOrder part, byte[][] weights, int length, CancellationToken stop)
    {
        await Window.Run(Enumerable.Range(0, weights.Length), async i =>
        {
            await node.Load(session, (long)i * WeightBytes.PieceLength, weights[i]);
            figures.AddSent(weights[i].Length);
        }, stop);
        IReadOnlyList<(int First, int Count)> blocks = GradientSums.BlocksOf(part.First, part.End);
        Task<PartAnswer> computing = node.Compute(session, part);
        Task<int> receiving = Receive(part.Number, blocks.Count, length, stop);
        await Task.WhenAll(computing, receiving); // both to their end: a piece that came later would belong to no part
        stop.ThrowIfCancellationRequested();
        (PartAnswer answer, int missing) = (await computing, await receiving);
        Shard[] shards = [.. answer.Shards.Select(s => new Shard(s.Loss, s.Images) { Moments = s.Moments, Failure = s.Failure })];
        if (shards.Any(s => s.Failure is not null)) return new PartResult(part.First, shards, []);
        if (missing > 0 || !answer.Blocks.Select(b => (b.First, b.Count)).SequenceEqual(blocks))
            throw new ClusterException(
                $"{figures.Name}: {answer.Blocks.Length} sums of shards {part.First} to {part.End - 1}, without {missing} pieces; expected "
                + $"{blocks.Count}");
        return new PartResult(
            part.First, shards, [.. answer.Blocks.Select((b, i) => new GradientBlock(b.First, b.Count, _buffers[i], b.Present))]);
    }

    /// <summary>Fetches the values of all blocks, each piece when the node has it.</summary>
    /// <returns>How many pieces did not come, since the node has ended the part or nobody wants it.</returns>
    private async Task<int> Receive(long part, int blocks, int length, CancellationToken stop)
    {
        while (_buffers.Count < blocks) _buffers.Add([]);
        for (int i = 0; i < blocks; i++)
            if (_buffers[i].Length != length) _buffers[i] = new float[length];
        int count = blocks * WeightBytes.Pieces(length * sizeof(float)), missing = count;
        bool[] came = new bool[count];
        bool ended = false;
        await Window.Run(Enumerable.Range(0, count), async _ =>
        {
            SumPiece piece;
            do piece = await node.Sums(session, part);
            while (piece.IsLater && !stop.IsCancellationRequested);
            ended |= piece.Bytes.Length == 0;
            if (piece.Bytes.Length == 0) return;
            Keep(piece, length * sizeof(float), came);
            Interlocked.Decrement(ref missing);
            figures.AddReceived(piece.Bytes.Length);
        }, () => ended || stop.IsCancellationRequested);
        return missing;
    }

    /// <summary>Copies a piece to its place.</summary>
    /// <exception cref="ClusterException">There is no such piece, or it has come before.</exception>
    private void Keep(SumPiece piece, int bytes, bool[] came)
    {
        int pieces = WeightBytes.Pieces(bytes), place = piece.Offset / WeightBytes.PieceLength;
        bool fits = piece.Block >= 0 && piece.Block < came.Length / pieces && piece.Offset == place * WeightBytes.PieceLength
            && place >= 0 && place < pieces && piece.Bytes.Length == Math.Min(WeightBytes.PieceLength, bytes - piece.Offset);
        if (!fits || came[piece.Block * pieces + place])
            throw new ClusterException($"{figures.Name}: {piece.Bytes.Length} bytes at {piece.Offset} of block {piece.Block}");
        came[piece.Block * pieces + place] = true;
        piece.Bytes.CopyTo(MemoryMarshal.AsBytes(_buffers[piece.Block].AsSpan())[piece.Offset..]);
    }
}
