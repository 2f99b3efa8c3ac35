using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Language;
using Mamba.Models.Words;

namespace Mamba.Models.Sequences;

/// <summary>What a model of sequences is built for.</summary>
/// <param name="Length">The longest sequence of training.</param>
/// <param name="Vocabulary">Tokens; null for real values.</param>
/// <param name="Channels">Values of a position.</param>
/// <param name="Classes">Classes.</param>
public sealed record SequenceShape(int Length, int? Vocabulary, int Channels, int Classes)
{
    /// <summary>The shape of a task.</summary>
    /// <param name="task">The task.</param>
    /// <returns>Its shape.</returns>
    public static SequenceShape Of(SequenceTask task)
    {
        ArgumentNullException.ThrowIfNull(task);
        return new(task.Length, task.Vocabulary, task.Channels, task.Labels.Count);
    }
}

/// <summary>A model of sequences: its function and its parameters.</summary>
/// <param name="Module">Tokens (B, L) to (B, L, vocabulary), or values (B, L, channels) to (B, classes).</param>
/// <param name="Parameters">Its parameters.</param>
public sealed record SequenceModel(IModule Module, ParameterStore Parameters)
{
    /// <summary>The model if it predicts tokens; it then runs by parts, too.</summary>
    public LanguageModel? Language => Module as LanguageModel;
}

/// <summary>The models that sequence tasks are for: language models for tokens, classifiers for values.</summary>
public static class SequenceModels
{
    private const string Classifier = "-classifier";
    private const int LargestHead = 32;

    private static readonly MixerKind[] s_mixers = Enum.GetValues<MixerKind>();

    /// <summary>The names of those for tokens.</summary>
    public static IReadOnlyList<string> OfTokens { get; } = [.. LanguageRegistry.Models.Select(entry => entry.Name)];

    /// <summary>The names of those for real values.</summary>
    public static IReadOnlyList<string> OfValues { get; } = [.. s_mixers.Select(mixer => NameOf(mixer) + Classifier)];

    /// <summary>Whether a name is one of them.</summary>
    /// <param name="name">A name.</param>
    /// <returns>True if it is.</returns>
    public static bool Contains(string name) => OfTokens.Contains(name) || OfValues.Contains(name);

    /// <summary>Makes a model with initial values.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="shape">What it is built for.</param>
    /// <param name="width">Channels of a position.</param>
    /// <param name="depth">Layers.</param>
    /// <param name="store">Where its parameters go.</param>
    /// <returns>A new model.</returns>
    /// <exception cref="ArgumentException">The model is not for such sequences, or a size does not fit.</exception>
    public static SequenceModel Create(string name, SequenceShape shape, int width, int depth, ParameterStore store)
    {
        ArgumentNullException.ThrowIfNull(shape);
        IReadOnlyList<string> fitting = shape.Vocabulary is null ? OfValues : OfTokens;
        if (!fitting.Contains(name))
        {
            string what = !Contains(name) ? $"unknown model{EditDistance.Meant(name, fitting)}"
                : shape.Vocabulary is null ? "is for tokens; these sequences are of real values"
                : "is for real values; these sequences are of tokens";
            throw new ArgumentException($"{name}: {what}; expected {string.Join(", ", fitting)}");
        }
        Scope scope = new(store);
        if (shape.Vocabulary is not { } vocabulary)
        {
            MixerKind mixer = s_mixers[OfValues.ToList().IndexOf(name)];
            SequenceClassifier classifier = new(scope, new SequenceClassifierConfig(mixer, shape.Channels, width, depth, shape.Classes)
            {
                PreNorm = mixer != MixerKind.S4d, // as in S4's example
                States = States(mixer),
                HeadWidth = Math.Min(LargestHead, 2 * width),
            });
            return new SequenceModel(classifier, store);
        }
        LanguageEntry entry = LanguageRegistry.Find(name);
        LanguageModel model = entry.Build(scope, entry.Config with
        {
            Vocabulary = vocabulary,
            Width = width,
            Depth = depth,
            States = States(entry.Config.Mixer),
            HeadWidth = Math.Min(LargestHead, entry.Config.Expand * width),
            Heads = width % 16 == 0 ? width / 16 : 1,
            Positions = shape.Length,
        });
        return new SequenceModel(model, store);
    }

    /// <summary>
    /// N of a small model: Mamba's own, S4D's own, and a quarter of that of Mamba-2 and Mamba-3, whose heads share B and C.
    /// </summary>
    private static int States(MixerKind mixer) => mixer switch
    {
        MixerKind.Mamba => 16,
        MixerKind.S4d => 64,
        _ => 32,
    };

    private static string NameOf(MixerKind mixer) => mixer.ToString().ToLowerInvariant();
}
