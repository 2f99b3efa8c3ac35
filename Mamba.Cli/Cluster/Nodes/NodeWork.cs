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
    private readonly Lock _gate = new();
    private OpenPart _last;
    private bool _disposed;

    // The part whose sums are computed, or were last.
    private OpenPart _computed;

    /// <summary>Prepares a run.</summary>
    /// <param name="run">Model, loader and plan; disposed with this.</param>
    public NodeWork(RunParts run)
    {
        _run = run;
        _gradients = new ShardGradients(run.Model, run.Train, run.Plan);
        _sums = new GradientSums(run.Model.Parameters) { Final = Release };
        _weights = new WeightBytes(run.Model.Parameters);
        _received = new byte[_weights.Length];
        _last = _computed = new OpenPart(0, _sums.Starts);
    }

    /// <summary>Called in the middle of a backward pass, when a parameter of a block was released. For tests.</summary>
    public Action<int, int>? Released { get; init; }

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
        OpenPart open = Open(part.Number) ?? throw new OperationCanceledException($"part {part.Number} came after {_last.Number}");
        await _turn.WaitAsync();
        try
        {
            // A thread of its own: this takes as long as all other work of the process together.
            return await Task.Factory.StartNew(
                () => Run(part, open), open.Stop, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }
        catch
        {
            open.End();
            throw;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>The next piece of the sums of a part. The request may come before the part.</summary>
    public Task<SumPiece> Sums(long part) => Open(part)?.Next() ?? Task.FromResult(OpenPart.None);

    /// <summary>Stops a part, after the shard that it is at.</summary>
    public void Drop(long part) => Open(part)?.End();

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate) _disposed = true; // no part comes after this
        _last.End();
        _turn.Wait(); // until nothing is computed any more
        _gradients.Dispose();
        _run.Dispose();
        _turn.Release(); // to a part that waits for its turn: it was ended
    }

    /// <summary>The part of a number, which is the last one; null for one that has been given up.</summary>
    private OpenPart? Open(long number)
    {
        OpenPart before, part;
        lock (_gate)
        {
            if (_disposed || number <= _last.Number) return number == _last.Number ? _last : null;
            (before, part) = (_last, _last = new OpenPart(number, _sums.Starts));
        }
        before.End();
        return part;
    }

    private void Release(int block, int parameter)
    {
        _computed.Release(block, _sums.Blocks[block].Values, parameter);
        Released?.Invoke(block, parameter);
    }

    private PartAnswer Run(PartOrder part, OpenPart open)
    {
        _computed.End(); // the memory of its sums is used again
        _weights.Write(_received);
        _sums.Clear();
        _computed = open;
        StepOrder order = new(part.Step, part.Epoch, part.FirstBatch, part.Batches);
        IReadOnlyList<Shard> shards = _gradients.Compute(order, part.First, part.End, _sums, open.Stop);
        bool failed = shards[^1].Failure is not null;
        if (failed) open.End();
        else open.Complete();
        return new PartAnswer(
            [.. shards.Select(s => new ShardAnswer(s.Loss, s.Images, s.Moments, s.Failure))],
            [.. _sums.Blocks.TakeWhile(_ => !failed).Select(b => new BlockHead(b.First, b.Count, b.Present))]);
    }
}
