using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Mamba.Core;

/// <summary>A permutation of axes as a value type, kept by a backward step.</summary>
internal readonly struct AxisOrder
{
    private readonly Axes _axes;
    private readonly int _count;

    public AxisOrder(ReadOnlySpan<int> axes)
    {
        _count = axes.Length;
        axes.CopyTo(_axes);
    }

    [UnscopedRef]
    public ReadOnlySpan<int> AsSpan() => ((ReadOnlySpan<int>)_axes)[.._count];

    [InlineArray(Shape.MaxRank)]
    private struct Axes
    {
        private int _first;
    }
}
