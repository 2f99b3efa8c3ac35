using System.Runtime.InteropServices;

namespace Mamba.Core;

/// <summary>
/// The statistics of the batches that the batch norms of a model train on, in the order in which the layers ran. They are noted here, and
/// move the running statistics later (<see cref="Nn.ParameterStore.MoveStatistics"/>): when the step is known to be taken, or in another
/// process, to the same bits.
/// </summary>
public sealed class BatchMoments
{
    /// <summary>Values before the moments of a layer: its number, and the rows they were taken over.</summary>
    internal const int Head = 2;

    private readonly List<double> _values = [];

    /// <summary>For each pass through a layer: the layer's number, its rows, the means of its channels, their variances.</summary>
    public ReadOnlySpan<double> Values => CollectionsMarshal.AsSpan(_values);

    /// <summary>Forgets all of them.</summary>
    public void Clear() => _values.Clear();

    internal void Add(int layer, int rows, ReadOnlySpan<double> moments)
    {
        _values.Add(layer);
        _values.Add(rows);
        _values.AddRange(moments);
    }
}
