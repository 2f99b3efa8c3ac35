using System.Diagnostics;
using System.Text;
using Mamba.Core.Checkpoints;
using static Mamba.Tests.Core.CheckpointsBytes;

namespace Mamba.Tests.Core;

/// <summary>
/// Small files that ask for a lot. A pickle's memo repeats a large value in a few bytes; what is made of it must not take memory or time
/// again.
/// </summary>
internal sealed class CheckpointsAmplificationTests
{
    private const string Float = "FloatStorage";
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(20); // a fraction of it on an idle machine

    public static IEnumerable<TestCaseData> Repeated
    {
        get
        {
            string many = string.Concat(Enumerable.Repeat("N", 20_000)), text = Text(new string('x', 100_000));
            string pairs = "](" + string.Concat(Enumerable.Repeat("NN\u0086", 20_000)) + "e";
            yield return Case("pairs of dictionaries", $"{pairs}q\0", "ccollections\nOrderedDict\nh\0\u0085R", "no tensors");
            yield return Case("bytes of a text", $"{text}q\0", $"c_codecs\nencode\nh\0{Text("latin1")}\u0086R", "no tensors");
            yield return Case("extents", $"({many}tq\0{PersistentId(Float, "0", 1)}q\u0001",
                "ctorch._utils\n_rebuild_tensor_v2\n(h\u0001K\0h\0h\0\u0089NtR", "20000 dimensions");
            yield return Case("parts of a persistent id",
                $"({Text("storage")}ctorch\nFloatStorage\n{Text("0")}{Text("cpu")}{Integer(1)}N{many}tq\0", "h\0Q", "no tuple of up to 6");
            yield return Case("a code of NumPy", $"cnumpy\ndtype\n({text}tRq\0",
                "cnumpy.core.multiarray\nscalar\n(h\0C\u0001xtR", "no tensors");
            yield return Case("names of a class", $"{text}q\0", $"h\0{Text("a")}\u0093", "more than 256 bytes");
            yield return Case("a key of a storage", $"({Text("storage")}ctorch\nFloatStorage\n{text}{Text("cpu")}{Integer(1)}tq\0", "h\0Q",
                "key has 100000 characters");
        }
    }

    [TestCaseSource(nameof(Repeated))]
    public void What_the_memo_repeats_takes_no_memory_again(string first, string again, string problem) =>
        Refused(Zip($"}}({Text("a")}{first}{string.Concat(Enumerable.Range(0, 500).Select(i => Text($"{i}") + again))}u", ("0", Bytes(1))),
            problem);

    [Test]
    public void Names_of_classes_are_made_once()
    {
        string names = string.Concat(Enumerable.Range(0, 201).Select(i => Text($"{i:000}" + new string('x', 250)) + $"r{Index(i)}0"));
        string pairs = string.Concat(Enumerable.Range(0, 10_001).Select(i => $"j{Index(i % 100)}j{Index(100 + i / 100)}\u00930"));
        Refused(Zip(names + pairs), "more than 10000 different classes");
        string repeated = string.Concat(Enumerable.Repeat("h\0h\u0064\u00930", 50_000));
        Refused(Zip($"{names}{repeated}}}({Text("a")}K\u0001u"), "no tensors among 'a'");

        static string Index(int i) => Encoding.Latin1.GetString(BitConverter.GetBytes(i));
    }

    [Test]
    public void Objects_that_are_called_do_not_grow() =>
        Refused(Zip($"}}({Text("a")}cfunctools\npartial\n)R{string.Concat(Enumerable.Repeat(")R\u0094", 100_000))}u"),
            "no tensors among 'a'");

    [Test]
    public void A_subclass_of_a_tensor_in_itself_is_refused_without_recursion()
    {
        // Memo 0 is the function, memo 1 the arguments, which hold the arguments before them.
        string levels = string.Concat(Enumerable.Repeat("(h\0Nh\u0001Ntq\u00010", 300_000));
        Refused(Zip($"ctorch._tensor\n_rebuild_from_type_v2\nq\u00000)q\u00010{levels}}}({Text("a")}h\0h\u0001Ru"),
            "'torch._tensor._rebuild_from_type_v2' is called with arguments");
    }

    [Test]
    public void Places_of_dictionaries_are_not_written_out()
    {
        string inner = string.Concat(Enumerable.Repeat("h\0}", 5_000));
        Refused(Zip($"}}({Text(new string('x', 100_000))}q\0}}({inner}u{Text("b")}Nu"), "no tensors among");
    }

    [Test]
    public void A_dictionary_is_searched_once_however_often_it_is_named()
    {
        string large = $"}}({string.Concat(Enumerable.Repeat("NN", 500_000))}u";
        Refused(Zip($"}}({Text("a")}{large}q\0{string.Concat(Enumerable.Repeat("Nh\0", 500_000))}u"), "no tensors among 'a'");
    }

    [Test]
    public void Metadata_have_a_limit()
    {
        string name = Text(new string('x', 1_000_000)), integer = $"\u008a\u00ff{new string('\u0011', 255)}";
        byte[] file = Zip(
            $"}}({Text("w")}{Tensor(Float, "0", 1, 0, [1], [1])}{name}q\0{integer}q\u0001{Text("epoch")}K\u0003"
            + $"{string.Concat(Enumerable.Repeat("h\0K\u0001", 100_000))}"
            + $"{string.Concat(Enumerable.Range(0, 50_000).Select(i => Text($"{i}") + "h\u0001"))}u", ("0", Bytes(1)));
        Within(file, () =>
        {
            using WeightFile weights = WeightFile.Read("file", new MemoryStream(file));
            Assert.That(weights.Metadata["epoch"], Is.EqualTo("3"));
            Assert.That(weights.Metadata.Sum(m => m.Key.Length + m.Value.Length), Is.LessThanOrEqualTo(1 << 20));
        });
    }

    [Test]
    public void Strided_tensors_count_with_their_gaps()
    {
        string tensor = Tensor(Float, "0", 250_000, 0, [2], [249_999]);
        byte[] Spread(int times) => Zip(
            $"}}({Text("a0")}{tensor}q\0{string.Concat(Enumerable.Range(1, times - 1).Select(i => Text($"a{i}") + "h\0"))}u",
            ("0", new byte[1_000_000]));
        Refused(Spread(20), "more than 16 times");
        using WeightFile file = WeightFile.Read("file", new MemoryStream(Spread(16)));
        Assert.That(file.Names, Has.Count.EqualTo(16));
    }

    private static TestCaseData Case(string name, string first, string again, string problem) =>
        new TestCaseData(first, again, problem).SetArgDisplayNames(name);

    private static void Refused(byte[] file, string problem) => Within(file, () => Assert.That(
        () => WeightFile.Read("file", new MemoryStream(file)),
        Throws.TypeOf<CheckpointException>().With.Message.StartsWith("file").And.Message.Contains(problem)));

    private static void Within(byte[] file, Action read)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        Stopwatch watch = Stopwatch.StartNew();
        read();
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before,
            Is.LessThan((2 << 20) + 300L * file.Length), "memory is bounded by the size of the file");
        Assert.That(watch.Elapsed, Is.LessThan(s_longest));
    }
}
