using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Files with a checksum, and files that a killed process left half written.</summary>
internal sealed class SealTests
{
    private string _folder = "";

    private string Sealed => Path.Combine(_folder, "state.safetensors");

    [SetUp]
    public void NewFolder() => _folder = Directory.CreateTempSubdirectory("mamba-").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void A_sealed_file_gives_back_what_was_written_and_is_safetensors()
    {
        Tensor[] tensors = Write();
        foreach (Func<string, SafetensorsFile> open in new Func<string, SafetensorsFile>[] { path =>
            SafetensorsFile.OpenSealed(path), SafetensorsFile.Open })
        {
            using SafetensorsFile file = open(Sealed);
            Assert.That(file.Names, Is.EqualTo(new[] { "a", "b", "sha256" }));
            Assert.That(file.Metadata["step"], Is.EqualTo("3"));
            Assert.That(file.ReadFloats("a"), Is.EqualTo(tensors[0].Span.ToArray()));
            Assert.That(file.ReadFloats("b"), Is.EqualTo(tensors[1].Span.ToArray()));
        }
        byte[] bytes = File.ReadAllBytes(Sealed);
        Assert.That(bytes[^32..], Is.EqualTo(System.Security.Cryptography.SHA256.HashData(bytes.AsSpan()[..^32])));
    }

    [Test]
    public void Every_flipped_bit_is_noticed()
    {
        Write();
        byte[] bytes = File.ReadAllBytes(Sealed);
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] ^= (byte)(1 << (i % 8));
            File.WriteAllBytes(Sealed, bytes);
            Assert.That(() => SafetensorsFile.OpenSealed(Sealed),
                Throws.TypeOf<CheckpointException>().With.Message.StartsWith($"{Sealed}: damaged"), $"byte {i}");
            bytes[i] ^= (byte)(1 << (i % 8));
        }
    }

    [Test]
    public void A_file_cut_short_is_noticed([Values(0, 31, 32, 100)] int length)
    {
        Write();
        File.WriteAllBytes(Sealed, File.ReadAllBytes(Sealed)[..length]);
        Assert.That(() => SafetensorsFile.OpenSealed(Sealed), Throws.TypeOf<CheckpointException>().With.Message.Contains(Sealed));
    }

    [Test]
    public void Only_temporary_files_of_processes_are_swept()
    {
        string below = Directory.CreateDirectory(Path.Combine(_folder, "weights")).FullName;
        string[] stale = [Path.Combine(below, "last.safetensors.4711.tmp"), Path.Combine(_folder, "results.csv.1.tmp")];
        string[] others = [Path.Combine(below, "last.safetensors"),
            Path.Combine(_folder, "mine.tmp"), Path.Combine(_folder, "notes.v2.tmp"), Path.Combine(_folder, "4711.tmp")];
        foreach (string path in stale.Concat(others)) File.WriteAllText(path, "something");
        AtomicFile.Sweep(_folder);
        Assert.That(Directory.GetFiles(_folder, "*", SearchOption.AllDirectories), Is.EquivalentTo(others));
    }

    private Tensor[] Write()
    {
        Tensor[] tensors = [Numbers.Random(1, 5, 7), Numbers.Random(2, 3)];
        Safetensors.WriteSealed(Sealed, [("a", tensors[0]), ("b", tensors[1])], new Dictionary<string, string> { ["step"] = "3" });
        return tensors;
    }
}
