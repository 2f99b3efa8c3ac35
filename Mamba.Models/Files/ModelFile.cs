using System.Buffers.Binary;
using System.Text.Json;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Recipes;
using Mamba.Models.Zoo;

namespace Mamba.Models.Files;

/// <summary>
/// Weights in safetensors with all that describes the model in <c>__metadata__</c>: model, config, task, labels, normalization, data. No
/// time, path or thread count is written, so that the same training gives the same bytes.
/// </summary>
public static class ModelFile
{
    // Numbers of the smallest weight that is stored as codes.
    private const int SmallestCoded = 1024;

    /// <summary>Writes parameters and buffers under PyTorch's names.</summary>
    /// <param name="path">The file; it appears whole or not at all.</param>
    /// <param name="model">The model.</param>
    /// <param name="info">What describes it.</param>
    /// <param name="cancellation">Gives up; a file that was there stays as it is.</param>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static void Save(string path, VisionModel model, ModelInfo info, CancellationToken cancellation = default) =>
        Safetensors.Write(path, model.Parameters.All, Metadata(info), cancellation);

    /// <summary>
    /// Writes the tensors of another file under their names and in their types, with what describes the model, so that the new file is read
    /// as one of <see cref="Save"/>.
    /// </summary>
    /// <param name="path">The file; it appears whole or not at all.</param>
    /// <param name="source">Where the tensors come from; what else its metadata say is kept.</param>
    /// <param name="info">What describes the model that they are of.</param>
    /// <param name="cancellation">Gives up; a file that was there stays as it is.</param>
    /// <exception cref="CheckpointException">The file cannot be written, or the source cannot be read.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static void Convert(string path, WeightFile source, ModelInfo info, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        Dictionary<string, string> metadata = new(source.Metadata);
        foreach ((string key, string value) in Metadata(info)) metadata[key] = value;
        Safetensors.Write(path, source, metadata, cancellation);
    }

    /// <summary>Writes parameters and buffers in fewer bits, as the description says; what is read back is rounded to them.</summary>
    /// <param name="path">The file; it appears whole or not at all.</param>
    /// <param name="model">The model, in float32.</param>
    /// <param name="info">What describes it; its <see cref="ModelInfo.Quantization"/> decides the types.</param>
    /// <param name="float32">Weights that stay in float32 among those that int8 files hold as codes; null for none.</param>
    /// <param name="cancellation">Gives up; a file that was there stays as it is.</param>
    /// <exception cref="ArgumentException">The description has no quantization.</exception>
    /// <exception cref="CheckpointException">The file cannot be written, or a weight is NaN or infinite.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static void SaveQuantized(
        string path, VisionModel model, ModelInfo info, IReadOnlyCollection<string>? float32 = null,
        CancellationToken cancellation = default)
    {
        Quantization quantization = info.Quantization
            ?? throw new ArgumentException("ModelFile.SaveQuantized: expected a description with a quantization.", nameof(info));
        Dictionary<string, string> metadata = Metadata(info);
        metadata["quantization"] = JsonSerializer.Serialize(
            QuantizationDocument.Of(quantization), ModelJson.Default.QuantizationDocument);
        bool half = quantization.Mode == QuantizationMode.Fp16;
        HashSet<string> trained = [.. model.Parameters.Parameters.Select(p => p.Name)]; // running statistics stay in float32
        HashSet<string> coded = half ? [] : [.. CodedNames(model).Except(float32 ?? [])];
        Safetensors.Write(path, model.Parameters.All.SelectMany(Store), metadata, cancellation);

        IEnumerable<StoredTensor> Store((string Name, Tensor Tensor) p)
        {
            int[] shape = p.Tensor.Shape.ToArray();
            if (coded.Contains(p.Name)) return CodedWeights.Store(p.Name, p.Tensor.Span, shape);
            return [Plain(p.Name, p.Tensor.Span, shape, half && trained.Contains(p.Name))];
        }
    }

    /// <summary>
    /// The weights that int8 files hold as codes: the matrices and kernels among the trained tensors. Small ones save nothing, and are
    /// first and last layers mostly, whose rounding costs most.
    /// </summary>
    internal static IEnumerable<string> CodedNames(VisionModel model) => model.Parameters.Parameters
        .Where(p => p.Tensor.Shape.Rank >= 2 && p.Tensor.Count >= SmallestCoded && p.Name.EndsWith(".weight", StringComparison.Ordinal))
        .Select(p => p.Name);

    /// <summary>A tensor in float32, or in float16 if none of its values is beyond that.</summary>
    private static StoredTensor Plain(string name, ReadOnlySpan<float> values, int[] shape, bool half)
    {
        foreach (float value in half ? values : []) half &= MathF.Abs(value) <= (float)Half.MaxValue;
        byte[] bytes = new byte[values.Length * (half ? 2 : sizeof(float))];
        for (int i = 0; i < values.Length; i++)
            if (half) BinaryPrimitives.WriteHalfLittleEndian(bytes.AsSpan(2 * i), (Half)values[i]);
            else BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(sizeof(float) * i), values[i]);
        return new StoredTensor(name, half ? "F16" : "F32", shape, bytes);
    }

    /// <summary>What describes a model, as it stands in its file.</summary>
    internal static Dictionary<string, string> Metadata(ModelInfo info)
    {
        Dictionary<string, string> metadata = new()
        {
            ["format"] = "pt", // what PyTorch's own loader asks for
            ["model"] = info.Model,
            ["task"] = info.Entry.Task.ToString().ToLowerInvariant(),
            ["config"] = JsonSerializer.Serialize(ConfigDocument.Of(info.Config), ModelJson.Default.ConfigDocument),
            ["labels"] = JsonSerializer.Serialize(new LabelsDocument(info.Labels), ModelJson.Default.LabelsDocument),
            ["normalization"] = JsonSerializer.Serialize(
                NormalizationDocument.Of(info.Normalization), ModelJson.Default.NormalizationDocument),
            ["data"] = JsonSerializer.Serialize(DataDocument.Of(info.Data), ModelJson.Default.DataDocument),
        };
        // What older versions did is not written, so that their files and those of this version are the same.
        if (info.Intensity != Intensity.None) metadata["intensity"] = info.Intensity.ToString();
        if (info.Resampling != Resampling.Bilinear) metadata["resize"] = info.Resampling.ToString().ToLowerInvariant();
        if (info.Masks is { } masks)
            metadata["masks"] = JsonSerializer.Serialize(MasksDocument.Of(masks), ModelJson.Default.MasksDocument);
        if (info.Split is { } split)
            metadata["split"] = JsonSerializer.Serialize(SplitDocument.Of(split), ModelJson.Default.SplitDocument);
        return metadata;
    }

    /// <summary>Reads a model and its weights.</summary>
    /// <remarks>
    /// The file does not hold the rates of dropout and of stochastic depth. While a loaded model trains, it has neither.
    /// </remarks>
    /// <param name="path">A file that <see cref="Save"/> wrote.</param>
    /// <param name="cancellation">Stops before the model is made, and between its tensors.</param>
    /// <returns>The model, frozen for inference (<see cref="ParameterStore.Freeze"/>), and its description.</returns>
    /// <exception cref="CheckpointException">The file cannot be read, is malformed, or does not describe a model of the zoo.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static (VisionModel Model, ModelInfo Info) Load(string path, CancellationToken cancellation = default)
    {
        using WeightFile file = WeightFile.Open(path);
        return Load(file, cancellation);
    }

    /// <summary>
    /// As <see cref="Load(string, CancellationToken)"/>, with weights that stay in the file: several processes share one copy of them in
    /// the system's file cache, and it goes when memory is short. See <see cref="SafetensorsFile.OpenMapped"/>.
    /// </summary>
    /// <param name="path">A file that <see cref="Save"/> wrote, and that nobody may write.</param>
    /// <param name="cancellation">Stops before the model is made, and between its tensors.</param>
    /// <returns>The model, frozen for inference, and its description.</returns>
    /// <exception cref="CheckpointException">
    /// The file can be written, cannot be read, is malformed, or does not describe a model of the zoo.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static (VisionModel Model, ModelInfo Info) LoadMapped(string path, CancellationToken cancellation = default)
    {
        using SafetensorsFile file = SafetensorsFile.OpenMapped(path);
        return Load(file, cancellation);
    }

    /// <summary>As <see cref="Load(string, CancellationToken)"/>, of a stream: an embedded resource, say.</summary>
    /// <param name="weights">The file's bytes, from the stream's position on; the stream is read to its end and stays open.</param>
    /// <param name="name">What errors call it.</param>
    /// <param name="cancellation">Stops before the model is made, and between its tensors.</param>
    /// <returns>The model, frozen for inference, and its description.</returns>
    /// <exception cref="CheckpointException">The weights cannot be read, are malformed, or do not describe a model of the zoo.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static (VisionModel Model, ModelInfo Info) Load(Stream weights, string name, CancellationToken cancellation = default)
    {
        using WeightFile file = WeightFile.Open(weights, name);
        return Load(file, cancellation);
    }

    /// <summary>As <see cref="Load(string, CancellationToken)"/>, of an open file.</summary>
    /// <param name="file">A file that <see cref="Save"/> or <see cref="Convert"/> wrote.</param>
    /// <param name="cancellation">Stops before the model is made, and between its tensors.</param>
    /// <returns>The model, frozen for inference, and its description.</returns>
    /// <exception cref="CheckpointException">The file is malformed, or does not describe a model of the zoo.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static (VisionModel Model, ModelInfo Info) Load(WeightFile file, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(file);
        ModelInfo info = Describe(file.Path, file.Metadata);
        cancellation.ThrowIfCancellationRequested();
        VisionModel model;
        try
        {
            // Sizes that the file invents must not fill memory before they are compared with its tensors.
            ParameterStore store = new() { MaxCount = file.Names.Sum(name => (long)file.Count(name)), SkipInitialValues = true };
            model = info.Entry.Create(store, info.Config);
        }
        catch (Exception e) when (e is ArgumentException or ShapeException)
        {
            throw new CheckpointException($"{file.Path}: the weights do not fit the model that the metadata describes: {e.Message}", e);
        }
        LoadReport report = Fill(model, file, cancellation, info.Quantization);
        return (model, info with { NamePrefix = report.Prefix, LeftOut = report.LeftOut });
    }

    /// <summary>Whether the metadata of a file describe its model, as those of <see cref="Save"/> do.</summary>
    /// <param name="file">The open file.</param>
    /// <returns>False for weights of other programs, which <see cref="LoadForeign"/> reads.</returns>
    public static bool IsDescribed(WeightFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        return file.Metadata.ContainsKey("model") && file.Metadata.ContainsKey("config");
    }

    /// <summary>What a file says about its model. No model is made, and no weights are read.</summary>
    /// <param name="file">The open file.</param>
    /// <returns>The description.</returns>
    /// <exception cref="CheckpointException">It does not describe a model of the zoo.</exception>
    public static ModelInfo Describe(WeightFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        return Describe(file.Path, file.Metadata);
    }

    /// <summary>Whether weights of the file are int8 codes, as <see cref="SaveQuantized"/> writes them.</summary>
    /// <param name="file">The open file.</param>
    /// <returns>True if one is.</returns>
    public static bool HoldsCodes(WeightFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        return file.Names.Any(name => CodedWeights.IsCode(file, name));
    }

    /// <summary>
    /// Reads weights of a model of the zoo that say nothing of themselves. Their tensors tell the number of classes and of channels, and
    /// width, depth and patch where the model has a choice.
    /// </summary>
    /// <param name="file">The open file; what its metadata say is not looked at.</param>
    /// <param name="given">What the tensors do not tell.</param>
    /// <param name="cancellation">Stops before the model is made, and between its tensors.</param>
    /// <returns>The model, frozen for inference, and its description, with <see cref="RunData.IsForeign"/>.</returns>
    /// <exception cref="CheckpointException">The tensors do not fit the model; the message lists names, or the nearest two.</exception>
    /// <exception cref="ArgumentException">The size does not fit the model, or the names are not as many as the classes.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static (VisionModel Model, ModelInfo Info) LoadForeign(
        WeightFile file, ForeignModel given, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(file);
        ArgumentNullException.ThrowIfNull(given);
        cancellation.ThrowIfCancellationRequested();
        ModelInfo info = given.Describe(file.Path, new ForeignSizes(file, given.Entry).Find(cancellation));
        VisionModel model = given.Entry.Create(info.Config);
        LoadReport report = Fill(model, file, cancellation);
        return (model, info with { NamePrefix = report.Prefix, LeftOut = report.LeftOut });
    }

    /// <summary>Reads all tensors of a model and freezes it.</summary>
    /// <returns>How the file's names fitted.</returns>
    private static LoadReport Fill(VisionModel model, WeightFile file, CancellationToken cancellation, Quantization? quantization = null)
    {
        LoadReport report = quantization is null ? model.Parameters.Load(file, cancellation)
            : model.Parameters.Load(CodedWeights.Names(file), name => CodedWeights.Shape(file, name), Read, file.Path);
        foreach ((string name, float scale) in quantization?.Inputs ?? new Dictionary<string, float>())
            if (model.Parameters.Contains(name)) model.Parameters.QuantizeInputs(name, scale);
            else throw new CheckpointException($"{file.Path}: metadata 'quantization': the model has no weight '{name}'");
        model.Parameters.Freeze();
        return report;

        void Read(string name, Span<float> values)
        {
            cancellation.ThrowIfCancellationRequested();
            CodedWeights.Read(file, name, values);
        }
    }

    /// <summary>What the metadata of a file says, each value within its limits. No model is made.</summary>
    /// <exception cref="CheckpointException">It does not describe a model of the zoo.</exception>
    internal static ModelInfo Describe(string path, IReadOnlyDictionary<string, string> metadata)
    {
        try
        {
            string name = Entry("model");
            using JsonDocument config = JsonDocument.Parse(Entry("config")), labels = JsonDocument.Parse(Entry("labels"));
            using JsonDocument normalization = JsonDocument.Parse(Entry("normalization")), data = JsonDocument.Parse(Entry("data"));
            JsonElement c = config.RootElement, d = data.RootElement;
            ModelConfig sizes = new(Between(c, "input_channels", 1, 64), Between(c, "classes", 1, 1 << 16))
            {
                ImageSize = Optional(c, "image_size", 1 << 15),
                Patch = Optional(c, "patch", 1 << 15),
                Width = Optional(c, "width", 1 << 15),
                Depth = Optional(c, "depth", 1 << 10),
                Features = Optional(c, "features", 1 << 15),
                Mixer = Registry.Find(name).Config.Mixer,
                Widths = c.TryGetProperty("widths", out JsonElement widths) ? ChannelWidths.Parse(widths.GetString() ?? "") : null,
            };
            sizes = sizes.WithMixer(c.TryGetProperty("mixer", out JsonElement mixer) ? mixer.GetString() : null);
            Normalization normalized = new(Floats(normalization.RootElement, "mean"), Floats(normalization.RootElement, "std"));
            if (!normalized.Fits(sizes.InputChannels))
                throw new CheckpointException(
                    $"{path}: metadata 'normalization': expected {sizes.InputChannels} means and positive standard deviations");
            RunData run = new(
                Protocol(d.GetProperty("protocol").GetString()), d.GetProperty("seed").GetUInt64(),
                Optional(d, "limit", int.MaxValue), Between(d, "height", 1, RunData.MaxSide), Between(d, "width", 1, RunData.MaxSide))
            {
                SyntheticImages = Optional(d, "synthetic", int.MaxValue),
                Loss = d.TryGetProperty("loss", out JsonElement loss)
                    ? Enum.TryParse(loss.GetString(), out LossKind known) && Enum.IsDefined(known) ? known
                    : throw new FormatException($"loss '{loss}' is unknown") : null,
                Batch = Optional(d, "batch", 1 << 16),
                Crop = Optional(d, "crop", RunData.MaxSide),
                IsForeign = d.TryGetProperty("foreign", out JsonElement foreign) && foreign.GetBoolean(),
                IsSplitFromFile = d.TryGetProperty("split_file", out JsonElement listed) && listed.GetBoolean(),
                ClassWeights = d.TryGetProperty("class_weights", out _) ? Floats(d, "class_weights") : null,
                Fold = d.TryGetProperty("fold", out JsonElement fold)
                    ? Fold.Parse(fold.GetString()) ?? throw new FormatException("'fold' is none") : null,
                Axis = d.TryGetProperty("axis", out JsonElement axis)
                    ? Enum.TryParse(axis.GetString(), ignoreCase: true, out SliceAxis along) && Enum.IsDefined(along) ? along
                    : throw new FormatException($"axis '{axis}' is unknown") : null,
            };
            string?[] names = [.. labels.RootElement.GetProperty("labels").EnumerateArray().Select(l => l.GetString())];
            if (names.Length != sizes.Classes || names.Contains(null))
                throw new CheckpointException(
                    $"{path}: metadata 'labels' has {names.Length} names, expected one for each of {sizes.Classes} classes");
            return new ModelInfo(Registry.Find(name).Name, sizes, names!, normalized, run)
            {
                Intensity = metadata.TryGetValue("intensity", out string? intensity) ? Intensity.Parse(intensity) : Intensity.None,
                Resampling = metadata.TryGetValue("resize", out string? resize)
                    ? Enum.TryParse(resize, ignoreCase: true, out Resampling kind) && Enum.IsDefined(kind) ? kind
                    : throw new FormatException($"resize '{resize}' is unknown") : Resampling.Bilinear,
                Masks = metadata.TryGetValue("masks", out string? masks)
                    ? JsonSerializer.Deserialize(masks, ModelJson.Default.MasksDocument)!.ToMeaning(names!) : null,
                Split = metadata.TryGetValue("split", out string? split)
                    ? JsonSerializer.Deserialize(split, ModelJson.Default.SplitDocument)!.ToRecord() : null,
                Quantization = metadata.TryGetValue("quantization", out string? quantization)
                    ? JsonSerializer.Deserialize(quantization, ModelJson.Default.QuantizationDocument)!.ToQuantization() : null,
            };
        }
        catch (Exception e) when (
            e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or ArgumentException)
        {
            throw new CheckpointException($"{path}: metadata does not describe a model: {e.Message}", e);
        }

        string Entry(string key) => metadata.TryGetValue(key, out string? value)
            ? value
            : throw new CheckpointException($"{path}: metadata lacks '{key}'; expected weights written by 'mamba train'");

        SplitProtocol Protocol(string? word) => SplitProtocolWords.Parse(word)
            ?? throw new CheckpointException($"{path}: metadata 'protocol' is '{word}', expected slice, patient, official or holdout");

        int? Optional(JsonElement json, string key, int high) => json.TryGetProperty(key, out _) ? Between(json, key, 1, high) : null;

        int Between(JsonElement json, string key, int low, int high) =>
            json.GetProperty(key).GetInt32() is var value && value >= low && value <= high
            ? value
            : throw new CheckpointException($"{path}: metadata '{key}' is {value}, expected {low} to {high}");
    }

    private static float[] Floats(JsonElement json, string key) => [.. json.GetProperty(key).EnumerateArray().Select(n => n.GetSingle())];
}
