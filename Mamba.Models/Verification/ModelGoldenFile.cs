using System.Text.Json;
using Mamba.Core;
using Mamba.Core.Checkpoints;

namespace Mamba.Models.Verification;

/// <summary>Reference values of a model as read from a file. Each number is checked against its limits first.</summary>
/// <param name="Model">The model's name in the zoo.</param>
/// <param name="Parameters">The number of trainable parameters.</param>
/// <param name="Tensors">The stored tensors of its state_dict, in order.</param>
/// <param name="SecondNames">The entries of the state_dict that are aliases of earlier ones.</param>
/// <param name="Cases">What it does.</param>
/// <param name="Config">What names and shapes cannot tell; an object, or undefined.</param>
internal sealed record ModelGoldenFile(
    string Model,
    long Parameters,
    IReadOnlyList<FilledTensor> Tensors,
    IReadOnlyList<(string Alias, string Original)> SecondNames,
    IReadOnlyList<ModelGoldenCase> Cases,
    JsonElement Config)
{
    /// <summary>The most bytes of a file, which is read whole.</summary>
    public const long MaxBytes = 1L << 26;

    /// <summary>The most elements of an input, a target or a cotangent, which a small file could ask for.</summary>
    public const int MaxInput = 1 << 22;

    /// <summary>A whole number of the configuration.</summary>
    /// <exception cref="ArgumentException">There is none of this name, or it is something else.</exception>
    public int Size(string name) => OptionalSize(name) ?? throw new ArgumentException($"the configuration lacks '{name}'");

    /// <summary>A whole number of the configuration; null if there is none of this name.</summary>
    /// <exception cref="ArgumentException">It is something else.</exception>
    public int? OptionalSize(string name) =>
        Config.ValueKind != JsonValueKind.Object || !Config.TryGetProperty(name, out JsonElement value) ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int size) ? size
        : throw new ArgumentException($"{name} = {value.GetRawText()}: expected a whole number");

    /// <summary>A truth value of the configuration.</summary>
    /// <exception cref="ArgumentException">There is none of this name.</exception>
    public bool Flag(string name) =>
        Config.ValueKind == JsonValueKind.Object && Config.TryGetProperty(name, out JsonElement value)
            && value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
        : throw new ArgumentException($"the configuration lacks '{name}'");

    /// <summary>Reads a file.</summary>
    /// <exception cref="CheckpointException">It cannot be read, or is no golden file of a model.</exception>
    public static ModelGoldenFile Open(string path)
    {
        try
        {
            long length = new FileInfo(path).Length;
            return length <= MaxBytes ? Read(path, File.ReadAllBytes(path))
                : throw new CheckpointException($"{path}: {length} bytes; expected at most {MaxBytes}");
        }
        catch (Exception e) when (e is (IOException and not CheckpointException) or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads the bytes of a file. The path appears in errors.</summary>
    /// <exception cref="CheckpointException">It is no golden file of a model.</exception>
    public static ModelGoldenFile Read(string path, byte[] bytes)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(bytes);
            JsonElement root = document.RootElement;
            ILookup<bool, JsonElement> tensors = root.GetProperty("tensors").EnumerateArray()
                .ToLookup(t => t.TryGetProperty("alias_of", out _));
            Dictionary<string, int> seen = [];
            return new ModelGoldenFile(
                Text(root, "model"), root.GetProperty("parameters").GetInt64(), [.. tensors[false].Select(t => Filled(t, int.MaxValue))],
                [.. tensors[true].Select(t => (Text(t, "name"), Text(t, "alias_of")))],
                [.. root.GetProperty("cases").EnumerateArray().Select(golden => Case(golden, seen))],
                root.TryGetProperty("config", out JsonElement config) ? config.Clone() : default);
        }
        catch (Exception e) when (e
            is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or ShapeException)
        {
            throw new CheckpointException($"{path}: no golden file of a model: {e.Message}", e);
        }
    }

    private static ModelGoldenCase Case(JsonElement golden, Dictionary<string, int> seen)
    {
        string mode = Text(golden, "mode");
        int repeat = seen[mode] = seen.GetValueOrDefault(mode) + 1;
        ModelGoldenCase common = new(
            repeat == 1 ? mode : $"{mode}-{repeat}", mode, Filled(golden.GetProperty("input"), MaxInput),
            golden.GetProperty("tolerance").EnumerateObject().ToLookup(t => t.Name, t => Number(t.Value)));
        return mode switch
        {
            "eval" or "train" => common with
            {
                Output = Digest(golden.GetProperty("output")),
                Buffers = golden.TryGetProperty("buffers_after", out JsonElement buffers) ? Digests(buffers) : [],
                Cotangent = golden.TryGetProperty("cotangent", out JsonElement cotangent) ? Filled(cotangent, MaxInput) : null,
                Gradients = cotangent.ValueKind == JsonValueKind.Undefined ? [] : Digests(golden.GetProperty("grads")),
                InputGradient = golden.TryGetProperty("input_grad", out JsonElement input) ? Digest(input) : null,
            },
            "optimize" => common with { Training = Training(golden) },
            "loss" => common with { Loss = Loss(golden), Gradients = Digests(golden.GetProperty("grads")) },
            "generate" => common with { Tokens = [.. golden.GetProperty("tokens").EnumerateArray().Select(Integers)] },
            _ => common, // ModelGolden reports an unknown mode
        };
    }

    private static GoldenTraining Training(JsonElement golden)
    {
        JsonElement target = golden.GetProperty("target");
        return new GoldenTraining(
            Text(golden, "loss"), Filled(target, MaxInput), Text(target, "then"),
            [.. golden.GetProperty("losses").EnumerateArray().Select(Number)], Optimizer(golden.GetProperty("optimizer")));
    }

    private static GoldenOptimizer Optimizer(JsonElement optimizer)
    {
        GoldenOptimizer common = new(
            Text(optimizer, "name"), Number(optimizer.GetProperty("lr")), Number(optimizer.GetProperty("weight_decay")))
        {
            Groups = optimizer.TryGetProperty("groups", out JsonElement groups) ? [.. groups.EnumerateArray().Select(Group)] : [],
        };
        if (common.Name == "sgd") return common with { Momentum = Number(optimizer.GetProperty("momentum")) };
        double[] betas = [.. optimizer.GetProperty("betas").EnumerateArray().Select(Number)];
        return betas.Length == 2
            ? common with { Eps = Number(optimizer.GetProperty("eps")), Beta1 = betas[0], Beta2 = betas[1] }
            : throw new FormatException($"{betas.Length} betas, expected 2");
    }

    private static GoldenGroup Group(JsonElement group) => new(
        [.. group.GetProperty("names_end_with").EnumerateArray().Select(e => e.GetString() ?? "")], Number(group.GetProperty("lr")),
        Number(group.GetProperty("weight_decay")));

    private static GoldenLoss Loss(JsonElement golden) =>
        new(Text(golden, "loss_function"), Filled(golden.GetProperty("target"), MaxInput), Number(golden.GetProperty("loss")));

    private static int[] Integers(JsonElement json) => [.. json.EnumerateArray().Select(e => e.GetInt32())];

    private static FilledTensor Filled(JsonElement json, int most)
    {
        FilledTensor tensor = new(Text(json, "name"), Extents(json), Number(json.GetProperty("low")), Number(json.GetProperty("high")))
        {
            Whole = json.TryGetProperty("then", out JsonElement then) && then.GetString() == "floor",
        };
        return tensor.Shape.Count <= most ? tensor
            : throw new FormatException(
                $"'{tensor.Name}' of shape {tensor.Shape} has {tensor.Shape.Count} numbers, expected at most {most}");
    }

    /// <summary>Digests by name; null where there must be none.</summary>
    private static List<(string Name, Digest? Digest)> Digests(JsonElement json) =>
        [.. json.EnumerateObject().Select(p => (p.Name, p.Value.ValueKind == JsonValueKind.Null ? null : Digest(p.Value)))];

    private static Digest Digest(JsonElement json)
    {
        Shape shape = Extents(json);
        List<(int Index, double Value)> samples = [];
        foreach (JsonElement sample in json.GetProperty("samples").EnumerateArray())
        {
            if (sample.GetArrayLength() != 2)
                throw new FormatException($"a sample of {sample.GetArrayLength()} numbers, expected an index and a value");
            int index = sample[0].GetInt32();
            if ((uint)index >= (uint)shape.Count) throw new FormatException($"a sample at {index} of {shape.Count} numbers");
            samples.Add((index, Number(sample[1])));
        }
        return new Digest(shape, Number(json.GetProperty("l2")) / Math.Sqrt(Math.Max(1, shape.Count)), samples);
    }

    private static Shape Extents(JsonElement json)
    {
        JsonElement shape = json.GetProperty("shape");
        return shape.GetArrayLength() <= Shape.MaxRank
            ? new Shape([.. shape.EnumerateArray().Select(e => e.GetInt32())])
            : throw new FormatException($"a shape of {shape.GetArrayLength()} dimensions, expected at most {Shape.MaxRank}");
    }

    private static string Text(JsonElement json, string key) => json.GetProperty(key).GetString()
        ?? throw new FormatException($"'{key}' is null, expected a text");

    private static double Number(JsonElement json) => json.GetDouble() is var value && double.IsFinite(value) ? value
        : throw new FormatException($"{json.GetRawText()} is too large a number");
}

/// <summary>A tensor that no file stores: its elements follow from its name, see <see cref="GoldenFill"/>.</summary>
internal sealed record FilledTensor(string Name, Shape Shape, double Low, double High)
{
    /// <summary>Whether elements are rounded down: tokens and classes.</summary>
    public bool Whole { get; init; }

    public Tensor Make()
    {
        Tensor tensor = Tensor.Empty(Shape);
        Fill(tensor.Span);
        if (Whole)
            foreach (ref float value in tensor.Span) value = MathF.Floor(value);
        return tensor;
    }

    public void Fill(Span<float> values) => GoldenFill.Fill(Name, Low, High, values);
}

/// <summary>The digest of a tensor: its shape, its root mean square and some of its elements.</summary>
internal sealed record Digest(Shape Shape, double Rms, IReadOnlyList<(int Index, double Value)> Samples);

/// <summary>The reference values for one input.</summary>
internal sealed record ModelGoldenCase(string Title, string Mode, FilledTensor Input, ILookup<string, double> Tolerances)
{
    /// <summary>The result; null except in the modes eval and train.</summary>
    public Digest? Output { get; init; }

    /// <summary>Running statistics after the pass.</summary>
    public IReadOnlyList<(string Name, Digest? Digest)> Buffers { get; init; } = [];

    /// <summary>The cotangent of the result, from which gradients follow; null if there is none.</summary>
    public FilledTensor? Cotangent { get; init; }

    public IReadOnlyList<(string Name, Digest? Digest)> Gradients { get; init; } = [];

    public Digest? InputGradient { get; init; }

    /// <summary>Training steps; only in the mode optimize.</summary>
    public GoldenTraining? Training { get; init; }

    /// <summary>A loss that was differentiated; only in the mode loss.</summary>
    public GoldenLoss? Loss { get; init; }

    /// <summary>The tokens that follow each sequence of the input, greedily; only in the mode generate.</summary>
    public IReadOnlyList<int[]>? Tokens { get; init; }
}

/// <summary>The loss of one batch.</summary>
internal sealed record GoldenLoss(string Function, FilledTensor Target, double Value);

/// <summary>Steps of training on one batch.</summary>
internal sealed record GoldenTraining(
    string Loss, FilledTensor Target, string Then, IReadOnlyList<double> Losses, GoldenOptimizer Optimizer);

/// <summary>SGD, Adam or AdamW, by name.</summary>
internal sealed record GoldenOptimizer(string Name, double LearningRate, double WeightDecay)
{
    /// <summary>Of SGD.</summary>
    public double Momentum { get; init; }

    /// <summary>Of Adam and AdamW, as the two that follow.</summary>
    public double Eps { get; init; }

    public double Beta1 { get; init; }

    public double Beta2 { get; init; }

    /// <summary>Parameters with settings of their own.</summary>
    public IReadOnlyList<GoldenGroup> Groups { get; init; } = [];
}

/// <summary>Parameters whose names end so, and their settings.</summary>
internal sealed record GoldenGroup(IReadOnlyList<string> Endings, double LearningRate, double WeightDecay);
