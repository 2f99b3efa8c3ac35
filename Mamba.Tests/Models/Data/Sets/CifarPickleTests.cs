using System.Text;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Tests.Core;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>The Python versions of CIFAR-10 and CIFAR-100, and the binary version of CIFAR-100.</summary>
internal sealed class CifarPickleTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Pickles_hold_the_same_pictures_as_binary_files([Values] PickleStyle style)
    {
        for (int file = 0; file < 6; file++)
        {
            byte[][] records = [SetSamples.CifarRecord(file), SetSamples.CifarRecord(9 - file)];
            _folder.Write("bin/" + SetSamples.CifarFiles[file], [.. records[0], .. records[1]]);
            _folder.Write(
                "py/cifar-10-batches-py/" + SetSamples.CifarFiles[file][..^4],
                CifarPickles.Batch(style, "labels", [file, 9 - file], [.. records[0][1..], .. records[1][1..]]));
        }
        _folder.Write(
            "py/cifar-10-batches-py/batches.meta", CifarPickles.Meta(style, "label_names", "abcdefghij".Select(c => c.ToString())));
        Cifar10 binary = new(Path.Combine(_folder.Root, "bin")), python = new(Path.Combine(_folder.Root, "py"));
        Assert.That(string.Concat(python.Labels), Is.EqualTo("abcdefghij"));
        Assert.That((python.Count, python.Name(10), python.Part(9)), Is.EqualTo((12, "test/00001", SplitPart.Train)));
        for (int i = 0; i < 12; i++)
        {
            Assert.That(python.Load(i).Label, Is.EqualTo(binary.Load(i).Label));
            Assert.That(python.Load(i).Image.Pixels, Is.EqualTo(binary.Load(i).Image.Pixels));
        }
        Assert.That(ImageDataSource.Open(Path.Combine(_folder.Root, "py")), Is.TypeOf<Cifar10>());
    }

    [Test]
    public void Cifar_100_has_fine_labels_in_both_versions([Values] PickleStyle style)
    {
        byte[] picture = SetSamples.CifarRecord(3)[1..], other = SetSamples.CifarRecord(5)[1..];
        string[] names = [.. Enumerable.Range(0, 100).Select(i => $"class {i}")];
        _folder.Write("bin/cifar-100-binary/train.bin", [19, 99, .. picture, 3, 0, .. other]);
        _folder.Write("bin/cifar-100-binary/test.bin", [7, 42, .. other]);
        _folder.Write("py/cifar-100-python/train", CifarPickles.Batch(style, "fine_labels", [99, 0], [.. picture, .. other]));
        _folder.Write("py/cifar-100-python/test", CifarPickles.Batch(style, "fine_labels", [42], other));
        Cifar100 binary = new(Path.Combine(_folder.Root, "bin"));
        Assert.That((binary.Labels[0], binary.Labels[99]), Is.EqualTo(("0", "99")), "numbered without names");
        _folder.Write("bin/cifar-100-binary/fine_label_names.txt", Encoding.UTF8.GetBytes(string.Join('\n', names) + "\n"));
        _folder.Write("py/cifar-100-python/meta", CifarPickles.Meta(style, "fine_label_names", names));
        foreach (string version in new[] { "bin", "py" })
        {
            IImageData data = ImageDataSource.Open(Path.Combine(_folder.Root, version));
            Assert.That(data, Is.TypeOf<Cifar100>());
            Assert.That(data.Labels, Is.EqualTo(names));
            ClassificationSample[] samples = [.. Enumerable.Range(0, 3).Select(((Cifar100)data).Load)];
            Assert.That(samples.Select(s => s.Label), Is.EqualTo(new[] { 99, 0, 42 }));
            Assert.That(samples[0].Image.Pixels[..4], Is.EqualTo(new[] { picture[0], picture[1024], picture[2048], picture[1] }));
            Assert.That((data.Name(1), data.Name(2), data.Part(2)), Is.EqualTo(("train/00002", "test/00001", SplitPart.Test)));
            Assert.That(() => data.Load(3), Throws.TypeOf<ArgumentOutOfRangeException>());
        }
    }

    [Test]
    public void Damaged_pickles_are_refused()
    {
        byte[] good = CifarPickles.Batch(PickleStyle.Python2, "labels", [1], new byte[3072]);
        Says(good[..^40], "test_batch");
        Says([], "bytes expected");
        Says(CifarPickles.Batch(PickleStyle.Python2, "labels", [10], new byte[3072]), "label 10 of picture 0; expected 0 to 9");
        Says(CifarPickles.Batch(PickleStyle.Bytes, "labels", [-1], new byte[3072]), "label -1 of picture 0");
        Says(CifarPickles.Batch(PickleStyle.Bytes, "labels", [1, 2], new byte[3072]), "'data' of (1, 3072) and 2 'labels'");
        Says(CifarPickles.Batch(PickleStyle.Bytes, "fine_labels", [1], new byte[3072]), "'labels' is not in the file");
        Says(CheckpointsBytes.Pickle("]"), "a pickle, but not of a dictionary");
        Says(CheckpointsBytes.Pickle("cos\nsystem\n"), "global 'os.system' is refused");
        Says(CheckpointsBytes.Pickle(CheckpointsBytes.Pairs("}", ("data", "K\u0001"))), "'data' is no array of bytes");
        Says(CheckpointsBytes.Pickle("}q\0(" + CheckpointsBytes.Text("data") + "h\0u"), "'data' is no array of bytes");
        File.Delete(Path.Combine(_folder.Root, "test_batch"));
        Refuses("test_batch: no such file");
        Says(good, null);
        _folder.Write("batches.meta", CifarPickles.Meta(PickleStyle.Bytes, "label_names", ["a", "b"]));
        Refuses("batches.meta: 2 names of classes; expected 10");
        string many = "](" + CheckpointsBytes.Text(new string('a', 200)) + "q\0" + string.Concat(Enumerable.Repeat("h\0", 70_000)) + "e";
        _folder.Write("batches.meta", CheckpointsBytes.Pickle(CheckpointsBytes.Pairs("}", ("label_names", many))));
        Refuses("'label_names' has 70001 names; at most 65536 are accepted");

        void Says(byte[] file, string? says)
        {
            foreach (string name in SetSamples.CifarFiles) _folder.Write(name[..^4], name == "test_batch.bin" ? file : good);
            if (says is null) Assert.That(new Cifar10(_folder.Root).Count, Is.EqualTo(6));
            else Refuses(says);
        }
    }

    [Test]
    public void Damaged_cifar_100_is_refused()
    {
        _folder.Write("train.bin", new byte[3074]);
        Refuses100("test.bin: no such file; expected train.bin and test.bin");
        _folder.Write("test.bin", new byte[3073]);
        Refuses100("test.bin: 3073 bytes, the last record from byte 0 cut short");
        _folder.Write("test.bin", [0, 100, .. new byte[3072]]);
        Refuses100("test.bin: label 100 at byte 1; expected 0 to 99");
        Assert.That(() => new Cifar100(Path.Combine(_folder.Root, "none")), Throws.TypeOf<DatasetException>());
    }

    [Test]
    public void Reading_can_be_stopped()
    {
        foreach (string name in SetSamples.CifarFiles)
            _folder.Write(name[..^4], CifarPickles.Batch(PickleStyle.Python2, "labels", [1], new byte[3072]));
        Assert.That(
            () => new Cifar10(_folder.Root, new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
        _folder.Write("100/train.bin", new byte[3074]);
        _folder.Write("100/test.bin", new byte[3074]);
        Assert.That(
            () => new Cifar100(Path.Combine(_folder.Root, "100"), new CancellationToken(canceled: true)),
            Throws.InstanceOf<OperationCanceledException>());
    }

    private void Refuses(string says) => Assert.That(
        () => new Cifar10(_folder.Root),
        Throws.TypeOf<DatasetException>().With.Message.StartsWith(_folder.Root).And.Message.Contains(says));

    private void Refuses100(string says) => Assert.That(
        () => new Cifar100(_folder.Root),
        Throws.TypeOf<DatasetException>().With.Message.StartsWith(_folder.Root).And.Message.Contains(says));
}
