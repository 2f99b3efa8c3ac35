using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels;

/// <summary>
/// Sizes of a selective scan and how it is cut: channels into blocks of one vector each, which never straddle a group of B and C; time into chunks,
/// at whose boundaries the state is kept for the backward pass; and, in the chunked schedule, chunks into segments that are scanned at once.
/// </summary>
/// <param name="Batch">B.</param>
/// <param name="Length">L.</param>
/// <param name="Channels">D.</param>
/// <param name="States">N.</param>
/// <param name="Groups">G: channels of a group share B and C.</param>
/// <param name="Segments">Parts of the sequence scanned at once; 1 in the sequential schedule.</param>
/// <param name="Width">The vector width, the same forwards and backwards, since kept states are laid out by it.</param>
/// <param name="Reverse">Whether the scan starts at the last token; all positions in time below count in the order of the scan.</param>
internal readonly record struct ScanShape(nint Batch, nint Length, nint Channels, nint States, nint Groups, nint Segments, VectorWidth Width, bool Reverse)
{
    /// <summary>States that the recurrence takes side by side: four chains of exponentials, with A and h in registers over all tokens of a chunk.</summary>
    public const int StatesAtOnce = 4;

    private const nint ItemsWanted = 32;
    private const nint UpdatesPerGrain = 1 << 18;

    public nint Lanes => Isa.Lanes(Width);

    public nint GroupChannels => Channels / Groups;

    public nint BlocksPerGroup => Launch.Chunks(GroupChannels, Lanes);

    public nint Blocks => Groups * BlocksPerGroup;

    /// <summary>Tokens of a chunk: at least N, so that the kept states take no more memory than the input, and few enough for the first-level cache.</summary>
    public nint ChunkLength => Math.Max(16, States);

    public nint Chunks => Launch.Chunks(Length, ChunkLength);

    public nint ChunksPerSegment => Launch.Chunks(Chunks, Segments);

    /// <summary>
    /// Channel blocks that one work item of the backward pass takes in turn: its sums over channels are N numbers a token for B and C each, so it takes
    /// at least N channels, and more where there are items enough.
    /// </summary>
    public nint BlocksPerItem => Math.Max(Launch.Chunks(States, Lanes), Launch.Chunks(BlocksPerGroup, Math.Max(1, ItemsWanted / Math.Max(1, Batch * Segments * Groups))));

    public nint ItemsPerGroup => Launch.Chunks(BlocksPerGroup, BlocksPerItem);

    /// <summary>Floats of the states of one block: N rows of a vector, and rows of zeros up to a multiple of <see cref="StatesAtOnce"/>.</summary>
    public nint StateSize => Launch.Chunks(States, StatesAtOnce) * StatesAtOnce * Lanes;

    /// <summary>Blocks of a segment that a thread takes at once: enough to pay for its scratch.</summary>
    public nint Grain => Math.Max(1, UpdatesPerGrain / (Launch.Chunks(Length, Segments) * StateSize));

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

    /// <summary>Where the state (item, block) of an array (items, Blocks, N, Lanes) stands.</summary>
    public nint StateOffset(nint item, nint block) => (item * Blocks + block) * StateSize;
}
