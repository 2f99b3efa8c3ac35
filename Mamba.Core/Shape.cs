using System.Runtime.CompilerServices;

namespace Mamba.Core;

/// <summary>
/// The extents of a tensor, outermost first: up to six dimensions, held inline. The default value is the shape of a scalar.
/// </summary>
public readonly struct Shape : IEquatable<Shape>
{
    /// <summary>The largest number of dimensions of a tensor.</summary>
    public const int MaxRank = 6;

    /// <summary>The largest number of elements of a tensor: the capacity of a pinned array, minus its alignment.</summary>
    internal const int MaxCount = 0x7FFFFFC7 - 64;

    private readonly Extents _extents;

    // The count minus one: the default value has one element, as a scalar has.
    private readonly int _countLessOne;

    /// <summary>A shape with the given extents; without any, a scalar's.</summary>
    /// <param name="extents">Each at least 0.</param>
    /// <exception cref="ShapeException">There are more than six, one is negative, or the product is above 2^31 - 65.</exception>
    public Shape(params ReadOnlySpan<int> extents) : this("Shape", extents)
    {
    }

    private Shape(string operatorName, ReadOnlySpan<int> extents)
    {
        if (extents.Length > MaxRank)
            throw new ShapeException(operatorName, $"{extents.Length} dimensions; at most {MaxRank} are supported");
        long count = 1;
        for (int i = 0; i < extents.Length; i++)
        {
            if (extents[i] < 0) throw new ShapeException(operatorName, $"dimension {i} is {extents[i]}; expected at least 0");
            _extents[i] = extents[i];
            count = Math.Min(count * extents[i], long.MaxValue / int.MaxValue);
        }
        if (count > MaxCount)
            throw new ShapeException(
                operatorName, $"({string.Join(", ", extents.ToArray())}) has more elements than an array holds, {MaxCount}");
        Rank = extents.Length;
        _countLessOne = (int)count - 1;
    }

    /// <summary>Converts a size to int; throws if it exceeds the largest array.</summary>
    /// <param name="count">Computed in 64 bits.</param>
    /// <param name="operatorName">The operator.</param>
    /// <param name="what">The name of the size in the message.</param>
    /// <exception cref="ShapeException">It is negative, or exceeds the largest array.</exception>
    internal static int Checked(long count, string operatorName, string what) => count is >= 0 and <= MaxCount
        ? (int)count
        : throw new ShapeException(operatorName, $"{what} of {count} elements; at most {MaxCount} fit into an array");

    /// <summary>The shape of an operator's result; if it is too large, the exception names the operator.</summary>
    internal static Shape Of(string operatorName, params ReadOnlySpan<int> extents) => new(operatorName, extents);

    /// <summary>The number of dimensions.</summary>
    public int Rank { get; }

    /// <summary>The number of elements: the product of the extents.</summary>
    public int Count => _countLessOne + 1;

    /// <summary>The extent of dimension <paramref name="i"/>; -1 is the last.</summary>
    /// <param name="i">From -Rank to Rank - 1.</param>
    public int this[int i]
    {
        get
        {
            int index = i < 0 ? i + Rank : i;
            if ((uint)index >= (uint)Rank) throw new ShapeException("Shape", $"no dimension {i} in {this}");
            return _extents[index];
        }
    }

    /// <summary>The extent of a dimension counted from the front, or from the end as in <c>shape[^1]</c>.</summary>
    /// <param name="i">The dimension.</param>
    public int this[Index i] => this[i.GetOffset(Rank)];

    /// <summary>The product of the extents [from, to). It may exceed any tensor's size if another extent is 0.</summary>
    internal long Product(int from, int to)
    {
        long product = 1;
        for (int i = from; i < to; i++) product = Math.Min(product * _extents[i], long.MaxValue / int.MaxValue);
        return product;
    }

    /// <summary>This shape with the extent of one dimension replaced.</summary>
    /// <param name="i">The dimension; -1 is the last.</param>
    /// <param name="extent">Its new extent.</param>
    /// <returns>The new shape.</returns>
    public Shape With(int i, int extent) => With(i, extent, "Shape");

    /// <summary>The same for an operator's result; if it is too large, the exception names the operator.</summary>
    internal Shape With(int i, int extent, string operatorName)
    {
        int index = i < 0 ? i + Rank : i;
        if ((uint)index >= (uint)Rank) throw new ShapeException(operatorName, $"no dimension {i} in {this}");
        Span<int> extents = stackalloc int[Rank];
        CopyTo(extents);
        extents[index] = extent;
        return new Shape(operatorName, extents);
    }

    /// <summary>The extents as an array, outermost first.</summary>
    /// <returns>A new array.</returns>
    public int[] ToArray()
    {
        int[] extents = new int[Rank];
        CopyTo(extents);
        return extents;
    }

    /// <summary>Writes the extents, outermost first.</summary>
    /// <param name="extents">At least Rank long.</param>
    public void CopyTo(Span<int> extents)
    {
        for (int i = 0; i < Rank; i++) extents[i] = _extents[i];
    }

    /// <summary>Whether the ranks and all extents are equal.</summary>
    /// <param name="other">The other shape.</param>
    /// <returns>True if they are.</returns>
    public bool Equals(Shape other)
    {
        if (Rank != other.Rank) return false;
        for (int i = 0; i < Rank; i++)
            if (_extents[i] != other._extents[i]) return false;
        return true;
    }

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Shape other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        HashCode hash = default;
        for (int i = 0; i < Rank; i++) hash.Add(_extents[i]);
        return hash.ToHashCode();
    }

    /// <summary>The extents in parentheses, as in (2, 64, 64, 3).</summary>
    /// <returns>The text.</returns>
    public override string ToString() => $"({string.Join(", ", ToArray())})";

    /// <summary>Whether two shapes are equal.</summary>
    public static bool operator ==(Shape left, Shape right) => left.Equals(right);

    /// <summary>Whether two shapes differ.</summary>
    public static bool operator !=(Shape left, Shape right) => !left.Equals(right);

    [InlineArray(MaxRank)]
    private struct Extents
    {
        private int _first;
    }
}
