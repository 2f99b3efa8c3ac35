using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Words;

namespace Mamba.Models.Language;

/// <summary>A language model by name.</summary>
/// <param name="Name">The name on the command line and in goldens.</param>
/// <param name="Config">The configuration that it has unless another is given.</param>
/// <param name="Build">Declares a model in a place.</param>
public sealed record LanguageEntry(string Name, LanguageModelConfig Config, Func<Scope, LanguageModelConfig, LanguageModel> Build)
{
    /// <summary>Makes the model with initial values.</summary>
    /// <param name="config">Its configuration; <see cref="Config"/> if null.</param>
    /// <param name="seed">The seed of the initial values.</param>
    /// <returns>A new model.</returns>
    /// <exception cref="ArgumentException">A size does not fit.</exception>
    public LanguageModel Create(LanguageModelConfig? config = null, ulong seed = 0) =>
        Build(new Scope(new ParameterStore(seed)), config ?? Config);
}

/// <summary>All language models by name.</summary>
public static class LanguageRegistry
{
    // The 130M model of the Mamba paper: GPT-NeoX's vocabulary, padded.
    private static readonly LanguageModelConfig s_small = new(50277, Width: 768, Depth: 24);

    /// <summary>The models, in the order in which they are listed.</summary>
    public static IReadOnlyList<LanguageEntry> Models { get; } =
    [
        OfMixer("mamba-lm", MixerKind.Mamba),
        OfMixer("mamba2-lm", MixerKind.Mamba2),
        OfMixer("mamba3-lm", MixerKind.Mamba3),
        OfMixer("s4d-lm", MixerKind.S4d),
        new("transformer-lm", s_small with { VocabularyMultiple = 1, Depth = 12, Heads = 12 },
            (scope, config) => new TransformerLm(scope, config)),
    ];

    /// <summary>The model of this name.</summary>
    /// <param name="name">Its name.</param>
    /// <returns>The model.</returns>
    /// <exception cref="ArgumentException">There is none; the message names the nearest and all.</exception>
    public static LanguageEntry Find(string name)
    {
        foreach (LanguageEntry entry in Models)
            if (entry.Name == name) return entry;
        string nearest = Models.MinBy(m => EditDistance.Between(m.Name, name))!.Name;
        throw new ArgumentException(
            $"unknown language model '{name}'; did you mean '{nearest}'? Models: {string.Join(", ", Models.Select(m => m.Name))}");
    }

    private static LanguageEntry OfMixer(string name, MixerKind kind) =>
        new(name, s_small with { Mixer = kind }, (scope, config) => new MambaLm(scope, config with { Mixer = kind }));
}
