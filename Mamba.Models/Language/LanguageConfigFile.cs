using System.Text.Json;
using Mamba.Core.Checkpoints;
using Mamba.Models.Blocks;

namespace Mamba.Models.Language;

/// <summary>
/// A config.json as published: that of state-spaces/mamba (<c>d_model</c>, <c>n_layer</c>, <c>ssm_cfg</c>), that of its <c>-hf</c> copies
/// (<c>model_type</c>, <c>hidden_size</c>), or one of <see cref="Write"/>. Each key is applied, or known not to matter, or refused by its
/// name.
/// </summary>
internal static class LanguageConfigFile
{
    private const int MaxBytes = 1 << 20;

    // What transformers puts into every config.json: who wrote it, and how texts are generated, which the caller says.
    private static readonly string[] s_general =
    [
        "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version", "tokenizer_class", "_name_or_path", "_commit_hash",
        "_attn_implementation", "_attn_implementation_autoset", "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id",
        "decoder_start_token_id", "id2label", "label2id", "problem_type", "finetuning_task", "task_specific_params", "prefix",
        "return_dict", "use_cache", "output_attentions", "output_hidden_states", "torchscript", "use_bfloat16", "tf_legacy_loss",
        "chunk_size_feed_forward", "max_length", "min_length", "do_sample", "temperature", "top_k", "top_p", "typical_p",
        "repetition_penalty", "num_beams", "num_beam_groups", "num_return_sequences", "early_stopping", "length_penalty",
        "diversity_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids", "begin_suppress_tokens",
        "suppress_tokens", "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty",
        "output_scores", "return_dict_in_generate",
    ];

    // How weights begin, how the work is split, and float16: none of it changes what weights and sums in float32 give.
    private static readonly string[] s_layer =
    [
        "dt_min", "dt_max", "dt_init", "dt_scale", "dt_init_floor", "A_init_range", "conv_init", "chunk_size", "use_fast_path",
        "use_mem_eff_path", "sequence_parallel",
    ];

    private static readonly string[] s_huggingFace =
    [
        "initializer_range", "rescale_prenorm_residual", "residual_in_fp32", "fused_add_norm", "time_step_min", "time_step_max",
        "time_step_init_scheme", "time_step_floor", "time_step_scale", "chunk_size", "use_mambapy", "use_associative_scan",
    ];

    /// <summary>Reads a file.</summary>
    /// <returns>The model's name in the registry, and its sizes.</returns>
    /// <exception cref="CheckpointException">It cannot be read, or describes no model that is here.</exception>
    public static (string Name, LanguageModelConfig Config) Read(string path)
    {
        if (!File.Exists(path))
            throw new CheckpointException($"{path}: no such file; the folder of a language model has it beside the weights");
        return ModelJson.Read(path, MaxBytes, null, json =>
        {
            json.Ignore(s_general);
            (string, LanguageModelConfig) model = json.Has("hidden_size") ? HuggingFace(json) : StateSpaces(json);
            json.Expect("is_encoder_decoder", false);
            json.Expect("add_cross_attention", false);
            json.Expect("tie_encoder_decoder", false);
            json.Ignore("is_decoder");
            json.ExpectNone("pruned_heads");
            json.ExpectNone("cross_attention_hidden_size");
            json.RefuseOthers();
            return model;
        });
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
            if (config.Mixer == MixerKind.Mamba2 && config.Mamba2 != new Mamba2Options()) WriteOptions(json, config.Mamba2);
            json.WriteEndObject();
        }
        json.WriteEndObject();
    });

    private static void WriteOptions(Utf8JsonWriter json, Mamba2Options options)
    {
        json.WriteBoolean("rmsnorm", options.RmsNorm);
        json.WriteBoolean("norm_before_gate", options.NormBeforeGate);
        json.WriteNumber("norm_eps", options.NormEps);
        json.WriteBoolean("D_has_hdim", options.DHasHeadDim);
        json.WriteBoolean("bias", options.Bias);
        json.WriteBoolean("conv_bias", options.ConvBias);
        json.WriteStartArray("dt_limit");
        foreach (float bound in new[] { options.DtLimit.Low, options.DtLimit.High })
            if (float.IsFinite(bound)) json.WriteNumberValue(bound);
            else json.WriteRawValue("Infinity", skipInputValidation: true); // as Python writes it
        json.WriteEndArray();
    }

    private static (string, LanguageModelConfig) StateSpaces(JsonFields json)
    {
        LanguageModelConfig config = new(json.Size("vocab_size"), json.Size("d_model"), json.Size("n_layer"))
        {
            VocabularyMultiple = json.Optional("pad_vocab_size_multiple") ?? 8,
            NormEps = json.Number("norm_eps") ?? 1e-5f,
        };
        json.Expect("tie_embeddings", true);
        string? model = json.Text("model");
        if (model == LanguageRegistry.Transformer)
            return (LanguageRegistry.Transformer, config with
            {
                Heads = json.Size("heads"),
                Hidden = json.Size("mlp"),
                Positions = json.Size("positions"),
            });
        json.Expect("rms_norm", true);
        ExpectNoOtherLayers(json);
        json.Ignore("residual_in_fp32", "fused_add_norm", "attn_cfg"); // attn_cfg is of layers that there are none of
        config = json.Below("ssm_cfg") is { } layer ? Layer(layer, config) : config;
        string name = NameOf(config.Mixer);
        json.Expect("model", name);
        return (name, config);
    }

    private static LanguageModelConfig Layer(JsonFields layer, LanguageModelConfig config)
    {
        config = config with
        {
            Mixer = Kind(layer.Text("layer") ?? "Mamba1"),
            States = layer.Optional("d_state"),
            Taps = layer.Optional("d_conv") ?? config.Taps,
            Expand = layer.Optional("expand") ?? config.Expand,
            HeadWidth = layer.Optional("headdim"),
            Groups = layer.Optional("ngroups") ?? config.Groups,
        };
        layer.Ignore(s_layer);
        layer.Expect("activation", "silu", "swish");
        if (config.Mixer == MixerKind.Mamba)
        {
            RequireRank(layer, "dt_rank", config.Width);
            layer.Expect("bias", false);
            layer.Expect("conv_bias", true);
        }
        if (config.Mixer == MixerKind.Mamba2)
        {
            layer.Expect("d_ssm", config.Expand * config.Width);
            config = config with { Mamba2 = Options(layer) };
        }
        layer.RefuseOthers();
        return config;
    }

    private static Mamba2Options Options(JsonFields layer)
    {
        Mamba2Options plain = new();
        return new Mamba2Options
        {
            RmsNorm = layer.Flag("rmsnorm") ?? plain.RmsNorm,
            NormBeforeGate = layer.Flag("norm_before_gate") ?? plain.NormBeforeGate,
            NormEps = layer.Number("norm_eps") ?? plain.NormEps,
            DHasHeadDim = layer.Flag("D_has_hdim") ?? plain.DHasHeadDim,
            DtLimit = layer.Range("dt_limit") ?? plain.DtLimit,
            Bias = layer.Flag("bias") ?? plain.Bias,
            ConvBias = layer.Flag("conv_bias") ?? plain.ConvBias,
        };
    }

    private static (string, LanguageModelConfig) HuggingFace(JsonFields json)
    {
        string type = json.Text("model_type") ?? "mamba";
        MixerKind kind = type switch
        {
            "mamba" => MixerKind.Mamba,
            "mamba2" => MixerKind.Mamba2,
            _ => throw new FormatException($"model_type is '{type}', expected mamba or mamba2"),
        };
        json.Expect("tie_word_embeddings", true);
        json.Expect("hidden_act", "silu", "swish");
        json.Expect("rms_norm", true);
        json.Ignore(s_huggingFace);
        // Their vocabulary is the padded one.
        LanguageModelConfig config = new(json.Size("vocab_size"), json.Size("hidden_size"), json.Size("num_hidden_layers"))
        {
            VocabularyMultiple = 1,
            NormEps = json.Number("layer_norm_epsilon") ?? 1e-5f,
            Mixer = kind,
            States = json.Optional("state_size"),
            Taps = json.Optional("conv_kernel") ?? 4,
            Expand = json.Optional("expand") ?? 2,
        };
        config = kind == MixerKind.Mamba ? HuggingFaceMamba(json, config) : HuggingFaceMamba2(json, config);
        ExpectOriginal(json, config);
        return (NameOf(kind), config);
    }

    private static LanguageModelConfig HuggingFaceMamba(JsonFields json, LanguageModelConfig config)
    {
        RequireRank(json, "time_step_rank", config.Width);
        json.Expect("use_bias", false);
        json.Expect("use_conv_bias", true);
        return config;
    }

    private static LanguageModelConfig HuggingFaceMamba2(JsonFields json, LanguageModelConfig config)
    {
        config = config with
        {
            HeadWidth = json.Optional("head_dim"),
            Groups = json.Optional("n_groups") ?? 8,
            Mamba2 = new Mamba2Options
            {
                NormEps = config.NormEps,
                DtLimit = json.Range("time_step_limit") ?? (0f, float.PositiveInfinity),
                Bias = json.Flag("use_bias") ?? false,
                ConvBias = json.Flag("use_conv_bias") ?? true,
            },
        };
        json.Expect("num_heads", config.Expand * config.Width / (config.HeadWidth ?? 64));
        // There is no such rank in Mamba-2. The place of the norm is in early copies, as true, and transformers computes with false.
        json.Ignore("time_step_rank", "norm_before_gate");
        return config;
    }

    /// <summary>The keys of the original, which the first copies kept beside their own: they say the same, or are refused.</summary>
    private static void ExpectOriginal(JsonFields json, LanguageModelConfig config)
    {
        json.Expect("intermediate_size", config.Expand * config.Width);
        json.Expect("d_inner", config.Expand * config.Width);
        json.Expect("d_model", config.Width);
        json.Expect("n_layer", config.Depth);
        json.Expect("tie_embeddings", true);
        ExpectNoOtherLayers(json);
        json.ExpectNone("ssm_cfg", "the layer is described beside it");
        json.Ignore("pad_vocab_size_multiple", "attn_cfg"); // the vocabulary is padded already
    }

    private static void ExpectNoOtherLayers(JsonFields json)
    {
        json.ExpectNone("d_intermediate", "layers of perceptrons are not built");
        json.ExpectNone("attn_layer_idx", "layers of attention are not built");
    }

    private static MixerKind Kind(string layer) => layer switch
    {
        "Mamba1" or "Mamba" => MixerKind.Mamba,
        _ when Enum.GetNames<MixerKind>().Contains(layer) => Enum.Parse<MixerKind>(layer),
        _ => throw new FormatException($"'ssm_cfg.layer' is '{layer}', expected {string.Join(", ", Enum.GetNames<MixerKind>())}"),
    };

    private static string NameOf(MixerKind kind) =>
        LanguageRegistry.Models.First(m => m.Config.Mixer == kind && m.Name != LanguageRegistry.Transformer).Name;

    private static void RequireRank(JsonFields json, string name, int width)
    {
        if (json.Optional(name) is { } given && given != (width + 15) / 16)
            throw new FormatException($"{name} is {given}, expected {(width + 15) / 16}, a sixteenth of the width");
    }
}
