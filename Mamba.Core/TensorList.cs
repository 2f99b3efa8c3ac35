using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Mamba.Core;

/// <summary>
/// A few tensors in order, as a value: the levels of a model, the parts of a tensor. Up to eight stand in the value itself, so that making a list allocates
/// nothing; more go to an array. Only one copy of a list may grow.
/// </summary>
public struct TensorList
{
    private const int Inline = 8;

    private Few _few;
    private Tensor[]? _all;

    /// <summary>A list of the given tensors.</summary>
    /// <param name="tensors">The tensors.</param>
    public TensorList(params ReadOnlySpan<Tensor> tensors)
    {
        foreach (Tensor tensor in tensors) Add(tensor);
    }

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>A tensor of the list.</summary>
    /// <param name="i">From 0 to Count - 1, or from the end as in <c>list[^1]</c>.</param>
    /// <exception cref="IndexOutOfRangeException">There is no such tensor.</exception>
    public readonly Tensor this[int i] => AsSpan()[i];

    /// <summary>Puts a tensor at the end.</summary>
    /// <param name="tensor">The tensor.</param>
    public void Add(Tensor tensor)
    {
        if (Count >= Inline)
        {
            if (Count == Inline) _all = [.. AsSpan(), .. new Tensor[Inline]];
            else if (Count == _all!.Length) Array.Resize(ref _all, 2 * Count);
            _all![Count++] = tensor;
            return;
        }
        _few[Count++] = tensor;
    }

    /// <summary>The tensors, while the list stands where it is.</summary>
    /// <returns>A span over them.</returns>
    [UnscopedRef]
    public readonly ReadOnlySpan<Tensor> AsSpan() => _all is null ? ((ReadOnlySpan<Tensor>)_few)[..Count] : _all.AsSpan(0, Count);

    [InlineArray(Inline)]
    private struct Few
    {
        private Tensor _first;
    }
}
