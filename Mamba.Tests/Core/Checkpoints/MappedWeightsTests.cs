using System.Runtime.Versioning;
using System.Text;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Weights that stay in their file: the same results, no copy, and no end of the process where the file is cut.</summary>
[UnsupportedOSPlatform("windows")]
internal sealed class MappedWeightsTests
{
    [Test]
    public void A_mapped_model_gives_the_bits_of_a_loaded_one([Values("unet", "vim")] string name)
    {
        using TemporaryFolder folder = new();
        string path = Saved(folder, name);
        (VisionModel loaded, _) = ModelFile.Load(path);
        (VisionModel mapped, _) = ModelFile.LoadMapped(path);
        Tensor x = Numbers.Random(3, 1, 32, 32, 3);
        Assert.That(mapped.Forward(x).Span.ToArray(), Is.EqualTo(loaded.Forward(x).Span.ToArray()));
        int tensors = mapped.Parameters.All.Count(p => p.Tensor.MappedFile is not null);
        Assert.That(tensors, Is.GreaterThan(0).And.EqualTo(mapped.Parameters.All.Count()));
        Assert.That(loaded.Parameters.All.Count(p => p.Tensor.MappedFile is not null), Is.Zero);
        mapped.Dispose();
        Assert.That(loaded.Forward(x).Count, Is.Positive, "the pool was not given memory that is none of its own");
    }

    [Test]
    public void Writing_to_a_mapped_weight_does_not_change_the_file()
    {
        using TemporaryFolder folder = new();
        string path = Saved(folder, "unet");
        byte[] before = File.ReadAllBytes(path);
        (VisionModel model, _) = ModelFile.LoadMapped(path);
        model.Parameters.Thaw();
        foreach ((_, Tensor tensor) in model.Parameters.All) tensor.Span.Fill(3f);
        Assert.That(model.Parameters.All.All(p => p.Tensor.Span.ToArray().All(v => v == 3f)));
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(before));
    }

    [Test]
    public void A_file_that_may_be_written_is_refused()
    {
        using TemporaryFolder folder = new();
        string path = Saved(folder, "unet");
        foreach (UnixFileMode write in new[] { UnixFileMode.UserWrite, UnixFileMode.GroupWrite, UnixFileMode.OtherWrite })
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | write);
            Assert.That(
                () => ModelFile.LoadMapped(path),
                Throws.TypeOf<CheckpointException>().With.Message.StartsWith(path).And.Message.Contains("chmod a-w"));
        }
        Assert.That(() => ModelFile.LoadMapped(path + "x"), Throws.TypeOf<CheckpointException>().With.Message.Contains("no such file"));
    }

    /// <summary>A reader of the pages that are gone would be ended by the system, so this process tells whether the guard works.</summary>
    [Test]
    public void A_file_that_is_cut_stops_the_next_pass_and_not_the_process()
    {
        using TemporaryFolder folder = new();
        string path = Saved(folder, "unet");
        (VisionModel model, _) = ModelFile.LoadMapped(path);
        Tensor x = Numbers.Random(3, 1, 32, 32, 3);
        model.Forward(x);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        byte[] whole = File.ReadAllBytes(path);
        Cut(path, 100);
        Assert.That(() => model.Forward(x), Throws.TypeOf<CheckpointException>().With.Message.Contains("was cut"));
        File.SetUnixFileMode(path, UnixFileMode.UserRead);
        Assert.That(() => ModelFile.LoadMapped(path), Throws.TypeOf<CheckpointException>(), "a cut file is malformed");
        Cut(path, 0);
        Assert.That(() => ModelFile.LoadMapped(path), Throws.TypeOf<CheckpointException>().With.Message.Contains("empty"));

        // A new version that takes the file's name leaves the mapped one as it was.
        string other = Path.Combine(folder.Root, "other.safetensors");
        File.WriteAllBytes(other, whole);
        File.SetUnixFileMode(other, UnixFileMode.UserRead);
        (VisionModel again, _) = ModelFile.LoadMapped(other);
        float[] expected = again.Forward(x).Span.ToArray();
        File.WriteAllBytes(path + ".new", new byte[10]);
        File.Move(path + ".new", other, overwrite: true);
        Assert.That(again.Forward(x).Span.ToArray(), Is.EqualTo(expected));
    }

    /// <summary>Other types, places that are no multiple of four, and a weight that a view has: these are read.</summary>
    [Test]
    public void What_cannot_be_used_in_place_is_read()
    {
        using TemporaryFolder folder = new();
        ParameterStore store = new();
        Tensor half = new Scope(store).Parameter("half", Init.Zeros, 2), odd = new Scope(store).Parameter("odd", Init.Zeros, 2);
        Tensor viewed = new Scope(store).Parameter("viewed", Init.Zeros, 2), whole = new Scope(store).Parameter("whole", Init.Zeros, 2);
        using Tensor view = viewed.Reshape(1, 2);
        string path = Write("a", "", "whole", "viewed", "half");
        Load(path, "odd");
        Assert.That((half.MappedFile, viewed.MappedFile), Is.EqualTo(((object?)null, (object?)null)));
        Assert.That(whole.MappedFile, Is.Not.Null);
        Assert.That((half.Span[1], whole.Span[1], view.Span[1]), Is.EqualTo((1.5f, 1.5f, 1.5f)));
        Load(Write("b", "  ", "odd"), "half", "viewed", "whole");
        Assert.That((odd.MappedFile, odd.Span[1]), Is.EqualTo(((object?)null, 1.5f)));

        void Load(string file, params string[] missing)
        {
            ParameterStore some = new();
            using SafetensorsFile weights = SafetensorsFile.OpenMapped(file);
            LoadReport? report = null;
            Assert.That(() => report = store.Load(weights), Throws.TypeOf<CheckpointException>().With.Message.Contains(missing[0]));
            foreach (string name in weights.Names)
                if (!weights.TryShare(name, store[name])) weights.ReadFloats(name, store[name].Span);
        }

        string Write(string name, string padding, params string[] tensors)
        {
            StringBuilder header = new("{");
            List<byte> data = [];
            foreach (string tensor in tensors)
            {
                byte[] bytes = tensor == "half"
                    ? [.. BitConverter.GetBytes((Half)1), .. BitConverter.GetBytes((Half)1.5)]
                    : [.. BitConverter.GetBytes(1f), .. BitConverter.GetBytes(1.5f)];
                string type = tensor == "half" ? "F16" : "F32";
                header.Append(header.Length > 1 ? "," : "").Append(
                    $$"""
                    "{{tensor}}":{"dtype":"{{type}}","shape":[2],"data_offsets":[{{data.Count}},{{data.Count + bytes.Length}}]}
                    """);
                data.AddRange(bytes);
            }
            header.Append('}');
            while (header.Length % 8 != 0) header.Append(' ');
            header.Append(padding);
            string file = Path.Combine(folder.Root, name + ".safetensors");
            File.WriteAllBytes(
                file, [.. BitConverter.GetBytes((ulong)header.Length), .. Encoding.ASCII.GetBytes(header.ToString()), .. data]);
            File.SetUnixFileMode(file, UnixFileMode.UserRead);
            return file;
        }
    }

    private static void Cut(string path, int length)
    {
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        using (FileStream file = new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite)) file.SetLength(length);
        File.SetUnixFileMode(path, UnixFileMode.UserRead);
    }

    private static string Saved(TemporaryFolder folder, string name)
    {
        ModelEntry entry = Registry.Find(name);
        ModelConfig config = name == "unet" ? entry.Config with { Width = 4, Depth = 2 } : entry.Config;
        string[] labels = [.. Enumerable.Range(0, config.Classes).Select(i => $"class {i}")];
        string path = Path.Combine(folder.Root, name + ".safetensors");
        ModelFile.Save(
            path, entry.Create(config, seed: 2),
            new ModelInfo(name, config, labels, Normalization.None(3), new RunData(SplitProtocol.Image, 0, null, 32, 32)));
        File.SetUnixFileMode(path, UnixFileMode.UserRead);
        return path;
    }
}
