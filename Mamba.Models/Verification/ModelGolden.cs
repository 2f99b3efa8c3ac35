using System.Text.Json;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;
using Mamba.Core.Optim;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Models.Verification;

/// <summary>Holds a model against reference values: outputs, gradients, running statistics and steps of training, each case from the same filled weights.</summary>
public static class ModelGolden
{
    /// <summary>Runs all cases of one file.</summary>
    /// <param name="path">A JSON file of the format that the goldens' README describes.</param>
    /// <returns>A verdict a case; a model that the zoo lacks is one failure with a message.</returns>
    /// <exception cref="CheckpointException">The file cannot be read, or is no golden file of a model.</exception>
    public static IReadOnlyList<VerificationResult> Run(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            using JsonDocument document = JsonDocument.Parse(stream);
            JsonElement root = document.RootElement;
            string name = root.GetProperty("model").GetString()!;
            if (!Registry.Models.Any(m => m.Name == name)) return [Failure(path, name, $"the zoo has no model '{name}'")];
            List<VerificationResult> results = [CheckTensors(path, root, name)];
            if (!results[0].Passed) return results;
            Dictionary<string, int> seen = [];
            foreach (JsonElement golden in root.GetProperty("cases").EnumerateArray())
            {
                string mode = golden.GetProperty("mode").GetString()!;
                int repeat = seen[mode] = seen.GetValueOrDefault(mode) + 1;
                results.Add(RunCase(path, repeat == 1 ? mode : $"{mode}-{repeat}", mode, root, golden, name));
            }
            return results;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or KeyNotFoundException or InvalidOperationException or FormatException or IndexOutOfRangeException)
        {
            throw new CheckpointException($"{path}: no golden file of a model: {e.Message}", e);
        }
    }

    /// <summary>Names, shapes, order and number of the parameters.</summary>
    private static VerificationResult CheckTensors(string path, JsonElement root, string name)
    {
        VisionModel model = Create(name);
        string[] expected = [.. Tensors(root).Select(t => $"{t.GetProperty("name").GetString()} {new Shape(Extents(t))}")];
        string[] actual = [.. model.Parameters.All.Select(p => $"{p.Name} {p.Tensor.Shape}")];
        long count = root.GetProperty("parameters").GetInt64();
        string? problem = model.Parameters.ParameterCount != count ? $"{model.Parameters.ParameterCount} parameters, expected {count}"
            : !expected.SequenceEqual(actual) ? $"parameters differ, first: {actual.Except(expected).FirstOrDefault() ?? "another order"}; expected {expected.Except(actual).FirstOrDefault() ?? "the same"}"
            : SecondNames(root).FirstOrDefault(n => !model.Parameters.Contains(n.Alias) || model.Parameters[n.Alias] != model.Parameters[n.Original]) is { Alias: { } alias } second ? $"{alias} is not another name of {second.Original}"
            : null;
        return new VerificationResult(path, "parameters", problem is null, null, null, problem);
    }

    private static VerificationResult RunCase(string path, string title, string mode, JsonElement root, JsonElement golden, string name)
    {
        using MemoryScope scope = new();
        VisionModel model = Create(name);
        foreach (JsonElement tensor in Tensors(root)) Fill(tensor, model.Parameters[tensor.GetProperty("name").GetString()!].Span);
        model.Parameters.Training = mode != "eval";
        Tensor images = ChannelsLast(Filled(golden.GetProperty("input")));
        Errors errors = new(golden.GetProperty("tolerance"));
        try
        {
            if (mode == "optimize") Optimize(model, images, golden, errors);
            else if (mode is "eval" or "train") Evaluate(model, images, golden, errors);
            else return Failure(path, title, $"unknown mode '{mode}'");
        }
        catch (Exception e) when (e is ShapeException or UnsupportedCaseException)
        {
            return Failure(path, title, e.Message);
        }
        return new VerificationResult(path, title, errors.Problem is null, errors.Output, errors.Gradient, errors.Problem);
    }

    private static void Evaluate(VisionModel model, Tensor images, JsonElement golden, Errors errors)
    {
        if (!model.Parameters.Training) // as it is, and frozen
        {
            using MemoryScope scope = new();
            model.Parameters.Freeze();
            errors.Compare("output", "output, frozen", new Digest(golden.GetProperty("output")), ChannelsFirst(model.Forward(images)), largestRms: 0);
            model.Parameters.Thaw();
        }
        images.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = model.Forward(images), output = ChannelsFirst(y);
        errors.Compare("output", "output", new Digest(golden.GetProperty("output")), output, largestRms: 0);
        if (golden.TryGetProperty("buffers_after", out JsonElement buffers)) CompareAll("buffers", buffers, n => model.Parameters[n], errors);
        if (!golden.TryGetProperty("cotangent", out JsonElement cotangent)) return;

        Tensor weights = Filled(cotangent);
        float[] scaled = Array.ConvertAll(weights.Span.ToArray(), w => w / weights.Count); // loss = sum(output * cotangent) / numel(output)
        tape.Backward(output, Tensor.From(scaled, weights.Shape.ToArray()));
        CompareAll("grads", golden.GetProperty("grads"), n => model.Parameters[n].Grad, errors);
        if (golden.TryGetProperty("input_grad", out JsonElement inputGradient))
            errors.Compare("input_grad", "input_grad", new Digest(inputGradient), ChannelsFirst(images.Grad!.Value), largestRms: 0);
    }

    private static void CompareAll(string kind, JsonElement expected, Func<string, Tensor?> actual, Errors errors)
    {
        Dictionary<string, Digest> digests = [];
        foreach (JsonProperty property in expected.EnumerateObject())
            if (property.Value.ValueKind == JsonValueKind.Null)
            {
                if (actual(property.Name) is not null) throw new UnsupportedCaseException($"{property.Name} has a gradient, expected none");
            }
            else digests[property.Name] = new Digest(property.Value);
        double largest = digests.Values.Select(d => d.Rms).DefaultIfEmpty(0).Max();
        foreach ((string name, Digest digest) in digests)
            errors.Compare(kind, name, digest, actual(name) ?? throw new UnsupportedCaseException($"{name} has no gradient"), 0.01 * largest);
    }

    private static void Optimize(VisionModel model, Tensor images, JsonElement golden, Errors errors)
    {
        Func<Tensor, Tensor> loss = LossOf(golden, model.Output);
        Optimizer optimizer = OptimizerOf(golden.GetProperty("optimizer"), model);
        foreach (JsonElement expected in golden.GetProperty("losses").EnumerateArray())
        {
            model.Parameters.ZeroGrad();
            using Tape tape = new();
            Tensor value = loss(model.Forward(images));
            errors.Add("losses", "loss", Math.Abs(value.Item() - expected.GetDouble()) / Math.Abs(expected.GetDouble()));
            tape.Backward(value);
            optimizer.Step();
        }
    }

    /// <summary>The loss of a prediction with respect to the case's target: a mask, or a class an image.</summary>
    private static Func<Tensor, Tensor> LossOf(JsonElement golden, ModelOutput output)
    {
        JsonElement target = golden.GetProperty("target");
        Tensor filled = Filled(target);
        string? name = golden.GetProperty("loss").GetString(), then = target.GetProperty("then").GetString();
        if (name == "cross_entropy")
        {
            if (then != "floor") throw new UnsupportedCaseException($"unknown target '{then}'");
            int[] classes = Array.ConvertAll(filled.Span.ToArray(), x => (int)x);
            return y => Ops.CrossEntropy(y, classes);
        }
        if (then != "ge 0.75") throw new UnsupportedCaseException($"unknown target '{then}'");
        Tensor mask = ChannelsLast(filled);
        foreach (ref float value in mask.Span) value = value >= 0.75f ? 1f : 0f;
        return name switch
        {
            "bce_dice" => y => Ops.BceDice(output == ModelOutput.Logits ? Ops.Sigmoid(y) : y, mask),
            "dice" => y => Ops.DiceWithLogits(y, mask),
            "bce_with_logits" => y => Ops.BinaryCrossEntropyWithLogits(y, mask),
            _ => throw new UnsupportedCaseException($"unknown loss '{name}'"),
        };
    }

    private static Optimizer OptimizerOf(JsonElement o, VisionModel model)
    {
        double rate = o.GetProperty("lr").GetDouble(), decay = o.GetProperty("weight_decay").GetDouble();
        if (o.GetProperty("name").GetString() is not ("adam" or "adamw")) throw new UnsupportedCaseException($"unknown optimizer {o.GetProperty("name")}");
        return new Adam(model.Parameters.Parameters, rate, decay)
        {
            Decoupled = o.GetProperty("name").GetString() == "adamw",
            Eps = o.GetProperty("eps").GetDouble(),
            Beta1 = o.GetProperty("betas")[0].GetDouble(),
            Beta2 = o.GetProperty("betas")[1].GetDouble(),
        };
    }

    /// <summary>The model as the paper has it, but for drop-path: what chance decides cannot be compared.</summary>
    private static VisionModel Create(string name)
    {
        ModelEntry entry = Registry.Find(name);
        return entry.Create(entry.Config with { DropPath = 0 });
    }

    /// <summary>The tensors of the state_dict that are stored: a second name of one is left out.</summary>
    private static IEnumerable<JsonElement> Tensors(JsonElement root) => root.GetProperty("tensors").EnumerateArray().Where(t => !t.TryGetProperty("alias_of", out _));

    /// <summary>The entries of the state_dict that are an earlier one under a second name.</summary>
    private static IEnumerable<(string Alias, string Original)> SecondNames(JsonElement root) => root.GetProperty("tensors").EnumerateArray()
        .Where(t => t.TryGetProperty("alias_of", out _)).Select(t => (t.GetProperty("name").GetString()!, t.GetProperty("alias_of").GetString()!));

    private static int[] Extents(JsonElement tensor) => [.. tensor.GetProperty("shape").EnumerateArray().Select(e => e.GetInt32())];

    private static Tensor Filled(JsonElement tensor)
    {
        Tensor filled = Tensor.Empty(Extents(tensor));
        Fill(tensor, filled.Span);
        return filled;
    }

    private static void Fill(JsonElement tensor, Span<float> values) =>
        GoldenFill.Fill(tensor.GetProperty("name").GetString()!, tensor.GetProperty("low").GetDouble(), tensor.GetProperty("high").GetDouble(), values);

    private static Tensor ChannelsLast(Tensor x) => Ops.Permute(x, 0, 2, 3, 1);

    private static Tensor ChannelsFirst(Tensor x) => x.Shape.Rank == 4 ? Ops.Permute(x, 0, 3, 1, 2) : x;

    private static VerificationResult Failure(string path, string title, string message) => new(path, title, false, null, null, message);

    /// <summary>What a file keeps of a tensor: its shape, its norm and some of its elements.</summary>
    private sealed class Digest
    {
        public Digest(JsonElement json)
        {
            Shape = new Shape(Extents(json));
            Rms = json.GetProperty("l2").GetDouble() / Math.Sqrt(Math.Max(1, Shape.Count));
            Samples = [.. json.GetProperty("samples").EnumerateArray().Select(s => (s[0].GetInt32(), s[1].GetDouble()))];
        }

        public Shape Shape { get; }

        public double Rms { get; }

        public (int Index, double Value)[] Samples { get; }
    }

    /// <summary>The worst error of each kind, held against its tolerance.</summary>
    private sealed class Errors(JsonElement tolerances)
    {
        public double? Output { get; private set; }

        public double? Gradient { get; private set; }

        /// <summary>The first error that is too large.</summary>
        public string? Problem { get; private set; }

        public void Compare(string kind, string name, Digest expected, Tensor actual, double largestRms)
        {
            if (actual.Shape != expected.Shape) throw new UnsupportedCaseException($"{name} has shape {actual.Shape}, expected {expected.Shape}");
            double scale = expected.Rms + largestRms, worst = 0;
            foreach ((int index, double value) in expected.Samples)
            {
                double difference = Math.Abs(actual.Span[index] - value);
                worst = Math.Max(worst, scale > 0 ? difference / scale : difference); // Math.Max passes NaN on
            }
            Add(kind, name, worst);
        }

        public void Add(string kind, string name, double error)
        {
            if (kind is "output" or "losses") Output = Math.Max(Output ?? 0, error);
            else Gradient = Math.Max(Gradient ?? 0, error);
            double allowed = tolerances.GetProperty(kind).GetDouble();
            if (!(error <= allowed)) Problem ??= FormattableString.Invariant($"{kind}: {name} has error {error:0.0e+00}, allowed {allowed:0.0e+00}");
        }
    }
}
