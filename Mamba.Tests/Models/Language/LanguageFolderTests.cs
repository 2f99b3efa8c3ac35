using System.Runtime.InteropServices;
using System.Text.Json;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Blocks;
using Mamba.Models.Language;
using Mamba.Tests.Core;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Folders of language models as they are published, and as they must not be.</summary>
internal sealed class LanguageFolderTests
{
    private const string StateSpaces = """
        {"d_model": 16, "n_layer": 2, "vocab_size": 29, "ssm_cfg": {}, "rms_norm": true, "residual_in_fp32": true,
         "fused_add_norm": true, "pad_vocab_size_multiple": 8}
        """;

    private const string HuggingFace = """
        {"architectures": ["MambaForCausalLM"], "model_type": "mamba", "hidden_size": 16, "num_hidden_layers": 2, "vocab_size": 32,
         "state_size": 16, "conv_kernel": 4, "expand": 2, "time_step_rank": 1, "layer_norm_epsilon": 1e-05, "use_bias": false,
         "use_conv_bias": true, "tie_word_embeddings": true}
        """;

    private static readonly LanguageModelConfig s_small = new(29, Width: 16, Depth: 2);

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [TestCase("mamba-lm"), TestCase("transformer-lm")]
    public void A_saved_model_is_loaded_with_all_its_sizes(string name)
    {
        LanguageModelConfig config = s_small with
        {
            VocabularyMultiple = 5,
            NormEps = 1e-4f,
            Heads = 2,
            Hidden = 20,
            Positions = 12,
            States = name == "mamba-lm" ? 7 : null,
            Taps = name == "mamba-lm" ? 3 : 4,
        };
        using LanguageModel model = LanguageRegistry.Find(name).Create(config, seed: 3);
        LanguageFolder.Save(In("new"), name, model);
        (string loadedName, LanguageModel loaded) = LanguageFolder.Load(In("new"));
        Assert.That(loadedName, Is.EqualTo(name));
        Assert.That(loaded.Parameters.IsFrozen);
        Same(loaded, model);
        loaded.Dispose();
    }

    /// <summary>config.json and a zip of torch.save under state-spaces/mamba's names, the head listed beside the embedding.</summary>
    [Test]
    public void State_spaces_layout_loads_from_a_bin_file()
    {
        using LanguageModel model = Make();
        File.WriteAllText(In("config.json"), StateSpaces);
        (string Name, Tensor Tensor)[] all = [.. model.Parameters.All, ("lm_head.weight", model.Parameters["lm_head.weight"])];
        string pickle = CheckpointsBytes.Pairs(
            CheckpointsBytes.OrderedDictionary, [.. all.Select((t, i) => (t.Name, View(t.Tensor, i)))]);
        File.WriteAllBytes(
            In("pytorch_model.bin"),
            CheckpointsBytes.Zip(pickle, [.. all.Select((t, i) => ($"{i}", MemoryMarshal.AsBytes(t.Tensor.Span).ToArray()))]));
        (_, LanguageModel loaded) = LanguageFolder.Load(_folder.Root);
        Assert.That(loaded.Config, Is.EqualTo(model.Config));
        Same(loaded, model);
        loaded.Dispose();

        static string View(Tensor tensor, int key)
        {
            long[] shape = Array.ConvertAll(tensor.Shape.ToArray(), extent => (long)extent), strides = new long[shape.Length];
            for (int d = shape.Length - 1, stride = 1; d >= 0; stride *= (int)shape[d--]) strides[d] = stride;
            return CheckpointsBytes.Tensor("FloatStorage", $"{key}", tensor.Count, 0, shape, strides);
        }
    }

    /// <summary>Hugging Face's keys and names, in shards with an index.</summary>
    [Test]
    public void Hugging_Face_layout_loads_from_shards()
    {
        using LanguageModel model = Make();
        File.WriteAllText(In("config.json"), HuggingFace);
        (string Name, Tensor Tensor)[] all =
            [.. model.Parameters.All.Select(p => (p.Name.Replace("embedding.", "embeddings.", StringComparison.Ordinal), p.Tensor))];
        Assert.That(all[0].Name, Is.EqualTo("backbone.embeddings.weight"));
        Dictionary<string, string> map = [];
        foreach ((string Name, Tensor Tensor)[] part in all.Chunk(7))
        {
            string file = $"model-{map.Count:D5}.safetensors";
            Safetensors.Write(In(file), part, new Dictionary<string, string> { ["format"] = "pt" });
            foreach ((string name, _) in part) map[name] = file;
        }
        File.WriteAllText(
            In("model.safetensors.index.json"),
            $$"""{"metadata": {}, "weight_map": {{JsonSerializer.Serialize(map)}}}""");
        (string loadedName, LanguageModel loaded) = LanguageFolder.Load(_folder.Root);
        Assert.That(loadedName, Is.EqualTo("mamba-lm"));
        Same(loaded, model);
        loaded.Dispose();
    }

    [Test]
    public void Configurations_say_which_mixer_and_its_sizes()
    {
        File.WriteAllText(In("config.json"), """
            {"d_model": 768, "n_layer": 24, "vocab_size": 50277, "ssm_cfg": {"layer": "Mamba2", "d_state": 64, "headdim": 32},
             "d_intermediate": 0, "attn_layer_idx": [], "attn_cfg": {}, "rms_norm": true, "pad_vocab_size_multiple": 16,
             "tie_embeddings": true}
            """);
        (string name, LanguageModelConfig config) = LanguageConfigFile.Read(In("config.json"));
        Assert.That(name, Is.EqualTo("mamba2-lm"));
        Assert.That((config.States, config.HeadWidth, config.PaddedVocabulary), Is.EqualTo((64, 32, 50288)));
    }

    [TestCase("Mamba1", "'dt_rank': 1, 'dt_min': 0.01, 'bias': false, 'conv_bias': true, 'use_fast_path': false", "")]
    [TestCase("Mamba1", "'dt_limit': [0.0, 0.1]", "'ssm_cfg.dt_limit' is [0.0, 0.1]; it is not known")]
    [TestCase("Mamba1", "'bias': true", "'ssm_cfg.bias' is true"), TestCase("Mamba1", "'conv_bias': false", "'ssm_cfg.conv_bias' is false")]
    [TestCase("Mamba2", "'d_ssm': null, 'chunk_size': 64, 'A_init_range': [1, 16], 'activation': 'swish'", "")]
    [TestCase("Mamba2", "'d_ssm': 32", ""), TestCase("Mamba2", "'d_ssm': 16", "'ssm_cfg.d_ssm' is 16; the other sizes give 32")]
    [TestCase("Mamba2", "'dt_limit': [0.2, 0.1]", "'ssm_cfg.dt_limit' is [0.2, 0.1], expected two numbers")]
    [TestCase("Mamba2", "'rmsnorm': 0", "'ssm_cfg.rmsnorm' is 0, expected true or false")]
    [TestCase("Mamba2", "'activation': 'gelu'", "'ssm_cfg.activation' is 'gelu'"), TestCase("Mamba2", "'x': {}", "'ssm_cfg.x' is {}")]
    [TestCase("Mamba3", "'is_mimo': true", "'ssm_cfg.is_mimo' is true; it is not known")]
    [TestCase("1", "'d_conv': 4", "'ssm_cfg.layer' is '1'")]
    public void Keys_of_a_layer_are_applied_or_harmless_or_refused(string layer, string keys, string problem) => Reads(
        $"{{'d_model': 16, 'n_layer': 2, 'vocab_size': 29, 'ssm_cfg': {{'layer': '{layer}', {keys}}}}}", problem);

    [TestCase("'hidden_act': 'silu', 'residual_in_fp32': false, 'time_step_scale': 1.0, 'torch_dtype': 'float32', 'eos_token_id': 0", "")]
    [TestCase("'d_model': 16, 'n_layer': 2, 'd_inner': 32, 'intermediate_size': 32, 'ssm_cfg': {}, 'rms_norm': true", "")]
    [TestCase("'hidden_act': 'relu'", "'hidden_act' is 'relu'"), TestCase("'hidden_act': 'gelu'", "'hidden_act' is 'gelu'")]
    [TestCase("'time_step_limit': [0.0, 0.1]", "'time_step_limit' is [0.0, 0.1]; it is not known")]
    [TestCase("'intermediate_size': 64", "'intermediate_size' is 64; the other sizes give 32"), TestCase("'d_model': 8", "'d_model' is 8")]
    [TestCase("'ssm_cfg': {'d_state': 8}", "'ssm_cfg' is"), TestCase("'mixer_rms_eps': 1e-6", "'mixer_rms_eps' is 1e-6; it is not known")]
    [TestCase("'is_encoder_decoder': true", "'is_encoder_decoder' is true"), TestCase("'use_conv_bias': false", "'use_conv_bias' is false")]
    [TestCase("'model_type': 'mamba2', 'num_heads': 4, 'head_dim': 8, 'n_groups': 1, 'time_step_limit': [0.0, Infinity]", "")]
    [TestCase("'model_type': 'mamba2', 'head_dim': 8, 'time_step_limit': {'x': 3}", "'time_step_limit' is")]
    [TestCase("'model_type': 'mamba2', 'num_heads': 3, 'head_dim': 8", "'num_heads' is 3; the other sizes give 4")]
    [TestCase("'model_type': 'mamba2', 'head_dim': NaN", "'head_dim' is \"NaN\"")]
    public void Keys_of_a_copy_are_applied_or_harmless_or_refused(string keys, string problem) =>
        Reads($"{{'hidden_size': 16, 'num_hidden_layers': 2, 'vocab_size': 32, {keys}}}", problem);

    [Test]
    public void What_a_layer_of_Mamba_2_has_is_applied_and_saved()
    {
        File.WriteAllText(In("config.json"), """
            {"d_model": 16, "n_layer": 1, "vocab_size": 8, "ssm_cfg": {"layer": "Mamba2", "headdim": 8, "d_state": 4, "rmsnorm": true,
             "norm_before_gate": true, "D_has_hdim": true, "dt_limit": [0.01, Infinity], "bias": true, "conv_bias": false}}
            """);
        (string name, LanguageModelConfig config) = LanguageConfigFile.Read(In("config.json"));
        Assert.That(config.Mamba2, Is.EqualTo(new Mamba2Options
        {
            NormBeforeGate = true,
            DHasHeadDim = true,
            DtLimit = (0.01f, float.PositiveInfinity),
            Bias = true,
            ConvBias = false,
        }));
        using LanguageModel model = LanguageRegistry.Find(name).Create(config, seed: 3);
        Assert.That(model.Parameters["backbone.layers.0.mixer.D"].Count, Is.EqualTo(32));
        Assert.That(model.Parameters.Contains("backbone.layers.0.mixer.in_proj.bias"));
        Assert.That(model.Parameters.Contains("backbone.layers.0.mixer.conv1d.bias"), Is.False);
        LanguageFolder.Save(In("saved"), name, model);
        (_, LanguageModel loaded) = LanguageFolder.Load(In("saved"));
        Assert.That(loaded.Config, Is.EqualTo(config));
        model.Parameters.Freeze();
        Tensor tokens = Tensor.From([1, 5, 7, 0], 1, 4);
        float[] expected = model.Forward(tokens).Span.ToArray();
        Assert.That(loaded.Forward(tokens).Span.ToArray(), Is.EqualTo(expected));
        loaded.Dispose();

        // The bounds and the order of the norm reach the layer: without them the same weights give other logits.
        Mamba2Options slow = config.Mamba2 with { DtLimit = (0, 1e-4f) }, later = config.Mamba2 with { NormBeforeGate = false };
        foreach (Mamba2Options other in new[] { slow, later })
        {
            using LanguageModel changed = LanguageRegistry.Find(name).Create(config with { Mamba2 = other }, seed: 3);
            changed.Parameters.Freeze();
            Assert.That(changed.Forward(tokens).Span.ToArray(), Is.Not.EqualTo(expected));
        }
    }

    [TestCase("[0.0, Infinity]", float.PositiveInfinity), TestCase("[0.0, 0.5]", 0.5f)]
    [TestCase("[0.0, {\"__float__\": \"Infinity\"}]", float.PositiveInfinity)]
    public void A_copy_of_Mamba_2_has_its_bounds_of_the_steps(string limit, float high)
    {
        File.WriteAllText(In("config.json"), $$"""
            {"_name_or_path": "Infinity \" NaN", "model_type": "mamba2", "hidden_size": 16, "num_hidden_layers": 2, "vocab_size": 32,
             "head_dim": 8, "layer_norm_epsilon": 1e-3, "time_step_limit": {{limit}}}
            """);
        LanguageModelConfig config = LanguageConfigFile.Read(In("config.json")).Config;
        Assert.That(config.Mamba2, Is.EqualTo(new Mamba2Options { DtLimit = (0, high), NormEps = 1e-3f }));
        Assert.That(config.Groups, Is.EqualTo(8), "that of transformers");
    }

    /// <summary>Files without a word about tying, in both layouts.</summary>
    [Test]
    public void A_head_of_its_own_is_refused([Values("embedding", "embeddings")] string name)
    {
        using LanguageModel model = Make();
        File.WriteAllText(In("config.json"), name == "embedding" ? StateSpaces : HuggingFace.Replace(
            "\"tie_word_embeddings\": true", "\"use_cache\": true", StringComparison.Ordinal));
        Tensor embedding = model.Parameters["lm_head.weight"];
        foreach (float difference in new[] { 0f, 1f })
        {
            Tensor head = Tensor.From(embedding.Span.ToArray(), embedding.Shape[0], embedding.Shape[1]);
            head.Span[^1] += difference;
            Safetensors.Write(
                In("model.safetensors"),
                [
                    .. model.Parameters.All.Select(p => (p.Name.Replace("embedding.", name + ".", StringComparison.Ordinal), p.Tensor)),
                    ("lm_head.weight", head),
                ],
                new Dictionary<string, string>());
            if (difference == 0)
            {
                (_, LanguageModel loaded) = LanguageFolder.Load(_folder.Root);
                Same(loaded, model);
                loaded.Dispose();
            }
            else
                Assert.That(() => LanguageFolder.Load(_folder.Root), Throws.TypeOf<CheckpointException>().With.Message.Contains(
                    $"'lm_head.weight' differs from 'backbone.{name}.weight'").And.Message.Contains(_folder.Root));
        }
    }

    [TestCase("", "", "", "1"), TestCase("'eos_token_id': 2", "", "", "2"), TestCase("'eos_token_id': [3, 0]", "", "", "3 0")]
    [TestCase("'eos_token_id': 2", "'eos_token_id': [4]", "'eos_token': 'a'", "4"), TestCase("", "", "'eos_token': 'b'", "3")]
    [TestCase("'eos_token_id': null", "'max_length': 9", "'eos_token': {'content': 'a', 'lstrip': false}", "2")]
    [TestCase("'eos_token_id': []", "", "", ""), TestCase("'eos_token_id': 6", "", "", "6")]
    public void The_end_of_a_text_is_what_the_folder_says(string config, string generation, string tokenizer, string expected)
    {
        TextTokenizer read = Tokenizer(config, generation, tokenizer);
        Assert.That(string.Join(' ', read.Ends), Is.EqualTo(expected));
        Assert.That(read.End, Is.EqualTo(read.Ends.Count > 0 ? read.Ends[0] : (int?)null));
        Assert.That(Enumerable.Range(0, 8).Where(read.IsEnd), Is.EquivalentTo(read.Ends));
    }

    [TestCase("'eos_token_id': 8", "", "", "config.json: 'eos_token_id' is 8, expected a token from 0 to 7")]
    [TestCase("", "'eos_token_id': 'x'", "", "generation_config.json: 'eos_token_id' is \"x\"")]
    [TestCase("", "", "'eos_token': '</s>'", "tokenizer_config.json: 'eos_token' is '</s>', which is no token")]
    [TestCase("", "", "'add_prefix_space': true", "'add_prefix_space' is true")]
    [TestCase("", "", "'add_bos_token': true", "'add_bos_token' is true")]
    [TestCase("", "", "'added_tokens_decoder': {'5': {'content': 'new'}}", "'added_tokens_decoder.5' is 'new'")]
    public void A_folder_that_contradicts_itself_about_tokens_is_refused(
        string config, string generation, string tokenizer, string problem) =>
        Assert.That(() => Tokenizer(config, generation, tokenizer), Throws.TypeOf<CheckpointException>().With.Message.Contains(problem));

    [Test]
    public void A_tokenizer_of_another_model_is_refused()
    {
        Assert.That(() => Tokenizer("", "", "", vocabulary: 4), Throws.TypeOf<CheckpointException>()
            .With.Message.Contains("tokenizer.json: its last token is number 4, and the model has a vocabulary of 4"));
        Assert.That(Tokenizer("", "", "", vocabulary: 5).Vocabulary, Is.EqualTo(5));
    }

    [Test]
    public void Bytes_may_have_an_end_beyond_them()
    {
        using LanguageModel model = LanguageRegistry.Find("mamba-lm").Create(new(258, Width: 16, Depth: 1));
        LanguageFolder.Save(_folder.Root, "mamba-lm", model);
        Assert.That(LanguageFolder.Tokenizer(_folder.Root, model).End, Is.Null);
        File.WriteAllText(In("generation_config.json"), """{"eos_token_id": 257}""");
        TextTokenizer bytes = LanguageFolder.Tokenizer(_folder.Root, model);
        Assert.That((bytes.Vocabulary, bytes.End), Is.EqualTo((258, 257)));
        Assert.That(bytes.BytesOf(257).IsEmpty && bytes.BytesOf(256).IsEmpty);
    }

    [TestCase("\"d_model\": 16", "\"d_model\": 0", "'d_model' is 0"), TestCase("\"d_model\": 16,", "", "'d_model' is missing")]
    [TestCase("\"d_model\": 16", "\"d_model\": 8", "do not fit"), TestCase("\"d_model\": 16", "\"d_model\": 24", "does not fit")]
    [TestCase("\"n_layer\": 2", "\"n_layer\": 3", "does not fit")]
    [TestCase("\"n_layer\": 2", "\"n_layer\": 2000000000", "does not fit"), TestCase("\"vocab_size\": 29", "\"vocab_size\": 2.5", "2.5")]
    [TestCase("\"rms_norm\": true", "\"rms_norm\": false", "only true is built")]
    [TestCase("\"rms_norm\": true", "\"tie_embeddings\": false", "only true is built")]
    [TestCase("\"rms_norm\": true", "\"attn_layer_idx\": [3]", "attention")]
    [TestCase("\"ssm_cfg\": {}", "\"ssm_cfg\": {\"layer\": \"Mamba9\"}", "Mamba9"), TestCase("\"ssm_cfg\": {}", "\"ssm_cfg\": 3", "object")]
    [TestCase("\"ssm_cfg\": {}", "\"ssm_cfg\": {\"dt_rank\": 9}", "dt_rank is 9"), TestCase("{", "[", "not JSON")]
    public void A_configuration_that_does_not_fit_is_refused_in_one_line(string text, string instead, string problem)
    {
        using LanguageModel model = Make();
        LanguageFolder.Save(_folder.Root, "mamba-lm", model);
        Assert.That(StateSpaces.Contains(text, StringComparison.Ordinal));
        int at = StateSpaces.IndexOf(text, StringComparison.Ordinal);
        File.WriteAllText(In("config.json"), StateSpaces[..at] + instead + StateSpaces[(at + text.Length)..]);
        CheckpointException error = Assert.Throws<CheckpointException>(() => LanguageFolder.Load(_folder.Root))!;
        Assert.That(error.Message, Does.Contain(problem).And.Contain(_folder.Root).And.Not.Contain("\n"));
    }

    [Test]
    public void A_folder_that_lacks_a_file_is_refused_by_its_name()
    {
        Fails(In("none"), "no such folder");
        Fails(_folder.Root, "no weights");
        using LanguageModel model = Make();
        Safetensors.Write(In("a.safetensors"), model.Parameters.All, new Dictionary<string, string>());
        Fails(_folder.Root, "config.json");
        File.WriteAllText(In("config.json"), StateSpaces);
        (_, LanguageModel loaded) = LanguageFolder.Load(_folder.Root);
        Assert.That(() => LanguageFolder.Tokenizer(_folder.Root, loaded), Throws.TypeOf<CheckpointException>()
            .With.Message.Contains("tokenizer.json").And.Message.Contains("29"));
        loaded.Dispose();
        File.WriteAllBytes(In("b.bin"), [1, 2, 3]);
        Fails(_folder.Root, "2 files of weights");
        Fails(In("b.bin"), "b.bin");
        (_, loaded) = LanguageFolder.Load(In("a.safetensors"));
        Same(loaded, model);
        loaded.Dispose();

        static void Fails(string path, string problem) =>
            Assert.That(() => LanguageFolder.Load(path), Throws.TypeOf<CheckpointException>().With.Message.Contains(problem));
    }

    private void Reads(string json, string problem)
    {
        File.WriteAllText(In("config.json"), json.Replace('\'', '"'));
        if (problem.Length == 0) Assert.That(() => LanguageConfigFile.Read(In("config.json")), Throws.Nothing);
        else
            Assert.That(() => LanguageConfigFile.Read(In("config.json")), Throws.TypeOf<CheckpointException>()
                .With.Message.Contains(problem).And.Message.Contains("config.json").And.Message.Not.Contain("\n"));
    }

    /// <summary>The tokenizer of a folder with four tokens, of which number 1 is the end of a text.</summary>
    private TextTokenizer Tokenizer(string config, string generation, string tokenizer, int vocabulary = 8)
    {
        using LanguageModel model = LanguageRegistry.Find("mamba-lm").Create(new(vocabulary, Width: 16, Depth: 1));
        File.WriteAllText(In("tokenizer.json"), """
            {"added_tokens": [{"id": 1, "content": "<|endoftext|>", "special": true}], "pre_tokenizer": {"type": "ByteLevel"},
             "model": {"type": "BPE", "vocab": {"a": 2, "b": 3, "c": 4}, "merges": []}}
            """);
        foreach ((string name, string keys) in new[]
            { ("config.json", config), ("generation_config.json", generation), ("tokenizer_config.json", tokenizer) })
            if (keys.Length > 0) File.WriteAllText(In(name), $"{{{keys.Replace('\'', '"')}}}");
        return LanguageFolder.Tokenizer(_folder.Root, model);
    }

    private static LanguageModel Make() => LanguageRegistry.Find("mamba-lm").Create(s_small, seed: 3);

    private static void Same(LanguageModel actual, LanguageModel expected)
    {
        Assert.That(actual.Config.PaddedVocabulary, Is.EqualTo(expected.Config.PaddedVocabulary));
        Assert.That(actual.Config.NormEps, Is.EqualTo(expected.Config.NormEps));
        expected.Parameters.Freeze();
        Tensor tokens = Tensor.From([1, 5, 28, 0, 3, 3], 1, 6);
        Assert.That(actual.Forward(tokens).Span.SequenceEqual(expected.Forward(tokens).Span));
    }

    private string In(string name) => Path.Combine(_folder.Root, name);
}
