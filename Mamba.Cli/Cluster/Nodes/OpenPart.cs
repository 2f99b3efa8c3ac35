using System.Runtime.InteropServices;
using System.Threading.Channels;
using Mamba.Cli.Cluster.Training;
using Mamba.Cli.Cluster.Wire;

namespace Mamba.Cli.Cluster.Nodes;

/// <summary>
/// A part that a node computes, and the pieces of its sums that are ready to leave. Once it has ended, no byte leaves: the memory of the
/// sums belongs to the next part.
/// </summary>
/// <param name="number">The number of the part.</param>
/// <param name="starts">Where the values of each parameter begin in a block, and where the last one's end.</param>
internal sealed class OpenPart(long number, IReadOnlyList<int> starts)
{
    /// <summary>How long a request waits for a piece.</summary>
    private static readonly TimeSpan s_wait = TimeSpan.FromMinutes(1);

    private const int PieceValues = WeightBytes.PieceLength / sizeof(float);

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Channel<(int Block, int Offset)> _ready = Channel.CreateUnbounded<(int Block, int Offset)>();

    // For each block that has begun: its values, and how many parameters of each piece are not final.
    private readonly List<(float[] Values, int[] Missing)> _blocks = [];
    private bool _ended;

    /// <summary>What says that there is no further piece.</summary>
    public static SumPiece None { get; } = new(0, 0, []);

    /// <summary>The number of the part.</summary>
    public long Number => number;

    /// <summary>Stops what computes it.</summary>
    public CancellationToken Stop => _stop.Token;

    /// <summary>The values of a parameter in a block are final. Blocks come one after the other, from one thread.</summary>
    public void Release(int block, float[] values, int parameter)
    {
        if (block == _blocks.Count) Begin(values);
        (int first, int end) = PiecesOf(parameter);
        for (int piece = first; piece < end; piece++)
            if (--_blocks[block].Missing[piece] == 0) _ready.Writer.TryWrite((block, piece * WeightBytes.PieceLength));
    }

    /// <summary>All values are final.</summary>
    public void Complete() => _ready.Writer.TryComplete();

    /// <summary>The part is wanted no more, or has failed.</summary>
    public void End()
    {
        lock (_gate) _ended = true;
        _stop.Cancel();
        Complete();
    }

    /// <summary>Waits for a piece that has not left.</summary>
    /// <returns>The piece; one without bytes if none is to come, or none has come in a minute.</returns>
    public async Task<SumPiece> Next()
    {
        if (_ready.Reader.TryRead(out (int Block, int Offset) piece)) return Copy(piece.Block, piece.Offset);
        using CancellationTokenSource late = new(s_wait);
        try
        {
            while (await _ready.Reader.WaitToReadAsync(late.Token))
                if (_ready.Reader.TryRead(out piece)) return Copy(piece.Block, piece.Offset);
            return None;
        }
        catch (OperationCanceledException)
        {
            return None with { IsLater = true };
        }
    }

    private SumPiece Copy(int block, int offset)
    {
        lock (_gate)
        {
            if (_ended) return None;
            ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(_blocks[block].Values.AsSpan());
            return new SumPiece(block, offset, bytes.Slice(offset, Math.Min(WeightBytes.PieceLength, bytes.Length - offset)).ToArray());
        }
    }

    private void Begin(float[] values)
    {
        int[] missing = new int[WeightBytes.Pieces(values.Length * sizeof(float))];
        for (int parameter = 0; parameter + 1 < starts.Count; parameter++)
        {
            (int first, int end) = PiecesOf(parameter);
            for (int piece = first; piece < end; piece++) missing[piece]++;
        }
        lock (_gate) _blocks.Add((values, missing));
    }

    /// <summary>The pieces in which a parameter has values.</summary>
    private (int First, int End) PiecesOf(int parameter) => starts[parameter] == starts[parameter + 1] ? (0, 0)
        : (starts[parameter] / PieceValues, (starts[parameter + 1] - 1) / PieceValues + 1);
}
