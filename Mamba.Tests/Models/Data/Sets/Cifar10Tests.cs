using System.Buffers.Binary;
using System.IO.Compression;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Tasks;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class Cifar10Tests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Cifar_records_become_pictures([Values("", "cifar-10-batches-bin/")] string inside)
    {
        for (int file = 0; file < 6; file++)
            _folder.Write(inside + SetSamples.CifarFiles[file], [.. SetSamples.CifarRecord(file), .. SetSamples.CifarRecord(9 - file)]);
        Cifar10 data = new(_folder.Root);
        Assert.That((data.Task, data.Count), Is.EqualTo((ModelTask.Classification, 12)));
        Assert.That(data.Labels, Is.EqualTo("airplane automobile bird cat deer dog frog horse ship truck".Split(' ')));
        Assert.That(Enumerable.Range(0, 12).Select(i => data.Load(i).Label), Is.EqualTo(new[] { 0, 9, 1, 8, 2, 7, 3, 6, 4, 5, 5, 4 }));
        Assert.That(
            new[] { 0, 9, 10, 11 }.Select(data.Name), Is.EqualTo(new[] { "train/00001", "train/00010", "test/00001", "test/00002" }));
        Assert.That(
            new[] { 0, 9, 10, 11 }.Select(data.Part),
            Is.EqualTo(new SplitPart?[] { SplitPart.Train, SplitPart.Train, SplitPart.Test, SplitPart.Test }));
        byte[] record = SetSamples.CifarRecord(8);
        Image image = data.Load(3).Image;
        Assert.That((image.Width, image.Height, image.Channels), Is.EqualTo((32, 32, 3)));
        for (int i = 0; i < 3 * 1024; i++) Assert.That(image.Pixels[i], Is.EqualTo(record[1 + i % 3 * 1024 + i / 3]));
        Assert.That(() => data.Load(12), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => data.Load(-1), Throws.TypeOf<ArgumentOutOfRangeException>());

        _folder.Write(inside + "batches.meta.txt", "a\r\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n"u8.ToArray());
        Assert.That(string.Concat(new Cifar10(_folder.Root).Labels), Is.EqualTo("abcdefghij"));
        Split split = Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Official, Seed = 1 });
        Assert.That((split.Train.Length, split.Test), Is.EqualTo((10, new[] { 10, 11 })));
    }

    [Test]
    public void Damaged_cifar_is_refused()
    {
        Refuses(() => new Cifar10(_folder.Root), "no binary version of CIFAR-10");
        Refuses(() => new Cifar10(Path.Combine(_folder.Root, "none")), "data_batch_1.bin");
        foreach (string name in SetSamples.CifarFiles[..5]) _folder.Write(name, SetSamples.CifarRecord(1));
        Refuses(() => new Cifar10(_folder.Root), "test_batch.bin: no such file");
        _folder.Write("test_batch.bin", [.. SetSamples.CifarRecord(1), .. SetSamples.CifarRecord(2)[..^1]]);
        Refuses(() => new Cifar10(_folder.Root), "test_batch.bin: 6145 bytes, the last record from byte 3073 cut short");
        _folder.Write("test_batch.bin", []);
        Refuses(() => new Cifar10(_folder.Root), "test_batch.bin: 0 bytes");
        _folder.Write("test_batch.bin", [.. SetSamples.CifarRecord(9), .. SetSamples.CifarRecord(10)]);
        Refuses(() => new Cifar10(_folder.Root), "test_batch.bin: label 10 at byte 3073; expected 0 to 9");
        _folder.Write("test_batch.bin", SetSamples.CifarRecord(9));
        _folder.Write("batches.meta.txt", "cat\ndog\n"u8.ToArray());
        Refuses(() => new Cifar10(_folder.Root), "batches.meta.txt: 2 names of classes; expected 10");
    }

    private void Refuses(Func<IImageData> open, string says) =>
        Assert.That(() => open(), Throws.TypeOf<DatasetException>().With.Message.StartsWith(_folder.Root).And.Message.Contains(says));
}
