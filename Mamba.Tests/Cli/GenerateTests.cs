using System.Text.Json;
using Mamba.Core;
using Mamba.Models.Language;

namespace Mamba.Tests.Cli;

/// <summary><c>mamba generate</c> with a small model of bytes.</summary>
internal sealed class GenerateTests : CliTest
{
    private string[] Generate => ["generate", "--weights", In("model"), "--prompt", "abc"];

    [SetUp]
    public void MakeModel()
    {
        using LanguageModel model = LanguageRegistry.Find("mamba-lm").Create(new(256, Width: 16, Depth: 2), seed: 5);
        foreach (ref float x in model.Parameters["backbone.embedding.weight"].Span) x *= 40; // so that logits are apart
        LanguageFolder.Save(In("model"), "mamba-lm", model);
    }

    [Test, Exercises("generate", "--weights", "--prompt", "--tokens", "--json", "--threads")]
    public void Greedy_text_is_that_of_the_model()
    {
        JsonElement json = Json([.. Generate, "--tokens", "12", "--json", "--threads", "1"]);
        int[] tokens = Tokens(json);
        Assert.That(tokens, Has.Length.EqualTo(12));
        Assert.That(json.GetProperty("prompt_tokens").EnumerateArray().Select(t => t.GetInt32()), Is.EqualTo(new[] { 97, 98, 99 }));
        Assert.That((json.GetProperty("model").GetString(), json.GetProperty("stop").GetString()), Is.EqualTo(("mamba-lm", "length")));
        Assert.That(json.GetProperty("threads").GetInt32(), Is.EqualTo(1));
        Assert.That(json.GetProperty("tokens_per_second").GetDouble(), Is.Positive);

        (_, LanguageModel model) = LanguageFolder.Load(In("model"));
        List<int> all = [97, 98, 99];
        for (int i = 0; i < 12; i++)
            all.Add((int)Ops.ArgMax(model.ForwardAt(Tensor.From([.. all.Select(t => (float)t)], 1, all.Count), [-1])).Span[0]);
        model.Dispose();
        Assert.That(tokens, Is.EqualTo(all[3..]));

        Result text = Succeeds([.. Generate, "--tokens", "12"]);
        Assert.That(text.Error, Does.Match("^mamba-lm: prompt of 3 tokens in [0-9.]+ s; 12 tokens, [0-9.]+ tokens/s\r?\n$"));
        Assert.That(text.Out, Does.EndWith("\n"));
    }

    [Test, Exercises("generate", "--temperature", "--seed", "--top-k", "--top-p", "--repetition-penalty")]
    public void Options_of_sampling_change_the_text()
    {
        string[] json = [.. Generate, "--tokens", "24", "--json"];
        int[] greedy = Tokens(Json(json));
        Assert.That(Tokens(Json([.. json, "--temperature", "0"])), Is.EqualTo(greedy));
        Assert.That(Tokens(Json([.. json, "--top-k", "1"])), Is.EqualTo(greedy));
        int[] one = Tokens(Json([.. json, "--temperature", "9", "--seed", "1"]));
        Assert.That(Tokens(Json([.. json, "--temperature", "9", "--seed", "1"])), Is.EqualTo(one).And.Not.EqualTo(greedy));
        Assert.That(Tokens(Json([.. json, "--temperature", "9", "--seed", "2"])), Is.Not.EqualTo(one));
        Assert.That(Tokens(Json([.. json, "--temperature", "9", "--seed", "1", "--top-k", "2"])), Is.Not.EqualTo(one));
        Assert.That(Tokens(Json([.. json, "--temperature", "9", "--seed", "1", "--top-p", "0.1"])), Is.Not.EqualTo(one));
        Assert.That(Tokens(Json([.. json, "--top-p", "1e-6"])), Is.EqualTo(greedy), "only the most probable is left");
        int[] penalized = Tokens(Json([.. json, "--repetition-penalty", "1e6"]));
        Assert.That(penalized.Distinct().Count(), Is.EqualTo(24), "no token comes twice");
    }

    [Test, Exercises("generate", "--weights-as")]
    public void Weights_in_fewer_bits_give_a_text_too()
    {
        string[] json = [.. Generate, "--tokens", "12", "--json"];
        JsonElement plain = Json(json), whole = Json([.. json, "--weights-as", "float32"]);
        Assert.That(Tokens(whole), Is.EqualTo(Tokens(plain)));
        foreach (string format in new[] { "fp16", "int8" })
        {
            JsonElement coded = Json([.. json, "--weights-as", format]);
            Assert.That(coded.GetProperty("weights_as").GetString(), Is.EqualTo(format));
            Assert.That(Tokens(coded), Has.Length.EqualTo(12));
            Assert.That(Tokens(coded)[0], Is.EqualTo(Tokens(plain)[0]), "logits of this model are far apart");
        }
    }

    [TestCase("--prompt", "", "--prompt is empty"), TestCase("--tokens", "0", "--tokens is '0'")]
    [TestCase("--top-p", "0", "--top-p is 0"), TestCase("--top-k", "0", "--top-k is '0'")]
    [TestCase("--temperature", "-1", "--temperature is '-1'"), TestCase("--repetition-penalty", "0", "--repetition-penalty is '0'")]
    [TestCase("--weights", "nowhere", "nowhere: no such folder")]
    public void What_cannot_be_is_one_line(string option, string value, string problem)
    {
        Result result = Mamba(With(Generate, option, value));
        Assert.That(result.Code, Is.EqualTo(2));
        Assert.That(result.Error.TrimEnd(), Does.Contain(problem).And.Not.Contain("\n"));
    }

    [Test]
    public void A_text_ends_where_the_model_ends_it()
    {
        string[] sampled = [.. Generate, "--temperature", "9", "--tokens", "30", "--json"];
        int[] free = Tokens(Json(sampled));
        // A later byte that the model puts out becomes the end of text, and the letters of the prompt stay themselves.
        int first = free.First(t => t != free[0] && t is not (>= 97 and <= 99));
        string[] words = [.. Enumerable.Range(0, 256).Select(i => i is >= 97 and <= 99 ? $"{(char)i}" : $"t{i}")];
        words[first] = "<|endoftext|>";
        string vocabulary = string.Join(", ", words.Select((w, i) => $"\"{w}\": {i}"));
        File.WriteAllText(In("model", "tokenizer.json"), $$"""
            {"added_tokens": [{"id": {{first}}, "content": "<|endoftext|>", "special": true}], "pre_tokenizer": {"type": "ByteLevel"},
             "model": {"type": "BPE", "vocab": { {{vocabulary}} }, "merges": [] } }
            """);
        JsonElement json = Json(sampled);
        Assert.That(json.GetProperty("stop").GetString(), Is.EqualTo("end"));
        Assert.That(Tokens(json), Is.EqualTo(free[..Array.IndexOf(free, first)]));
    }

    [Test]
    public void A_text_ends_at_the_token_of_the_configuration()
    {
        string[] sampled = [.. Generate, "--temperature", "9", "--tokens", "30", "--json"];
        int[] free = Tokens(Json(sampled));
        int first = free.First(t => t != free[0]), second = free.First(t => t != free[0] && t != first);
        File.WriteAllText(In("model", "generation_config.json"), $"{{\"eos_token_id\": [{second}, {first}]}}");
        JsonElement json = Json(sampled);
        Assert.That(json.GetProperty("stop").GetString(), Is.EqualTo("end"));
        Assert.That(Tokens(json), Is.EqualTo(free[..Array.IndexOf(free, first)]));
    }

    [Test]
    public void A_text_ends_where_a_Transformer_has_no_position_left()
    {
        LanguageModelConfig config = new(256, Width: 16, Depth: 1) { Positions = 6 };
        using (LanguageModel model = LanguageRegistry.Find("transformer-lm").Create(config, seed: 5))
            LanguageFolder.Save(In("model"), "transformer-lm", model);
        JsonElement json = Json([.. Generate, "--json"]);
        Assert.That(Tokens(json), Has.Length.EqualTo(4), "after 3, 4, 5 and 6 tokens");
        Assert.That(json.GetProperty("stop").GetString(), Is.EqualTo("positions"));
        Assert.That(Succeeds(Generate).Error.TrimEnd(), Does.EndWith("; ended at the model's 6 positions"));
        Assert.That(Json([.. Generate, "--tokens", "4", "--json"]).GetProperty("stop").GetString(), Is.EqualTo("length"));
        Result longer = Mamba(With(Generate, "--prompt", "abcdefg"));
        Assert.That(longer.Code, Is.EqualTo(2));
        Assert.That(longer.Out, Is.Empty);
        Assert.That(longer.Error.TrimEnd(), Does.Contain("--prompt has 7 tokens; transformer-lm").And.Not.Contain("\n"));
    }

    private static int[] Tokens(JsonElement json) => [.. json.GetProperty("tokens").EnumerateArray().Select(t => t.GetInt32())];
}
