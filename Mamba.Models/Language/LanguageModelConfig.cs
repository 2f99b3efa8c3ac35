using Mamba.Models.Blocks;

namespace Mamba.Models.Language;

/// <summary>What a language model is made of.</summary>
/// <param name="Vocabulary">Tokens that there are.</param>
/// <param name="Width">Channels of a token, d_model.</param>
/// <param name="Depth">Layers.</param>
public sealed record LanguageModelConfig(int Vocabulary, int Width, int Depth)
{
    /// <summary>The rows of the embedding are the vocabulary rounded up to a multiple of this.</summary>
    public int VocabularyMultiple { get; init; } = 8;

    /// <summary>The layer that mixes tokens. A Transformer's is attention whatever this says.</summary>
    public MixerKind Mixer { get; init; }

    /// <summary>N, the states of a channel or of a head's channel; null for the mixer's default.</summary>
    public int? States { get; init; }

    /// <summary>K, the taps of the causal convolution.</summary>
    public int Taps { get; init; } = 4;

    /// <summary>Inner width over the width.</summary>
    public int Expand { get; init; } = 2;

    /// <summary>Channels of a mixer's head; null for the mixer's default.</summary>
    public int? HeadWidth { get; init; }

    /// <summary>Groups of heads that share B and C.</summary>
    public int Groups { get; init; } = 1;

    /// <summary>What Mamba-2 has beside its sizes.</summary>
    public Mamba2Options Mamba2 { get; init; } = new();

    /// <summary>Added to the mean square, or to the variance, in the norms between layers.</summary>
    public float NormEps { get; init; } = 1e-5f;

    /// <summary>Heads of a Transformer's attention.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>Channels between the two layers of a Transformer's perceptron; null for four times the width.</summary>
    public int? Hidden { get; init; }

    /// <summary>The longest sequence that a Transformer has positions for.</summary>
    public int Positions { get; init; } = 1024;

    /// <summary>Rows of the embedding, and logits of a token.</summary>
    public int PaddedVocabulary => (int)Math.Min(
        int.MaxValue, ((long)Vocabulary + VocabularyMultiple - 1) / VocabularyMultiple * VocabularyMultiple);

    /// <summary>The configuration of each layer's mixer.</summary>
    public MixerConfig MixerConfig => new(Mixer, Width)
    {
        States = States,
        Taps = Taps,
        Expand = Expand,
        HeadWidth = HeadWidth,
        Groups = Groups,
        Mamba2 = Mamba2,
    };

    /// <summary>Checks the sizes that every language model has.</summary>
    /// <exception cref="ArgumentException">One of them is not positive.</exception>
    internal void Check()
    {
        foreach ((string name, int size) in new[]
            {
                ("vocabulary", Vocabulary), ("vocabulary multiple", VocabularyMultiple), ("width", Width), ("depth", Depth),
                ("heads", Heads), ("hidden", Hidden ?? 1), ("positions", Positions),
            })
            if (size <= 0) throw new ArgumentException($"{name} is {size}, expected a positive number");
        if (!(NormEps >= 0 && float.IsFinite(NormEps))) throw new ArgumentException($"norm eps is {NormEps}, expected at least 0");
    }
}
