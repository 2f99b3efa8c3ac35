using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Language;

/// <summary>
/// The language model of the Mamba paper (Gu and Dao 2023; MambaLMHeadModel of state-spaces/mamba), for any mixer: each layer adds
/// mixer(norm(x)) to the residual stream x. Parameters carry its names, and its initial values.
/// </summary>
public sealed class MambaLm : LanguageModel
{
    private readonly RmsNorm[] _norms;
    private readonly ISequenceMixer[] _mixers;
    private readonly RmsNorm _norm;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's place.</param>
    /// <param name="config">Vocabulary, width, depth, and the mixer's sizes.</param>
    /// <exception cref="ArgumentException">A size is not positive, or does not fit the mixer.</exception>
    public MambaLm(Scope scope, LanguageModelConfig config)
        : base(scope, config)
    {
        Scope backbone = scope / "backbone";
        _norms = new RmsNorm[config.Depth];
        _mixers = new ISequenceMixer[config.Depth];
        for (int i = 0; i < config.Depth; i++)
        {
            Scope layer = backbone / "layers" / i;
            _norms[i] = new RmsNorm(layer / "norm", config.Width, config.NormEps);
            _mixers[i] = Mixers.Create(layer / "mixer", config.MixerConfig);
        }
        _norm = new RmsNorm(backbone / "norm_f", config.Width, config.NormEps);
        scope.Alias("lm_head", backbone / "embedding");
        backbone.Alias("embeddings", backbone / "embedding"); // in the copies for Hugging Face's transformers
        // mamba_ssm's _init_weights: biases of linear layers are 0, and what each layer adds shrinks with their number, so that the sum
        // does not grow (GPT-2).
        scope.Reinitialize((name, shape) =>
            name.EndsWith("mixer.out_proj.weight", StringComparison.Ordinal)
                ? Init.Uniform(1 / Math.Sqrt((double)shape[1] * config.Depth))
            : name.EndsWith("mixer.in_proj.bias", StringComparison.Ordinal)
                || name.EndsWith("mixer.out_proj.bias", StringComparison.Ordinal) ? Init.Zeros
            : null);
    }

    /// <inheritdoc/>
    protected override Tensor Mix(Tensor tokens, LanguageState? state)
    {
        Tensor x = Ops.Embedding(Embedding, tokens); // (B, L, width)
        for (int i = 0; i < _mixers.Length; i++)
        {
            using MemoryScope scope = new();
            x = scope.Return(_mixers[i].Forward(_norms[i].Forward(x), x, state?.Layers[i]));
        }
        return x;
    }

    /// <inheritdoc/>
    protected override Tensor MixStep(Tensor tokens, LanguageState state)
    {
        Tensor x = Ops.Embedding(Embedding, tokens); // (B, width)
        for (int i = 0; i < _mixers.Length; i++)
        {
            using MemoryScope scope = new();
            x = scope.Return(Ops.Add(x, _mixers[i].Step(_norms[i].Forward(x), state.Layers[i])));
        }
        return x;
    }

    /// <inheritdoc/>
    protected override Tensor Normalize(Tensor hidden) => _norm.Forward(hidden);

    /// <inheritdoc/>
    protected override SequenceState[] NewStates(int batch) => Array.ConvertAll(_mixers, m => m.NewState(batch));
}
