using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Language;

namespace Mamba.Models.Verification;

/// <summary>
/// Holds a language model against reference values: logits of whole sequences, of their parts and token by token, losses, gradients, steps
/// of training, and the tokens that it generates.
/// </summary>
internal sealed class LanguageGolden : GoldenModel
{
    private readonly LanguageModel _model;

    public LanguageGolden(ModelGoldenFile file)
        : this(Create(file))
    {
    }

    private LanguageGolden(LanguageModel model)
        : base(model.Parameters) => _model = model;

    /// <inheritdoc/>
    public override bool Trains(ModelGoldenCase golden) => golden.Mode is "loss" or "optimize";

    /// <inheritdoc/>
    public override void Dispose() => _model.Dispose();

    /// <inheritdoc/>
    public override void Compare(ModelGoldenCase golden, GoldenErrors errors, CancellationToken cancellation)
    {
        if (!golden.Input.Whole) throw new UnsupportedCaseException("tokens that are not whole numbers");
        Tensor tokens = golden.Input.Make();
        if (golden.Training is { } training)
        {
            Func<Tensor, Tensor> loss = LossOf(training.Loss, training.Target);
            Optimize(() => loss(_model.Forward(tokens)), training, errors, cancellation);
        }
        else if (golden.Loss is { } loss) Differentiate(tokens, golden, loss, errors);
        else if (golden.Tokens is { } expected) Generate(tokens, expected, errors);
        else if (golden.Output is { } output) Evaluate(tokens, golden, output, errors);
        else throw UnknownMode(golden);
    }

    /// <summary>Frozen: whole, in two parts, and token by token. Then whole, with gradients.</summary>
    private void Evaluate(Tensor tokens, ModelGoldenCase golden, Digest expected, GoldenErrors errors)
    {
        using (MemoryScope scope = new())
        {
            Parameters.Freeze();
            errors.Compare("output", "output, frozen", expected, _model.Forward(tokens), largestRms: 0);
            errors.Compare("output", "output, in two parts", expected, InParts(tokens), largestRms: 0);
            errors.Compare("output", "output, token by token", expected, ByTokens(tokens), largestRms: 0);
            Parameters.Thaw();
        }
        using Tape tape = new();
        Tensor y = _model.Forward(tokens);
        errors.Compare("output", "output", expected, y, largestRms: 0);
        if (golden.Cotangent is { } cotangent) CompareGradients(tape, y, cotangent, golden, errors);
    }

    private Tensor InParts(Tensor tokens)
    {
        int length = tokens.Shape[1], first = length / 2;
        LanguageState state = _model.NewState(tokens.Shape[0]);
        Tensor? before = first == 0 ? null : _model.Forward(Ops.Slice(tokens, 1, 0, first), state);
        Tensor after = _model.Forward(Ops.Slice(tokens, 1, first, length - first), state);
        return before is { } earlier ? Ops.Concat([earlier, after], axis: 1) : after;
    }

    private Tensor ByTokens(Tensor tokens)
    {
        int batch = tokens.Shape[0], length = tokens.Shape[1], vocabulary = _model.Config.PaddedVocabulary;
        LanguageState state = _model.NewState(batch);
        Tensor[] logits = new Tensor[length];
        for (int t = 0; t < length; t++)
            logits[t] = _model.Step(Ops.Slice(tokens, 1, t, 1).Reshape(batch), state).Reshape(batch, 1, vocabulary);
        return Ops.Concat(logits, axis: 1);
    }

    private void Differentiate(Tensor tokens, ModelGoldenCase golden, GoldenLoss expected, GoldenErrors errors)
    {
        Func<Tensor, Tensor> loss = LossOf(expected.Function, expected.Target);
        using Tape tape = new();
        Tensor value = loss(_model.Forward(tokens));
        errors.Add("loss", "loss", Math.Abs(value.Item() - expected.Value) / Math.Abs(expected.Value));
        tape.Backward(value);
        CompareGradients(golden, errors);
    }

    private static Func<Tensor, Tensor> LossOf(string name, FilledTensor target)
    {
        if (name != "cross_entropy" || !target.Whole) throw new UnsupportedCaseException($"unknown loss '{name}', or target");
        int[] classes = Classes(target);
        return logits => Ops.CrossEntropy(logits, classes);
    }

    /// <summary>The tokens by steps of a frozen model, and by whole sequences of a plain one.</summary>
    private void Generate(Tensor prompt, IReadOnlyList<int[]> expected, GoldenErrors errors)
    {
        int steps = expected.Count > 0 ? expected[0].Length : 0;
        if (expected.Count != prompt.Shape[0] || steps == 0 || expected.Any(row => row.Length != steps))
            throw new FailedCaseException($"{expected.Count} rows of tokens for prompts {prompt.Shape}");
        Tensor all = prompt;
        List<Tensor> whole = [], stepped = [];
        for (int i = 0; i < steps; i++)
        {
            Tensor next = Ops.ArgMax(_model.ForwardAt(all, [-1]), keepDim: true).Reshape(prompt.Shape[0], 1);
            all = Ops.Concat([all, next], axis: 1);
            whole.Add(next);
        }
        Parameters.Freeze();
        LanguageState state = _model.NewState(prompt.Shape[0]);
        Tensor logits = _model.Prefill(prompt, state, partLength: 5);
        for (int i = 0; i < steps; i++)
        {
            stepped.Add(Ops.ArgMax(logits, keepDim: true));
            if (i < steps - 1) logits = _model.Step(stepped[i].Reshape(prompt.Shape[0]), state);
        }
        errors.Add("tokens", "tokens of whole sequences", Differing(whole, expected));
        errors.Add("tokens", "tokens by steps", Differing(stepped, expected));
    }

    private static int Differing(List<Tensor> tokens, IReadOnlyList<int[]> expected) =>
        Enumerable.Range(0, expected.Count).Sum(b => tokens.Where((t, i) => t.Span[b] != expected[b][i]).Count());

    private static LanguageModel Create(ModelGoldenFile file)
    {
        int vocabulary = file.Size("vocab"), padded = file.OptionalSize("vocab_padded") ?? vocabulary;
        LanguageModelConfig plain = new(vocabulary, file.Size("d_model"), file.Size("n_layer")) { VocabularyMultiple = padded };
        return LanguageRegistry.Find(file.Model).Create(plain with
        {
            States = file.OptionalSize("d_state"),
            Taps = file.OptionalSize("d_conv") ?? plain.Taps,
            Expand = file.OptionalSize("expand") ?? plain.Expand,
            HeadWidth = file.OptionalSize("headdim"),
            Groups = file.OptionalSize("ngroups") ?? plain.Groups,
            Heads = file.OptionalSize("heads") ?? plain.Heads,
            Hidden = file.OptionalSize("mlp"),
            Positions = file.OptionalSize("positions") ?? plain.Positions,
        });
    }
}
