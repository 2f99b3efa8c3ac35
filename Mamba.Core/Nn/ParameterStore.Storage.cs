using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

// The storage formats of a frozen model's weights.
public sealed partial class ParameterStore
{
    private bool _isStored;

    /// <summary>
    /// Freezes the model and stores weight matrices row by row, for products of few rows such as the steps of a language model. A step then
    /// reads each weight once, and no packed copy is made; formats with fewer bits halve or quarter the memory read and kept. Products of
    /// many rows decode one block at a time. Only linear layers and embeddings can read such weights; other operators throw.
    /// </summary>
    /// <param name="format">The number format.</param>
    /// <param name="names">Selects the weights by name.</param>
    /// <exception cref="ArgumentException">One of them is not a matrix.</exception>
    /// <exception cref="InvalidOperationException">Weights are stored in fewer bits already, or one has views.</exception>
    /// <exception cref="NonFiniteException">A weight is NaN or infinite; the weights before it have been stored.</exception>
    public void Store(WeightFormat format, Func<string, bool> names)
    {
        ArgumentNullException.ThrowIfNull(names);
        ThrowIfStored();
        Freeze();
        foreach (Entry entry in _order.Where(e => names(e.Name)))
        {
            if (entry.Tensor.Shape.Rank != 2)
                throw new ArgumentException(
                    $"ParameterStore.Store: '{entry.Name}' is {entry.Tensor.Shape}, expected a matrix (outputs, inputs)", nameof(names));
            _isStored |= format != WeightFormat.Float32;
            Ops.Store(entry.Name, entry.Tensor, format);
        }
        if (_isStored) MemoryScope.Trim(); // release the float32 memory
    }

    private void ThrowIfStored()
    {
        if (_isStored)
            throw new InvalidOperationException(
                "ParameterStore: weights are stored in fewer bits and cannot change any more; load the model again.");
    }
}
