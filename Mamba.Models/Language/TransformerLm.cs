using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;

namespace Mamba.Models.Language;

/// <summary>
/// A causal Transformer to compare with (Radford et al. 2019, GPT-2's shape): learned positions, norms before attention and perceptron,
/// GELU. Its state holds the keys and values of all tokens, up to the longest sequence.
/// </summary>
public sealed class TransformerLm : LanguageModel
{
    private const double Deviation = 0.02;

    private readonly Tensor _positions;
    private readonly Layer[] _layers;
    private readonly LayerNorm _norm;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The model's place.</param>
    /// <param name="config">Vocabulary, width, depth, heads, hidden width and positions.</param>
    /// <exception cref="ArgumentException">A size is not positive, or the heads do not divide the width.</exception>
    public TransformerLm(Scope scope, LanguageModelConfig config)
        : base(scope, config)
    {
        Scope backbone = scope / "backbone";
        _positions = (backbone / "position_embedding").Parameter("weight", Init.Normal(Deviation), config.Positions, config.Width);
        _layers = [.. Enumerable.Range(0, config.Depth).Select(i => new Layer(backbone / "layers" / i, config))];
        _norm = new LayerNorm(backbone / "norm_f", config.Width, config.NormEps);
        scope.Alias("lm_head", backbone / "embedding");
        scope.Reinitialize((name, _) =>
            name.EndsWith("out_proj.weight", StringComparison.Ordinal) || name.EndsWith("fc2.weight", StringComparison.Ordinal)
                ? Init.Normal(Deviation / Math.Sqrt(2.0 * config.Depth)) // two branches a layer
            : name.EndsWith("in_proj.weight", StringComparison.Ordinal) || name.EndsWith("fc1.weight", StringComparison.Ordinal)
                ? Init.Normal(Deviation)
            : name.EndsWith(".bias", StringComparison.Ordinal) ? Init.Zeros
            : null);
    }

    /// <inheritdoc/>
    public override int? LongestSequence => Config.Positions;

    /// <inheritdoc/>
    protected override Tensor Mix(Tensor tokens, LanguageState? state)
    {
        int length = tokens.Shape[1];
        Tensor x = Ops.Add(Ops.Embedding(Embedding, tokens), Positions(state?.Position ?? 0, length)); // (B, L, width)
        for (int i = 0; i < _layers.Length; i++) x = _layers[i].Forward(x, state?.Layers[i]);
        return x;
    }

    /// <inheritdoc/>
    protected override Tensor MixStep(Tensor tokens, LanguageState state)
    {
        int batch = tokens.Shape[0];
        Tensor x = Ops.Add(Ops.Embedding(Embedding, tokens), Positions(state.Position, 1)).Reshape(batch, 1, Config.Width);
        for (int i = 0; i < _layers.Length; i++) x = _layers[i].Forward(x, state.Layers[i]);
        return x.Reshape(batch, Config.Width);
    }

    /// <inheritdoc/>
    protected override Tensor Normalize(Tensor hidden) => _norm.Forward(hidden);

    /// <inheritdoc/>
    protected override SequenceState[] NewStates(int batch) => Array.ConvertAll(_layers, layer => layer.NewState(batch));

    /// <inheritdoc/>
    protected override bool IsMatrix(string name) => !name.EndsWith("position_embedding.weight", StringComparison.Ordinal);

    private Tensor Positions(long first, int count) => first + count <= Config.Positions
        ? Ops.Slice(_positions, 0, (int)first, count)
        : throw new ShapeException(
            nameof(TransformerLm), $"{count} tokens after {first}; expected at most {Config.Positions}, for which there are positions");

    /// <summary>Attention and perceptron, each added to its input.</summary>
    private sealed class Layer(Scope scope, LanguageModelConfig config)
    {
        private readonly LayerNorm _attentionNorm = new(scope / "norm1", config.Width, config.NormEps);
        private readonly CausalAttention _attention = new(
            scope / "attn", new CausalAttentionConfig(config.Width, config.Heads, config.Positions));

        private readonly LayerNorm _perceptronNorm = new(scope / "norm2", config.Width, config.NormEps);
        private readonly Linear _widen = new(scope / "mlp" / "fc1", config.Width, config.Hidden ?? 4 * config.Width);
        private readonly Linear _narrow = new(scope / "mlp" / "fc2", config.Hidden ?? 4 * config.Width, config.Width);

        public SequenceState NewState(int batch) => _attention.NewState(batch);

        public Tensor Forward(Tensor x, SequenceState? state) // (B, L, width)
        {
            using MemoryScope scope = new();
            x = _attention.Forward(_attentionNorm.Forward(x), x, state);
            return scope.Return(_narrow.Forward(Ops.Gelu(_widen.Forward(_perceptronNorm.Forward(x))), x));
        }
    }
}
