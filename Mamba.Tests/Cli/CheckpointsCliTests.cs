using System.Text.Json;
using Mamba.Cli;
using Mamba.Core.Checkpoints;
using static Mamba.Tests.Core.CheckpointsBytes;

namespace Mamba.Tests.Cli;

/// <summary><c>mamba convert</c> and <c>mamba inspect</c> as a user types them.</summary>
internal sealed class CheckpointsCliTests
{
    private string _folder = "";
    private string _checkpoint = "";

    [SetUp]
    public void MakeCheckpoint()
    {
        _folder = Directory.CreateTempSubdirectory("mamba-tests").FullName;
        _checkpoint = Path.Combine(_folder, "resnet.th");
        string tensors = Pairs(OrderedDictionary,
            ("module.w", Tensor("HalfStorage", "0", 6, 0, [3, 2], [1, 3])),
            ("module.bn.running_mean", Tensor("FloatStorage", "1", 1, 0, [1], [1])),
            ("module.bn.num_batches_tracked", Tensor("LongStorage", "2", 1, 0, [], [])));
        File.WriteAllBytes(_checkpoint, Zip(
            Pairs(Dictionary, ("epoch", "K\u0007"), ("state_dict", tensors)),
            ("0", [.. Enumerable.Range(0, 6).SelectMany(i => BitConverter.GetBytes((Half)i))]), ("1", Bytes(2)),
            ("2", BitConverter.GetBytes(9L))));
    }

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void Convert_keeps_names_types_and_values()
    {
        string target = Path.Combine(_folder, "resnet.safetensors"), again = Path.Combine(_folder, "again.safetensors");
        Assert.That(Mamba("convert", _checkpoint, target), Is.EqualTo((0, $"{target}: 3 tensors, 24 bytes, from torch zip\n", "")));
        using (SafetensorsFile file = SafetensorsFile.Open(target))
        {
            Assert.That(
                file.Names.Select(n => $"{n} {file.DType(n)} {string.Join("x", file.Shape(n))} {string.Join(" ", file.ReadFloats(n))}"),
                Is.EqualTo(new[]
            {
                "module.w F16 3x2 0 3 1 4 2 5", "module.bn.running_mean F32 1 2", "module.bn.num_batches_tracked I64  9",
            }));
            Assert.That(file.Metadata, Is.EquivalentTo(new Dictionary<string, string> { ["format"] = "pt", ["epoch"] = "7" }));
        }
        Assert.That(Mamba("convert", target, again), Is.EqualTo((0, $"{again}: 3 tensors, 24 bytes, from safetensors\n", "")));
        Assert.That(File.ReadAllBytes(again), Is.EqualTo(File.ReadAllBytes(target)));
    }

    [Test]
    public void The_input_is_not_overwritten_under_any_of_its_names()
    {
        byte[] before = File.ReadAllBytes(_checkpoint);
        Directory.CreateSymbolicLink(Path.Combine(_folder, "link"), _folder);
        foreach (string name in new[] { _checkpoint, Path.Combine(_folder, "x", "..", "resnet.th"),
            Path.Combine(_folder, "link", "resnet.th") })
        {
            (int code, string output, string error) = Mamba("convert", _checkpoint, name);
            Assert.That((code, output), Is.EqualTo((2, "")));
            Assert.That(error, Does.Contain("is the input"));
        }
        Assert.That(File.ReadAllBytes(_checkpoint), Is.EqualTo(before));
    }

    [Test]
    public void What_cannot_be_converted_leaves_nothing_behind()
    {
        File.WriteAllBytes(_checkpoint, Zip(Pairs(Dictionary, ("w\u001b[31m", "cposix\nsystem\n"))));
        (int code, _, string error) = Mamba("convert", _checkpoint, Path.Combine(_folder, "out"));
        Assert.That(code, Is.EqualTo(2));
        Assert.That(error, Does.Contain("'posix.system' is refused").And.EndsWith("\n").And.Not.Contains("\u001b"));
        Assert.That(Directory.GetFiles(_folder), Has.Length.EqualTo(1));
    }

    [Test]
    public void Inspect_lists_what_there_is()
    {
        (int code, string output, _) = Mamba("inspect", _checkpoint);
        Assert.That(code, Is.Zero);
        Assert.That(output.Split('\n', StringSplitOptions.TrimEntries), Is.EqualTo(new[]
        {
            "name                           type  shape", "module.w                       F16   (3, 2)",
            "module.bn.running_mean         F32   (1)", "module.bn.num_batches_tracked  I64   ()", "", "epoch: 7",
            "torch zip: 3 tensors, 6 parameters, 2 buffer elements, 24 bytes", "",
        }));
        using JsonDocument json = JsonDocument.Parse(Mamba("inspect", _checkpoint, "--json").Out);
        Assert.That(json.RootElement.GetProperty("form").GetString(), Is.EqualTo("torch zip"));
        Assert.That(json.RootElement.GetProperty("parameters").GetInt64(), Is.EqualTo(6));
        Assert.That(json.RootElement.GetProperty("metadata").GetProperty("epoch").GetString(), Is.EqualTo("7"));
        Assert.That(
            json.RootElement.GetProperty("tensors").EnumerateArray().Select(t => t.GetProperty("dtype").GetString()),
            Is.EqualTo(new[] { "F16", "F32", "I64" }));
    }

    [Test]
    public void Names_that_would_steer_the_terminal_are_shown_without_it()
    {
        string path = Path.Combine(_folder, "w.safetensors");
        Safetensors.Write(
            path, [("a\u001b]0;x\u0007", global::Mamba.Core.Tensor.Zeros(1))], new Dictionary<string, string> { ["k\n"] = "v\r" });
        Assert.That(Mamba("inspect", path).Out, Does.Contain("a?]0;x?").And.Contain("k?: v?"));
    }

    [TestCase("convert"), TestCase("inspect")]
    public void Help_has_an_example(string verb) => Assert.That(Mamba(verb, "--help").Out, Does.Contain($"Example: mamba {verb}"));

    private static (int Code, string Out, string Error) Mamba(params string[] arguments)
    {
        using StringWriter output = new() { NewLine = "\n" }, error = new() { NewLine = "\n" };
        int code = CommandLine.Run(arguments, new Terminal(output, error), CancellationToken.None);
        return (code, output.ToString(), error.ToString());
    }
}
