using System.Text.Json;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Optim;
using Mamba.Models.Language;

namespace Mamba.Models.Verification;

/// <summary>
/// Holds a language model against reference values: logits of whole sequences, of their parts and token by token, losses, gradients, steps
/// of training, and the tokens that it generates.
/// </summary>
internal static class LanguageGolden
{
    /// <summary>Runs all cases of one file, each from the same filled weights.</summary>
    public static IReadOnlyList<VerificationResult> Run(string path, ModelGoldenFile file, CancellationToken cancellation)
    {
        try
        {
            using LanguageModel model = Create(file);
            List<VerificationResult> results = [GoldenParameters.Check(path, file, model.Parameters)];
            foreach (ModelGoldenCase golden in results[0].Passed ? file.Cases : []) results.Add(RunCase(path, file, golden, cancellation));
            return results;
        }
        catch (ArgumentException e) // the configuration, or a mixer that is not built
        {
            return [VerificationResult.Unsupported(path, file.Model, e.Message)];
        }
    }

    private static VerificationResult RunCase(string path, ModelGoldenFile file, ModelGoldenCase golden, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        using MemoryScope scope = new();
        using LanguageModel model = Create(file);
        foreach (FilledTensor tensor in file.Tensors) tensor.Fill(model.Parameters[tensor.Name].Span);
        model.Parameters.Training = golden.Mode is "loss" or "optimize";
        GoldenErrors errors = new(golden.Tolerances);
        try
        {
            if (!golden.Input.Whole) throw new UnsupportedCaseException("tokens that are not whole numbers");
            Tensor tokens = golden.Input.Make();
            if (golden.Training is { } training) Optimize(model, tokens, training, errors, cancellation);
            else if (golden.Loss is { } loss) Differentiate(model, tokens, golden, loss, errors);
            else if (golden.Tokens is { } expected) Generate(model, tokens, expected, errors);
            else if (golden.Output is { } output) Evaluate(model, tokens, golden, output, errors);
            else throw new UnsupportedCaseException($"unknown mode '{golden.Mode}'");
        }
        catch (UnsupportedCaseException e)
        {
            return VerificationResult.Unsupported(path, golden.Title, e.Message);
        }
        catch (Exception e) when (e is FailedCaseException or ArgumentException) // operators and optimizers refuse what does not fit
        {
            return VerificationResult.Failed(path, golden.Title, e.Message);
        }
        return VerificationResult.Compared(path, golden.Title, errors.Output, errors.Gradient, errors.Problem);
    }

    /// <summary>Frozen: whole, in two parts, and token by token. Then whole, with gradients.</summary>
    private static void Evaluate(LanguageModel model, Tensor tokens, ModelGoldenCase golden, Digest expected, GoldenErrors errors)
    {
        using (MemoryScope scope = new())
        {
            model.Parameters.Freeze();
            errors.Compare("output", "output, frozen", expected, model.Forward(tokens), largestRms: 0);
            errors.Compare("output", "output, in two parts", expected, InParts(model, tokens), largestRms: 0);
            errors.Compare("output", "output, token by token", expected, ByTokens(model, tokens), largestRms: 0);
            model.Parameters.Thaw();
        }
        using Tape tape = new();
        Tensor y = model.Forward(tokens);
        errors.Compare("output", "output", expected, y, largestRms: 0);
        if (golden.Cotangent is null) return;
        Tensor weights = golden.Cotangent.Make();
        float[] scaled = Array.ConvertAll(weights.Span.ToArray(), w => w / weights.Count); // loss = sum(output * cotangent) / numel(output)
        tape.Backward(y, Tensor.From(scaled, weights.Shape.ToArray()));
        errors.CompareAll("grads", golden.Gradients, n => GoldenParameters.Find(model.Parameters, n).Grad);
    }

    private static Tensor InParts(LanguageModel model, Tensor tokens)
    {
        int length = tokens.Shape[1], first = length / 2;
        LanguageState state = model.NewState(tokens.Shape[0]);
        Tensor? before = first == 0 ? null : model.Forward(Ops.Slice(tokens, 1, 0, first), state);
        Tensor after = model.Forward(Ops.Slice(tokens, 1, first, length - first), state);
        return before is { } earlier ? Ops.Concat([earlier, after], axis: 1) : after;
    }

    private static Tensor ByTokens(LanguageModel model, Tensor tokens)
    {
        int batch = tokens.Shape[0], length = tokens.Shape[1], vocabulary = model.Config.PaddedVocabulary;
        LanguageState state = model.NewState(batch);
        Tensor[] logits = new Tensor[length];
        for (int t = 0; t < length; t++)
            logits[t] = model.Step(Ops.Slice(tokens, 1, t, 1).Reshape(batch), state).Reshape(batch, 1, vocabulary);
        return Ops.Concat(logits, axis: 1);
    }

    private static void Differentiate(LanguageModel model, Tensor tokens, ModelGoldenCase golden, GoldenLoss expected, GoldenErrors errors)
    {
        Func<Tensor, Tensor> loss = LossOf(expected.Function, expected.Target);
        using Tape tape = new();
        Tensor value = loss(model.Forward(tokens));
        errors.Add("loss", "loss", Math.Abs(value.Item() - expected.Value) / Math.Abs(expected.Value));
        tape.Backward(value);
        errors.CompareAll("grads", golden.Gradients, n => GoldenParameters.Find(model.Parameters, n).Grad);
    }

    private static void Optimize(
        LanguageModel model, Tensor tokens, GoldenTraining golden, GoldenErrors errors, CancellationToken cancellation)
    {
        Func<Tensor, Tensor> loss = LossOf(golden.Loss, golden.Target);
        Optimizer optimizer = GoldenParameters.Optimizer(golden.Optimizer, model.Parameters);
        foreach (double expected in golden.Losses)
        {
            cancellation.ThrowIfCancellationRequested();
            model.Parameters.ZeroGrad();
            using Tape tape = new();
            Tensor value = loss(model.Forward(tokens));
            errors.Add("losses", "loss", Math.Abs(value.Item() - expected) / Math.Abs(expected));
            tape.Backward(value);
            optimizer.Step();
        }
    }

    private static Func<Tensor, Tensor> LossOf(string name, FilledTensor target)
    {
        if (name != "cross_entropy" || !target.Whole) throw new UnsupportedCaseException($"unknown loss '{name}', or target");
        int[] classes = Array.ConvertAll(target.Make().Span.ToArray(), x => (int)x);
        return logits => Ops.CrossEntropy(logits, classes);
    }

    /// <summary>The tokens by steps of a frozen model, and by whole sequences of a plain one.</summary>
    private static void Generate(LanguageModel model, Tensor prompt, IReadOnlyList<int[]> expected, GoldenErrors errors)
    {
        int steps = expected.Count > 0 ? expected[0].Length : 0;
        if (expected.Count != prompt.Shape[0] || steps == 0 || expected.Any(row => row.Length != steps))
            throw new FailedCaseException($"{expected.Count} rows of tokens for prompts {prompt.Shape}");
        Tensor all = prompt;
        List<Tensor> whole = [], stepped = [];
        for (int i = 0; i < steps; i++)
        {
            Tensor next = Ops.ArgMax(model.ForwardAt(all, [-1]), keepDim: true).Reshape(prompt.Shape[0], 1);
            all = Ops.Concat([all, next], axis: 1);
            whole.Add(next);
        }
        model.Parameters.Freeze();
        LanguageState state = model.NewState(prompt.Shape[0]);
        Tensor logits = model.Prefill(prompt, state, partLength: 5);
        for (int i = 0; i < steps; i++)
        {
            stepped.Add(Ops.ArgMax(logits, keepDim: true));
            if (i < steps - 1) logits = model.Step(stepped[i].Reshape(prompt.Shape[0]), state);
        }
        errors.Add("tokens", "tokens of whole sequences", Differing(whole, expected));
        errors.Add("tokens", "tokens by steps", Differing(stepped, expected));
    }

    private static int Differing(List<Tensor> tokens, IReadOnlyList<int[]> expected) =>
        Enumerable.Range(0, expected.Count).Sum(b => tokens.Where((t, i) => t.Span[b] != expected[b][i]).Count());

    private static LanguageModel Create(ModelGoldenFile file)
    {
        JsonElement json = file.Config;
        int vocabulary = Size("vocab"), padded = Optional("vocab_padded") ?? vocabulary;
        LanguageModelConfig plain = new(vocabulary, Size("d_model"), Size("n_layer")) { VocabularyMultiple = padded };
        return LanguageRegistry.Find(file.Model).Create(plain with
        {
            States = Optional("d_state"),
            Taps = Optional("d_conv") ?? plain.Taps,
            Expand = Optional("expand") ?? plain.Expand,
            HeadWidth = Optional("headdim"),
            Groups = Optional("ngroups") ?? plain.Groups,
            Heads = Optional("heads") ?? plain.Heads,
            Hidden = Optional("mlp"),
            Positions = Optional("positions") ?? plain.Positions,
        });

        int Size(string name) => Optional(name) ?? throw new ArgumentException($"the configuration lacks '{name}'");

        int? Optional(string name) => json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out JsonElement value)
            ? value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int size) ? size
                : throw new ArgumentException($"{name} = {value.GetRawText()}: expected a whole number")
            : null;
    }
}
