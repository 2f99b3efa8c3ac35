using Mamba.Core.Nn;

namespace Mamba.Models.Language;

/// <summary>What a <see cref="LanguageModel"/> remembers of the tokens so far. It belongs to the caller, across steps.</summary>
public sealed class LanguageState
{
    internal LanguageState(int batch, SequenceState[] layers)
    {
        Batch = batch;
        Layers = layers;
    }

    /// <summary>Sequences side by side.</summary>
    public int Batch { get; }

    /// <summary>The state of each layer, the first layer first.</summary>
    public IReadOnlyList<SequenceState> Layers { get; }

    /// <summary>Tokens so far.</summary>
    public long Position { get; internal set; }

    /// <summary>Forgets all tokens: the next one is the first.</summary>
    public void Reset()
    {
        foreach (SequenceState layer in Layers) layer.Reset();
        Position = 0;
    }
}
