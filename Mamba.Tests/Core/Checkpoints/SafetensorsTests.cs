using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

internal sealed class SafetensorsTests
{
    private const string OneFloat = """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""";
    private string _folder = "";

    public static IEnumerable<TestCaseData> ElementTypes =>
    [
        Element("F64", BitConverter.GetBytes(-1.5), -1.5f),
        Element("F32", BitConverter.GetBytes(-1.5f), -1.5f),
        Element("F16", BitConverter.GetBytes((Half)(-1.5f)), -1.5f),
        Element("BF16", [0xC0, 0xBF], -1.5f),
        Element("I64", BitConverter.GetBytes(-3L), -3f),
        Element("U64", BitConverter.GetBytes(1UL << 40), 1L << 40),
        Element("I32", BitConverter.GetBytes(-3), -3f),
        Element("U32", BitConverter.GetBytes(3_000_000_000u), 3e9f),
        Element("I16", BitConverter.GetBytes((short)-3), -3f),
        Element("U16", BitConverter.GetBytes((ushort)65535), 65535f),
        Element("I8", [0xFD], -3f),
        Element("U8", [0xFD], 253f),
        Element("BOOL", [1], 1f),
    ];

    public static IEnumerable<TestCaseData> HostileHeaders =>
    [
        Hostile("not an object", "[]", 0, "no JSON object"),
        Hostile("not JSON", "{\"a\":", 0, "not valid JSON"),
        Hostile("something after it", OneFloat + "{}", 4, "not valid JSON"),
        Hostile("nothing", "", 0, "does not begin with '{'"),
        Hostile("overlap", Two("[0,4]", "[2,6]"), 6, "gap or an overlap"),
        Hostile("the same place twice", Two("[0,4]", "[0,4]"), 4, "gap or an overlap"),
        Hostile("gap", Two("[0,4]", "[8,12]"), 12, "gap or an overlap"),
        Hostile("gap in front", Two("[4,8]", "[8,12]"), 12, "gap or an overlap"),
        Hostile("too few bytes", OneFloat, 3, "file has 3"),
        Hostile("too many bytes", OneFloat, 5, "file has 5"),
        Hostile("backwards", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", 4, "offsets [4, 0]"),
        Hostile("negative", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}""", 4, "offsets [-4, 0]"),
        Hostile("three offsets", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}""", 4, "offsets"),
        Hostile("wrong count", """{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 4, "takes 8 bytes"),
        Hostile(
            "overflowing count", """{"a":{"dtype":"F32","shape":[65536,65536,65536,65536],"data_offsets":[0,0]}}""", 0,
            "too many elements"),
        Hostile("large extent", """{"a":{"dtype":"F32","shape":[4294967296],"data_offsets":[0,0]}}""", 0, "extent 4294967296"),
        Hostile("negative extent", """{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 4, "extent -1"),
        Hostile("fraction", """{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""", 4, "no 64-bit integer"),
        Hostile(
            "many dimensions",
            $$$"""{"a":{"dtype":"F32","shape":[{{{string.Join(",", Enumerable.Repeat(1, 17))}}}],"data_offsets":[0,4]}}""", 4,
            "17 dimensions"),
        Hostile("unknown type", """{"a":{"dtype":"F8","shape":[4],"data_offsets":[0,4]}}""", 4, "type 'F8'"),
        Hostile("type of another kind", """{"a":{"dtype":7,"shape":[4],"data_offsets":[0,4]}}""", 4, "not valid JSON"),
        Hostile("no type", """{"a":{"shape":[1],"data_offsets":[0,4]}}""", 4, "lacks dtype"),
        Hostile("no shape", """{"a":{"dtype":"F32","data_offsets":[0,4]}}""", 4, "lacks dtype"),
        Hostile("key twice", """{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4, "repeated key 'dtype'"),
        Hostile("unknown key", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}""", 4, "key 'x'"),
        Hostile(
            "tensor twice",
            """{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}""", 0,
            "is there twice"),
        Hostile("no tensor", """{"a":7}""", 0, "'a' is no object"),
        Hostile("shape of another kind", """{"a":{"dtype":"F32","shape":{},"data_offsets":[0,4]}}""", 4, "array of numbers"),
        Hostile("metadata twice", """{"__metadata__":{},"__metadata__":{}}""", 0, "is there twice"),
        Hostile("metadata key twice", """{"__metadata__":{"k":"1","k":"2"}}""", 0, "'k' is there twice"),
        Hostile("metadata of numbers", """{"__metadata__":{"k":1}}""", 0, "no string"),
        Hostile("metadata of another kind", """{"__metadata__":[]}""", 0, "no object"),
        Hostile("half a surrogate pair", """{"\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4, "not valid JSON"),
        Hostile("deep nesting", """{"a":{"dtype":[[[[[[[[[[[]]]]]]]]]]]}}""", 0, "not valid JSON"),
    ];

    /// <summary>
    /// The invalid files that the format's own project tests its reader with, and those that its list of attacks describes.
    /// </summary>
    public static IEnumerable<TestCaseData> ReferenceCases =>
    [
        Raw("no bytes", [], "0 bytes, expected at least 8"),
        Raw("less than a length", new byte[7], "7 bytes, expected at least 8"),
        Raw("a length and no header", Length(60), "header of 60 bytes in a file of 8"),
        Raw("a length that is negative as a signed number", Length(unchecked((ulong)-1L)), "header of 18446744073709551615 bytes"),
        Raw("a length above the limit", [.. Length(0xFFFFFF_00_0000003CUL), .. FourInts, .. new byte[16]], "at most 100000000"),
        Raw("a length just above the limit", Length(SafetensorsFile.MaxHeaderBytes + 1), "at most 100000000"),
        Raw("a header of no length", Length(0), "does not begin with '{'"),
        Raw("a header that is no UTF-8", [.. Length(1), 0xFF], "does not begin with '{'"),
        Raw("a name that is no UTF-8", [.. Length(4), .. "{\""u8, 0xFF, 0xFE], "not valid JSON"),
        Raw("a header that is no JSON", [.. Length(1), (byte)'{'], "not valid JSON"),
        Raw("white space in front of the header", [.. Length(6), .. "\t\n{}\r "u8], "does not begin with '{'"),
        Raw("a byte order mark", [.. Length(5), 0xEF, 0xBB, 0xBF, .. "{}"u8], "does not begin with '{'"),
        Raw("zeros behind the header", [.. Length(4), .. "{}\0\0"u8], "not valid JSON"),
        Raw("bytes behind the data, as of a file in a file",
            [.. Length(60), .. FourInts, .. new byte[16], .. "extra bogus data"u8], "the file has 32"),
        Raw("two bytes of the data missing", [.. Length(60), .. FourInts, .. new byte[14]], "the file has 14"),
        Raw(
            "offsets that do not fit the shape", Whole("""{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0, 4]}}""", 4),
            "takes 16 bytes, its offsets give 4"),
        Raw(
            "an extent near the largest number",
            Whole("""{"test":{"dtype":"I32","shape":[2,18446744073709551614],"data_offsets":[0,16]}}""", 16), "no 64-bit integer"),
        Raw(
            "elements that overflow in bytes",
            Whole("""{"test":{"dtype":"I32","shape":[2,9223372036854775807],"data_offsets":[0,16]}}""", 16), "extent 9223372036854775807"),
        Raw(
            "offsets beyond all",
            Whole("""{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[9223372036854775791,9223372036854775807]}}""", 16),
            "gap or an overlap"),
        Raw(
            "offsets that are no numbers", Whole("""{"test":{"dtype":"I32","shape":[2,2],"data_offsets":["0","16"]}}""", 16),
            "array of numbers"),
        Raw(
            "many tensors in one place",
            Whole(
                "{" + string.Join(
                    ',',
                    Enumerable.Range(0, 10).Select(i =>
                        $"\"weight_{i}\":" + """{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}""")) + "}",
                16),
            "gap or an overlap"),
        Raw("a hole between tensors", Whole(Two("[0,4]", "[5,9]"), 9), "gap or an overlap"),
        Raw("a type that is null", Whole("""{"test":{"dtype":null,"shape":[2,2],"data_offsets":[0,16]}}""", 16), "type ''"),
        Raw("metadata that is null", Whole("""{"__metadata__":null}""", 0), "no object"),
        Raw("metadata in metadata", Whole("""{"__metadata__":{"a":{"b":"c"}}}""", 0), "no string"),
        Raw("a comment", Whole("""{}//""", 0), "not valid JSON"),
        Raw("a comma too many", Whole("""{"__metadata__":{},}""", 0), "not valid JSON"),
    ];

    private static ReadOnlySpan<byte> FourInts => """{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}}"""u8;

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("mamba-tests").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void What_is_written_is_read_back()
    {
        Tensor a = Numbers.Random(1, 3, 5, 7), scalar = Tensor.Full(float.NegativeInfinity), empty = Tensor.Zeros(0, 4);
        string path = Path.Combine(_folder, "weights.safetensors");
        Safetensors.Write(path, [("é.weight", a), ("scalar", scalar), ("empty", empty)],
            new Dictionary<string, string> { ["z"] = "\"ü\n", ["a"] = "" });

        using SafetensorsFile file = SafetensorsFile.Open(path);
        Assert.That(file.Names, Is.EqualTo(new[] { "é.weight", "scalar", "empty" }));
        Assert.That(file.Metadata, Is.EquivalentTo(new Dictionary<string, string> { ["a"] = "", ["z"] = "\"ü\n" }));
        Assert.That(file.Shape("é.weight"), Is.EqualTo(new[] { 3, 5, 7 }));
        Assert.That(file.DType("é.weight"), Is.EqualTo("F32"));
        Assert.That(file.ReadFloats("é.weight"), Is.EqualTo(a.Span.ToArray()));
        Assert.That(file.Shape("scalar"), Is.Empty);
        Assert.That(file.ReadFloats("scalar"), Is.EqualTo(new[] { float.NegativeInfinity }));
        Assert.That(file.ReadFloats("empty"), Is.Empty);
        Assert.That(Directory.GetFiles(_folder), Has.Length.EqualTo(1), "no temporary file stays");
    }

    [Test]
    public void The_same_weights_give_the_same_bytes_and_the_data_is_aligned()
    {
        string first = Path.Combine(_folder, "1"), second = Path.Combine(_folder, "2");
        Safetensors.Write(first, [("a", Numbers.Random(1, 3))], new Dictionary<string, string> { ["x"] = "1", ["y"] = "2" });
        Safetensors.Write(second, [("a", Numbers.Random(1, 3))], new Dictionary<string, string> { ["y"] = "2", ["x"] = "1" });
        byte[] bytes = File.ReadAllBytes(first);
        Assert.That(File.ReadAllBytes(second), Is.EqualTo(bytes));
        Assert.That(BinaryPrimitives.ReadUInt64LittleEndian(bytes) % 8, Is.Zero);
    }

    [TestCaseSource(nameof(ElementTypes))]
    public void Every_element_type_is_read(string type, byte[] bytes, float expected)
    {
        const int Count = 5000; // more than one chunk of the conversion
        string header = $$$"""{"a":{"dtype":"{{{type}}}","shape":[{{{Count}}}],"data_offsets":[0,{{{Count * bytes.Length}}}]}}""";
        using SafetensorsFile file = SafetensorsFile.Open(Write(header, [.. Enumerable.Repeat(bytes, Count).SelectMany(b => b)]));
        Assert.That(file.ReadFloats("a"), Has.Length.EqualTo(Count).And.All.EqualTo(expected));
    }

    [TestCaseSource(nameof(HostileHeaders))]
    public void Hostile_headers_are_refused(string header, int dataBytes, string problem)
    {
        string path = Write(header, new byte[dataBytes]);
        Assert.That(() => SafetensorsFile.Open(path),
            Throws.TypeOf<CheckpointException>().With.Message.StartsWith(path).And.Message.Contains(problem));
        File.Delete(path); // nothing holds the file open
    }

    [TestCaseSource(nameof(ReferenceCases))]
    public void The_invalid_files_of_the_formats_own_project_are_refused(byte[] content, string problem)
    {
        string path = Path.Combine(_folder, "file");
        File.WriteAllBytes(path, content);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(() => SafetensorsFile.Open(path),
            Throws.TypeOf<CheckpointException>().With.Message.StartsWith(path).And.Message.Contains(problem));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1 << 20));
    }

    [TestCase("{}\r \t\n", new float[0], "", TestName = "White space behind the header")]
    [TestCase(
        """{"test":{"dtype":"I32","shape":[2,0],"data_offsets":[0, 0]}}""", new float[0], "test I32 (2, 0): ",
        TestName = "A tensor of no elements")]
    [TestCase(
        """{"a":{"dtype":"F32","shape":[0],"data_offsets":[4,4]},"b":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}""", new[] { 1.5f },
        "a F32 (0): , b F32 (): 1.5", TestName = "A tensor of no elements behind the last")]
    [TestCase(
        """{"a":{"dtype":"F32","shape":[0,2147483647,2147483647],"data_offsets":[0,0]}}""", new float[0],
        "a F32 (0, 2147483647, 2147483647): ", TestName = "Large extents of a tensor of no elements")]
    public void What_its_project_accepts_is_read_as_it_says(string header, float[] data, string expected)
    {
        using SafetensorsFile file = SafetensorsFile.Open(Write(header, MemoryMarshal.AsBytes<float>(data).ToArray()));
        Assert.That(string.Join(", ", file.Names.Select(Describe)), Is.EqualTo(expected));
        Assert.That(file.Metadata, Is.Empty);

        string Describe(string name)
        {
            string values = string.Join(" ", file.ReadFloats(name).Select(v => v.ToString(CultureInfo.InvariantCulture)));
            return $"{name} {file.DType(name)} ({string.Join(", ", file.Shape(name))}): {values}";
        }
    }

    [Test]
    public void Missing_tensors_or_metadata_are_named_and_leave_no_file()
    {
        string path = Path.Combine(_folder, "written"), source = Path.Combine(_folder, "source");
        (string, Tensor)[] tensors = [("a", Tensor.Zeros(1))];
        Dictionary<string, string> metadata = [];
        Safetensors.Write(source, tensors, metadata);
        using WeightFile file = WeightFile.Open(source);
        Refuses("metadata", () => Safetensors.Write(path, tensors, null!));
        Refuses("metadata", () => Safetensors.WriteSealed(path, tensors, null!));
        Refuses("metadata", () => Safetensors.Write(path, file, null!));
        Refuses("tensors", () => Safetensors.Write(path, (IEnumerable<(string, Tensor)>)null!, metadata));
        Refuses("tensors", () => Safetensors.WriteSealed(path, null!, metadata));
        Refuses("source", () => Safetensors.Write(path, (WeightFile)null!, metadata));
        Assert.That(Directory.GetFiles(_folder), Is.EqualTo(new[] { source }));

        static void Refuses(string parameter, Action write) => Assert.That(
            () => write(), Throws.ArgumentNullException.With.Property(nameof(ArgumentException.ParamName)).EqualTo(parameter));
    }

    [Test]
    public void Bad_utf8_is_refused()
    {
        byte[] header = Encoding.UTF8.GetBytes(OneFloat);
        header[2] = 0xFF;
        Assert.That(() => SafetensorsFile.Open(Write(header, new byte[4])),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("not valid JSON"));
    }

    [TestCase(9UL), TestCase(1000UL), TestCase(100_000_001UL), TestCase(ulong.MaxValue), TestCase(1UL << 63)]
    public void A_header_longer_than_the_file_is_refused_before_it_is_allocated(ulong length)
    {
        string path = Path.Combine(_folder, "long");
        byte[] bytes = new byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);
        File.WriteAllBytes(path, bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(() => SafetensorsFile.Open(path),
            Throws.TypeOf<CheckpointException>().With.Message.Contains($"header of {length} bytes"));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1 << 20));
    }

    [Test]
    public void A_truncated_file_is_refused_at_every_length()
    {
        string whole = Path.Combine(_folder, "whole"), cut = Path.Combine(_folder, "cut");
        Safetensors.Write(whole, [("a", Numbers.Random(1, 3))], new Dictionary<string, string>());
        byte[] bytes = File.ReadAllBytes(whole);
        for (int length = 0; length < bytes.Length; length++)
        {
            File.WriteAllBytes(cut, bytes[..length]);
            Assert.That(() => SafetensorsFile.Open(cut), Throws.TypeOf<CheckpointException>(), $"{length} bytes");
        }
    }

    [Test]
    public void Missing_files_folders_and_tensors_are_refused()
    {
        Assert.That(() => SafetensorsFile.Open(Path.Combine(_folder, "none")),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("no such file"));
        Assert.That(() => SafetensorsFile.Open(_folder), Throws.TypeOf<CheckpointException>());
        using SafetensorsFile file = SafetensorsFile.Open(Write(Encoding.UTF8.GetBytes(OneFloat), new byte[4]));
        Assert.That(file.Contains("b"), Is.False);
        Assert.That(() => file.ReadFloats("b"), Throws.TypeOf<CheckpointException>().With.Message.Contains("no tensor 'b'"));
        Assert.That(() => file.ReadFloats("a", new float[2]),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("has 1 elements, asked for 2"));
    }

    [Test]
    public void A_failed_write_leaves_the_old_file()
    {
        string path = Path.Combine(_folder, "file");
        AtomicFile.Write(path, s => s.WriteByte(1));
        Assert.That(() => AtomicFile.Write(path, s =>
        {
            s.WriteByte(2);
            throw new InvalidOperationException("half way");
        }), Throws.InvalidOperationException);
        Assert.That(() => AtomicFile.Write(path, _ => throw new IOException("disk full")),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("disk full"));
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(new byte[] { 1 }));
        AtomicFile.Write(path, s => s.WriteByte(3));
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(new byte[] { 3 }));
        Assert.That(Directory.GetFiles(_folder), Has.Length.EqualTo(1), "no temporary file stays");
    }

    [Test]
    public void A_write_into_no_folder_is_refused()
    {
        string path = Path.Combine(_folder, "none", "file");
        Assert.That(() => AtomicFile.Write(path, _ => { }), Throws.TypeOf<CheckpointException>().With.Message.StartsWith(path));
    }

    private static TestCaseData Raw(string name, byte[] content, string problem) =>
        new TestCaseData(content, problem).SetArgDisplayNames(name);

    private static byte[] Length(ulong length) => BitConverter.GetBytes(length);

    private static byte[] Whole(string header, int data)
    {
        byte[] text = Encoding.UTF8.GetBytes(header);
        return [.. Length((ulong)text.Length), .. text, .. new byte[data]];
    }

    private static TestCaseData Element(string type, byte[] bytes, float value) =>
        new TestCaseData(type, bytes, value).SetArgDisplayNames(type);

    private static TestCaseData Hostile(string name, string header, int dataBytes, string problem) =>
        new TestCaseData(header, dataBytes, problem).SetArgDisplayNames(name);

    private static string Two(string first, string second) =>
        $$$"""{"a":{"dtype":"F32","shape":[1],"data_offsets":{{{first}}}},"b":{"dtype":"F32","shape":[1],"data_offsets":{{{second}}}}}""";

    private string Write(string header, byte[] data) => Write(Encoding.UTF8.GetBytes(header), data);

    private string Write(byte[] header, byte[] data)
    {
        string path = Path.Combine(_folder, "file.safetensors");
        byte[] prefix = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)header.Length);
        File.WriteAllBytes(path, [.. prefix, .. header, .. data]);
        return path;
    }
}
