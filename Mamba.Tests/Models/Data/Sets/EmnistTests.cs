using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class EmnistTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Pictures_are_turned_back([Values("", "gzip/", "EMNIST/raw/")] string inside, [Values] bool packed)
    {
        Write(inside, "balanced", packed, [46, 0], [10]);
        Emnist data = new(_folder.Root);
        Assert.That((data.Count, data.Labels.Count), Is.EqualTo((3, 47)));
        Assert.That(string.Concat(data.Labels), Is.EqualTo("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"));
        Assert.That(Enumerable.Range(0, 3).Select(i => data.Load(i).Label), Is.EqualTo(new[] { 46, 0, 10 }));
        Assert.That((data.Name(1), data.Name(2), data.Part(1), data.Part(2)),
            Is.EqualTo(("train/000002", "test/000001", SplitPart.Train, SplitPart.Test)));
        Image image = data.Load(1).Image; // stored as two rows of three: 6 7 8, 9 10 11
        Assert.That((image.Width, image.Height, image.Channels), Is.EqualTo((2, 3, 1)));
        Assert.That(image.Pixels, Is.EqualTo(new byte[] { 6, 9, 7, 10, 8, 11 }));
        Assert.That(() => data.Load(3), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(ImageDataSource.Open(_folder.Root), Is.TypeOf<Emnist>());
    }

    [Test]
    public void Letters_begin_at_one_and_names_come_from_the_mapping()
    {
        Write("", "letters", true, [1, 26], [2]);
        Emnist data = new(_folder.Root);
        Assert.That(Enumerable.Range(0, 3).Select(i => data.Labels[data.Load(i).Label]), Is.EqualTo(new[] { "A", "Z", "B" }));
        string[] lines = [.. Enumerable.Range(1, 26).Select(i => $"{i} {64 + i} {96 + i}")];
        Map(string.Join("\r\n", lines) + "\r\n");
        data = new Emnist(_folder.Root);
        Assert.That(Enumerable.Range(0, 3).Select(i => data.Labels[data.Load(i).Label]), Is.EqualTo(new[] { "Aa", "Zz", "Bb" }));
        Map(string.Join('\n', lines[1..]));
        Refuses("emnist-letters-mapping.txt: no line for label 1");
        Map("0 65\n");
        Refuses("mapping.txt: line 1: '0 65'; expected a label from 1 to 26");
        Map("1 65\n\n2 x\n");
        Refuses("mapping.txt: line 3: '2 x'");
        Map("1\n");
        Refuses("mapping.txt: line 1: '1'");
        Map("1 31\n");
        Refuses("mapping.txt: line 1");
        Map(new string(' ', 20_000));
        Refuses("mapping.txt: 20000 bytes of classes");

        void Map(string text) => _folder.Write("emnist-letters-mapping.txt", System.Text.Encoding.UTF8.GetBytes(text));
    }

    [Test]
    public void A_file_chooses_among_several_sets()
    {
        Write("", "digits", true, [9], [0]);
        Write("", "byclass", false, [61], [10]);
        Refuses("2 sets of EMNIST (byclass, digits); give a file of one of them, such as");
        Assert.That(() => ImageDataSource.Open(_folder.Root), Throws.TypeOf<DatasetException>().With.Message.Contains("2 sets of EMNIST"));
        foreach ((string file, int classes) in new[]
        {
            ("emnist-digits-test-labels-idx1-ubyte.gz", 10), ("emnist-byclass-train-images-idx3-ubyte", 62),
        })
            Assert.That(ImageDataSource.Open(Path.Combine(_folder.Root, file)).Labels, Has.Count.EqualTo(classes));
    }

    [Test]
    public void Damaged_files_are_refused()
    {
        Refuses("no files of EMNIST");
        Write("", "letters", false, [0], [1]);
        Refuses("emnist-letters-train-labels-idx1-ubyte: label 0 at byte 8; expected 1 to 26");
        Write("", "letters", false, [1], [27]);
        Refuses("emnist-letters-test-labels-idx1-ubyte: label 27 at byte 8");
        File.Delete(Path.Combine(_folder.Root, "emnist-letters-test-images-idx3-ubyte"));
        Write("", "letters", false, [1], null);
        Refuses("no emnist-letters-test-images-idx3-ubyte");
    }

    [Test]
    public void Fashion_mnist_is_known_by_its_folder()
    {
        foreach (string inside in new[] { "FashionMNIST/raw/", "other/" })
            SetSamples.WriteMnist(
                _folder, inside, false, true, SetSamples.Idx(0x803, [1, 2, 2], new byte[4]), SetSamples.Idx(0x801, [1], [9]),
                SetSamples.Idx(0x803, [1, 2, 2], new byte[4]), SetSamples.Idx(0x801, [1], [0]));
        Mnist fashion = new(_folder.Root), other = new(Path.Combine(_folder.Root, "other"));
        Assert.That((fashion.Labels[fashion.Load(0).Label], fashion.Labels[fashion.Load(1).Label]), Is.EqualTo(("ankle boot", "t-shirt")));
        Assert.That((other.Labels[9], other.Labels[0]), Is.EqualTo(("9", "0")));
    }

    [Test]
    public void Reading_can_be_stopped()
    {
        Write("", "digits", true, [9], [0]);
        Assert.That(() => new Emnist(_folder.Root, new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
    }

    private void Write(string inside, string set, bool packed, byte[] train, byte[]? test)
    {
        foreach ((string part, byte[]? labels) in new[] { ("train", train), ("test", test) })
        {
            if (labels is null) continue;
            byte[] pixels = [.. Enumerable.Range(0, labels.Length * 6).Select(i => (byte)i)];
            Put("images-idx3", SetSamples.Idx(0x803, [(uint)labels.Length, 2, 3], pixels));
            Put("labels-idx1", SetSamples.Idx(0x801, [(uint)labels.Length], labels));

            void Put(string kind, byte[] bytes) => _folder.Write(
                $"{inside}emnist-{set}-{part}-{kind}-ubyte{(packed ? ".gz" : "")}", packed ? SetSamples.Gzip(bytes) : bytes);
        }
    }

    private void Refuses(string says) => Assert.That(
        () => new Emnist(_folder.Root), Throws.TypeOf<DatasetException>().With.Message.StartsWith(_folder.Root).And.Message.Contains(says));
}
