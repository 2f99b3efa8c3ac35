namespace Mamba.Core.Nn;

/// <summary>The state of <see cref="ISequenceMixer"/> between tokens, owned by the caller.</summary>
public abstract class SequenceState
{
    /// <summary>The tensors of the state; the first dimension of each is the batch.</summary>
    public abstract IReadOnlyList<Tensor> Tensors { get; }

    /// <summary>Resets the state: the next token is the first.</summary>
    public virtual void Reset()
    {
        foreach (Tensor tensor in Tensors) tensor.Span.Clear();
    }
}
