using System.Buffers.Binary;
using System.IO.Compression;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Tasks;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class MnistTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Digits_are_read_plain_or_packed([Values] bool packed, [Values] bool dotted, [Values("", "MNIST/raw/")] string inside)
    {
        byte[] pixels = [.. Enumerable.Range(0, 3 * 4 * 5).Select(i => (byte)(4 * i))];
        SetSamples.WriteMnist(
            _folder, inside, dotted, packed, SetSamples.Idx(0x803, [3, 4, 5], pixels), SetSamples.Idx(0x801, [3], [7, 0, 9]),
            SetSamples.Idx(0x803, [1, 6, 2], pixels[..12]), SetSamples.Idx(0x801, [1], [4]));
        Mnist data = new(_folder.Root);
        Assert.That((data.Task, data.Count, string.Concat(data.Labels)), Is.EqualTo((ModelTask.Classification, 4, "0123456789")));
        Assert.That(Enumerable.Range(0, 4).Select(i => data.Load(i).Label), Is.EqualTo(new[] { 7, 0, 9, 4 }));
        Assert.That(
            Enumerable.Range(0, 4).Select(data.Name), Is.EqualTo(new[] { "train/00001", "train/00002", "train/00003", "test/00001" }));
        Assert.That(new[] { 2, 3 }.Select(data.Part), Is.EqualTo(new SplitPart?[] { SplitPart.Train, SplitPart.Test }));
        Image second = data.Load(1).Image, test = data.Load(3).Image;
        Assert.That((second.Width, second.Height, second.Channels), Is.EqualTo((5, 4, 1)));
        Assert.That(second.Pixels, Is.EqualTo(pixels[20..40]));
        Assert.That((test.Width, test.Height), Is.EqualTo((2, 6)));
        Assert.That(() => data.Load(4), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Damaged_digits_are_refused([Values] bool packed)
    {
        byte[] images = SetSamples.Idx(0x803, [2, 3, 3], new byte[18]), labels = SetSamples.Idx(0x801, [2], [1, 2]);
        Refuses(() => new Mnist(_folder.Root), "no idx files");
        Says(SetSamples.Idx(0x801, [9], new byte[9]), labels, "magic number 0x00000801 at byte 0; expected 0x00000803");
        Says(images, images, "magic number 0x00000803 at byte 0; expected 0x00000801");
        Says([0, 0, 8], labels, "ends at byte 3; expected a head of 16 bytes");
        Says([], labels, packed ? "" : "ends at byte 0");
        Says(images[..^1], labels, packed ? "ends at byte 33 unpacked; expected 34" : "promises 34 bytes, of a file of 33");
        Says([.. images, 0], labels, "continues after byte 34");
        Says(SetSamples.Idx(0x803, [0, 3, 3], []), labels, "size 0 of dimension 0 at byte 4");
        Says(SetSamples.Idx(0x803, [2, 0xFFFFFFFF, 3], []), labels, "size 4294967295 of dimension 1 at byte 8");
        Says(SetSamples.Idx(0x803, [0x10000, 0x4000, 2], []), labels, "size 2 of dimension 2 at byte 12");
        Says(SetSamples.Idx(0x803, [1000, 1000, 100], []), labels, "promises 100000016 bytes");
        Says(images, SetSamples.Idx(0x801, [3], [1, 2, 3]), "2 images, but");
        Says(images, SetSamples.Idx(0x801, [2], [1, 10]), "label 10 at byte 9; expected 0 to 9");

        void Says(byte[] images, byte[] labels, string says)
        {
            SetSamples.WriteMnist(_folder, "", false, packed, images, labels, images, labels);
            Refuses(() => new Mnist(_folder.Root), says);
        }
    }

    [Test]
    public void Damaged_gzip_is_refused_and_a_bomb_not_unpacked()
    {
        byte[] images = SetSamples.Idx(0x803, [2, 30, 30], [.. Enumerable.Range(0, 1800).Select(i => (byte)(i * i))]),
            labels = SetSamples.Idx(0x801, [2], [1, 2]),
            packed = SetSamples.Gzip(images);
        byte[] flipped = [.. packed];
        flipped[packed.Length / 2] ^= 0x55;
        SetSamples.WriteMnist(_folder, "", false, true, images, labels, images, labels);
        foreach (byte[] damaged in new[] { packed[..20], packed[..(packed.Length / 2)], packed[..^30], flipped, [0x1F, 0x8B] })
        {
            _folder.Write("train-images-idx3-ubyte.gz", damaged);
            Refuses(() => new Mnist(_folder.Root), "train-images-idx3-ubyte.gz");
        }
        _folder.Write("train-images-idx3-ubyte.gz", SetSamples.Gzip([.. images, .. new byte[50_000_000]]));
        long before = GC.GetAllocatedBytesForCurrentThread();
        Refuses(() => new Mnist(_folder.Root), "continues after byte 1816 unpacked");
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1_000_000));
        _folder.Write("train-images-idx3-ubyte.gz", packed);
        File.Delete(Path.Combine(_folder.Root, "t10k-labels-idx1-ubyte.gz"));
        Refuses(() => new Mnist(_folder.Root), "no t10k-labels-idx1-ubyte");
    }

    [Test]
    public void Mnist_itself()
    {
        Mnist data = new(ReferenceData.Path("data/mnist"));
        Assert.That(Enumerable.Range(0, data.Count).Count(i => data.Part(i) == SplitPart.Train), Is.EqualTo(60_000));
        Assert.That(data.Count, Is.EqualTo(70_000));
        Assert.That(Enumerable.Range(0, 5).Select(i => data.Load(i).Label), Is.EqualTo(new[] { 5, 0, 4, 1, 9 }));
        Assert.That(Enumerable.Range(60_000, 5).Select(i => data.Load(i).Label), Is.EqualTo(new[] { 7, 2, 1, 0, 4 }));
        Image image = data.Load(0).Image;
        Assert.That((image.Width, image.Height, image.Channels), Is.EqualTo((28, 28, 1)));
        Assert.That(image.Pixels.Average(v => v / 255.0), Is.EqualTo(0.1377).Within(0.0001));
    }

    private void Refuses(Func<IImageData> open, string says) =>
        Assert.That(() => open(), Throws.TypeOf<DatasetException>().With.Message.StartsWith(_folder.Root).And.Message.Contains(says));
}
