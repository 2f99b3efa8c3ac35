using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Mamba.Core;

/// <summary>
/// An immutable list of a few tensors: the levels of a model, the parts of a tensor. Up to eight are stored inline, so that creating a list
/// allocates nothing; more use an array.
/// </summary>
public readonly struct TensorList
{
    private const int Inline = 8;

    private readonly Few _few;
    private readonly Tensor[]? _all;

    /// <summary>A list of the given tensors.</summary>
    /// <param name="tensors">The tensors.</param>
    public TensorList(params ReadOnlySpan<Tensor> tensors)
    {
        Count = tensors.Length;
        if (Count > Inline) _all = tensors.ToArray();
        else tensors.CopyTo(_few);
    }

    private TensorList(in TensorList list, Tensor last)
    {
        Count = list.Count + 1;
        if (Count > Inline) _all = [.. list.AsSpan(), last];
        else
        {
            _few = list._few;
            _few[Count - 1] = last;
        }
    }

    /// <summary>The number of tensors.</summary>
    public int Count { get; }

    /// <summary>A tensor of the list.</summary>
    /// <param name="i">From 0 to Count - 1, or from the end as in <c>list[^1]</c>.</param>
    /// <exception cref="IndexOutOfRangeException">There is no such tensor.</exception>
    public Tensor this[int i] => AsSpan()[i];

    /// <summary>A copy of this list with one more tensor at its end.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <returns>The longer list.</returns>
    public TensorList Append(Tensor tensor) => new(this, tensor);

    /// <summary>The tensors, while the variable that holds the list is in scope.</summary>
    /// <returns>A span over them.</returns>
    [UnscopedRef]
    public ReadOnlySpan<Tensor> AsSpan() => _all is null ? ((ReadOnlySpan<Tensor>)_few)[..Count] : _all;

    /// <summary>Enumerates the tensors, for <c>foreach</c>.</summary>
    /// <returns>The enumerator.</returns>
    [UnscopedRef]
    public ReadOnlySpan<Tensor>.Enumerator GetEnumerator() => AsSpan().GetEnumerator();

    [InlineArray(Inline)]
    private struct Few
    {
        private Tensor _first;
    }
}
