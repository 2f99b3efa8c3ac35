using System.Text.Json;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Tests.Support;
using static Mamba.Tests.Core.CheckpointsBytes;

namespace Mamba.Tests.Core;

internal sealed class CheckpointsTorchTests
{
    private string _folder = "";

    public static IEnumerable<TestCaseData> ElementTypes =>
    [
        Element("DoubleStorage", "F64", BitConverter.GetBytes(-1.5), -1.5f),
        Element("FloatStorage", "F32", BitConverter.GetBytes(-1.5f), -1.5f),
        Element("HalfStorage", "F16", BitConverter.GetBytes((Half)(-1.5f)), -1.5f),
        Element("BFloat16Storage", "BF16", [0xC0, 0xBF], -1.5f),
        Element("LongStorage", "I64", BitConverter.GetBytes(-3L), -3f),
        Element("IntStorage", "I32", BitConverter.GetBytes(-3), -3f),
        Element("ShortStorage", "I16", BitConverter.GetBytes((short)-3), -3f),
        Element("CharStorage", "I8", [0xFD], -3f),
        Element("ByteStorage", "U8", [0xFD], 253f),
        Element("BoolStorage", "BOOL", [1], 1f),
    ];

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("mamba-tests").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [TestCase("zip.pth"), TestCase("bare-zip.pth"), TestCase("legacy.pth"), TestCase("bare-legacy.pth")]
    public void The_samples_hold_what_is_expected(string sample)
    {
        using WeightFile file = WeightFile.Open(ReferenceData.Path($"weights/samples/{sample}"));
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(ReferenceData.Path("weights/samples/expected.json")));
        Assert.That(file.Form, Is.EqualTo(sample.Contains("zip", StringComparison.Ordinal) ? "torch zip" : "torch stream"));
        Assert.That(file.Names, Is.SubsetOf(json.RootElement.EnumerateObject().Select(p => p.Name)).And.Not.Empty);
        if (!sample.StartsWith("bare", StringComparison.Ordinal))
            Assert.That(file.Names, Has.Count.EqualTo(json.RootElement.EnumerateObject().Count()));
        foreach (string name in file.Names)
        {
            JsonElement expected = json.RootElement.GetProperty(name);
            Assert.That(file.Shape(name), Is.EqualTo(expected.GetProperty("shape").EnumerateArray().Select(e => e.GetInt32())), name);
            Assert.That(Spelled(file.DType(name)), Is.EqualTo(expected.GetProperty("dtype").GetString()), name);
            Assert.That(file.ReadFloats(name),
                Is.EqualTo(expected.GetProperty("values").EnumerateArray().Select(e => (float)e.GetDouble())), name);
        }

        static string Spelled(string type) => type switch
        {
            "BF16" => "bfloat16",
            "BOOL" => "bool",
            "U8" => "uint8",
            _ => (type[0] == 'F' ? "float" : "int") + type[1..],
        };
    }

    [Test]
    public void What_stands_around_the_state_dict_is_metadata()
    {
        string path = Write(Zip(
            Pairs(Dictionary, ("epoch", "K\u0007"), ("best", "G?\u00f0\0\0\0\0\0\0"), ("optimizer", Pairs(Dictionary, ("lr", "K\u0001"))),
                ("model", Pairs(Dictionary, ("arch", Text("resnet")), ("state_dict", One("w"))))),
            ("0", Bytes(2f))));
        using WeightFile file = WeightFile.Open(path);
        Assert.That(file.Names, Is.EqualTo(new[] { "w" }));
        Assert.That(file.Metadata,
            Is.EquivalentTo(new Dictionary<string, string> { ["epoch"] = "7", ["best"] = "1", ["arch"] = "resnet" }));
    }

    [Test]
    public void A_usual_key_may_be_a_configuration()
    {
        string configuration = Pairs(Dictionary, ("name", Text("unet")), ("depth", "K\u0004"));
        string path = Write(Zip(Pairs(Dictionary, ("model", configuration), ("net", One("w"))), ("0", Bytes(2f))));
        using WeightFile file = WeightFile.Open(path);
        Assert.That(file.Names, Is.EqualTo(new[] { "w" }));
        using WeightFile beside = WeightFile.Open(
            Write(Zip(Pairs(Dictionary, ("model", configuration), ("w", One1)), ("0", Bytes(2f)))));
        Assert.That(beside.Names, Is.EqualTo(new[] { "w" }));
        Assert.That(
            () => WeightFile.Open(Write(Zip(Pairs(Dictionary, ("model", configuration))))),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("no tensors among 'name', 'depth'"));
    }

    [TestCaseSource(nameof(ElementTypes))]
    public void Every_element_type_is_read_in_both_forms_and_converted_as_it_is(string storage, string type, byte[] bytes, float expected)
    {
        const int Count = 66_000; // more than one chunk
        byte[] numbers = [.. Enumerable.Repeat(bytes, Count).SelectMany(b => b)];
        string pickle = Pairs(OrderedDictionary, ("a", Tensor(storage, "0", Count, 0, [Count], [1])));
        foreach (byte[] content in new[] { Zip(pickle, ("0", numbers)), Stream(pickle, ("0", Count, numbers)) })
        {
            string target = Path.Combine(_folder, "converted");
            using (WeightFile file = WeightFile.Open(Write(content)))
            {
                Assert.That(file.DType("a"), Is.EqualTo(type));
                Assert.That(file.ReadFloats("a").AsSpan().Count(expected), Is.EqualTo(Count));
                Safetensors.Write(target, file, file.Metadata);
            }
            using WeightFile converted = WeightFile.Open(target);
            Assert.That(converted.Form, Is.EqualTo("safetensors"));
            Assert.That(converted.DType("a"), Is.EqualTo(type));
            Assert.That(File.ReadAllBytes(target).AsSpan()[^numbers.Length..].SequenceEqual(numbers));
        }
    }

    [Test]
    public void Views_of_a_shared_storage_are_read_by_their_strides()
    {
        float[] numbers = [.. Enumerable.Range(0, 24).Select(i => (float)i)];
        string path = Write(Zip(
            Pairs(OrderedDictionary, ("whole", View(0, [2, 3, 4], [12, 4, 1])),
                ("transposed", View(0, [4, 6], [1, 4])), ("permuted", View(0, [3, 4, 2], [4, 1, 12])),
                ("column", View(3, [6], [4])), ("repeated", View(5, [2, 3], [1, 0])),
                    ("scalar", View(23, [], [])), ("empty", View(24, [0, 3], [3, 1])), ("thin", View(7, [1, 1, 2], [99, 0, 1]))),
            ("0", Bytes(numbers))));
        using WeightFile file = WeightFile.Open(path);
        Assert.That(file.ReadFloats("whole"), Is.EqualTo(numbers));
        Assert.That(file.ReadFloats("transposed"), Is.EqualTo(Enumerable.Range(0, 24).Select(i => (float)(i / 6 + i % 6 * 4))));
        Assert.That(file.ReadFloats("permuted"),
            Is.EqualTo(Enumerable.Range(0, 24).Select(i => (float)(i / 8 * 4 + i / 2 % 4 + i % 2 * 12))));
        Assert.That(file.ReadFloats("column"), Is.EqualTo(new float[] { 3, 7, 11, 15, 19, 23 }));
        Assert.That(file.ReadFloats("repeated"), Is.EqualTo(new float[] { 5, 5, 5, 6, 6, 6 }));
        Assert.That(file.ReadFloats("scalar"), Is.EqualTo(new float[] { 23 }));
        Assert.That(file.Shape("scalar"), Is.Empty);
        Assert.That(file.ReadFloats("empty"), Is.Empty);
        Assert.That(file.Shape("empty"), Is.EqualTo(new[] { 0, 3 }));
        Assert.That(file.ReadFloats("thin"), Is.EqualTo(new float[] { 7, 8 }));

        static string View(long offset, long[] shape, long[] strides) => Tensor("FloatStorage", "0", 24, offset, shape, strides);
    }

    [Test]
    public void A_strided_tensor_of_more_than_a_chunk_is_read()
    {
        const int Rows = 300, Columns = 200;
        float[] numbers = Numbers.Uniform(Rows * Columns, 3);
        using WeightFile file = WeightFile.Open(Write(Stream(
            Pairs(OrderedDictionary, ("t", Tensor("FloatStorage", "k", Rows * Columns, 0, [Columns, Rows], [1, Columns]))),
                ("k", Rows * Columns, Bytes(numbers)))));
        float[] transposed = file.ReadFloats("t");
        for (int i = 0; i < numbers.Length; i++) Assert.That(transposed[i % Columns * Rows + i / Columns], Is.EqualTo(numbers[i]));
    }

    [Test]
    public void Forms_that_old_and_new_versions_write_are_read()
    {
        string part = $"({Text("view")}{Integer(1)}{Integer(2)}t";
        string old = $"ctorch._utils\n_rebuild_tensor\n({PersistentId("FloatStorage", "k", 4, part)}{Integer(1)}{Tuple(1)}{Tuple(1)}tR";
        string python2 = $"ccollections\nOrderedDict\n(](](U\u0001wq\u0001{old}eetR"; // pairs in a list, strings of bytes, memo from 1
        using (WeightFile file = WeightFile.Open(Write(Stream(python2, ("k", 4, Bytes(1, 2, 3, 4)))))) Assert.That(
            file.ReadFloats("w"), Is.EqualTo(new[] { 3f }));

        string plain = Pairs(Dictionary, ("set", "c__builtin__\nset\n](K\u0001K\u0002e\u0085R"),
            ("bytes", $"c_codecs\nencode\n({Text("é")}{Text("latin1")}tR"), ("none", "N"),
            ("long", "\u008b\u0009\0\0\0\0\0\0\0\0\0\0\0\u0001"),
                ("nested", Pairs(Dictionary, ("betas", "G?\u00f0\0\0\0\0\0\0K\u0002\u0086"))));
        string parameter = $"ctorch._utils\n_rebuild_parameter\n({One1}\u0088{OrderedDictionary}tR";
        string versions = $"}}{Text("_metadata")}{Pairs(OrderedDictionary, ("", Pairs(Dictionary, ("version", "K\u0001"))))}sb";
        string modern = Pairs(Dictionary, ("extra", plain), ("state_dict", Pairs(OrderedDictionary, ("w", parameter)) + versions));
        using (WeightFile file = WeightFile.Open(Write(Zip(modern, ("0", Bytes(5)))))) Assert.That(
            file.ReadFloats("w"), Is.EqualTo(new[] { 5f }));

        // Protocol 4: frame, memoized short strings, STACK_GLOBAL.
        string four = "\u0080\u0004\u0095\0\0\0\0\0\0\0\0\u008c\u000b"
            + "collections\u0094\u008c\u000bOrderedDict\u0094\u0093\u0094)R\u0094(\u008c\u0001w\u0094" + One1 + "u.";
        using (WeightFile file =
            WeightFile.Open(
            Write(Archive([("a/data.pkl", System.Text.Encoding.Latin1.GetBytes(four)), ("a/data/0", Bytes(6))])))) Assert.That(
            file.ReadFloats("w"), Is.EqualTo(new[] { 6f }));
    }

    [Test]
    public void A_zip_archive_with_64_bit_records_is_read()
    {
        byte[] zip = Archive([("a/data.pkl", Pickle(One("w"))), ("a/data/0", Bytes(8))], (i, e) =>
        {
            if (i != 1) return;
            e.Extra = [.. U16(0x4242), .. U16(1), 7, .. U16(1), .. U16(24),
                .. BitConverter.GetBytes((long)e.Size), .. BitConverter.GetBytes((long)e.Size), .. BitConverter.GetBytes((long)e.Offset)];
            (e.Size, e.LocalSize, e.Offset) = (uint.MaxValue, uint.MaxValue, uint.MaxValue);
        });
        int end = zip.Length - 22;
        byte[] wide =
        [
            .. zip[..end], .. "PK\x06\x06"u8, .. new byte[36], .. BitConverter.GetBytes((long)BitConverter.ToUInt32(zip, end + 12)),
                .. BitConverter.GetBytes((long)BitConverter.ToUInt32(zip, end + 16)),
            .. "PK\x06\x07"u8, .. new byte[4], .. BitConverter.GetBytes((long)end),
                .. U32(1), .. zip[end..(end + 12)], .. U32(uint.MaxValue), .. U32(uint.MaxValue), .. U16(0),
        ];
        using WeightFile file = WeightFile.Open(Write(wide));
        Assert.That(file.ReadFloats("w"), Is.EqualTo(new[] { 8f }));
    }

    [Test]
    public void The_first_bytes_tell_the_form()
    {
        string path = Path.Combine(_folder, "weights");
        // a header of 0x02?? bytes
        Safetensors.Write(path, [("a", Tensor1())], new Dictionary<string, string> { ["pad"] = new string('x', 600) });
        using (WeightFile file = WeightFile.Open(path)) Assert.That(file, Is.TypeOf<SafetensorsFile>());
        using (WeightFile file = WeightFile.Open(Write(Zip(One("w"), ("0", Bytes(1)))))) Assert.That(file, Is.TypeOf<TorchFile>());
        using (TorchFile file = TorchFile.Open(Write(Stream(One("w"), ("0", 1, Bytes(1)))))) Assert.That(
            file.Form, Is.EqualTo("torch stream"));
        Assert.That(() => WeightFile.Open(Write("no weights at all"u8.ToArray())),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("neither safetensors nor a PyTorch checkpoint"));
        Assert.That(() => WeightFile.Open(Path.Combine(_folder, "none")),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("no such file"));
    }

    [Test]
    public void Mixed_types_are_written_aligned_and_in_order()
    {
        string pickle = Pairs(OrderedDictionary, ("flag", Tensor("BoolStorage", "0", 1, 0, [1], [1])),
            ("half", Tensor("HalfStorage", "1", 1, 0, [], [])), ("double", Tensor("DoubleStorage", "2", 1, 0, [1], [1])));
        string target = Path.Combine(_folder, "converted");
        using (WeightFile file =
            WeightFile.Open(Write(Zip(pickle, ("0", [1]), ("1", [0, 0x3C]), ("2", BitConverter.GetBytes(3.0)))))) Safetensors.Write(
            target, file, file.Metadata);
        byte[] bytes = File.ReadAllBytes(target);
        Assert.That(bytes[^11..], Is.EqualTo((byte[])[.. BitConverter.GetBytes(3.0), 0, 0x3C, 1]), "largest elements first");
        Assert.That((bytes.Length - 11) % 8, Is.Zero);
        using WeightFile converted = WeightFile.Open(target);
        Assert.That(converted.Names, Is.EqualTo(new[] { "flag", "half", "double" }));
        Assert.That(converted.Names.Select(n => converted.ReadFloats(n)[0]), Is.EqualTo(new[] { 1f, 1f, 3f }));
    }

    [Test]
    public void A_checkpoint_of_DataParallel_is_loaded_into_a_model_and_all_that_does_not_fit_is_listed()
    {
        ParameterStore store = new();
        Scope root = new(store);
        _ = new Linear(root / "fc", 2, 1, bias: false);
        _ = new BatchNorm2d(root / "bn", 1);
        string counter = Tensor("LongStorage", "n", 1, 0, [], []);
        (string, string)[] entries =
        [
            ("module.fc.weight", Numbers4(0, [1, 2], [2, 1])),
                ("module.bn.weight", Numbers4(2, [1], [1])), ("module.bn.bias", Numbers4(3, [1], [1])),
            ("module.bn.running_mean", Numbers4(0, [1], [1])),
                ("module.bn.running_var", Numbers4(1, [1], [1])), ("module.bn.num_batches_tracked", counter),
        ];
        (string, byte[])[] storages = [("0", Bytes(1, 2, 3, 4)), ("n", BitConverter.GetBytes(9L))];
        using (WeightFile file =
            WeightFile.Open(Write(Zip(Pairs(Dictionary, ("state_dict", Pairs(OrderedDictionary, entries))), storages)))) store.Load(file);
        Assert.That(store.All.SelectMany(e => e.Tensor.Span.ToArray()), Is.EqualTo(new float[] { 1, 2, 3, 4, 1, 2 }));

        entries[0].Item2 = Numbers4(0, [2, 1], [1, 1]);
        entries[1].Item1 = "module.bn.gamma";
        entries[4].Item1 = "tail";
        using WeightFile other = WeightFile.Open(Write(Zip(Pairs(OrderedDictionary, entries), storages)));
        Assert.That(() => store.Load(other),
            Throws.TypeOf<CheckpointException>().With.Message.Contains(
            "missing: bn.weight, bn.running_var; unexpected: module.bn.gamma, tail; "
            + "misshapen: module.fc.weight is (2, 1), expected (1, 2)"));

        static string Numbers4(long offset, long[] shape, long[] strides) => Tensor("FloatStorage", "0", 4, offset, shape, strides);
    }

    private static string One1 => Tensor("FloatStorage", "0", 1, 0, [1], [1]);

    private static string One(string name) => Pairs(OrderedDictionary, (name, One1));

    private static Mamba.Core.Tensor Tensor1() => Mamba.Core.Tensor.Full(1f, 1);

    private static TestCaseData Element(string storage, string type, byte[] bytes, float value) =>
        new TestCaseData(storage, type, bytes, value).SetArgDisplayNames(type);

    private string Write(byte[] content)
    {
        string path = Path.Combine(_folder, "checkpoint.pth");
        File.WriteAllBytes(path, content);
        return path;
    }
}
