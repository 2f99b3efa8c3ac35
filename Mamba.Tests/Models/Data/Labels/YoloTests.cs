using System.Text;
using Mamba.Models.Data;
using Mamba.Models.Data.Labels;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class YoloTests
{
    [Test]
    public void Polygons_are_drawn_at_the_size_of_the_picture()
    {
        using TemporaryFolder folder = new();
        string path = folder.Write(
            "a.txt", "0 0 0 0.5 0 0.5 1 0 1\r\n\n1\t0.25 0  0.75 0 0.75 0.5 0.25 0.5 \n"u8.ToArray());
        YoloPolygons polygons = YoloPolygons.Load(path, 2);
        Assert.That(polygons.Objects, Is.EqualTo(2));
        Assert.That(polygons.ClassMap(4, 2), Is.EqualTo(new byte[] { 1, 2, 2, 0, 1, 1, 0, 0 }));
        Assert.That(polygons.ClassMap(8, 1), Is.EqualTo(new byte[] { 1, 1, 1, 1, 0, 0, 0, 0 }), "the second ends at the row's center");
        Assert.That(YoloPolygons.Read("file", [], 1).ClassMap(2, 2), Is.All.Zero);
        Assert.That(YoloPolygons.Read("file", "254.0 -0.1 0 1.1 0 1e0 1"u8.ToArray(), 255).ClassMap(1, 1), Is.EqualTo(new byte[] { 255 }));
        Assert.That(() => YoloPolygons.Load(Path.Combine(folder.Root, "none.txt"), 1), Throws.TypeOf<DatasetException>());
        Assert.That(() => YoloPolygons.Load(path, 0), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => YoloPolygons.Load(path, 256), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [TestCase("0 0.5 0.5 0.2 0.2", "line 1: 5 numbers: boxes, not polygons")]
    [TestCase("\n0 0 0 1 0 1 1\n0 0.5 0.5", "line 3: 3 numbers; expected a class and pairs")]
    [TestCase("0 0 0 1 0 1 1 1", "line 1: 8 numbers")]
    [TestCase("2 0 0 1 0 1 1", "line 1: class 2; expected 0 to 1")]
    [TestCase("-1 0 0 1 0 1 1", "class -1")]
    [TestCase("0.5 0 0 1 0 1 1", "class 0.5")]
    [TestCase("NaN 0 0 1 0 1 1", "class NaN")]
    [TestCase("0 0 0 320 0 320 200", "coordinate 320; expected a fraction of the picture's size")]
    [TestCase("0 0 0 1 0 1 NaN", "coordinate NaN")]
    [TestCase("cat 0 0 1 0 1 1", "'cat' is no number")]
    [TestCase("0 0,5 0 1 0 1 1", "'0,5' is no number")]
    public void Other_lines_are_refused(string text, string says) => Assert.That(
        () => YoloPolygons.Read("file", Encoding.UTF8.GetBytes(text), 2),
        Throws.TypeOf<DatasetException>().With.Message.StartsWith("file: ").And.Message.Contains(says));

    [TestCase("names: [cat, 'big dog', \"a, b\"]\nnc: 3", "cat|big dog|a, b")]
    [TestCase("# a set\ntrain: images/train\nnc: 2 # two\n\nnames:\n  - cat # the first\n  - it's\npath: .", "cat|it's")]
    [TestCase("names:\n- cat\n- dog\nval: x", "cat|dog")]
    [TestCase("names:\n  0: cat\n  # between\n  1: 'dog''s'\n\nnc: 2", "cat|dog's")]
    [TestCase("names:\n    1: dog\n    0: cat", "cat|dog")]
    [TestCase("names: {0: cat, 1: dog}", "cat|dog")]
    [TestCase("names: ['cat',\n  'dog', # the second\n]\nnc: 2", "cat|dog")]
    [TestCase("names: [\"x#y\", 'a]b']", "x#y|a]b")]
    public void Names_are_read_from_yaml(string text, string names)
    {
        foreach (string end in new[] { "\n", "\r\n" })
            Assert.That(YoloNames.Read("data.yaml", Encoding.UTF8.GetBytes(text.Replace("\n", end))), Is.EqualTo(names.Split('|')));
    }

    [Test]
    public void Names_are_read_from_a_list()
    {
        using TemporaryFolder folder = new();
        Assert.That(YoloNames.Find(folder.Root), Is.Null);
        string path = folder.Write("classes.txt", "cat\r\nbig dog\n\n"u8.ToArray());
        Assert.That(YoloNames.Find(folder.Root), Is.EqualTo(path));
        Assert.That(YoloNames.Load(path), Is.EqualTo(new[] { "cat", "big dog" }));
        path = folder.Write("data.yaml", "names: [a]"u8.ToArray());
        Assert.That(YoloNames.Find(folder.Root), Is.EqualTo(path));
        Assert.That(YoloNames.Load(path), Is.EqualTo(new[] { "a" }));
        Assert.That(() => YoloNames.Load(folder.Write("big.txt", new byte[70_000])), Throws.TypeOf<DatasetException>());
    }

    [TestCase("nc: 2", "no 'names:'")]
    [TestCase("names:\nnc: 2", "'names:' is empty")]
    [TestCase("names: names.txt", "expected a list or a map")]
    [TestCase("names: [a, b]\nnc: 3", "2 names, but 'nc: 3'")]
    [TestCase("names: [a, b", "no ']' at its end")]
    [TestCase("names: ['a, b]", "no ']' at its end")]
    [TestCase("names: [a, , b]", "' ' among the names")]
    [TestCase("names: []", "0 names of classes")]
    [TestCase("names:\n  0: a\n  2: b", "classes 0, 2...; expected 0 to 1")]
    [TestCase("names:\n  0: a\n  0: b", "class 0 is there twice")]
    [TestCase("names:\n  a: 0", "expected 'INDEX: NAME'")]
    [TestCase("names:\n  - a\n  b", "'b' among the names; expected '- NAME'")]
    [TestCase("names:\n  - [a]", "'[a]' among the names")]
    [TestCase("names: [\"a\\n\"]", "has a backslash")]
    public void Other_yaml_is_refused(string text, string says) => Assert.That(
        () => YoloNames.Read("data.yaml", Encoding.UTF8.GetBytes(text)),
        Throws.TypeOf<DatasetException>().With.Message.StartsWith("data.yaml: ").And.Message.Contains(says));
}
