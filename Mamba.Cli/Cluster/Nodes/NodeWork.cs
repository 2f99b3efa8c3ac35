using System.Runtime.InteropServices;
using Mamba.Cli.Cluster.Training;
using Mamba.Cli.Cluster.Wire;
using Mamba.Cli.Commands;
using Mamba.Models.Training;

namespace Mamba.Cli.Cluster.Nodes;

/// <summary>
/// A node's part in a run: the weights that it is sent, and the shards that it is asked for. It remembers nothing of one step that matters
/// to the next.
/// </summary>
internal sealed class NodeWork : IDisposable
{
    private readonly RunParts _run;
    private readonly ShardGradients _gradients;
    private readonly GradientSums _sums;
    private readonly WeightBytes _weights;
    private readonly byte[] _received;
    private readonly SemaphoreSlim _turn = new(1);
    private CancellationTokenSource _running = new();

    /// <summary>Prepares a run.</summary>
    /// <param name="run">Model, loader and plan; disposed with this.</param>
    public NodeWork(RunParts run)
    {
        _run = run;
        _gradients = new ShardGradients(run.Model, run.Train, run.Plan);
        _sums = new GradientSums(run.Model.Parameters);
        _weights = new WeightBytes(run.Model.Parameters);
        _received = new byte[_weights.Length];
    }

    /// <summary>Takes a piece of the weights. They are used from the next part on.</summary>
    /// <exception cref="ArgumentException">It does not lie within the weights.</exception>
    public void Load(long offset, byte[] piece)
    {
        if (offset < 0 || offset + piece.Length > _received.Length)
            throw new ArgumentException($"a piece of {piece.Length} bytes at {offset}; the weights have {_received.Length}");
        piece.CopyTo(_received.AsSpan((int)offset));
    }

    /// <summary>Computes shards by the weights that were loaded. A part that is still computed has been given up, and is stopped.</summary>
    /// <exception cref="OperationCanceledException">The part was given up.</exception>
    public async Task<PartAnswer> Compute(PartOrder part)
    {
        Drop();
        await _turn.WaitAsync();
        try
        {
            _running = new CancellationTokenSource();
            CancellationToken stop = _running.Token;
            // A thread of its own: this takes as long as all other work of the process together.
            return await Task.Factory.StartNew(() => Run(part, stop), stop, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>A piece of a sum of the last part.</summary>
    /// <exception cref="ArgumentException">There is no such piece.</exception>
    public Piece Sums(int block, long offset, int length)
    {
        if (block < 0 || block >= _sums.Blocks.Count) throw new ArgumentException($"block {block} of {_sums.Blocks.Count}");
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(_sums.Blocks[block].Values.AsSpan());
        if (offset < 0 || length < 0 || offset + length > bytes.Length)
            throw new ArgumentException($"{length} bytes at {offset}; the block has {bytes.Length}");
        return new Piece(bytes.Slice((int)offset, length).ToArray());
    }

    /// <summary>Stops the part that is computed, after the shard that it is at.</summary>
    public void Drop() => _running.Cancel();

    /// <inheritdoc/>
    public void Dispose()
    {
        Drop();
        _turn.Wait(); // until nothing is computed any more
        _gradients.Dispose();
        _run.Dispose();
    }

    private PartAnswer Run(PartOrder part, CancellationToken stop)
    {
        _weights.Write(_received);
        _sums.Clear();
        StepOrder order = new(part.Step, part.Epoch, part.FirstBatch, part.Batches);
        IReadOnlyList<Shard> shards = _gradients.Compute(order, part.First, part.End, _sums, stop);
        return new PartAnswer(
            [.. shards.Select(s => new ShardAnswer(s.Loss, s.Images, s.Moments, s.Failure))],
            [.. _sums.Blocks.Select(b => new BlockHead(b.First, b.Count, b.Present, b.Values.Length))]);
    }
}
