using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Tests.Support;
using static Mamba.Tests.Core.CheckpointsBytes;

namespace Mamba.Tests.Core;

/// <summary>What training scripts of others save beside, around and in front of their tensors.</summary>
internal sealed class CheckpointsForeignTests
{
    private string _folder = "";

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("mamba-tests").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [TestCase("control-plain.pth"), TestCase("ultralight-latest-np-float64.pth"),
        TestCase("nnunet-network_weights.pth"), TestCase("multisteplr-counter.pth")]
    [TestCase("torch-size-device.pth"), TestCase("wrapped-under-net.pth"), TestCase("wrapped-under-module-deepspeed.pt")]
    [TestCase("model.safetensors.index.json"), TestCase("prefix-orig_mod.pth"),
        TestCase("prefix-module-orig_mod.pth"), TestCase("prefix-orig_mod-module.pth")]
    [TestCase("prefix-model-lightning.pth"), TestCase("thop-total_ops.pth")]
    public void The_eight_tensors_are_found_and_load_strictly(string sample)
    {
        using WeightFile file = WeightFile.Open(ReferenceData.Path($"cases/ckpt/{sample}"));
        ParameterStore store = Stem();
        LoadReport report = store.Load(file);
        Assert.That(report.Loaded, Is.EqualTo(8));
        Assert.That(report.Prefix, sample.StartsWith("prefix", StringComparison.Ordinal) ? Does.EndWith("dropped") : Is.Empty);

        using WeightFile control = WeightFile.Open(ReferenceData.Path("cases/ckpt/control-plain.pth"));
        foreach (string name in control.Names) Assert.That(store[name].Span.ToArray(), Is.EqualTo(control.ReadFloats(name)), name);
    }

    [Test]
    public void Types_without_a_class_of_storage_are_read()
    {
        using WeightFile file = WeightFile.Open(ReferenceData.Path("cases/ckpt/float8_v3.pth"));
        Assert.That(file.DType("q"), Is.EqualTo("F8_E4M3"));
        Assert.That(file.DType("w"), Is.EqualTo("F32"));
        Assert.That(file.ReadFloats("q"), Has.All.Matches<float>(float.IsFinite));
    }

    // The values of the format's table (Micikevicius et al. 2022, table 1): zero, the smallest and largest subnormals, one, the largest,
    // NaN.
    [TestCase("F8_E4M3", new byte[] { 0x00, 0x80, 0x01, 0x07, 0x08, 0x38, 0xB8, 0x7E, 0x7F },
        new[] { 0f, -0f, 0.001953125f, 0.013671875f, 0.015625f, 1f, -1f, 448f, float.NaN })]
    [TestCase("F8_E5M2", new byte[] { 0x00, 0x01, 0x03, 0x04, 0x3C, 0xBC, 0x7B, 0x7C, 0x7F },
        new[] { 0f, 1.52587890625e-5f, 4.57763671875e-5f, 6.103515625e-5f, 1f, -1f, 57344f, float.PositiveInfinity, float.NaN })]
    public void Float8_has_the_values_of_its_format(string type, byte[] bytes, float[] values)
    {
        float[] read = new float[values.Length];
        ElementTypes.ToFloats(type, bytes, read);
        Assert.That(read, Is.EqualTo(values));
    }

    [Test]
    public void Numpy_scalars_are_metadata_and_arrays_are_tensors()
    {
        string pickle = Pairs(
            Dictionary, ("loss", $"cnumpy.core.multiarray\nscalar\n({NumpyType("f8")}C\u0008{Latin(BitConverter.GetBytes(0.25))}tR"),
            ("epoch", $"cnumpy._core.multiarray\nscalar\n({NumpyType("i4")}C\u0004{Latin(BitConverter.GetBytes(7))}tR"),
                ("rows", Array("\u0089")), ("columns", Array("\u0088")));
        using WeightFile file = WeightFile.Open(Write(Zip(pickle)));
        Assert.That(file.Metadata["loss"], Is.EqualTo("0.25"));
        Assert.That(file.Metadata["epoch"], Is.EqualTo("7"));
        Assert.That(file.Names, Is.EqualTo(new[] { "rows", "columns" }));
        Assert.That(file.Shape("rows"), Is.EqualTo(new[] { 2, 3 }));
        Assert.That(file.ReadFloats("rows"), Is.EqualTo(new float[] { 1, 2, 3, 4, 5, 6 }));
        Assert.That(file.ReadFloats("columns"), Is.EqualTo(new float[] { 1, 3, 5, 2, 4, 6 }));

        // Protocol 2 has no bytes: it holds the text that Latin-1 would decode.
        string Array(string columnMajor) => $"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\u0085C\u0001btR"
            + $"(K\u0001{Tuple(2, 3)}{NumpyType("f4")}{columnMajor}"
            + $"c_codecs\nencode\n({Text(Latin(Bytes(1, 2, 3, 4, 5, 6)))}{Text("latin1")}tRtb";
    }

    [Test]
    public void Objects_beside_the_tensors_are_passed_over()
    {
        string options = $"cargparse\nNamespace\n)\u0081}}({Text("lr")}K\u0001ub", path = $"cpathlib\nPosixPath\n({Text("a")}tR";
        string attributes = $"clightning.fabric.utilities.data\nAttributeDict\n)\u0081({Text("depth")}K\u0002u";
        string counts = $"ccollections\ndefaultdict\n(c__builtin__\nlist\ntR", partial = "cfunctools\npartial\n(cargparse\nNamespace\ntR)R";
        string optimizer = Pairs(Dictionary, ("state", Pairs(Dictionary, ("exp_avg", One))), ("param_groups", "]"));
        using WeightFile file = WeightFile.Open(Write(Zip(
            Pairs(Dictionary, ("args", options), ("path", path),
                ("hparams", attributes), ("log", counts), ("call", partial), ("optimizer", optimizer),
                ("network", Pairs(Dictionary, ("w", One)))), ("0", Bytes(3)))));
        Assert.That(file.Names, Is.EqualTo(new[] { "w" }));
        Assert.That(file.ReadFloats("w"), Is.EqualTo(new[] { 3f }));
    }

    [Test]
    public void A_key_tells_which_of_several_dictionaries_of_tensors()
    {
        string path = Write(Zip(
            Pairs(Dictionary,
                ("nets", Pairs(Dictionary, ("gen.ema", Pairs(Dictionary, ("w", One))), ("dis", Pairs(Dictionary, ("v", One)))))),
                ("0", Bytes(3))));
        Assert.That(() => WeightFile.Open(path), Throws.TypeOf<CheckpointException>().With.Message.Contains("'nets.gen.ema', 'nets.dis'"));
        using (WeightFile generator = WeightFile.Open(path, "nets.gen.ema")) Assert.That(generator.Names, Is.EqualTo(new[] { "w" }));
        using (WeightFile other = WeightFile.Open(path, "nets.dis")) Assert.That(other.Names, Is.EqualTo(new[] { "v" }));
        Assert.That(() => WeightFile.Open(path, "nets.disc"),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("no dictionary 'nets.disc'"));
    }

    [TestCase("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer")]
    [TestCase("<!DOCTYPE html><html></html>", "is an HTML or XML page")]
    [TestCase("\n  <html>", "is an HTML or XML page")]
    public void What_is_no_weights_is_named(string content, string problem)
    {
        string path = Path.Combine(_folder, "model.safetensors");
        File.WriteAllText(path, content);
        Assert.That(() => WeightFile.Open(path),
            Throws.TypeOf<CheckpointException>().With.Message.StartsWith(path).And.Message.Contains(problem));
    }

    [Test]
    public void TorchScript_is_named()
    {
        string path = Write(Archive([("a/data.pkl", Pickle("}")), ("a/constants.pkl", Pickle("}")), ("a/code/m.py", [])]));
        Assert.That(() => WeightFile.Open(path), Throws.TypeOf<CheckpointException>().With.Message.Contains("is a TorchScript program"));
    }

    [TestCase("{\"weight_map\": {\"w\": \"../model.pth\"}}", "no name of a shard")]
    [TestCase("{\"weight_map\": {\"w\": \"a.index.json\"}}", "no name of a shard")]
    [TestCase("{\"weight_map\": {\"w\": \"\"}}", "no name of a shard")]
    [TestCase("{\"weight_map\": {\"w\": 1}}", "not an index")]
    [TestCase("{\"weight_map\": []}", "not an index")]
    [TestCase("{}", "not an index")]
    [TestCase("[", "not an index")]
    [TestCase("{\"weight_map\": {\"w\": \"shard.pth\"}}", "shard.pth: no such file")]
    [TestCase("{\"weight_map\": {\"x\": \"checkpoint.pth\"}}", "tensor 'x' is not in 'checkpoint.pth'")]
    [TestCase("{\"weight_map\": {\"w\": \"checkpoint.pth\", \"w\": \"checkpoint.pth\"}}", "is there twice")]
    public void A_damaged_index_of_shards_is_refused(string index, string problem)
    {
        Write(Zip(Pairs(Dictionary, ("w", One)), ("0", Bytes(1))));
        string path = Path.Combine(_folder, "model.index.json");
        File.WriteAllText(path, index);
        Assert.That(() => WeightFile.Open(path), Throws.TypeOf<CheckpointException>().With.Message.Contains(problem));
    }

    [Test]
    public void A_key_is_refused_where_the_form_has_none()
    {
        Write(Zip(Pairs(Dictionary, ("w", One)), ("0", Bytes(1))));
        string index = Path.Combine(_folder, "model.index.json"), plain = Path.Combine(_folder, "plain.safetensors");
        File.WriteAllText(index, "{\"weight_map\": {\"w\": \"checkpoint.pth\"}}");
        using (WeightFile file = WeightFile.Open(index)) Safetensors.Write(plain, file, file.Metadata);
        foreach (string path in new[] { index, plain })
        {
            Assert.That(() => WeightFile.Open(path, "model_ema"),
                Throws.TypeOf<CheckpointException>().With.Message.StartsWith(path).And.Message.Contains("no dictionary 'model_ema'"));
            using WeightFile file = WeightFile.Open(path);
            Assert.That(file.ReadFloats("w"), Is.EqualTo(new[] { 1f }), "without a key");
        }
    }

    [Test]
    public void An_index_of_more_than_16_MiB_is_refused_before_it_is_read()
    {
        string index = Path.Combine(_folder, "model.index.json");
        using (FileStream stream = File.Create(index)) stream.SetLength(ShardedWeightFile.MaxIndexBytes + 1L);
        Assert.That(ShardedWeightFile.MaxIndexBytes, Is.EqualTo(16 << 20));
        Assert.That(() => WeightFile.Open(index),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("an index of 16777217 bytes; at most 16777216"));
    }

    [Test]
    public void Shards_of_PyTorch_are_joined_and_converted()
    {
        Write(Zip(Pairs(Dictionary, ("w", One)), ("0", Bytes(1))));
        File.WriteAllBytes(Path.Combine(_folder, "b.pth"), Zip(Pairs(Dictionary, ("v", One)), ("0", Bytes(2))));
        string index = Path.Combine(_folder, "pytorch_model.bin.index.json"), target = Path.Combine(_folder, "joined");
        File.WriteAllText(index, "{\"metadata\": {}, \"weight_map\": {\"w\": \"checkpoint.pth\", \"v\": \"b.pth\"}}");
        using (WeightFile file = WeightFile.Open(index)) Safetensors.Write(target, file, file.Metadata);
        using WeightFile joined = WeightFile.Open(target);
        Assert.That(joined.Names.Select(n => joined.ReadFloats(n)[0]), Is.EqualTo(new[] { 1f, 2f }));
    }

    [TestCase(new[] { "fc.weight", "fc.bias" }, "")]
    [TestCase(new[] { "module.fc.weight", "module.fc.bias" }, "prefix 'module.' dropped")]
    [TestCase(new[] { "a.b.c.fc.weight", "a.b.c.fc.bias" }, "prefix 'a.b.c.' dropped")]
    [TestCase(new[] { "module.fc.weight", "fc.bias" }, "prefix 'module.' dropped")]
    public void A_prefix_of_the_file_falls_away(string[] names, string prefix)
    {
        ParameterStore store = new();
        _ = new Linear(new Scope(store) / "fc", 1, 1);
        Assert.That(Load(store, names).Prefix, Is.EqualTo(prefix));
        Assert.That(store["fc.bias"].Item(), Is.EqualTo(2f));
    }

    [Test]
    public void A_prefix_that_the_file_lacks_is_added()
    {
        ParameterStore store = new();
        _ = new Linear(new Scope(store) / "net" / "fc", 1, 1);
        Assert.That(Load(store, ["fc.weight", "fc.bias"]).Prefix, Is.EqualTo("prefix 'net.' added"));
        Assert.That(store["net.fc.bias"].Item(), Is.EqualTo(2f));
    }

    [Test]
    public void Places_that_a_model_goes_without_are_left_out_by_name()
    {
        ParameterStore store = new();
        Scope net = new Scope(store) / "net";
        _ = new Linear(net / "fc", 1, 1);
        net.LeaveOut("aux");
        string[] names = ["net.fc.weight", "net.fc.bias", "net.aux.fc.weight", "net.aux.fc.bias", "net.aux.bn.num_batches_tracked"];
        LoadReport report = Load(store, names);
        Assert.That(
            (report.Loaded, report.LeftOut), Is.EqualTo((2, "left out 2 tensors that the model goes without: net.aux.*")));
        Assert.That(report.ToString(), Is.Empty);
        report = Load(store, [.. names.Select(n => "module." + n)]);
        Assert.That((report.Loaded, report.Prefix), Is.EqualTo((2, "prefix 'module.' dropped")));
        Assert.That(report.LeftOut, Does.EndWith("net.aux.*"));
        Assert.That(Load(store, names[..2]).LeftOut, Is.Empty);
        Assert.That(
            () => Load(store, [.. names, "net.auxiliary.weight"]),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("unexpected: net.auxiliary.weight"));
        Assert.That(() => Load(store, names[2..]), Throws.TypeOf<CheckpointException>().With.Message.Contains("missing: net.fc.weight"));
    }

    [Test]
    public void Where_nothing_fits_the_two_nearest_names_are_shown()
    {
        ParameterStore store = new();
        _ = new Linear(new Scope(store) / "head" / "fc", 1, 1);
        Assert.That(() => Load(store, ["encoder_fc.weight", "encoder_fc.bias"]), Throws.TypeOf<CheckpointException>()
            .With.Message.Contains("'encoder_fc.weight' in the file and 'head.fc.weight' in the model"));
    }

    private static string One => Tensor("FloatStorage", "0", 1, 0, [1], [1]);

    private static string Latin(byte[] bytes) => System.Text.Encoding.Latin1.GetString(bytes);

    private static string NumpyType(string code) => $"cnumpy\ndtype\n({Text(code)}\u0089\u0088tR(K\u0003{Text("<")}NNNtb";

    /// <summary>A weight of 1 and a bias of 2 under these names.</summary>
    [Test]
    public void A_report_shows_a_few_names_of_each_kind_and_the_nearest_two()
    {
        string[] missing = [.. Enumerable.Range(0, 9).Select(i => $"blocks.{i}.norm.weight")];
        LoadReport report = new(5, missing, ["layer.3.norm.weight", "x"], []);
        Assert.That(report.ToString(), Is.EqualTo(
            "missing: blocks.0.norm.weight, blocks.1.norm.weight, blocks.2.norm.weight and 6 more; unexpected: layer.3.norm.weight, x; "
                + "the nearest are 'layer.3.norm.weight' in the file and 'blocks.3.norm.weight' in the model"));
        Assert.That(new LoadReport(5, [], [], ["a (2, not 3)"]).ToString(), Is.EqualTo("misshapen: a (2, not 3)"));
        Assert.That(new LoadReport(5, [], [], []).ToString(), Is.Empty);
    }

    private static LoadReport Load(ParameterStore store, string[] names) => store.Load(
        names, n => n.EndsWith("bias", StringComparison.Ordinal)
            ? [1]
            : [1, 1], (n, values) => values[0] = n.EndsWith("bias", StringComparison.Ordinal)
            ? 2
            : 1, "file");

    /// <summary>The first layers of ResNet-20, whose names and shapes the samples have.</summary>
    private static ParameterStore Stem()
    {
        using WeightFile control = WeightFile.Open(ReferenceData.Path("cases/ckpt/control-plain.pth"));
        ParameterStore store = new();
        foreach (string name in control.Names) new Scope(store).Parameter(name, Init.Zeros, control.Shape(name));
        return store;
    }

    private string Write(byte[] content)
    {
        string path = Path.Combine(_folder, "checkpoint.pth");
        File.WriteAllBytes(path, content);
        return path;
    }
}
