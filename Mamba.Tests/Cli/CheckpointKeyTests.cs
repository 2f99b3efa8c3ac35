using System.Text.Json;
using Mamba.Core.Checkpoints;
using Mamba.Tests.Support;
using static Mamba.Tests.Core.CheckpointsBytes;

namespace Mamba.Tests.Cli;

/// <summary>Which tensors of a PyTorch checkpoint a command takes, and what it says of their names.</summary>
[NonParallelizable]
internal sealed class CheckpointKeyTests : CliTest
{
    private static readonly string[] s_resnet =
        ["train", "--model", "resnet20", "--size", "16", "--limit", "20", "--epochs", "1", "--augment", "none", "--batch", "8"];

    [Test, Exercises("inspect", "--key", "--json"), Exercises("convert", "--key")]
    public void A_key_chooses_among_several_dictionaries()
    {
        string path = WriteTwo(), target = In("ema.safetensors");
        foreach (string[] command in new string[][] { ["inspect", path], ["convert", path, target] })
        {
            Result refused = Mamba(command);
            Assert.That((refused.Code, refused.Out, File.Exists(target)), Is.EqualTo((2, "", false)));
            Assert.That(refused.Error, Does.Contain("several dictionaries of tensors: 'nets.raw', 'nets.ema'; say which with --key NAME"));
        }
        JsonElement raw = Json("inspect", path, "--key", "nets.raw", "--json").GetProperty("tensors");
        Assert.That(raw.EnumerateArray().Select(t => t.GetProperty("bytes").GetInt64()), Is.EqualTo(new[] { 4L }));

        Result converted = Succeeds("convert", path, target, "--key", "nets.ema");
        Assert.That(converted.Out, Is.EqualTo($"{target}: 1 tensors, 8 bytes, from torch zip{Environment.NewLine}"));
        using SafetensorsFile file = SafetensorsFile.Open(target);
        Assert.That(file.ReadFloats("conv1.weight"), Is.EqualTo(new[] { 2f, 3f }));

        Result unknown = Mamba("inspect", path, "--key", "nets.best");
        Assert.That(unknown.Code, Is.EqualTo(2));
        Assert.That(unknown.Error, Does.Contain("no dictionary 'nets.best'"));
    }

    [Test]
    public void Convert_joins_shards_and_names_the_form()
    {
        string index = ReferenceData.Path("cases/ckpt/model.safetensors.index.json"), target = In("joined.safetensors");
        string form;
        using (WeightFile file = WeightFile.Open(index)) form = file.Form;
        Assert.That(Succeeds("convert", index, target).Out, Does.StartWith($"{target}: 8 tensors, ").And.Contain($", from {form}"));
        using WeightFile shards = WeightFile.Open(index), joined = WeightFile.Open(target);
        Assert.That(joined.Names, Is.EquivalentTo(shards.Names));
        foreach (string name in shards.Names) Assert.That(joined.ReadFloats(name), Is.EqualTo(shards.ReadFloats(name)), name);
    }

    [TestCase("prefix-orig_mod.pth", "_orig_mod.")]
    [TestCase("prefix-module-orig_mod.pth", "module._orig_mod.")]
    [TestCase("prefix-orig_mod-module.pth", "_orig_mod.module.")]
    [TestCase("prefix-model-lightning.pth", "model.")]
    [TestCase("thop-total_ops.pth", "")]
    [TestCase("control-plain.pth", "")]
    public void Init_takes_all_tensors_whatever_stands_before_their_names(string checkpoint, string prefix)
    {
        string path = ReferenceData.Path($"cases/ckpt/{checkpoint}"), note = prefix.Length == 0 ? "" : $"; prefix '{prefix}' dropped";
        Result run = Succeeds([.. s_resnet, "--init", path, "--lr", "1e-12", "--weight-decay", "0", "--out", In("run")]);
        Assert.That(run.Out, Does.Contain($"{path}: all 8 tensors loaded{note}; missing: "));

        using WeightFile given = WeightFile.Open(path), trained = WeightFile.Open(In("run", "weights", "last.safetensors"));
        string[] weights = [.. given.Names.Where(n => n.EndsWith(".weight", StringComparison.Ordinal))];
        Assert.That(weights, Is.Not.Empty);
        foreach (string name in weights)
            Assert.That(trained.ReadFloats(name[prefix.Length..]), Is.EqualTo(given.ReadFloats(name)).Within(1e-6f), name);
    }

    [Test, Exercises("train", "--key", "--init", "--recipe")]
    public void A_key_of_train_is_kept_in_args_json_and_needs_init()
    {
        string control = ReferenceData.Path("cases/ckpt/control-plain.pth");
        Result alone = Mamba([.. s_resnet, "--key", "state_dict", "--out", In("alone")]);
        Assert.That((alone.Code, Directory.Exists(In("alone"))), Is.EqualTo((2, false)));
        Assert.That(alone.Error, Does.Contain("--key names tensors of --init"));

        string path = ReferenceData.Path("cases/ckpt/wrapped-under-net.pth");
        Result first = Succeeds([.. s_resnet, "--init", path, "--key", "net", "--out", In("first")]);
        Assert.That(first.Out, Does.Contain($"{path}: all 8 tensors loaded"));
        Assert.That(JsonFile(In("first", "args.json")).GetProperty("key").GetString(), Is.EqualTo("net"));
        Assert.That(
            Succeeds("train", "--recipe", In("first", "args.json"), "--out", In("again")).Out,
            Does.Contain($"{path}: all 8 tensors loaded"));

        Result wrong = Mamba([.. s_resnet, "--init", path, "--key", "nets", "--out", In("wrong")]);
        Assert.That((wrong.Code, Directory.Exists(In("wrong"))), Is.EqualTo((2, false)));
        Assert.That(wrong.Error, Does.Contain("no dictionary 'nets'"));
        Succeeds([.. s_resnet, "--init", control, "--out", In("plain")]);
        Assert.That(JsonFile(In("plain", "args.json")).TryGetProperty("key", out _), Is.False);
    }

    [Test, Exercises("eval", "--weights"), Exercises("infer", "--weights")]
    public void Eval_and_infer_say_which_prefix_they_dropped()
    {
        Succeeds([.. s_resnet, "--data", "synthetic", "--out", In("run")]);
        string plain = In("run", "weights", "last.safetensors"), wrapped = In("wrapped.safetensors");
        Dictionary<string, string> metadata;
        using (WeightFile file = WeightFile.Open(plain))
        {
            metadata = new Dictionary<string, string>(file.Metadata);
            Safetensors.Write(
                wrapped,
                file.Names.Select(n => ($"module.{n}", global::Mamba.Core.Tensor.From(file.ReadFloats(n), file.Shape(n)))).ToArray(),
                metadata);
        }
        WriteClasses(In("images"), 1);
        string note = $"mamba: {wrapped}: prefix 'module.' dropped";
        string[] eval = ["eval", "--data", "synthetic", "--split", "all", "--json", "--weights"];
        Result expected = Succeeds([.. eval, plain]), measured = Succeeds([.. eval, wrapped]);
        Assert.That(expected.Error, Does.Not.Contain("prefix"));
        Assert.That(measured.Error, Does.Contain(note));
        Assert.That(Loss(measured), Is.EqualTo(Loss(expected)));
        Assert.That(Succeeds("infer", "--weights", wrapped, In("images"), "--out", In("wrapped")).Error, Does.Contain(note));
        Assert.That(Succeeds("infer", "--weights", plain, In("images"), "--out", In("plain")).Error, Does.Not.Contain("prefix"));

        static double Loss(Result result)
        {
            using JsonDocument json = JsonDocument.Parse(result.Out);
            return json.RootElement.GetProperty("loss").GetDouble();
        }
    }

    /// <summary>A checkpoint with two state_dicts.</summary>
    private string WriteTwo()
    {
        string path = In("gan.pth");
        File.WriteAllBytes(path, Zip(
            Pairs(Dictionary, ("nets", Pairs(Dictionary,
                ("raw", Pairs(Dictionary, ("conv1.weight", Tensor("FloatStorage", "0", 1, 0, [1], [1])))),
                ("ema", Pairs(Dictionary, ("conv1.weight", Tensor("FloatStorage", "1", 2, 0, [2], [1]))))))),
            ("0", Bytes(1)), ("1", Bytes(2, 3))));
        return path;
    }
}
