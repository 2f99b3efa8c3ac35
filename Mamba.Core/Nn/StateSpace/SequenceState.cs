namespace Mamba.Core.Nn;

/// <summary>What an <see cref="ISequenceMixer"/> remembers between tokens. It belongs to the caller, across steps.</summary>
public abstract class SequenceState
{
    /// <summary>The tensors that it consists of; the first dimension of each is the batch.</summary>
    public abstract IReadOnlyList<Tensor> Tensors { get; }

    /// <summary>Forgets all tokens: the next one is the first.</summary>
    public virtual void Reset()
    {
        foreach (Tensor tensor in Tensors) tensor.Span.Clear();
    }
}
