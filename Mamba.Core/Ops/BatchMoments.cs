using System.Runtime.InteropServices;

namespace Mamba.Core;

/// <summary>
/// The batch statistics of a model's batch norms, in the order in which the layers ran. <see cref="Nn.ParameterStore.MoveStatistics"/>
/// applies them to the running statistics later: once the step is accepted, or in another process, with the same bits.
/// </summary>
public sealed class BatchMoments
{
    /// <summary>Values before the moments of a layer: the layer's number and its row count.</summary>
    internal const int Head = 2;

    private readonly List<double> _values = [];

    /// <summary>For each pass through a layer: the layer's number, its row count, the means of its channels, their variances.</summary>
    public ReadOnlySpan<double> Values => CollectionsMarshal.AsSpan(_values);

    /// <summary>Removes all entries.</summary>
    public void Clear() => _values.Clear();

    internal void Add(int layer, int rows, ReadOnlySpan<double> moments)
    {
        _values.Add(layer);
        _values.Add(rows);
        _values.AddRange(moments);
    }
}
