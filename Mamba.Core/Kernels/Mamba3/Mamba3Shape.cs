using Mamba.Core.Kernels.Products;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Mamba3;

/// <summary>
/// Sizes of a Mamba-3 scan. Inside the kernels a key or query is (even components of the rotated pairs, odd ones, the rest), so that a
/// rotation is lanewise. The N rows of a state have the same order; its lanes are the P values. Sizes are computed once, since the loops
/// read them.
/// </summary>
internal readonly record struct Mamba3Shape
{
    private const nint ShortestChunk = 64;
    private const nint ItemsWanted = 16;
    private const nint UpdatesPerGrain = 1 << 17;

    /// <param name="batch">B.</param>
    /// <param name="length">L.</param>
    /// <param name="heads">H heads in G groups: those of a group share Q and K.</param>
    /// <param name="states">N.</param>
    /// <param name="values">P.</param>
    /// <param name="turned">S, the number of rotated pairs, and whether all heads share the raw angles.</param>
    public Mamba3Shape(nint batch, nint length, (nint All, nint Groups) heads, nint states, nint values, (nint Pairs, bool Shared) turned)
    {
        // Both passes use the same width: kept states have its lanes.
        (Batch, Length, States, Values, Width) = (batch, length, states, values, Isa.For(values));
        ((Heads, Groups), (Turned, SharedAngles)) = (heads, turned);
        Lanes = Isa.Lanes(Width);
        ChunkLength = Launch.CeilDiv(length, Math.Max(1, length / Math.Max(ShortestChunk, states)));
        Chunks = Launch.CeilDiv(length, ChunkLength);

        nint headsPerGroup = Heads / Groups, itemsWanted = Math.Max(1, ItemsWanted / Math.Max(1, batch * Groups));
        HeadsPerItem =
            Math.Min(headsPerGroup, Math.Max(Launch.CeilDiv(states, values), Launch.CeilDiv(headsPerGroup, itemsWanted)));
        ItemsPerGroup = Launch.CeilDiv(headsPerGroup, HeadsPerItem);

        (StateRows, StateColumns) = (RoundUp(states, RankOneWalk.RowsAtOnce), RoundUp(values, Lanes));
        (ValueRows, KeyColumns) = (RoundUp(values, RankOneWalk.RowsAtOnce), RoundUp(states, Lanes));
        KeyStride = Gemm.OddCacheLines(Math.Max(StateRows, KeyColumns));
        ValueStride = Gemm.OddCacheLines(Math.Max(ValueRows, StateColumns));
        AngleStride = RoundUp(Turned, Lanes);
        Grain = Math.Max(1, UpdatesPerGrain / (length * StateSize * HeadsPerItem));
    }

    public nint Batch { get; }

    public nint Length { get; }

    public nint Heads { get; }

    public nint Groups { get; }

    public nint States { get; }

    public nint Values { get; }

    public nint Turned { get; }

    public bool SharedAngles { get; }

    public VectorWidth Width { get; }

    public nint Lanes { get; }

    /// <summary>Tokens per chunk: at least N, so that the kept states take no more memory than V. Chunks are of balanced size.</summary>
    public nint ChunkLength { get; }

    public nint Chunks { get; }

    /// <summary>
    /// Heads per work item. Its dQ and dK are sums over them: N numbers per token and item. So an item has at least N values, and more
    /// where there are enough items.
    /// </summary>
    public nint HeadsPerItem { get; }

    public nint ItemsPerGroup { get; }

    /// <summary>Items per sequence.</summary>
    public nint ItemsPerSequence => Groups * ItemsPerGroup;

    public nint Items => Batch * ItemsPerSequence;

    /// <summary>Items of the forward pass per grain: enough to amortize the scratch.</summary>
    public nint Grain { get; }

    /// <summary>Rows of a state, (StateRows, StateColumns): N and P, zero-padded.</summary>
    public nint StateRows { get; }

    /// <inheritdoc cref="StateRows"/>
    public nint StateColumns { get; }

    public nint StateSize => StateRows * StateColumns;

    /// <summary>Rows of a transposed state, (ValueRows, KeyColumns).</summary>
    public nint ValueRows { get; }

    /// <inheritdoc cref="ValueRows"/>
    public nint KeyColumns { get; }

    public nint TransposedSize => ValueRows * KeyColumns;

    /// <summary>The row stride of an array (tokens, N), and of one (tokens, P). Rows are zero beyond N and P.</summary>
    public nint KeyStride { get; }

    /// <inheritdoc cref="KeyStride"/>
    public nint ValueStride { get; }

    /// <summary>The row stride of an array (tokens, S).</summary>
    public nint AngleStride { get; }

    /// <summary>Floats kept before each chunk of a head: the state, the angles in turns and their rounding errors.</summary>
    public nint KeptSize => StateSize + 2 * AngleStride;

    /// <summary>The component of Q and K that corresponds to row i of a state.</summary>
    public nint Component(nint i) => i < Turned ? 2 * i : i < 2 * Turned ? 2 * (i - Turned) + 1 : i;

    /// <summary>Finds a work item: sequences are outermost, then groups and parts of a group.</summary>
    public Mamba3Item Item(nint index)
    {
        nint part = index % ItemsPerGroup, group = index / ItemsPerGroup % Groups, heads = Heads / Groups;
        nint first = group * heads + part * HeadsPerItem;
        return new(index / ItemsPerSequence, group, part, first, Math.Min(first + HeadsPerItem, (group + 1) * heads));
    }

    private static nint RoundUp(nint count, nint multiple) => Launch.CeilDiv(count, multiple) * multiple;
}

/// <summary>A work item: some heads of one group over one sequence.</summary>
/// <param name="Batch">The sequence.</param>
/// <param name="Group">The group of Q and K.</param>
/// <param name="Part">Its index among the items of its group.</param>
/// <param name="FirstHead">The first head.</param>
/// <param name="EndHead">The end of the heads (exclusive).</param>
internal readonly record struct Mamba3Item(nint Batch, nint Group, nint Part, nint FirstHead, nint EndHead);

/// <summary>Pointers to the inputs; null where absent.</summary>
internal unsafe struct Mamba3Pointers
{
    /// <summary>(B, L, G, N).</summary>
    public float* Q, K;

    /// <summary>(B, L, H, P).</summary>
    public float* V, Z;

    /// <summary>(B, L, H).</summary>
    public float* Adt, Dt, Trap;

    /// <summary>(H, N).</summary>
    public float* QBias, KBias;

    /// <summary>(B, L, H or 1, S).</summary>
    public float* Angles;

    /// <summary>(H).</summary>
    public float* D;

    /// <summary>
    /// The state before the first token: angles and rounding errors (B, H, S), S (B, H, N, P), key (B, H, N), value (B, H, P).
    /// </summary>
    public float* AngleStart, AngleRest, SsmStart, KeyStart, ValueStart;
}

/// <summary>Allocates parts of a scratch buffer, each aligned to a cache line.</summary>
internal unsafe struct Arena(float* next)
{
    private float* _next = next;

    public static nint Rounded(nint floats) => Launch.CeilDiv(floats, Vec.CacheLine) * Vec.CacheLine;

    public float* Take(nint floats)
    {
        float* taken = _next;
        _next += Rounded(floats);
        return taken;
    }
}
