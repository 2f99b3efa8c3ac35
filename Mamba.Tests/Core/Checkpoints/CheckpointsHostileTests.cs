using System.Text;
using Mamba.Core.Checkpoints;
using Mamba.Tests.Support;
using static Mamba.Tests.Core.CheckpointsBytes;

namespace Mamba.Tests.Core;

/// <summary>Files that were made to do harm, or were damaged: each is refused with a line that says why.</summary>
internal sealed class CheckpointsHostileTests
{
    private const string Float = "FloatStorage";
    private string _folder = "";

    public static IEnumerable<TestCaseData> Pickles =>
    [
        Bad("a call of the system", Value($"cposix\nsystem\n({Text("touch x")}tR"), "global 'posix.system' is refused"),
        Bad("eval", Value($"c__builtin__\neval\n({Text("1")}tR"), "global '__builtin__.eval' is refused"),
        Bad("a module inside torch", Value("ctorch.nn.modules.linear\nLinear\n)\u0081"),
            "'torch.nn.modules.linear.Linear' is a pickled object"),
        Bad("a pickled module", "ctorch.nn.modules.linear\nLinear\n)\u0081}b", "pickled object of class 'torch.nn.modules.linear.Linear'"),
        Bad("getattr", Value("cbuiltins\ngetattr\n)R"), "global 'builtins.getattr' is refused"),
        Bad("exec", Value($"cbuiltins\nexec\n({Text("1")}tR"), "global 'builtins.exec' is refused"),
        Bad("a process", Value($"csubprocess\nPopen\n({Text("sh")}tR"), "global 'subprocess.Popen' is refused"),
        Bad("a module of a module", Value("cos.path\njoin\n)R"), "global 'os.path.join' is refused"),
        Bad("a name that reaches into its module", Value($"{Text("torch.nn")}{Text("functional.os.system")}\u0093"), "is refused"),
        Bad("another checkpoint", Value($"ctorch\nload\n({Text("x")}tR"), "global 'torch.load' is refused"),
        Bad("an extension of torch", Value("ctorch.utils.cpp_extension\nload\n)R"), "is refused"),
        Bad("a file of NumPy", Value("cnumpy\nload\n)R"), "global 'numpy.load' is refused"),
        Bad("a sparse tensor", Value("ctorch._utils\n_rebuild_sparse_tensor\n)R"), "kind that is not read"),
        Bad("a NumPy array of objects", Value($"{Array("O8", "N")}"), "objects is refused"),
        Bad("a NumPy array of another type", Value(Array("O8", "C\u0001x")), "type 'O8' is refused"),
        Bad("a big-endian NumPy array", Value(Array("f4", "C\u0004xxxx", ">")), "type '>f4' is refused"),
        Bad("a NumPy array of too few bytes", Value(Array("f4", "C\u0001x")), "has 1 bytes"),
        Bad("a NumPy scalar of too few bytes", Value($"cnumpy.core.multiarray\nscalar\n({NumpyType("f8")}C\u0001xtR"),
            "has 1 bytes, expected 8"),
        Bad("several dictionaries of tensors",
            Pairs(Dictionary, ("g", Pairs(Dictionary, ("w", One))), ("d", Pairs(Dictionary, ("w", One)))),
            "'g', 'd'; say which with --key"),
        Bad("a global of protocol 4", Value($"{Text("os")}{Text("system")}\u0093"), "global 'os.system' is refused"),
        Bad("a global that is no text", Value($"K\u0001{Text("system")}\u0093"), "STACK_GLOBAL"),
        Bad("complex numbers", Pairs(Dictionary, ("w", Tensor("ComplexFloatStorage", "0", 1, 0, [1], [1]))),
            "global 'torch.ComplexFloatStorage' is refused"),
        Bad("a new number", Value("K\u0001)\u0081"), "NEWOBJ: expected a global"),
        Bad("an instance", Value("(icollections\nOrderedDict\n"), "opcode INST is refused"),
        Bad("an extension", Value("\u0082\u0001"), "opcode EXT1 is refused"),
        Bad("an out-of-band buffer", Value("\u0097"), "opcode NEXT_BUFFER is refused"),
        Bad("a line of text", Value("I1\n"), "opcode INT is refused"),
        Bad("no opcode", Value("\u00ff"), "opcode 0xff is refused"),
        Bad("attributes of a list", Value("]}b"), "opcode BUILD is refused"),
        Bad("a called tensor", Value($"{One})R"), "REDUCE"),
        Bad("a called number", Value("K\u0001)R"), "REDUCE"),
        Bad("a called storage", Value("ctorch\nFloatStorage\n)R"), "does not take"),
        Bad("a dictionary of a number", Value("ccollections\nOrderedDict\n(K\u0001tR"), "does not take"),
        Bad("a dictionary of singles", Value("ccollections\nOrderedDict\n(](]K\u0001aetR"), "no pairs"),
        Bad("text of another encoding", Value($"c_codecs\nencode\n({Text("a")}{Text("rot13")}tR"), "does not take"),
        Bad("a tensor of nothing", Value("ctorch._utils\n_rebuild_tensor_v2\n)R"), "does not take"),
        Bad("a tensor of texts",
            Value($"ctorch._utils\n_rebuild_tensor_v2\n({PersistentId(Float, "0", 1)}K\0({Text("1")}tK\u0001\u0085\u0089NtR"), "integers"),
        Bad("a module by its id", Value($"({Text("module")}NNtQ"), "kind 'module'"),
        Bad("an id that is a text", Value($"{Text("0")}Q"), "persistent id"),
        Bad("an id of no storage", Value($"({Text("storage")}ccollections\nOrderedDict\n{Text("0")}{Text("cpu")}K\u0001tQ"),
            "no type of storage"),
        Bad("an id without a place", Value($"({Text("storage")}ctorch\nFloatStorage\n{Text("0")}tQ"), "describes no storage"),
        Bad("one storage, two sizes", Pairs(Dictionary, ("v", One), ("w", Tensor(Float, "0", 2, 0, [2], [1]))),
            "storage '0' is F32 of 1 elements and F32 of 2"),
        Bad("one storage, two types", Pairs(Dictionary, ("v", One), ("w", Tensor("IntStorage", "0", 1, 0, [1], [1]))),
            "storage '0' is F32 of 1 elements and I32 of 1"),
        Bad("a part outside its storage", Value(PersistentId(Float, "0", 1, $"({Text("v")}{Integer(1)}{Integer(1)}t")), "lies outside"),
        Bad("a tensor beyond its storage", Pairs(Dictionary, ("w", Tensor(Float, "0", 1, 0, [2], [1]))), "reaches beyond the 1 elements"),
        Bad("an offset beyond its storage", Pairs(Dictionary, ("w", Tensor(Float, "0", 1, 1, [1], [1]))), "reaches beyond"),
        Bad("strides that overflow", Pairs(Dictionary, ("w", Tensor(Float, "0", 1, 0, [5, 5], [long.MaxValue / 2, long.MaxValue / 2]))),
            "reaches beyond"),
        Bad("an offset that overflows", Pairs(Dictionary, ("w", Tensor(Float, "0", 1, long.MaxValue, [2], [long.MaxValue]))),
            "reaches beyond"),
        Bad("a negative stride", Pairs(Dictionary, ("w", Tensor(Float, "0", 1, 0, [1], [-1]))), "stride -1"),
        Bad("a negative offset", Pairs(Dictionary, ("w", Tensor(Float, "0", 1, -1, [1], [1]))), "offset -1"),
        Bad("a negative extent", Pairs(Dictionary, ("w", Tensor(Float, "0", 1, 0, [-1], [1]))), "extent -1"),
        Bad("fewer strides than extents", Pairs(Dictionary, ("w", Tensor(Float, "0", 1, 0, [1, 1], [1]))), "2 dimensions has 1 strides"),
        Bad("many dimensions", Pairs(Dictionary, ("w", Tensor(Float, "0", 1, 0, new long[17].Select(_ => 1L).ToArray(), new long[17]))),
            "17 dimensions"),
        Bad("a repeated element", Pairs(Dictionary, ("w", Tensor(Float, "0", 1, 0, [1 << 30], [0]))), "more than 16 times"),
        Bad("more than can be counted", Pairs(Dictionary, ("w", Tensor(Float, "0", 1, 0, [1 << 20, 1 << 20], [0, 0]))),
            "too many elements"),
        Bad("a name twice", Pairs(Dictionary, ("w", One), ("w", One)), "'w' is there twice"),
        Bad("a number for a name", $"}}(K\u0001{One}u", "named by 1"),
        Bad("no dictionary", "]", "no dictionary of tensors"),
        Bad("a tensor alone", One, "no dictionary of tensors"),
        Bad("no tensors", Pairs(Dictionary, ("net", Pairs(Dictionary, ("w", "K\u0001")))), "no tensors among 'net'"),
        Bad("a wrapper of itself", $"}}q\0({Text("state_dict")}h\0u", "no tensors among 'state_dict'"),
        Bad("a memo never written", "h\u0005", "memo 5 was never written"),
        Bad("a memo far away", "}r\u00ff\u00ff\u00ff\u007f", "memo 2147483647"),
        Bad("a memo of nothing", "q\0", "stack is empty"),
        Bad("an empty stack", "", "stack is empty"),
        Bad("elements of no list", "}K\u0001a", "no list"),
        Bad("pairs of no dictionary", "]K\u0001K\u0002s", "no dictionary"),
        Bad("half a pair", "}(K\u0001u", "no dictionary"),
        Bad("no mark", "}t", "no mark"),
        Bad("a mark in between", "}(s", "stack is empty"),
        Bad("values left over", "}}", "values left"),
        Bad("a long text", "X\u00ff\u00ff\u00ff\u00ff", "4294967295 bytes expected"),
        Bad("a longer text", "\u008d\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff", "18446744073709551615 bytes expected"),
        Bad("long bytes", "\u008e\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u007f", "bytes expected"),
        Bad("a long integer", "\u008b\u00ff\u00ff\u00ff\u007f", "integer of 2147483647 bytes"),
        Bad("a text that is no UTF-8", "U\u0001\u00ff", "no valid UTF-8"),
        Bad("a long name", $"c{new string('x', 2000)}\n", "more than 256 bytes"),
        Bad("a long name of protocol 4", Value($"{Text(new string('x', 257))}{Text("a")}\u0093"), "more than 256 bytes"),
        Bad("an array of text", Value(Array("u1", $"c_codecs\nencode\n({Text("\u0100")}{Text("latin1")}tR")), "beyond Latin-1"),
        Bad("a long key of a storage", Value(PersistentId(Float, new string('0', 257), 1)), "key has 257 characters"),
    ];

    public static IEnumerable<TestCaseData> Archives =>
    [
        Zipped("a compressed entry", (i, e) => e.Method = 8, "compressed (method 8)"),
        Zipped("an entry compressed in its own header", (i, e) => e.LocalMethod = 8, "method 8"),
        Zipped("an encrypted entry", (i, e) => e.Flags = 1, "encrypted"),
        Zipped("a size of its own", (i, e) => e.LocalSize = 1, "calls itself"),
        Zipped("a size beyond the file", (i, e) => e.Size = e.LocalSize = 1 << 30, "outside the file"),
        Zipped("a size that reaches the next", (i, e) => e.Size = e.LocalSize = e.Size + 8, "overlaps"),
        Zipped("an offset beyond the file", (i, e) => e.Offset = 1 << 30, "outside the file"),
        Zipped("an offset to elsewhere", (i, e) => e.Offset = 3, "expected the header of zip entry"),
        Zipped("the same place twice", (i, e) => (e.Offset, e.Name, e.Size) = (0, "a/data.pkl", (uint)Pickle(Value(One)).Length),
            "overlaps"),
        Zipped("another name", (i, e) => e.Name = "a/data/1", "calls itself 'a/data/0'"),
        Zipped("64-bit sizes that are not there", (i, e) => e.Size = uint.MaxValue, "lacks its 64-bit sizes"),
        Zipped("64-bit sizes beyond all", (i, e) =>
            (e.Size, e.Extra) = (uint.MaxValue, [.. U16(1), .. U16(16), .. Enumerable.Repeat((byte)0xFF, 16)]), "outside the file"),
        new TestCaseData(Archive([("a/data.pkl", Pickle("}")), ("a/x", []), ("a/x", [])]), "'a/x' is there twice")
            .SetArgDisplayNames("a name twice"),
        new TestCaseData(Archive([("a/data.pkl", Pickle("}")), ("b/data.pkl", Pickle("}"))]), "2 entries")
            .SetArgDisplayNames("two pickles"),
        new TestCaseData(Archive([("a/version", "3"u8.ToArray())]), "0 entries").SetArgDisplayNames("no pickle"),
        new TestCaseData(Archive([("a/data.pkl", Pickle("}")), ("a/byteorder", "big"u8.ToArray())]), "byte order")
            .SetArgDisplayNames("big-endian"),
        new TestCaseData(Archive([("a/data.pkl", Pickle(Pairs(Dictionary, ("w", One))))]), "'0' is not in the archive")
            .SetArgDisplayNames("a storage that is not there"),
        new TestCaseData(Archive([("a/data.pkl", Pickle(Pairs(Dictionary, ("w", One)))), ("a/data/0", new byte[5])]), "its zip entry has 5")
            .SetArgDisplayNames("a storage of another size"),
        new TestCaseData(Archive([("a/data.pkl", [])]), "1 bytes expected, 0 are left").SetArgDisplayNames("an empty pickle"),
        new TestCaseData(Archive([("a/data.pkl", [0x80, 1, (byte)'.'])]), "expected a pickle of protocol")
            .SetArgDisplayNames("an old protocol"),
    ];

    public static IEnumerable<TestCaseData> Streams =>
    [
        new TestCaseData(Pickle($"cposix\nsystem\n({Text("x")}tR"), "'posix.system' is refused")
            .SetArgDisplayNames("a plain pickle that calls"),
        new TestCaseData(Pickle("K\u0001K\u0001\u0086"), "magic number").SetArgDisplayNames("a plain pickle"),
        new TestCaseData(Stream("\u0089", "}"), "byte order").SetArgDisplayNames("big-endian"),
        new TestCaseData(Stream(Pairs(Dictionary, ("w", One))), "storage '0' is not in the file")
            .SetArgDisplayNames("a storage that is not there"),
        new TestCaseData(Stream(Pairs(Dictionary, ("w", One)), ("0", 2, Bytes(1, 2))), "2 elements, expected 1")
            .SetArgDisplayNames("a storage of another size"),
        new TestCaseData(Stream(Pairs(Dictionary, ("w", One)), ("0", 1, [1, 2])), "4 bytes expected, 2 are left")
            .SetArgDisplayNames("a storage cut short"),
        new TestCaseData(Stream(Pairs(Dictionary, ("w", One)), ("0", 1, Bytes(1)), ("0", 1, Bytes(1))), "twice or is not used")
            .SetArgDisplayNames("a storage twice"),
        new TestCaseData(Stream(Pairs(Dictionary, ("w", Tensor(Float, "0", long.MaxValue / 8, 0, [1], [1]))), ("0", long.MaxValue / 8, [])),
            "bytes expected").SetArgDisplayNames("a storage without end"),
        new TestCaseData(Stream(Pairs(Dictionary, ("w", Tensor(Float, "0", long.MaxValue, 0, [1], [1])))), "9223372036854775807 elements")
            .SetArgDisplayNames("a storage beyond all"),
    ];

    private static string One => Tensor(Float, "0", 1, 0, [1], [1]);

    private static string NumpyType(string code, string order = "<") =>
        $"cnumpy\ndtype\n({Text(code)}\u0089\u0088tR(K\u0003{Text(order)}NNNtb";

    /// <summary>A NumPy array of shape (1).</summary>
    private static string Array(string code, string content, string order = "<") =>
        $"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\u0085C\u0001btR"
        + $"(K\u0001K\u0001\u0085{NumpyType(code, order)}\u0089{content}tb";

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("mamba-tests").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [TestCase("hostile-eval.pth", "'__builtin__.eval' is refused")]
    [TestCase("hostile-os-system.pth", "'posix.system' is refused")]
    [TestCase("hostile-plain.pth", "'posix.system' is refused")]
    [TestCase("hostile-truncated.pth", "cut short")]
    [TestCase("hostile-legacy-truncated.pth", "bytes expected")]
    public void The_hostile_samples_are_refused(string sample, string problem)
    {
        string path = ReferenceData.Path($"weights/samples/{sample}");
        Assert.That(() => WeightFile.Open(path),
            Throws.TypeOf<CheckpointException>().With.Message.StartsWith(path).And.Message.Contains(problem));
    }

    [TestCaseSource(nameof(Pickles))]
    public void Hostile_pickles_are_refused_in_both_forms(string pickle, string problem)
    {
        Refused(Zip(pickle, ("0", Bytes(1))), problem);
        Refused(pickle.Contains(Float, StringComparison.Ordinal) ? Stream(pickle, ("0", 1, Bytes(1))) : Stream(pickle), problem);
    }

    [TestCaseSource(nameof(Archives))]
    public void Hostile_archives_are_refused(byte[] content, string problem) => Refused(content, problem);

    [TestCaseSource(nameof(Streams))]
    public void Hostile_streams_are_refused(byte[] content, string problem) => Refused(content, problem);

    [Test]
    public void A_deep_nest_is_refused_without_recursion()
    {
        Refused(Zip(string.Concat(Enumerable.Repeat("]", 200_000)) + new string('a', 199_999)), "no dictionary of tensors");
        Refused(Zip(new string('(', 200_000)), "stack is empty");
    }

    [Test]
    public void A_pickle_without_end_is_refused() =>
        Refused(Zip("}" + string.Concat(Enumerable.Repeat("N0", 2_000_001))), "more than 4000000 opcodes");

    [Test]
    public void A_damaged_file_is_read_or_refused_whatever_byte_is_wrong()
    {
        string pickle = Pairs(Dictionary, ("epoch", "K\u0001"),
            ("state_dict",
            Pairs(OrderedDictionary, ("w", Tensor(Float, "0", 6, 0, [3, 2], [1, 3])), ("v", Tensor(Float, "1", 1, 0, [], [])))));
        foreach (byte[] whole in new[] { Zip(pickle, ("0", new byte[24]), ("1", new byte[4])),
            Stream(pickle, ("0", 6, new byte[24]), ("1", 1, new byte[4])) })
            for (int at = 0; at < whole.Length; at++)
            {
                ReadsOrRefuses(whole[..at], $"cut at {at}");
                foreach (byte flip in new byte[] { 0x01, 0xFF })
                {
                    byte[] damaged = [.. whole];
                    damaged[at] ^= flip;
                    ReadsOrRefuses(damaged, $"byte {at} ^ {flip:x2}");
                }
            }

        void ReadsOrRefuses(byte[] content, string what)
        {
            string path = Path.Combine(_folder, "damaged.pth");
            File.WriteAllBytes(path, content);
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                using WeightFile file = WeightFile.Open(path);
                foreach (string name in file.Names) file.ReadFloats(name);
            }
            catch (CheckpointException)
            {
                // Refused, with a message of its own kind: anything else fails the test.
            }
            Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(2 << 20), what);
        }
    }

    private static TestCaseData Bad(string name, string pickle, string problem) =>
        new TestCaseData(pickle, problem).SetArgDisplayNames(name);

    /// <summary>A state_dict with something else in it.</summary>
    private static string Value(string value) => Pairs(Dictionary, ("w", value));

    private static TestCaseData Zipped(string name, Action<int, Entry> edit, string problem) => new TestCaseData(
        Archive([("a/data.pkl", Pickle(Pairs(Dictionary, ("w", One)))), ("a/data/0", Bytes(1)), ("a/version", "3"u8.ToArray())], (i, e) =>
        {
            if (i == 1) edit(i, e);
        }), problem).SetArgDisplayNames(name);

    private void Refused(byte[] content, string problem)
    {
        string path = Path.Combine(_folder, "hostile.pth");
        File.WriteAllBytes(path, content);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(() => WeightFile.Open(path),
            Throws.TypeOf<CheckpointException>().With.Message.StartsWith(path).And.Message.Contains(problem));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before,
            Is.LessThan((2 << 20) + 300L * content.Length), "memory is bounded by the size of the file");
        File.Delete(path); // nothing holds the file open
    }
}
