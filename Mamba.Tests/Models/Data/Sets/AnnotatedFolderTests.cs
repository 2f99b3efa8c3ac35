using System.Text;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Images whose masks are outlines: COCO and YOLO, as tools export them.</summary>
internal sealed class AnnotatedFolderTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Coco_in_an_annotations_folder_has_a_part_per_file()
    {
        Picture("images/train2017/a.png", 1);
        Picture("images/val2017/b.png", 2);
        Write("annotations/instances_train2017.json", Coco("a.png"));
        Write("annotations/instances_val2017.json", Coco("b.png"));
        IImageData data = ImageDataSource.Open(_folder.Root);
        Assert.That(data.Labels, Is.EqualTo(new[] { "background", "cat", "dog" }));
        Assert.That(
            Enumerable.Range(0, data.Count).Select(i => (data.Name(i), data.Part(i))),
            Is.EqualTo(new[] { ("images/train2017/a", (SplitPart?)SplitPart.Train), ("images/val2017/b", SplitPart.Val) }));
        // The square from (2, 2) to (6, 5) is the second category.
        LabelMap mask = ((SegmentationSample)data.Load(0)).Mask;
        Assert.That((mask.Classes.Count(c => c == 2), mask.Classes.Count(c => c == 1), mask.Classes[2 * 8 + 2]),
            Is.EqualTo((12, 0, (byte)2)));
    }

    [Test]
    public void Coco_beside_the_images_of_each_part_is_found_and_absent_images_are_told()
    {
        Picture("train/a.png", 1);
        Picture("test/a.png", 2);
        Write("train/_annotations.coco.json", Coco("a.png", "gone.png"));
        Write("test/_annotations.coco.json", Coco("a.png"));
        var data = (AnnotatedFolder)ImageDataSource.Open(_folder.Root);
        Assert.That(Enumerable.Range(0, data.Count).Select(data.Part), Is.EqualTo(new[] { SplitPart.Test, SplitPart.Train }));
        Assert.That(data.Notes.Single(), Does.StartWith("1 images of the annotations are not in the folder"));
    }

    [Test]
    public void Yolo_polygons_are_found_and_an_image_without_labels_is_background()
    {
        foreach ((int i, string part) in new[] { "train", "val", "test" }.Index())
        {
            Picture($"images/{part}/a.png", i);
            if (part != "test") Write($"labels/{part}/a.txt", "0 0.25 0.25 0.75 0.25 0.75 0.5 0.25 0.5");
        }
        Write("data.yaml", "names:\n  0: cell\n");
        var data = (AnnotatedFolder)ImageDataSource.Open(_folder.Root);
        Assert.That((data.Count, data.Labels.Single()), Is.EqualTo((3, "cell")), "one class is a mask");
        Assert.That(data.Notes.Single(), Is.EqualTo("1 images without a label file taken for background"));
        Assert.That(
            Enumerable.Range(0, 3).Select(i => (data.Part(i), data.Load(i).Mask.Classes.Count(c => c == 1), data.Stratum(i))),
            Is.EqualTo(new[] { ((SplitPart?)SplitPart.Test, 0, (int?)0), (SplitPart.Train, 8, 1), (SplitPart.Val, 8, 1) }));
        Assert.That(data.Without(new HashSet<int> { 0 }).Labels, Is.EqualTo(data.Labels));
    }

    [Test]
    public void What_does_not_fit_together_is_refused()
    {
        Picture("images/a.png", 1);
        Write("labels/a.txt", "0 0.1 0.1 0.9 0.1 0.9 0.9");
        Assert.That(
            () => ImageDataSource.Open(_folder.Root),
            Throws.TypeOf<DatasetException>().With.Message.Contains("expected data.yaml or classes.txt"));
        Write("notes.json", """{"images": 1}""");
        Write("data.yaml", "names: [cell]");
        Assert.That(ImageDataSource.Open(_folder.Root).Count, Is.EqualTo(1), "another JSON file is none of COCO's");
        File.Delete(Path.Combine(_folder.Root, "labels", "a.txt"));
        Write("coco.json", Coco("a.png").Replace("\"width\": 8", "\"width\": 9"));
        Assert.That(
            () => ImageDataSource.Open(_folder.Root).Load(0), Throws.TypeOf<DatasetException>().With.Message.Contains("8 x 8, but 9 x 8"));
        Write("more.json", Coco("b.png").Replace("dog", "cow"));
        Assert.That(
            () => ImageDataSource.Open(_folder.Root),
                Throws.TypeOf<DatasetException>().With.Message.Contains("cow").And.Message.Contains("dog"));
    }

    private void Picture(string path, int number) => _folder.Write(path, Pictures.Marked(8, 8, 3, number));

    private void Write(string path, string text) => _folder.Write(path, Encoding.UTF8.GetBytes(text));

    /// <summary>A square of the second category in the first image.</summary>
    private static string Coco(params string[] names)
    {
        string images = string.Join(", ", names.Select((name, i) =>
            $$"""{"id": {{i + 1}}, "file_name": "{{name}}", "width": 8, "height": 8}"""));
        return $$"""
            {"images": [{{images}}], "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
             "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "segmentation": [[2, 2, 6, 2, 6, 5, 2, 5]], "iscrowd": 0}]}
            """;
    }
}
