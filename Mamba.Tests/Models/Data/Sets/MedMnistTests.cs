using System.IO.Compression;
using System.Text;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class MedMnistTests
{
    private static readonly byte[] s_pixels = [.. Enumerable.Range(0, 200).Select(i => (byte)i)];

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Gray_and_color_pictures_are_read(
        [Values] bool color, [Values] bool packed, [Values("|u1", "<i8", ">i4", "<u2", "|i1")] string type)
    {
        string shape = color ? "4, 5, 3" : "4, 5";
        int size = color ? 60 : 20;
        string path = _folder.Write("pathmnist.npz", NpzSamples.Npz(
            packed,
            ("train_images", NpzSamples.Npy("|u1", $"2, {shape}", s_pixels[..(2 * size)])),
            ("train_labels", NpzSamples.Npy(type, "2, 1", [.. NpzSamples.Number(type, 8), .. NpzSamples.Number(type, 0)])),
            ("val_images", NpzSamples.Npy("|u1", $"1, {shape}", s_pixels[..size])),
            ("val_labels", NpzSamples.Npy(type, "1, 1", NpzSamples.Number(type, 3))),
            ("test_images", NpzSamples.Npy("|u1", $"1, {shape}", s_pixels[7..(7 + size)])),
            ("test_labels", NpzSamples.Npy(type, "1,", NpzSamples.Number(type, 5)))));
        MedMnist data = new(path);
        Assert.That((data.Count, string.Concat(data.Labels)), Is.EqualTo((4, "012345678")));
        Assert.That(Enumerable.Range(0, 4).Select(i => data.Load(i).Label), Is.EqualTo(new[] { 8, 0, 3, 5 }));
        Assert.That(
            Enumerable.Range(0, 4).Select(data.Part),
            Is.EqualTo(new SplitPart?[] { SplitPart.Train, SplitPart.Train, SplitPart.Val, SplitPart.Test }));
        Assert.That((data.Name(1), data.Name(2), data.Name(3)), Is.EqualTo(("train/00002", "val/00001", "test/00001")));
        Image second = data.Load(1).Image;
        Assert.That((second.Width, second.Height, second.Channels), Is.EqualTo((5, 4, color ? 3 : 1)));
        Assert.That(second.Pixels, Is.EqualTo(s_pixels[size..(2 * size)]));
        Assert.That(data.Load(3).Image.Pixels, Is.EqualTo(s_pixels[7..(7 + size)]));
        Assert.That(() => data.Load(4), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(ImageDataSource.Open(path), Is.TypeOf<MedMnist>());
        Assert.That(ImageDataSource.Open(_folder.Root), Is.TypeOf<MedMnist>());
        Split split = Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Official, Seed = 1 });
        Assert.That((split.Train, split.Val, split.Test), Is.EqualTo((new[] { 0, 1 }, new[] { 2 }, new[] { 3 })));
        _folder.Write("other.npz", [1]);
        Assert.That(
            () => ImageDataSource.Open(_folder.Root),
            Throws.TypeOf<DatasetException>().With.Message.Contains("2 .npz files (other.npz, pathmnist.npz)"));
    }

    [Test]
    public void A_set_without_validation_pictures_is_read()
    {
        Assert.That(Open(NpzSamples.Set()).Count, Is.EqualTo(2));
        Assert.That(
            () => new MedMnist(_folder.Root), Throws.TypeOf<DatasetException>().With.Message.Contains("0 .npz files; expected one"));
    }

    [Test]
    public void An_archive_with_64_bit_sizes_is_read()
    {
        MedMnist data = Open(Convert.FromBase64String(NpzSamples.Python));
        Assert.That(Enumerable.Range(0, 4).Select(i => data.Load(i).Label), Is.EqualTo(new[] { 0, 1, 0, 0 }));
        Assert.That(data.Load(1).Image.Pixels, Is.EqualTo(Enumerable.Range(20, 20).Select(i => (byte)(7 * i + 2))));
    }

    [Test]
    public void Reading_can_be_stopped()
    {
        string path = _folder.Write("a.npz", NpzSamples.Set());
        Assert.That(() => new MedMnist(path, new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void Other_arrays_are_refused_with_words()
    {
        byte[] twenty = s_pixels[..20], one = [1];
        Images(
            NpzSamples.Npy("|u1", "1, 2, 2, 5", twenty),
            "train_images of (1, 2, 2, 5) u1; expected (N, H, W) or (N, H, W, 3) bytes. Volumes");
        Images(NpzSamples.Npy("|u1", "1, 2, 2, 5, 1", twenty), "Volumes are not read");
        Images(NpzSamples.Npy("|u1", "20,", twenty), "train_images of (20) u1");
        Images(NpzSamples.Npy("<u2", "1, 2, 5", twenty), "train_images of (1, 2, 5) u2");
        Images(NpzSamples.Npy("<f4", "1, 1, 5", twenty), "numbers of type '<f4'; expected whole numbers");
        Images(NpzSamples.Npy("|u1", "0, 4, 5", []), "train_images of (0, 4, 5)");
        Images(NpzSamples.Npy("|u1", "1, 4, 6", twenty), "20 bytes of values for (1, 4, 6) of u1");
        Images(NpzSamples.Npy("|u1", "1, 99999999, 99999999", twenty), "20 bytes of values");
        Images(NpzSamples.Npy("|u1", "1, -4, 5", twenty), "a shape with '-4'");
        Images(NpzSamples.Npy("|u1", "1, 4, 99999999999", twenty), "a shape with '99999999999'");
        Images(NpzSamples.Npy("|u1", "", one), "0 dimensions");
        Images(NpzSamples.Npy("|u1", "1, 4, 5", twenty, order: "True"), "fortran_order");
        Images(NpzSamples.Npy("|u1", "2, 2, 5", twenty), "2 train_images, but 1 train_labels");
        Images([1, 2, 3], "is no NumPy array");
        Images([0x93, .. "NUMPY"u8, 1, 0, 255, 255, 0, 0, 0], "65535 bytes of header");
        Images([0x93, .. "NUMPY"u8, 4, 0, 0, 0, 0, 0, 0], "version 4");
        Labels(NpzSamples.Npy("|u1", "1, 2", [0, 1]), "train_labels of (1, 2); expected one label for a picture, (N, 1)");
        Labels(NpzSamples.Npy("|i1", "1, 1", [255]), "label -1 of picture 0 in train_labels; expected 0 to 999");
        Labels(NpzSamples.Npy("<u8", "1, 1", [255, 255, 255, 255, 255, 255, 255, 255]), "label 9223372036854775807");
        Labels(NpzSamples.Npy("<i2", "1, 1", [232, 3]), "label 1000");

        void Images(byte[] images, string says) => Refuses(NpzSamples.Set(images: images), says);
        void Labels(byte[] labels, string says) => Refuses(NpzSamples.Set(labels: labels), says);
    }

    [Test]
    public void Damaged_archives_are_refused()
    {
        byte[] good = NpzSamples.Set(packed: false);
        Refuses([], "is no .npz archive");
        Refuses("no archive"u8.ToArray(), "is no .npz archive");
        Refuses(NpzSamples.Npz(true, ("train_images", [])), "train_images.npy: is no NumPy array");
        Refuses(NpzSamples.Npz(true, ("other", [])), "no train_images.npy; expected train_images, train_labels");
        for (int length = 1; length < good.Length; length += 97) Refuses(good[..length], "file: ");
        byte[] flipped = [.. good];
        flipped[good.AsSpan().IndexOf(s_pixels.AsSpan(0, 20)) + 3] ^= 1;
        Refuses(flipped, "train_images.npy: its checksum differs");
    }

    [Test]
    public void A_bomb_is_not_unpacked()
    {
        byte[] bomb = NpzSamples.Npz(true, ("train_images", new byte[30_000_000]));
        byte[] large = [.. bomb];
        // The archive says that 2 GB follow: in its directory, 24 bytes behind an entry's beginning.
        int directory = large.AsSpan().IndexOf("PK\u0001\u0002"u8);
        BitConverter.GetBytes(2_000_000_000).CopyTo(large, directory + 24);
        Refuses(large, "train_images.npy: 2000000000 bytes from");
        BitConverter.GetBytes(500_000_000).CopyTo(large, directory + 24);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Refuses(large, "train_images.npy");
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1_000_000));
    }

    private static MedMnist Open(byte[] file) => new("file", new MemoryStream(file, writable: false));

    private static void Refuses(byte[] file, string says) =>
        Assert.That(() => Open(file), Throws.TypeOf<DatasetException>().With.Message.StartsWith("file: ").And.Message.Contains(says));
}
