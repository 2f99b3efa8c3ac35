using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Scan;

/// <summary>
/// Sizes of a selective scan and its blocks. Channels form blocks of one vector, which never straddle a group of B and C. Time is cut into
/// chunks; the state at their boundaries is kept for the backward pass. In the chunked schedule, chunks form segments that are scanned at
/// once.
/// </summary>
/// <param name="Batch">B.</param>
/// <param name="Length">L.</param>
/// <param name="Channels">D.</param>
/// <param name="States">N.</param>
/// <param name="Groups">G: channels of a group share B and C.</param>
/// <param name="Segments">Parts of the sequence scanned at once; 1 in the sequential schedule.</param>
/// <param name="Width">The vector width. It is the same forwards and backwards, since it determines the layout of kept states.</param>
/// <param name="Reverse">Whether the scan starts at the last token. All positions in time below count in the order of the scan.</param>
internal readonly record struct ScanShape(
    nint Batch, nint Length, nint Channels, nint States, nint Groups, nint Segments, VectorWidth Width, bool Reverse)
{
    /// <summary>
    /// States that the recurrence takes side by side: four chains of exponentials, with h in registers over all tokens of a chunk.
    /// </summary>
    public const int StatesAtOnce = 4;

    private const nint ItemsWanted = 32;
    private const nint UpdatesPerGrain = 3 << 14;
    private const nint FloatsOfChunk = 384; // of one array over the tokens of a chunk; some twenty such arrays share the first-level cache

    public nint Lanes => Isa.Lanes(Width);

    public nint GroupChannels => Channels / Groups;

    public nint BlocksPerGroup => Launch.CeilDiv(GroupChannels, Lanes);

    public nint Blocks => Groups * BlocksPerGroup;

    /// <summary>
    /// Tokens of a chunk. There are at least N, so that the kept states take no more memory than the input, and few enough for the
    /// first-level cache. Chunks are of balanced size, so that no chunk has a token or two.
    /// </summary>
    public nint ChunkLength => Launch.CeilDiv(Length, Math.Max(1, Length / Math.Max(FloatsOfChunk / Lanes, States)));

    public nint Chunks => Launch.CeilDiv(Length, ChunkLength);

    public nint ChunksPerSegment => Launch.CeilDiv(Chunks, Segments);

    /// <summary>
    /// Blocks of channels of a work item. It takes them through the sequence together, chunk by chunk, since they are adjacent in memory.
    /// The backward pass sums over channels: N numbers for B and for C, for each token and item. So an item has at least N channels, and
    /// more where items are enough.
    /// </summary>
    public nint BlocksPerItem =>
        Math.Max(Launch.CeilDiv(States, Lanes),
            Launch.CeilDiv(BlocksPerGroup, Math.Max(1, ItemsWanted / Math.Max(1, Batch * Segments * Groups))));

    public nint ItemsPerGroup => Launch.CeilDiv(BlocksPerGroup, BlocksPerItem);

    public nint Items => Batch * Segments * Groups * ItemsPerGroup;

    /// <summary>N, filled up to a multiple of <see cref="StatesAtOnce"/>.</summary>
    public nint FullStates => Launch.CeilDiv(States, StatesAtOnce) * StatesAtOnce;

    /// <summary>Floats of the states of one block: N rows of a vector, and rows of zeros up to <see cref="FullStates"/>.</summary>
    public nint StateSize => FullStates * Lanes;

    /// <summary>Items of the forward pass that a thread takes at once: enough to pay for its scratch.</summary>
    public nint Grain => Math.Max(1, UpdatesPerGrain / (Launch.CeilDiv(Length, Segments) * StateSize * BlocksPerItem));

    /// <summary>How many tokens in memory the scan steps on by.</summary>
    public nint Step => Reverse ? -1 : 1;

    /// <summary>The place in memory of a token of a sequence.</summary>
    public nint Token(nint batch, nint time) => batch * Length + (Reverse ? Length - 1 - time : time);

    /// <summary>The first channel of a block, and how many of its lanes are channels.</summary>
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
/// <param name="Part">Its place among the items of its group.</param>
/// <param name="Group">Whose B and C it reads.</param>
/// <param name="Sequence">Segments of all sequences, counted through.</param>
/// <param name="Batch">The sequence.</param>
/// <param name="Segment">The segment in it.</param>
/// <param name="FirstBlock">Its first block of channels.</param>
/// <param name="EndBlock">The block after its last.</param>
internal readonly record struct ScanItem(nint Part, nint Group, nint Sequence, nint Batch, nint Segment, nint FirstBlock, nint EndBlock);
