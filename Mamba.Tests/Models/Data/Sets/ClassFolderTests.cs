using System.Buffers.Binary;
using System.IO.Compression;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Tasks;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class ClassFolderTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Folders_are_classes()
    {
        Image picture = Pictures.Random(4, 3, 3);
        foreach (string name in new[] { "dog/b.png", "dog/a.png", "Cat/deep/x.png", "dog-2/y.png", "train/z.png", ".git/w.png" })
            _folder.Write(name, picture);
        _folder.Write("dog/notes.txt", [1]);
        _folder.Write("dog/a.tif", Pictures.PaddedTiff(new Image(2, 2, 1), 2));
        ClassFolder data = new(_folder.Root);
        Assert.That((data.Task, data.Count), Is.EqualTo((ModelTask.Classification, 6)));
        Assert.That(data.Labels, Is.EqualTo(new[] { "Cat", "dog", "dog-2", "train" }));
        Assert.That(data.Notes, Is.Empty, "texts come with data");
        _folder.Write("dog/c.heic", [1]);
        Assert.That(new ClassFolder(_folder.Root).Notes, Is.EqualTo(new[] { "1 files of other kinds passed over: 1 .heic" }));
        Assert.That(
            Enumerable.Range(0, 6).Select(data.Name),
            Is.EqualTo(new[] { "Cat/deep/x", "dog-2/y", "dog/a.png", "dog/a.tif", "dog/b", "train/z" }));
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
        Split split = Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Official, Seed = 1 });
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
        Refuses(() => new ClassFolder(Path.Combine(_folder.Root, "none")), "no such folder");
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
        Assert.That(
            new ClassFolder(_folder.Root).Notes, Is.EqualTo(new[] { "no pictures in test of 1 of the 2 classes: cat" }),
                "which can be trained");
        _folder.Write("test/cow/1.png", picture);
        Refuses(() => new ClassFolder(_folder.Root), "no pictures in train of 1 of the 3 classes: cow;");
        _folder.Write("test/cat/1.png", "no picture"u8.ToArray());
        _folder.Write("train/cow/1.png", picture);
        Assert.That(() => new ClassFolder(_folder.Root).Load(0), Throws.TypeOf<ImageException>().With.Message.Contains("cat/1.png"));
    }

    [Test]
    public void What_files_have_besides_or_lack_is_noted_once_a_kind()
    {
        byte[] page = Pictures.Marked(8, 6, 1, 1).Pixels;
        _folder.Write("a/1.png", Pictures.Marked(8, 6, 1, 2));
        _folder.Write("a/2.tif", Pictures.TiffStack(8, 6, [page, page, page]));
        _folder.Write("b/3.tif", Pictures.TiffStack(8, 6, [page, page]));
        _folder.Write("b/4.jpg", Pictures.Jpeg(Pictures.Smooth(64, 64, 3), 1)[..^40]);
        ClassFolder data = new(_folder.Root);
        Assert.That(data.Notes, Is.Empty, "no file was read");
        for (int pass = 0; pass < 2; pass++)
            for (int i = data.Count - 1; i >= 0; i--) data.Load(i);
        string[] notes = [.. data.Notes];
        Assert.That(notes, Has.Length.EqualTo(2));
        Assert.That(notes, Does.Contain("2 files, the first a/2.tif: a stack; the first of 3 pages is taken"));
        Assert.That(notes.Single(note => note.Contains("b/4.jpg")), Does.StartWith("b/4.jpg: cut short; about "));
        Assert.That(data.Without(new HashSet<int> { 0 }).Notes, Is.EqualTo(data.Notes));
    }

    private void Refuses(Func<IImageData> open, string says) =>
        Assert.That(() => open(), Throws.TypeOf<DatasetException>().With.Message.StartsWith(_folder.Root).And.Message.Contains(says));
}
