using System.Text;
using Mamba.Models.Data;
using Mamba.Models.Data.Labels;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class CocoTests
{
    [Test]
    public void Masks_of_all_kinds_are_drawn_in_the_order_of_the_file()
    {
        using TemporaryFolder folder = new();
        CocoAnnotations coco = CocoAnnotations.Load(folder.Write("instances.json", CocoSamples.File()));
        Assert.That(coco.Classes, Is.EqualTo(new[] { "cat", "dog" }), "by id");
        Assert.That(coco.Pictures.Select(p => (p.FileName, p.Width, p.Height, p.Objects)),
            Is.EqualTo(new[] { ("a/one.jpg", 4, 3, 3), ("two.jpg", 2, 2, 1), ("three.jpg", 2, 1, 0) }));
        // Two polygons of a dog, over them packed runs of a cat in the second column, then plain runs of a dog in the last pixel.
        Assert.That(coco.Find("a/one.jpg")!.ClassMap(), Is.EqualTo(new byte[] { 2, 1, 0, 2, 2, 1, 0, 2, 0, 1, 0, 2 }));
        Assert.That(coco.Find("two.jpg")!.ClassMap(), Is.EqualTo(new byte[] { 1, 1, 0, 0 }));
        Assert.That(coco.Find("three.jpg")!.ClassMap(), Is.EqualTo(new byte[] { 0, 0 }));
        Assert.That(coco.Find("four.jpg"), Is.Null);
        Assert.That(CocoAnnotations.Read("file", [0xEF, 0xBB, 0xBF, .. CocoSamples.File()]).Pictures, Has.Count.EqualTo(3));
        Assert.That(
            () => CocoAnnotations.Load(Path.Combine(folder.Root, "none.json")),
            Throws.TypeOf<DatasetException>().With.Message.Contains("none.json: cannot be read"));
    }

    [TestCase("\"id\":7,\"name\":\"dog\"", "\"id\":3,\"name\":\"dog\"", "category 3 is there twice")]
    [TestCase("\"id\":7,\"name\":\"dog\"", "\"id\":7,\"name\":\"\"", "category 7 has no text 'name'")]
    [TestCase("\"id\":7,\"name\":\"dog\"", "\"id\":7,\"name\":\"\\ud800\"", "a text that is no Unicode")]
    [TestCase("\"id\":7,\"name\":\"dog\"", "\"id\":\"7\",\"name\":\"dog\"", "a category has no whole number 'id'")]
    [TestCase("\"id\":7,\"name\":\"dog\"", "\"id\":8,\"name\":\"dog\"", "annotation 1 is of category 7, which is not listed")]
    [TestCase("\"categories\":", "\"kinds\":", "no list 'categories'")]
    [TestCase("\"id\":21", "\"id\":20", "image 20 is there twice")]
    [TestCase("\"two.jpg\"", "\"a\\\\one.jpg\"", "two images have the file name 'a/one.jpg'")]
    [TestCase("\"width\":4", "\"width\":0", "image 20 of 0 x 3 pixels")]
    [TestCase("\"width\":4", "\"width\":99999999", "image 20 of 99999999 x 3 pixels")]
    [TestCase("\"width\":4", "\"width\":4.5", "image 20 has no whole number 'width'")]
    [TestCase("\"image_id\":21", "\"image_id\":29", "annotation 4 is for image 29, which is not listed")]
    [TestCase("[0,0,1,0,1,2,0,2]", "[0,0,1,0]", "annotation 1 has a polygon of 4 coordinates")]
    [TestCase("[0,0,1,0,1,2,0,2]", "[0,0,1,0,1,2,0]", "a polygon of 7 coordinates")]
    [TestCase("[0,0,1,0,1,2,0,2]", "[0,0,1,0,1,1e400]", "coordinate '1e400'")]
    [TestCase("[0,0,1,0,1,2,0,2]", "[0,0,1,0,1,null]", "coordinate 'null'")]
    [TestCase("[0,0,1,0,1,2,0,2]", "5", "a polygon of 0 coordinates")]
    [TestCase("\"size\":[3,4],\"counts\":[11,1]", "\"size\":[4,3],\"counts\":[11,1]", "runs of size [4,3]; expected its image's, [3, 4]")]
    [TestCase("\"size\":[3,4],\"counts\":[11,1]", "\"counts\":[11,1]", "runs of size none")]
    [TestCase("[11,1]", "[11,2]", "annotation 3 has runs of 13 pixels; expected 12")]
    [TestCase("[11,1]", "[13,-1]", "none negative")]
    [TestCase("[11,1]", "[11,1.5]", "a run of '1.5' pixels")]
    [TestCase("[11,1]", "7", "annotation 3 has no 'counts'")]
    [TestCase("[11,1]", "\"1 2\"", "packed runs that are malformed: character ' ' at 1")]
    [TestCase("\"segmentation\":{", "\"mask\":{", "annotation 2 has no mask; expected polygons or runs in 'segmentation'. Boxes alone")]
    [TestCase("[[0,0,2,0,2,1,0,1]]", "[]", "annotation 4 has no mask")]
    [TestCase("]}", "", "is no JSON")]
    public void Damaged_annotations_are_refused(string there, string instead, string says)
    {
        string text = Encoding.UTF8.GetString(CocoSamples.File());
        int at = says == "is no JSON" ? text.LastIndexOf(there, StringComparison.Ordinal) : text.IndexOf(there, StringComparison.Ordinal);
        Assert.That(at, Is.Not.Negative);
        Refuses(text[..at] + instead + text[(at + there.Length)..], says);
    }

    [Test]
    public void Other_json_is_refused()
    {
        Refuses("[]", "is no JSON object");
        Refuses("", "is no JSON");
        Refuses(new string('[', 100_000), "is no JSON");
        Refuses("""{"categories":[]}""", "0 categories; expected 1 to 255");
        string many = string.Join(',', Enumerable.Range(0, 256).Select(i => $$"""{"id":{{i}},"name":"c"}"""));
        Refuses($$"""{"categories":[{{many}}]}""", "256 categories");
        Refuses("""{"categories":[{"id":1,"name":"c"}],"images":[],"annotations":[5]}""",
            "annotation number 0 has no whole number 'image_id'");
        Refuses("""{"categories":[5]}""", "a category has no whole number 'id'");
    }

    private static void Refuses(string text, string says) => Assert.That(
        () => CocoAnnotations.Read("file", Encoding.UTF8.GetBytes(text)),
        Throws.TypeOf<DatasetException>().With.Message.StartsWith("file: ").And.Message.Contains(says));
}
