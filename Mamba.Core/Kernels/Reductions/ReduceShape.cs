using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Reductions;

/// <summary>
/// A reduction over the middle of (Outer, Count, Inner). Where Inner is 1 the lanes walk along a row; elsewhere they are columns. The work
/// is cut by these sizes alone: rows into segments, columns into blocks.
/// </summary>
internal readonly record struct ReduceShape(nint Outer, nint Count, nint Inner)
{
    /// <summary>
    /// Numbers that are summed in float32, before the sum goes to double precision: few, since rounding grows with the length of a sum.
    /// </summary>
    public const nint Block = 64;

    /// <summary>Columns of a work item: four cache lines.</summary>
    public const nint Columns = 64;

    private const nint SegmentElements = 32768;

    /// <summary>Numbers of a row, or rows, that one work item reduces; a multiple of <see cref="Block"/>.</summary>
    public nint Segment => Inner == 1 ? SegmentElements : Math.Max(Block, SegmentElements / Math.Clamp(Inner, 1, Columns) / Block * Block);

    /// <summary>Segments of a row; at least one, so that an empty row has a result.</summary>
    public nint Segments => Math.Max(1, Launch.CeilDiv(Count, Segment));

    public nint ColumnBlocks => Launch.CeilDiv(Inner, Columns);

    /// <summary>The first element of a work item that is a block of columns of one outer index, and how many columns it has.</summary>
    public (nint Start, nint Width) ColumnBlock(nint item)
    {
        nint column = item % ColumnBlocks * Columns;
        return (item / ColumnBlocks * Count * Inner + column, Math.Min(Columns, Inner - column));
    }

    public nint Items => Outer * Segments * ColumnBlocks;

    /// <summary>Items of a chunk of work.</summary>
    public nint Grain => Math.Max(1, Launch.ElementGrain / Math.Max(1, Math.Min(Count, Segment) * Math.Min(Inner, Columns)));
}
