using System.Text.Json;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cli;

/// <summary><c>mamba verify</c>: passed, failed and unsupported cases, each counted apart.</summary>
[NonParallelizable]
internal sealed class VerifyTests : CliTest
{
    [Test, Exercises("verify", "--json", "--threads")]
    public void Cases_pass_with_their_errors()
    {
        string golden = ReferenceData.Path("goldens/ops/group_norm.g4.safetensors");
        JsonElement json = Json("verify", golden, ReferenceData.Path("goldens/models/ul-vm-unet.json"), "--threads", "1", "--json");
        Assert.That(Workers.Count, Is.EqualTo(1));
        Assert.That(Counts(json), Is.EqualTo((json.GetProperty("cases").GetArrayLength(), 0, 0)));
        JsonElement first = json.GetProperty("cases")[0];
        Assert.That(
            first.EnumerateObject().Select(p => p.Name), Is.EqualTo(new[] { "file", "case", "status", "output_error", "grad_error" }));
        Assert.That((Text(first, "file"), Text(first, "case"), Text(first, "status")), Is.EqualTo((golden, "g4", "pass")));
        Assert.That(first.GetProperty("grad_error").GetDouble(), Is.GreaterThan(0).And.LessThan(1e-5));
    }

    [Test]
    public void A_number_changed_in_a_copy_is_noticed()
    {
        byte[] bytes = File.ReadAllBytes(ReferenceData.Path("goldens/ops/group_norm.g4.safetensors"));
        bytes[^2] ^= 0x40;
        File.WriteAllBytes(In("bent.safetensors"), bytes);
        Result bent = Mamba("verify", In("bent.safetensors"));
        Assert.That(bent.Code, Is.EqualTo(1));
        Assert.That(
            bent.Out, Does.Match(@"(?m)^FAIL +bent g4 ").And.Match(@"(?m)^  (out|grad)\.\w+: error ")
                .And.Contain("0 passed, 1 failed, 0 unsupported"));
    }

    [Test, Exercises("verify", "--strict", "--json")]
    public void What_is_not_built_is_counted_apart_and_fails_only_if_it_is_asked_to()
    {
        Write("a-pass", "activation", "relu", "{}");
        Write("b-operator", "transmogrify", "x", "{}");
        Write("c-option", "activation", "relu", """{"inplace":true}""");
        Write("d-input", "linear", "x", "{}");
        string golden = File.ReadAllText(ReferenceData.Path("goldens/models/ul-vm-unet.json"));
        File.WriteAllText(In("e-model.json"), golden.Replace("\"ul-vm-unet\"", "\"of tomorrow\"", StringComparison.Ordinal));
        JsonElement json = Json("verify", In("."), "--json");
        Assert.That(Counts(json), Is.EqualTo((1, 0, 4)));
        JsonElement[] cases = [.. json.GetProperty("cases").EnumerateArray()];
        Assert.That(
            cases.Select(c => Text(c, "status")), Is.EqualTo(new[] { "pass", "unsupported", "unsupported", "unsupported", "unsupported" }));
        Assert.That(cases[1..].Select(c => Text(c, "message")), Is.EqualTo(new[]
        {
            "unknown operator 'transmogrify'", "activation: unknown attribute 'inplace'", "linear: without input 'weight'",
            "unknown model 'of tomorrow'",
        }));
        Assert.That(cases[1..].Select(c => c.GetProperty("output_error").ValueKind), Is.All.EqualTo(JsonValueKind.Null));
        Assert.That(Mamba("verify", In("."), "--strict").Code, Is.EqualTo(1));
        Assert.That(Counts(Json("verify", In("a-pass.safetensors"), "--strict", "--json")), Is.EqualTo((1, 0, 0)));
    }

    [Test]
    public void A_malformed_file_is_one_failed_case_and_not_the_end()
    {
        Write("c-pass", "activation", "relu", "{}");
        File.WriteAllText(In("a-text.safetensors"), "no golden file at all");
        File.WriteAllText(In("b-text.json"), "{");
        Safetensors.Write(In("b-weights.safetensors"), [("w", Tensor.Zeros(1))], new Dictionary<string, string>());
        Result result = Mamba("verify", In("."));
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Out, Does.Contain("1 passed, 3 failed, 0 unsupported"));
        Assert.That(
            result.Out, Does.Match(@"(?m)^FAIL +a-text .*\n.*header of").And.Match(@"(?m)^FAIL +b-text .*\n.*no golden file of a model"));
        Assert.That(result.Out, Does.Match(@"(?m)^FAIL +b-weights .*\n.*__metadata__ lacks 'op'").And.Match(@"(?m)^pass +c-pass relu "));
    }

    [Test]
    public void The_table_fits_into_80_columns()
    {
        string[] lines = Succeeds("verify", ReferenceData.Path("goldens/ops/group_norm.g4.safetensors")).Out.Split(Environment.NewLine);
        Assert.That(lines[0], Is.EqualTo("verdict      case                                            output  gradient"));
        Assert.That(lines[1], Does.Match(@"^pass         group_norm\.g4 {34}\d\.\de-\d\d   \d\.\de-\d\d$"));
        Assert.That(lines[2], Is.EqualTo("1 passed, 0 failed, 0 unsupported"));
    }

    private static (int Passed, int Failed, int Unsupported) Counts(JsonElement json) =>
        (json.GetProperty("passed").GetInt32(), json.GetProperty("failed").GetInt32(), json.GetProperty("unsupported").GetInt32());

    private static string Text(JsonElement json, string key) => json.GetProperty(key).GetString()!;

    private void Write(string file, string op, string name, string attributes) => Safetensors.Write(
        In(file + ".safetensors"), [("in.x", Tensor.From([-1f, 2f, 3f], 3)), ("out.0", Tensor.From([0f, 2f, 3f], 3))],
        new Dictionary<string, string> { ["op"] = op, ["case"] = name, ["attrs"] = attributes });
}
