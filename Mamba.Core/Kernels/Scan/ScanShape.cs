using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Scan;

/// <summary>
/// Sizes of a selective scan and its blocks. Channels form blocks of one vector, none of which spans two groups of B and C. Time is cut
/// into chunks; the state at chunk boundaries is kept for the backward pass. In the chunked schedule, chunks form segments that are scanned
/// in parallel.
/// </summary>
/// <param name="Batch">B.</param>
/// <param name="Length">L.</param>
/// <param name="Channels">D.</param>
/// <param name="States">N.</param>
/// <param name="Groups">G: channels of a group share B and C.</param>
/// <param name="Segments">Parts of the sequence scanned in parallel; 1 in the sequential schedule.</param>
/// <param name="Width">The vector width; the same in both passes, since it determines the layout of kept states.</param>
/// <param name="Reverse">Whether the scan starts at the last token. All time positions below are in scan order.</param>
internal readonly record struct ScanShape(
    nint Batch, nint Length, nint Channels, nint States, nint Groups, nint Segments, VectorWidth Width, bool Reverse)
{
    /// <summary>States advanced together: four independent chains, with h in registers for all tokens of a chunk.</summary>
    public const int StatesAtOnce = 4;

    private const nint ItemsWanted = 32;
    private const nint UpdatesPerGrain = 3 << 14;
    private const nint FloatsOfChunk = 384; // of one array over the tokens of a chunk; some twenty such arrays share L1

    public nint Lanes => Isa.Lanes(Width);

    public nint GroupChannels => Channels / Groups;

    public nint BlocksPerGroup => Launch.CeilDiv(GroupChannels, Lanes);

    public nint Blocks => Groups * BlocksPerGroup;

    /// <summary>
    /// Tokens per chunk: at least N, so that the kept states take no more memory than the input, and few enough for L1. Chunks are of
    /// balanced size, so that none has only a token or two.
    /// </summary>
    public nint ChunkLength => Launch.CeilDiv(Length, Math.Max(1, Length / Math.Max(FloatsOfChunk / Lanes, States)));

    public nint Chunks => Launch.CeilDiv(Length, ChunkLength);

    public nint ChunksPerSegment => Launch.CeilDiv(Chunks, Segments);

    /// <summary>
    /// Channel blocks per work item. They run through the sequence together, chunk by chunk, since they are adjacent in memory. The
    /// backward pass sums over channels: N numbers each for B and C, per token and item. So an item has at least N channels, and more where
    /// there are enough items.
    /// </summary>
    public nint BlocksPerItem =>
        Math.Max(Launch.CeilDiv(States, Lanes),
            Launch.CeilDiv(BlocksPerGroup, Math.Max(1, ItemsWanted / Math.Max(1, Batch * Segments * Groups))));

    public nint ItemsPerGroup => Launch.CeilDiv(BlocksPerGroup, BlocksPerItem);

    public nint Items => Batch * Segments * Groups * ItemsPerGroup;

    /// <summary>N, rounded up to a multiple of <see cref="StatesAtOnce"/>.</summary>
    public nint FullStates => Launch.CeilDiv(States, StatesAtOnce) * StatesAtOnce;

    /// <summary>Floats of the states of one block: N rows of a vector, zero-padded to <see cref="FullStates"/> rows.</summary>
    public nint StateSize => FullStates * Lanes;

    /// <summary>Items of the forward pass per grain: enough to amortize the scratch.</summary>
    public nint Grain => Math.Max(1, UpdatesPerGrain / (Launch.CeilDiv(Length, Segments) * StateSize * BlocksPerItem));

    /// <summary>The memory step to the next token: 1 or -1.</summary>
    public nint Step => Reverse ? -1 : 1;

    /// <summary>The memory index of a token of a sequence.</summary>
    public nint Token(nint batch, nint time) => batch * Length + (Reverse ? Length - 1 - time : time);

    /// <summary>The first channel of a block, and the number of lanes that are channels.</summary>
    public nint ChannelOf(nint block, out nint lanes)
    {
        nint inGroup = block % BlocksPerGroup * Lanes;
        lanes = Math.Min(Lanes, GroupChannels - inGroup);
        return block / BlocksPerGroup * GroupChannels + inGroup;
    }

    /// <summary>The tokens [begin, end) of a segment.</summary>
    public (nint Begin, nint End) Tokens(nint segment)
    {
        nint size = ChunksPerSegment * ChunkLength;
        return (Math.Min(Length, segment * size), Math.Min(Length, (segment + 1) * size));
    }

    /// <summary>The offset of state (item, block) in an array (items, Blocks, N, Lanes).</summary>
    public nint StateOffset(nint item, nint block) => (item * Blocks + block) * StateSize;

    /// <summary>Finds a work item: sequences are outermost, then segments, groups and parts of a group.</summary>
    public ScanItem Item(nint index)
    {
        nint part = index % ItemsPerGroup, rest = index / ItemsPerGroup, group = rest % Groups, sequence = rest / Groups;
        nint firstBlock = group * BlocksPerGroup + part * BlocksPerItem;
        return new(part, group, sequence, sequence / Segments, sequence % Segments, firstBlock,
            Math.Min(firstBlock + BlocksPerItem, (group + 1) * BlocksPerGroup));
    }
}

/// <summary>A work item of a scan: some blocks of channels of one group over one segment of one sequence.</summary>
/// <param name="Part">Its index among the items of its group.</param>
/// <param name="Group">The group of B and C.</param>
/// <param name="Sequence">The index of the segment among those of all sequences.</param>
/// <param name="Batch">The sequence.</param>
/// <param name="Segment">The segment in the sequence.</param>
/// <param name="FirstBlock">The first block of channels.</param>
/// <param name="EndBlock">The end of the blocks (exclusive).</param>
internal readonly record struct ScanItem(nint Part, nint Group, nint Sequence, nint Batch, nint Segment, nint FirstBlock, nint EndBlock);
