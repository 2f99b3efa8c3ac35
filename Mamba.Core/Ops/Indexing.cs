using System.Runtime.InteropServices;
using Mamba.Core.Kernels.Indexing;
using Mamba.Core.Kernels.Reductions;
using Mamba.Core.Memory;

namespace Mamba.Core;

// Gather and scatter. A tensor of indices has floats that are integers, as Ops.ArgMax returns them.
public static unsafe partial class Ops
{
    /// <summary>The largest extent whose indices a float holds exactly.</summary>
    private const int MaxIndex = 1 << 24;

    /// <summary>Rows of a table by index (PyTorch's embedding).</summary>
    /// <param name="weight">(Rows, C).</param>
    /// <param name="indices">Any shape: integers from 0 to Rows - 1. They get no gradient.</param>
    /// <param name="paddingIndex">A row that gets no gradient, counted from the end if negative; none if null.</param>
    /// <returns>The shape of the indices, then C.</returns>
    /// <exception cref="ShapeException">The weight is not a matrix, or has more than 2^24 rows.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// An index is not an integer from 0 to Rows - 1, or the padding row does not exist.
    /// </exception>
    public static Tensor Embedding(Tensor weight, Tensor indices, int? paddingIndex = null)
    {
        Check.Rank(weight, 2, "Embedding", "weight (Rows, C)");
        CheckIndices("Embedding", indices, weight.Shape[0]);
        Check.That(indices.Shape.Rank < Shape.MaxRank, "Embedding", $"indices {indices.Shape} have too many dimensions for a result");
        Tensor places = Tensor.Empty(indices.Count);
        Span<int> whole = MemoryMarshal.Cast<float, int>(places.Span);
        for (int i = 0; i < whole.Length; i++) whole[i] = (int)indices.Span[i];
        Span<int> extents = stackalloc int[indices.Shape.Rank + 1];
        indices.Shape.CopyTo(extents);
        extents[^1] = weight.Shape[1];
        return Rows(weight, places, Shape.Of("Embedding", extents), paddingIndex);
    }

    /// <summary>Rows of a table by index (PyTorch's embedding).</summary>
    /// <param name="weight">(Rows, C).</param>
    /// <param name="indices">Integers from 0 to Rows - 1.</param>
    /// <param name="paddingIndex">A row that gets no gradient, counted from the end if negative; none if null.</param>
    /// <returns>(number of indices, C).</returns>
    /// <exception cref="ShapeException">The weight is not a matrix.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row.</exception>
    public static Tensor Embedding(Tensor weight, ReadOnlySpan<int> indices, int? paddingIndex = null)
    {
        Check.Rank(weight, 2, "Embedding", "weight (Rows, C)");
        Tensor places = Places("Embedding", indices, weight.Shape[0]);
        return Rows(weight, places, weight.Shape.With(0, indices.Length, "Embedding"), paddingIndex);
    }

    private static Tensor Rows(Tensor weight, Tensor places, Shape shape, int? paddingIndex)
    {
        int padding = Padding(weight, paddingIndex);
        bool coded = weight.Stored is not (null or { Format: WeightFormat.Float32 });
        return coded ? Decode(weight, places, shape) : Select(weight, 0, places, shape, padding);
    }

    /// <summary>Elements of a dimension by index; indices may repeat (torch.index_select).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="axis">The dimension; -1 is the last.</param>
    /// <param name="indices">Integers from 0 to the extent - 1.</param>
    /// <returns>The shape of x with as many elements along the dimension as there are indices.</returns>
    /// <exception cref="ShapeException">There is no such dimension.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is out of range.</exception>
    public static Tensor IndexSelect(Tensor x, int axis, ReadOnlySpan<int> indices)
    {
        int dimension = Axis(x.Shape, axis, "IndexSelect");
        Tensor places = Places("IndexSelect", indices, x.Shape[dimension]);
        return Select(x, dimension, places, x.Shape.With(dimension, indices.Length, "IndexSelect"), ignored: -1);
    }

    /// <summary>Elements along a dimension by a tensor of indices (torch.gather): y[.., j, ..] = x[.., index[.., j, ..], ..].</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="axis">The dimension, of at most 2^24; -1 is the last.</param>
    /// <param name="index">Integers; of x's rank and, except along that dimension, at most its extents. It gets no gradient.</param>
    /// <returns>The shape of the index.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is out of range.</exception>
    public static Tensor Gather(Tensor x, int axis, Tensor index)
    {
        int dimension = Axis(x.Shape, axis, "Gather");
        x = Cover("Gather", x, index, dimension);
        CheckIndices("Gather", index, x.Shape[dimension]);
        ReduceShape sizes = Along(x.Shape, dimension, "Gather");
        int count = index.Shape[dimension];
        Tensor y = Tensor.Empty(index.Shape);
        LineIndexing.Gather(sizes, count, x.Pointer, index.Pointer, y.Pointer);
        if (Tape.Needs(x))
            Tape.Record(y, (x, index, sizes, count), static (context, dy) =>
            {
                (Tensor x, Tensor index, ReduceShape sizes, int count) = context.Values;
                GradSlot dx = x.OpenGrad();
                if (!dx.Accumulate) dx.Span.Clear();
                LineIndexing.ScatterAdd(sizes, count, dx.Pointer, index.Pointer, dy.Pointer);
            }, index);
        _ = Tape.Needs(index); // keeps it reachable until here
        return y;
    }

    /// <summary>
    /// x with elements of source added along a dimension (torch.scatter_add): y[.., index[.., j, ..], ..] += source[.., j, ..]. Where
    /// indices repeat, the sum runs in the order of j.
    /// </summary>
    /// <param name="x">Any shape.</param>
    /// <param name="axis">The dimension, of at most 2^24; -1 is the last.</param>
    /// <param name="index">Integers; x's shape except along that dimension. It gets no gradient.</param>
    /// <param name="source">At least the extents of the index; elements beyond them are not read.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is out of range.</exception>
    public static Tensor ScatterAdd(Tensor x, int axis, Tensor index, Tensor source)
    {
        int dimension = Axis(x.Shape, axis, "ScatterAdd");
        bool fits = index.Shape.Rank == x.Shape.Rank && index.Shape.With(dimension, 0) == x.Shape.With(dimension, 0);
        Check.That(fits, "ScatterAdd", $"index {index.Shape} for {x.Shape}; expected equal extents but for dimension {dimension}");
        source = Cover("ScatterAdd", source, index, -1);
        CheckIndices("ScatterAdd", index, x.Shape[dimension]);
        ReduceShape sizes = Along(x.Shape, dimension, "ScatterAdd");
        int count = index.Shape[dimension];
        Tensor y = Tensor.Empty(x.Shape);
        x.Span.CopyTo(y.Span);
        LineIndexing.ScatterAdd(sizes, count, y.Pointer, index.Pointer, source.Pointer);
        if (Tape.Needs(x, source))
            Tape.Record(y, (x, index, source, sizes, count), static (context, dy) =>
            {
                (Tensor x, Tensor index, Tensor source, ReduceShape sizes, int count) = context.Values;
                if (source.NeedsGrad) LineIndexing.Gather(sizes, count, dy.Pointer, index.Pointer, source.OpenGrad().Target);
                PassOn(x, dy.Shape, dy, 1f, mayTake: true);
            }, index);
        _ = Tape.Needs(index); // keeps it reachable until here
        return y;
    }

    /// <summary>The part of x that an index of the same rank covers: the leading elements of every dimension but one.</summary>
    private static Tensor Cover(string name, Tensor x, Tensor index, int dimension)
    {
        Check.That(index.Shape.Rank == x.Shape.Rank, name, $"index {index.Shape} for {x.Shape}; expected the same rank");
        for (int i = 0; i < index.Shape.Rank; i++)
        {
            if (i == dimension || index.Shape[i] == x.Shape[i]) continue;
            Check.That(index.Shape[i] < x.Shape[i], name, $"index {index.Shape} for {x.Shape}; expected at most its extents");
            x = Slice(x, i, 0, index.Shape[i]);
        }
        return x;
    }

    /// <summary>y[o, j, :] = x[o, places[j], :]; the places are int32 values in a tensor's memory, so that a step can keep them.</summary>
    private static Tensor Select(Tensor x, int dimension, Tensor places, Shape shape, int ignored)
    {
        ReduceShape sizes = Along(x.Shape, dimension, "IndexSelect");
        Tensor y = Tensor.Empty(shape);
        SelectRows.Run(sizes, x.Pointer, (int*)places.Pointer, places.Count, y.Pointer);
        if (Tape.Needs(x))
            Tape.Record(y, (x, places, sizes, ignored), static (context, dy) =>
            {
                (Tensor x, Tensor places, ReduceShape sizes, int ignored) = context.Values;
                AddSelectedRows.Run(sizes, dy.Pointer, (int*)places.Pointer, places.Count, ignored, x.OpenGrad().Target);
            }, places);
        _ = Tape.Needs(places); // keeps them reachable until here
        return y;
    }

    private static Tensor Places(string name, ReadOnlySpan<int> indices, int extent)
    {
        foreach (int index in indices)
            if ((uint)index >= (uint)extent)
                throw new ArgumentOutOfRangeException(nameof(indices), index, $"{name}: expected places from 0 to {extent - 1}.");
        Tensor places = Tensor.Empty(indices.Length);
        indices.CopyTo(MemoryMarshal.Cast<float, int>(places.Span));
        return places;
    }

    private static int Padding(Tensor weight, int? index)
    {
        if (index is not { } row) return -1;
        int rows = weight.Shape[0], found = row < 0 ? row + rows : row;
        return (uint)found < (uint)rows
            ? found
            : throw new ArgumentOutOfRangeException(nameof(index), row, $"Embedding: no row {row} of {rows} for padding.");
    }

    private static void CheckIndices(string name, Tensor index, int extent)
    {
        Check.That(extent <= MaxIndex, name, $"{extent} places; a float counts to {MaxIndex}");
        foreach (float place in index.Span)
            if (!(place >= 0f && place < extent && place == (int)place))
                throw new ArgumentOutOfRangeException(nameof(index), place, $"{name}: expected whole numbers from 0 to {extent - 1}.");
    }
}
