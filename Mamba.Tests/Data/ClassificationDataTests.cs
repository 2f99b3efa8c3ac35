using System.Buffers.Binary;
using System.IO.Compression;
using Mamba.Models.Data;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Data;

internal sealed class ClassificationDataTests
{
    private const int Record = 3073;

    private static readonly string[] s_cifar = ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"];

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Cifar_records_become_pictures([Values("", "cifar-10-batches-bin/")] string inside)
    {
        for (int file = 0; file < 6; file++) _folder.Write(inside + s_cifar[file], [.. CifarRecord(file), .. CifarRecord(9 - file)]);
        Cifar10 data = new(_folder.Root);
        Assert.That((data.Task, data.Count), Is.EqualTo((ModelTask.Classification, 12)));
        Assert.That(data.Labels, Is.EqualTo("airplane automobile bird cat deer dog frog horse ship truck".Split(' ')));
        Assert.That(Enumerable.Range(0, 12).Select(i => data.Load(i).Label), Is.EqualTo(new[] { 0, 9, 1, 8, 2, 7, 3, 6, 4, 5, 5, 4 }));
        Assert.That(new[] { 0, 9, 10, 11 }.Select(data.Name), Is.EqualTo(new[] { "train/00001", "train/00010", "test/00001", "test/00002" }));
        Assert.That(new[] { 0, 9, 10, 11 }.Select(data.Part), Is.EqualTo(new SplitPart?[] { SplitPart.Train, SplitPart.Train, SplitPart.Test, SplitPart.Test }));
        byte[] record = CifarRecord(8);
        Image image = data.Load(3).Image;
        Assert.That((image.Width, image.Height, image.Channels), Is.EqualTo((32, 32, 3)));
        for (int i = 0; i < 3 * 1024; i++) Assert.That(image.Pixels[i], Is.EqualTo(record[1 + i % 3 * 1024 + i / 3]));
        Assert.That(() => data.Load(12), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => data.Load(-1), Throws.TypeOf<ArgumentOutOfRangeException>());

        _folder.Write(inside + "batches.meta.txt", "a\r\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n"u8.ToArray());
        Assert.That(string.Concat(new Cifar10(_folder.Root).Labels), Is.EqualTo("abcdefghij"));
        Split split = Split.Of(data, SplitProtocol.Official, 1);
        Assert.That((split.Train.Length, split.Test), Is.EqualTo((10, new[] { 10, 11 })));
    }

    [Test]
    public void Damaged_cifar_is_refused()
    {
        Refuses(() => new Cifar10(_folder.Root), "no binary version of CIFAR-10");
        Refuses(() => new Cifar10(Path.Combine(_folder.Root, "none")), "data_batch_1.bin");
        foreach (string name in s_cifar[..5]) _folder.Write(name, CifarRecord(1));
        Refuses(() => new Cifar10(_folder.Root), "test_batch.bin: no such file");
        _folder.Write("test_batch.bin", [.. CifarRecord(1), .. CifarRecord(2)[..^1]]);
        Refuses(() => new Cifar10(_folder.Root), "test_batch.bin: 6145 bytes, the last record from byte 3073 cut short");
        _folder.Write("test_batch.bin", []);
        Refuses(() => new Cifar10(_folder.Root), "test_batch.bin: 0 bytes");
        _folder.Write("test_batch.bin", [.. CifarRecord(9), .. CifarRecord(10)]);
        Refuses(() => new Cifar10(_folder.Root), "test_batch.bin: label 10 at byte 3073; expected 0 to 9");
        _folder.Write("test_batch.bin", CifarRecord(9));
        _folder.Write("batches.meta.txt", "cat\ndog\n"u8.ToArray());
        Refuses(() => new Cifar10(_folder.Root), "batches.meta.txt: 2 names of classes; expected 10");
    }

    [Test]
    public void Digits_are_read_plain_or_packed([Values] bool packed, [Values] bool dotted, [Values("", "MNIST/raw/")] string inside)
    {
        byte[] pixels = [.. Enumerable.Range(0, 3 * 4 * 5).Select(i => (byte)(4 * i))];
        WriteMnist(inside, dotted, packed, Idx(0x803, [3, 4, 5], pixels), Idx(0x801, [3], [7, 0, 9]), Idx(0x803, [1, 6, 2], pixels[..12]), Idx(0x801, [1], [4]));
        Mnist data = new(_folder.Root);
        Assert.That((data.Task, data.Count, string.Concat(data.Labels)), Is.EqualTo((ModelTask.Classification, 4, "0123456789")));
        Assert.That(Enumerable.Range(0, 4).Select(i => data.Load(i).Label), Is.EqualTo(new[] { 7, 0, 9, 4 }));
        Assert.That(Enumerable.Range(0, 4).Select(data.Name), Is.EqualTo(new[] { "train/00001", "train/00002", "train/00003", "test/00001" }));
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
        byte[] images = Idx(0x803, [2, 3, 3], new byte[18]), labels = Idx(0x801, [2], [1, 2]);
        Refuses(() => new Mnist(_folder.Root), "no idx files");
        Says(Idx(0x801, [9], new byte[9]), labels, "magic number 0x00000801 at byte 0; expected 0x00000803");
        Says(images, images, "magic number 0x00000803 at byte 0; expected 0x00000801");
        Says([0, 0, 8], labels, "ends at byte 3; expected a head of 16 bytes");
        Says([], labels, packed ? "" : "ends at byte 0");
        Says(images[..^1], labels, packed ? "ends at byte 33 unpacked; expected 34" : "promises 34 bytes, of a file of 33");
        Says([.. images, 0], labels, "goes on after byte 34");
        Says(Idx(0x803, [0, 3, 3], []), labels, "size 0 of dimension 0 at byte 4");
        Says(Idx(0x803, [2, 0xFFFFFFFF, 3], []), labels, "size 4294967295 of dimension 1 at byte 8");
        Says(Idx(0x803, [0x10000, 0x4000, 2], []), labels, "size 2 of dimension 2 at byte 12");
        Says(Idx(0x803, [1000, 1000, 100], []), labels, "promises 100000016 bytes");
        Says(images, Idx(0x801, [3], [1, 2, 3]), "2 images, but");
        Says(images, Idx(0x801, [2], [1, 10]), "label 10 at byte 9; expected 0 to 9");

        void Says(byte[] images, byte[] labels, string says)
        {
            WriteMnist("", false, packed, images, labels, images, labels);
            Refuses(() => new Mnist(_folder.Root), says);
        }
    }

    [Test]
    public void Damaged_gzip_is_refused_and_a_bomb_not_unpacked()
    {
        byte[] images = Idx(0x803, [2, 30, 30], [.. Enumerable.Range(0, 1800).Select(i => (byte)(i * i))]), labels = Idx(0x801, [2], [1, 2]), packed = Gzip(images);
        byte[] flipped = [.. packed];
        flipped[packed.Length / 2] ^= 0x55;
        WriteMnist("", false, true, images, labels, images, labels);
        foreach (byte[] damaged in new[] { packed[..20], packed[..(packed.Length / 2)], packed[..^30], flipped, [0x1F, 0x8B] })
        {
            _folder.Write("train-images-idx3-ubyte.gz", damaged);
            Refuses(() => new Mnist(_folder.Root), "train-images-idx3-ubyte.gz");
        }
        _folder.Write("train-images-idx3-ubyte.gz", Gzip([.. images, .. new byte[50_000_000]]));
        long before = GC.GetAllocatedBytesForCurrentThread();
        Refuses(() => new Mnist(_folder.Root), "goes on after byte 1816 unpacked");
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

    [Test]
    public void Folders_are_classes()
    {
        Image picture = Pictures.Random(4, 3, 3);
        foreach (string name in new[] { "dog/b.png", "dog/a.png", "Cat/deep/x.png", "dog-2/y.png", "train/z.png", ".git/w.png" }) _folder.Write(name, picture);
        _folder.Write("dog/notes.txt", [1]);
        _folder.Write("dog/a.tif", Pictures.PaddedTiff(new Image(2, 2, 1), 2));
        ClassFolder data = new(_folder.Root);
        Assert.That((data.Task, data.Count), Is.EqualTo((ModelTask.Classification, 6)));
        Assert.That(data.Labels, Is.EqualTo(new[] { "Cat", "dog", "dog-2", "train" }));
        Assert.That(Enumerable.Range(0, 6).Select(data.Name), Is.EqualTo(new[] { "Cat/deep/x", "dog-2/y", "dog/a.png", "dog/a.tif", "dog/b", "train/z" }));
        Assert.That(Enumerable.Range(0, 6).Select(i => data.Load(i).Label), Is.EqualTo(new[] { 0, 2, 1, 1, 1, 3 }));
        Assert.That(Enumerable.Range(0, 6).Select(data.Part), Is.All.Null);
        Assert.That(data.Load(0).Image.Pixels, Is.EqualTo(picture.Pixels));
    }

    [TestCase("val"), TestCase("valid"), TestCase("VAL")]
    public void Parts_are_those_of_the_folders(string val)
    {
        foreach (string part in new[] { "train", "test", val })
            foreach (string name in new[] { "dog/1", "cat/2", "cat/in/3" }) _folder.Write($"{part}/{name}.png", new Image(2, 2, 1));
        ClassFolder data = new(_folder.Root);
        Assert.That((data.Count, string.Join(' ', data.Labels)), Is.EqualTo((9, "cat dog")));
        Split split = Split.Of(data, SplitProtocol.Official, 1);
        foreach ((int[] part, string folder) in new[] { (split.Train, "train"), (split.Val, val), (split.Test, "test") })
        {
            Assert.That(part.Select(data.Name), Is.EqualTo(new[] { $"{folder}/cat/2", $"{folder}/cat/in/3", $"{folder}/dog/1" }));
            Assert.That(part.Select(i => data.Load(i).Label), Is.EqualTo(new[] { 0, 0, 1 }));
        }
    }

    [Test]
    public void Folders_that_are_no_classes_are_refused()
    {
        Image picture = new(2, 2, 1);
        Refuses(() => new ClassFolder(Path.Combine(_folder.Root, "none")), "cannot be listed");
        Refuses(() => new ClassFolder(_folder.Root), "0 pictures of 0 classes");
        _folder.Write("cat/1.png", picture);
        Refuses(() => new ClassFolder(_folder.Root), "1 pictures of 1 classes");
        _folder.Write("dog/1.png", picture);
        foreach (char name in "abcd") _folder.Write($"{name}.png", picture);
        Refuses(() => new ClassFolder(_folder.Root), "4 pictures outside of any class: a.png, b.png, c.png, ...");
        foreach (char name in "abcd") File.Delete(Path.Combine(_folder.Root, $"{name}.png"));
        _folder.Write("train/cat/1.png", picture);
        Refuses(() => new ClassFolder(_folder.Root), "2 pictures outside of the parts: cat/1.png, dog/1.png");
        Directory.Delete(Path.Combine(_folder.Root, "cat"), true);
        Directory.Delete(Path.Combine(_folder.Root, "dog"), true);
        _folder.Write("train/dog/1.png", picture);
        _folder.Write("test/1.png", picture);
        Refuses(() => new ClassFolder(_folder.Root), "1 pictures of a part outside of any class: test/1.png");
        File.Delete(Path.Combine(_folder.Root, "test/1.png"));
        _folder.Write("test/dog/1.png", picture);
        Refuses(() => new ClassFolder(_folder.Root), "no pictures in test of 1 of the 2 classes: cat;");
        _folder.Write("test/cow/1.png", picture);
        Refuses(() => new ClassFolder(_folder.Root), "no pictures in test of 1 of the 3 classes: cat;");
        _folder.Write("test/cat/1.png", "no picture"u8.ToArray());
        _folder.Write("train/cow/1.png", picture);
        Assert.That(() => new ClassFolder(_folder.Root).Load(0), Throws.TypeOf<ImageException>().With.Message.Contains("cat/1.png"));
    }

    [Test]
    public void A_folder_is_opened_as_what_it_holds()
    {
        Image picture = new(2, 2, 1);
        Refuses(() => ImageDataSource.Open(Path.Combine(_folder.Root, "none")), "no such folder; expected pairs NAME.ext and NAME_mask.ext");
        Refuses(() => ImageDataSource.Open(_folder.Write("file.txt", [1])), "no such folder");
        Refuses(() => ImageDataSource.Open(_folder.Root), "0 pictures, none of them in a folder of its class");
        _folder.Write("flat/a.png", picture);
        Refuses(() => ImageDataSource.Open(Path.Combine(_folder.Root, "flat")), "1 pictures, none of them in a folder of its class");
        _folder.Write("pairs/p/a.png", picture);
        _folder.Write("pairs/p/a_mask.png", picture);
        _folder.Write("classes/cat/a.png", picture);
        _folder.Write("classes/dog/a.png", picture);
        foreach (string name in s_cifar) _folder.Write("cifar/cifar-10-batches-bin/" + name, CifarRecord(1));
        WriteMnist("mnist/", false, true, Idx(0x803, [1, 2, 2], new byte[4]), Idx(0x801, [1], [7]), Idx(0x803, [1, 2, 2], new byte[4]), Idx(0x801, [1], [7]));
        foreach ((string name, Type type) in new[] { ("pairs", typeof(SegmentationFolder)), ("classes", typeof(ClassFolder)), ("cifar", typeof(Cifar10)), ("mnist", typeof(Mnist)) })
            Assert.That(ImageDataSource.Open(Path.Combine(_folder.Root, name)), Is.TypeOf(type));
        File.Delete(Path.Combine(_folder.Root, "cifar/cifar-10-batches-bin/test_batch.bin"));
        Refuses(() => ImageDataSource.Open(Path.Combine(_folder.Root, "cifar")), "test_batch.bin: no such file");
    }

    [Test]
    public void Shapes_are_a_function_of_seed_index_and_size()
    {
        SyntheticShapes data = new(3, 50, 24, 40), again = new(3, 500, 24, 40), other = new(4, 50, 24, 40);
        data.Load(12);
        ClassificationSample sample = data.Load(7);
        Assert.That((sample.Image.Width, sample.Image.Height, sample.Image.Channels, sample.Label), Is.EqualTo((40, 24, 3, 7)));
        Assert.That(again.Load(7).Image.Pixels, Is.EqualTo(sample.Image.Pixels));
        Assert.That(other.Load(7).Image.Pixels, Is.Not.EqualTo(sample.Image.Pixels));
        Assert.That(Enumerable.Range(0, 50).CountBy(i => data.Load(i).Label).Select(c => c.Value), Is.All.EqualTo(5));
        Assert.That((data.Labels.Count, data.Labels.Distinct().Count(), data.Name(49)), Is.EqualTo((10, 10, "shape_00050")));
        Assert.That(Split.Of(data, SplitProtocol.Slice, 1).Train, Has.Length.EqualTo(40));
        Assert.That(() => data.Load(50), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new SyntheticShapes(3, 5, 15, 40), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    private void WriteMnist(string inside, bool dotted, bool packed, params byte[][] files)
    {
        string[] names = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
        for (int i = 0; i < 4; i++)
            _folder.Write(inside + (dotted ? names[i].Replace("-idx", ".idx") : names[i]) + (packed ? ".gz" : ""), packed ? Gzip(files[i]) : files[i]);
    }

    private static byte[] CifarRecord(int label) => [(byte)label, .. Enumerable.Range(0, Record - 1).Select(i => (byte)(i * 7 + label * 11 + i / 1024))];

    private static byte[] Idx(uint magic, uint[] sizes, byte[] body)
    {
        byte[] head = new byte[4 + 4 * sizes.Length];
        BinaryPrimitives.WriteUInt32BigEndian(head, magic);
        for (int i = 0; i < sizes.Length; i++) BinaryPrimitives.WriteUInt32BigEndian(head.AsSpan(4 + 4 * i), sizes[i]);
        return [.. head, .. body];
    }

    private static byte[] Gzip(byte[] bytes)
    {
        MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Optimal, leaveOpen: true)) gzip.Write(bytes);
        return packed.ToArray();
    }

    private void Refuses(Func<IImageData> open, string says) =>
        Assert.That(() => open(), Throws.TypeOf<DatasetException>().With.Message.StartsWith(_folder.Root).And.Message.Contains(says));
}
