using Mamba.Models.Data;
using Mamba.Models.Data.Augmentation;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Labels;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class SegmentationFolderTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Pairs_are_found_at_any_depth_in_ordinal_order()
    {
        Image picture = Pictures.Random(4, 3, 3), mask = new(4, 3, 1, [0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 255]);
        _folder.Write("b/deep/s2.png", picture);
        _folder.Write("b/deep/s2_mask.bmp", Pictures.Bmp(4, 3, 24, true, [], (_, stride) => new byte[stride]));
        _folder.Write("a/s10.tif", Pictures.PaddedTiff(picture, 2));
        _folder.Write("a/s10_mask.PNG", mask);
        _folder.Write("Z.jpeg", Pictures.Jpeg(picture, 1));
        _folder.Write("Z_mask.png", mask);
        _folder.Write("a/notes.txt", "nothing"u8.ToArray());
        _folder.Write(".hidden/s1.png", picture);
        _folder.Write("b/deep/._s2.png", "no picture"u8.ToArray());
        _folder.Write("__MACOSX/b/s3.png", "no picture"u8.ToArray());
        SegmentationFolder data = new(_folder.Root);
        Assert.That(Enumerable.Range(0, data.Count).Select(data.Name), Is.EqualTo(new[] { "Z", "a/s10", "b/deep/s2" }));
        Assert.That(Enumerable.Range(0, data.Count).Select(data.Patient), Is.EqualTo(new[] { ".", "a", "b" }),
            "the outermost folder that varies");
        SegmentationSample sample = data.Load(1);
        Assert.That(sample.Image.Pixels, Is.EqualTo(picture.Pixels));
        Assert.That(sample.Mask.Classes, Is.EqualTo(new byte[] { 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1 }));
        Assert.That(File.Exists(data.ImagePath(1)), data.ImagePath(1));
    }

    [Test]
    public void Unusable_folders_are_refused()
    {
        Image picture = new(2, 2, 1);
        AssertRefused(Path.Combine(_folder.Root, "none"), "no such folder");
        AssertRefused(_folder.Root, "0 images and 0 masks");
        _folder.Write("p/a.png", picture);
        AssertRefused(_folder.Root, "1 images and 0 masks");
        _folder.Write("p/a_mask.png", picture);
        foreach (char name in "bcde") _folder.Write($"p/{name}.png", picture);
        AssertRefused(_folder.Root, "4 images without a mask: p/b.png, p/c.png, p/d.png, ...");
        foreach (char name in "bcdef") _folder.Write($"p/{name}_mask.png", picture);
        AssertRefused(_folder.Root, "1 masks without an image: p/f_mask.png");
        _folder.Write("p/f.png", picture);
        Assert.That(new SegmentationFolder(_folder.Root).Count, Is.EqualTo(6));
        _folder.Write("p/f.tif", Pictures.PaddedTiff(picture, 2));
        AssertRefused(_folder.Root, "expected one image of a name");
    }

    [Test]
    public void A_mask_of_another_size_is_refused_with_both_names()
    {
        _folder.Write("a.png", new Image(4, 3, 3));
        _folder.Write("a_mask.png", new Image(3, 4, 1, [0, 0, 0, 0, 9, 9, 9, 9, 0, 0, 0, 0]));
        SegmentationFolder data = new(_folder.Root);
        Assert.That(
            () => data.Load(0),
            Throws.TypeOf<DatasetException>().With.Message.Contains("a.png is 4 x 3").And.Message.Contains("a_mask.png 3 x 4"));
    }

    [Test]
    public void A_mask_of_several_pages_or_cut_short_is_refused()
    {
        byte[] page = Pictures.Disc(8, 6).Pixels;
        _folder.Write("a.png", new Image(8, 6, 1));
        _folder.Write("a_mask.tif", Pictures.TiffStack(8, 6, [page, page]));
        _folder.Write("b.png", new Image(64, 64, 1));
        _folder.Write("b_mask.jpg", Pictures.Jpeg(Pictures.Smooth(64, 64, 3), 1)[..^40]);
        _folder.Write("c.png", new Image(8, 6, 1));
        _folder.Write("c_mask.png", Pictures.Disc(8, 6));
        SegmentationFolder data = new(_folder.Root);
        data.ReadMasks([0, 1, 2]);
        Assert.That(
            () => data.Load(0),
            Throws.TypeOf<DatasetException>().With.Message.Contains("a.png is one picture").And.Message.Contains("a_mask.tif has 2 pages"));
        Assert.That(() => data.Load(1), Throws.TypeOf<ImageException>().With.Message.Contains("b_mask.jpg: cut short; about "));
        Assert.That(data.Load(2).Mask.Classes, Does.Contain(1));
    }

    [Test]
    public void Masks_of_another_encoding_than_the_trainings_are_read_afresh()
    {
        byte[] red = [0, 0, 0, 255, 0, 0, 255, 0, 0, 0, 0, 0];
        _folder.Write("a.png", new Image(2, 2, 3));
        _folder.Write("a_mask.png", new Image(2, 2, 3, red));
        SegmentationFolder data = new(_folder.Root);
        MaskMeaning trained = MaskMeaning.Of(MaskEncoding.Gray, null, [0, 255], [0, 1], ["lesion"]);
        data.ReadMasks([0], trained);
        Assert.That(data.Meaning.Encoding, Is.EqualTo(MaskEncoding.Color));
        Assert.That(data.Load(0).Mask.Classes, Is.EqualTo(new byte[] { 0, 1, 1, 0 }));
        _folder.Write("a_mask.png", new Image(2, 2, 1, [0, 0, 0, 0]));
        data.ReadMasks([0], trained);
        Assert.That(data.Meaning, Is.SameAs(trained), "an empty mask means what it meant");
    }

    [Test]
    public void Palette_indices_are_matched_by_color_or_refused()
    {
        MaskMeaning trained = MaskMeaning.Of(
            MaskEncoding.Palette, null, [0, 1, 2], [0, 1, 2], ["background", "1", "2"], [0, 0xFF0000, 0x00FF00]);
        SegmentationFolder data = WithPalette([0, 1, 2, 0], 0, 0x00FF00, 0xFF0000);
        data.ReadMasks([0], trained);
        Assert.That(data.Load(0).Mask.Classes, Is.EqualTo(new byte[] { 0, 2, 1, 0 }));
        Assert.That(data.Meaning.Describe(data.Masks), Does.EndWith(
            "; index 1 of the masks is #00FF00, in the training #FF0000: indices are matched by their colors"));
        data = WithPalette([0, 1, 2, 0], 0, 0x00FF00, 0x0000FF);
        Assert.That(() => data.ReadMasks([0], trained), Throws.TypeOf<DatasetException>().With.Message.StartsWith(
            $"{_folder.Root}: index 1 of the masks is #00FF00, in the training #FF0000, so that it may be another class; expected the "));
        data = WithPalette([0, 1, 1, 0], 0, 0xFF0000, 0x00FF00);
        data.ReadMasks([0], trained);
        Assert.That(data.Meaning, Is.SameAs(trained), "a class may be absent");
        _folder.Write("classes.txt", "background\nstroma\ntumour"u8.ToArray());
        data = WithPalette([0, 1, 2, 0], 0, 0x00FF00, 0xFF0000);
        data.ReadMasks([0], trained);
        Assert.That(data.Labels, Is.EqualTo(new[] { "background", "stroma", "tumour" }), "the folder names its indices");
        Assert.That(data.Load(0).Mask.Classes, Is.EqualTo(new byte[] { 0, 1, 2, 0 }));
    }

    [Test]
    public void A_lesion_may_have_any_color()
    {
        MaskMeaning trained = MaskMeaning.Of(MaskEncoding.Palette, null, [0, 1], [0, 1], ["lesion"], [0, 0xFFFFFF]);
        SegmentationFolder data = WithPalette([0, 1, 1, 0], 0, 0xFF0000);
        data.ReadMasks([0], trained);
        Assert.That(data.Load(0).Mask.Classes, Is.EqualTo(new byte[] { 0, 1, 1, 0 }));
        data = WithPalette([1, 0, 0, 1], 0xFFFFFF, 0);
        data.ReadMasks([0], trained);
        Assert.That(data.Load(0).Mask.Classes, Is.EqualTo(new byte[] { 0, 1, 1, 0 }));
    }

    /// <summary>A picture of 2 x 2 and its mask of palette indices.</summary>
    private SegmentationFolder WithPalette(byte[] indices, params int[] palette)
    {
        _folder.Write("a.png", new Image(2, 2, 3));
        ImageFile.SaveLabels(Path.Combine(_folder.Root, "a_mask.png"), new LabelMap(2, 2, indices), palette);
        return new SegmentationFolder(_folder.Root);
    }

    private static void AssertRefused(string folder, string says) =>
        Assert.That(
            () => new SegmentationFolder(folder),
            Throws.TypeOf<DatasetException>().With.Message.StartsWith(folder).And.Message.Contains(says));
}
