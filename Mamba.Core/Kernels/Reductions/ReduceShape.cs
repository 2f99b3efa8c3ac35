using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Reductions;

/// <summary>
/// A reduction over the middle of (Outer, Count, Inner). If Inner is 1, the lanes run along a row; otherwise they are columns. The work is
/// split by these sizes only: rows into segments, columns into blocks.
/// </summary>
internal readonly record struct ReduceShape(nint Outer, nint Count, nint Inner)
{
    /// <summary>Elements summed in float32 before adding to a double: few, since rounding error grows with the length of a sum.</summary>
    public const nint Block = 64;

    /// <summary>Columns per work item: four cache lines.</summary>
    public const nint Columns = 64;

    private const nint SegmentElements = 32768;

    /// <summary>Elements of a row, or rows, per work item; a multiple of <see cref="Block"/>.</summary>
    public nint Segment => Inner == 1 ? SegmentElements : Math.Max(Block, SegmentElements / Math.Clamp(Inner, 1, Columns) / Block * Block);

    /// <summary>Segments per row; at least one, so that an empty row has a result.</summary>
    public nint Segments => Math.Max(1, Launch.CeilDiv(Count, Segment));

    public nint ColumnBlocks => Launch.CeilDiv(Inner, Columns);

    /// <summary>The first element and the width of a work item that is a block of columns of one outer index.</summary>
    public (nint Start, nint Width) ColumnBlock(nint item)
    {
        nint column = item % ColumnBlocks * Columns;
        return (item / ColumnBlocks * Count * Inner + column, Math.Min(Columns, Inner - column));
    }

    public nint Items => Outer * Segments * ColumnBlocks;

    /// <summary>Items per grain.</summary>
    public nint Grain => Math.Max(1, Launch.ElementGrain / Math.Max(1, Math.Min(Count, Segment) * Math.Min(Inner, Columns)));
}
