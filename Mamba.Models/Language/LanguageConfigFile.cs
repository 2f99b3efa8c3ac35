using System.Text.Json;
using Mamba.Core.Checkpoints;
using Mamba.Models.Blocks;

namespace Mamba.Models.Language;

/// <summary>
/// A config.json as published: that of state-spaces/mamba (<c>d_model</c>, <c>n_layer</c>, <c>ssm_cfg</c>), that of its <c>-hf</c> copies
/// (<c>model_type</c>, <c>hidden_size</c>), or one of <see cref="Write"/>. What the models here do not have is refused, not ignored.
/// </summary>
internal static class LanguageConfigFile
{
    private const int MaxBytes = 1 << 20;

    /// <summary>Reads a file.</summary>
    /// <returns>The model's name in the registry, and its sizes.</returns>
    /// <exception cref="CheckpointException">It cannot be read, or describes no model that is here.</exception>
    public static (string Name, LanguageModelConfig Config) Read(string path)
    {
        try
        {
            FileInfo file = new(path);
            if (!file.Exists)
                throw new CheckpointException($"{path}: no such file; the folder of a language model has it beside the weights");
            if (file.Length > MaxBytes) throw new CheckpointException($"{path}: {file.Length} bytes; expected at most {MaxBytes}");
            using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { MaxDepth = 8 });
            Fields fields = new(json.RootElement);
            return json.RootElement.TryGetProperty("hidden_size", out _) ? HuggingFace(fields) : StateSpaces(fields);
        }
        catch (JsonException e)
        {
            throw new CheckpointException($"{path}: is not JSON: {e.Message}", e);
        }
        catch (Exception e) when (e is FormatException or InvalidOperationException or KeyNotFoundException)
        {
            throw new CheckpointException($"{path}: {e.Message}", e);
        }
        catch (Exception e) when (e is (IOException and not CheckpointException) or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Writes what <see cref="Read"/> reads: state-spaces/mamba's keys, and ours for what it has not.</summary>
    public static void Write(string path, string name, LanguageModelConfig config) => AtomicFile.Write(path, stream =>
    {
        using Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true });
        json.WriteStartObject();
        json.WriteString("model", name);
        json.WriteNumber("d_model", config.Width);
        json.WriteNumber("n_layer", config.Depth);
        json.WriteNumber("vocab_size", config.Vocabulary);
        json.WriteNumber("pad_vocab_size_multiple", config.VocabularyMultiple);
        json.WriteNumber("norm_eps", config.NormEps);
        if (name == LanguageRegistry.Transformer)
        {
            json.WriteNumber("heads", config.Heads);
            json.WriteNumber("mlp", config.Hidden ?? 4 * config.Width);
            json.WriteNumber("positions", config.Positions);
        }
        else
        {
            json.WriteStartObject("ssm_cfg");
            json.WriteString("layer", config.Mixer == MixerKind.Mamba ? "Mamba1" : config.Mixer.ToString());
            if (config.States is { } states) json.WriteNumber("d_state", states);
            json.WriteNumber("d_conv", config.Taps);
            json.WriteNumber("expand", config.Expand);
            if (config.HeadWidth is { } width) json.WriteNumber("headdim", width);
            json.WriteNumber("ngroups", config.Groups);
            json.WriteEndObject();
        }
        json.WriteEndObject();
    });

    private static (string, LanguageModelConfig) StateSpaces(Fields json)
    {
        LanguageModelConfig config = new(json.Size("vocab_size"), json.Size("d_model"), json.Size("n_layer"))
        {
            VocabularyMultiple = json.Optional("pad_vocab_size_multiple") ?? 8,
            NormEps = json.Number("norm_eps") ?? 1e-5f,
        };
        json.Require("tie_embeddings", true);
        if (json.Text("model") == LanguageRegistry.Transformer)
            return (LanguageRegistry.Transformer, config with
            {
                Heads = json.Size("heads"),
                Hidden = json.Size("mlp"),
                Positions = json.Size("positions"),
            });
        json.Require("rms_norm", true);
        json.RequireNone("d_intermediate");
        json.RequireNone("attn_layer_idx");
        Fields layer = json.Below("ssm_cfg");
        config = config with
        {
            Mixer = Kind(layer.Text("layer") ?? "Mamba1"),
            States = layer.Optional("d_state"),
            Taps = layer.Optional("d_conv") ?? config.Taps,
            Expand = layer.Optional("expand") ?? config.Expand,
            HeadWidth = layer.Optional("headdim"),
            Groups = layer.Optional("ngroups") ?? config.Groups,
        };
        RequireRank(layer.Optional("dt_rank"), config.Width);
        return (NameOf(config.Mixer), config);
    }

    private static (string, LanguageModelConfig) HuggingFace(Fields json)
    {
        string type = json.Text("model_type") ?? "mamba";
        MixerKind kind = type switch
        {
            "mamba" => MixerKind.Mamba,
            "mamba2" => MixerKind.Mamba2,
            _ => throw new FormatException($"model_type is '{type}', expected mamba or mamba2"),
        };
        json.Require("tie_word_embeddings", true);
        json.Require("use_bias", false);
        json.Require("use_conv_bias", true);
        // Their vocabulary is the padded one.
        LanguageModelConfig config = new(json.Size("vocab_size"), json.Size("hidden_size"), json.Size("num_hidden_layers"))
        {
            VocabularyMultiple = 1,
            NormEps = json.Number("layer_norm_epsilon") ?? 1e-5f,
            Mixer = kind,
            States = json.Optional("state_size"),
            Taps = json.Optional("conv_kernel") ?? 4,
            Expand = json.Optional("expand") ?? 2,
            HeadWidth = json.Optional("head_dim"),
            Groups = json.Optional("n_groups") ?? 1,
        };
        if (kind == MixerKind.Mamba) RequireRank(json.Optional("time_step_rank"), config.Width);
        return (NameOf(kind), config);
    }

    private static MixerKind Kind(string layer) => layer switch
    {
        "Mamba1" or "Mamba" => MixerKind.Mamba,
        _ when Enum.TryParse(layer, out MixerKind kind) && Enum.IsDefined(kind) => kind,
        _ => throw new FormatException($"ssm_cfg.layer is '{layer}', expected {string.Join(", ", Enum.GetNames<MixerKind>())}"),
    };

    private static string NameOf(MixerKind kind) =>
        LanguageRegistry.Models.First(m => m.Config.Mixer == kind && m.Name != LanguageRegistry.Transformer).Name;

    private static void RequireRank(int? rank, int width)
    {
        if (rank is { } given && given != (width + 15) / 16)
            throw new FormatException($"dt_rank is {given}, expected {(width + 15) / 16}, a sixteenth of the width");
    }

    /// <summary>The fields of an object, each with its checks.</summary>
    private readonly struct Fields(JsonElement json)
    {
        private readonly JsonElement _json = json.ValueKind == JsonValueKind.Object ? json
            : throw new FormatException($"a JSON {json.ValueKind}, expected an object");

        public int Size(string name) =>
            Optional(name) ?? throw new FormatException($"'{name}' is missing, expected a whole number above 0");

        public int? Optional(string name) => Value(name) is not { } value ? null
            : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int size) && size > 0 ? size
            : value.ValueKind == JsonValueKind.String && value.GetString() == "auto" ? null
            : throw new FormatException($"'{name}' is {value.GetRawText()}, expected a whole number above 0");

        public float? Number(string name) => Value(name) is not { } value ? null
            : value.ValueKind == JsonValueKind.Number && value.TryGetSingle(out float x) && x is >= 0 and <= float.MaxValue ? x
            : throw new FormatException($"'{name}' is {value.GetRawText()}, expected a number of at least 0");

        public string? Text(string name) => Value(name) is not { } value ? null
            : value.ValueKind == JsonValueKind.String ? value.GetString()
            : throw new FormatException($"'{name}' is {value.GetRawText()}, expected a text");

        public Fields Below(string name) => Value(name) is { } value ? new Fields(value) : new Fields(s_empty);

        /// <summary>Refuses a flag that has another value than the models here.</summary>
        public void Require(string name, bool expected)
        {
            if (Value(name) is { } value && value.ValueKind != (expected ? JsonValueKind.True : JsonValueKind.False))
                throw new FormatException($"'{name}' is {value.GetRawText()}; only {(expected ? "true" : "false")} is built");
        }

        /// <summary>Refuses a part that the models here do not have.</summary>
        public void RequireNone(string name)
        {
            if (Value(name) is { } value && value.GetRawText() is not ("0" or "[]"))
                throw new FormatException($"'{name}' is {value.GetRawText()}; layers of attention or perceptrons are not built");
        }

        private JsonElement? Value(string name) =>
            _json.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    private static readonly JsonElement s_empty = Empty();

    private static JsonElement Empty()
    {
        using JsonDocument document = JsonDocument.Parse("{}");
        return document.RootElement.Clone();
    }
}
