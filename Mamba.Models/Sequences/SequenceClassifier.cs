using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Sequences;

/// <summary>What a <see cref="SequenceClassifier"/> is made of.</summary>
/// <param name="Mixer">The layer that mixes positions.</param>
/// <param name="Channels">Values of a position.</param>
/// <param name="Width">Channels of the layers.</param>
/// <param name="Depth">Layers.</param>
/// <param name="Classes">Classes.</param>
public sealed record SequenceClassifierConfig(MixerKind Mixer, int Channels, int Width, int Depth, int Classes)
{
    /// <summary>Whether a norm stands before each layer, or after its sum.</summary>
    public bool PreNorm { get; init; }

    /// <summary>N, the states of a channel; null for the mixer's default.</summary>
    public int? States { get; init; }

    /// <summary>Channels of a mixer's head; null for the mixer's default.</summary>
    public int? HeadWidth { get; init; }
}

/// <summary>
/// A classifier of sequences of real values (S4Model in state-spaces/s4's example.py): a linear encoder, layers z + mixer(z) with a layer
/// norm after the sum or before the mixer, the mean over time, a linear decoder. Names are those of the original. Its dropout, inside S4D
/// and after each layer, is left out.
/// </summary>
public sealed class SequenceClassifier : IModule
{
    private const int S4dStates = 64;

    private readonly bool _preNorm;
    private readonly Linear _encoder;
    private readonly ISequenceMixer[] _mixers;
    private readonly LayerNorm[] _norms;
    private readonly Linear _decoder;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's place.</param>
    /// <param name="config">Its sizes.</param>
    /// <exception cref="ArgumentException">A size is not positive, or does not fit the mixer.</exception>
    public SequenceClassifier(Scope scope, SequenceClassifierConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        foreach ((string name, int size) in new[]
            {
                ("channels", config.Channels), ("width", config.Width), ("depth", config.Depth), ("classes", config.Classes),
            })
            if (size <= 0) throw new ArgumentException($"SequenceClassifier: {name} is {size}, expected a positive number");
        (Config, Parameters, _preNorm) = (config, scope.Store, config.PreNorm);
        _encoder = new Linear(scope / "encoder", config.Channels, config.Width);
        _mixers = [.. Enumerable.Range(0, config.Depth).Select(i => Mixer(scope, i))];
        _norms = [.. Enumerable.Range(0, config.Depth).Select(i => new LayerNorm(scope / "norms" / i, config.Width))];
        _decoder = new Linear(scope / "decoder", config.Width, config.Classes);
    }

    /// <summary>S4D alone, with a GELU and a gated linear layer (s4d.py), or a block of the language models.</summary>
    private ISequenceMixer Mixer(Scope scope, int layer) => Config.Mixer == MixerKind.S4d
        ? new S4d(scope / "s4_layers" / layer, new S4dLayerConfig(Config.Width, Config.States ?? S4dStates))
        : Mixers.Create(
            scope / "layers" / layer, new MixerConfig(Config.Mixer, Config.Width) { States = Config.States, HeadWidth = Config.HeadWidth });

    /// <summary>The model's configuration.</summary>
    public SequenceClassifierConfig Config { get; }

    /// <summary>The parameters by name.</summary>
    public ParameterStore Parameters { get; }

    /// <summary>The logits of whole sequences.</summary>
    /// <param name="x">(B, L, channels).</param>
    /// <returns>(B, classes).</returns>
    /// <exception cref="ShapeException">Another rank, number of channels, or no position.</exception>
    public Tensor Forward(Tensor x)
    {
        if (x.Shape.Rank != 3 || x.Shape[2] != Config.Channels || x.Shape[1] == 0)
            throw new ShapeException(
                nameof(SequenceClassifier), $"sequences {x.Shape}; expected (B, L, {Config.Channels}) with L at least 1");
        using MemoryScope scope = new();
        Tensor z = _encoder.Forward(x); // (B, L, width)
        for (int i = 0; i < _mixers.Length; i++)
        {
            using MemoryScope layer = new();
            z = layer.Return(
                _preNorm ? _mixers[i].Forward(_norms[i].Forward(z), z) : _norms[i].Forward(_mixers[i].Forward(z, z)));
        }
        return scope.Return(_decoder.Forward(Ops.Mean(z, [1])));
    }
}
