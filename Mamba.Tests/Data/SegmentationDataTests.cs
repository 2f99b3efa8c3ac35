using Mamba.Models.Data;

namespace Mamba.Tests.Data;

internal sealed class SegmentationDataTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Pairs_are_found_at_any_depth_in_ordinal_order()
    {
        Image picture = Pictures.Random(4, 3, 3), mask = new(4, 3, 1, [0, 127, 128, 255, 0, 0, 0, 0, 1, 2, 3, 200]);
        _folder.Write("b/deep/s2.png", picture);
        _folder.Write("b/deep/s2_mask.bmp", Pictures.Bmp(4, 3, 24, true, [], (_, stride) => new byte[stride]));
        _folder.Write("a/s10.tif", Pictures.PaddedTiff(picture, 2));
        _folder.Write("a/s10_mask.PNG", mask);
        _folder.Write("Z.jpeg", Pictures.Jpeg(picture, 1));
        _folder.Write("Z_mask.png", mask);
        _folder.Write("a/notes.txt", "nothing"u8.ToArray());
        _folder.Write(".hidden/s1.png", picture);
        SegmentationFolder data = new(_folder.Root);
        Assert.That(Enumerable.Range(0, data.Count).Select(data.Name), Is.EqualTo(new[] { "Z", "a/s10", "b/deep/s2" }));
        Assert.That(Enumerable.Range(0, data.Count).Select(data.Patient), Is.EqualTo(new[] { ".", "a", "b/deep" }));
        SegmentationSample sample = data.Load(1);
        Assert.That(sample.Image.Pixels, Is.EqualTo(picture.Pixels));
        Assert.That(sample.Mask.Pixels, Is.EqualTo(new byte[] { 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 255 }));
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
        _folder.Write("a_mask.png", new Image(3, 4, 1));
        SegmentationFolder data = new(_folder.Root);
        Assert.That(() => data.Load(0), Throws.TypeOf<DatasetException>().With.Message.Contains("a.png is 4 x 3").And.Message.Contains("a_mask.png 3 x 4"));
    }

    [TestCase(SplitProtocol.Slice, 3, 1, 1, 1), TestCase(SplitProtocol.Slice, 5, 3, 1, 1), TestCase(SplitProtocol.Slice, 9, 7, 1, 1)]
    [TestCase(SplitProtocol.Slice, 10, 8, 1, 1), TestCase(SplitProtocol.Slice, 19, 15, 1, 3), TestCase(SplitProtocol.Slice, 3929, 3143, 392, 394)]
    public void Split_sizes(SplitProtocol protocol, int count, int train, int val, int test)
    {
        Split split = Split.Of(new SyntheticLesions(1, count), protocol, 37);
        Assert.That((split.Train.Length, split.Val.Length, split.Test.Length), Is.EqualTo((train, val, test)));
        Assert.That(split[SplitPart.All], Is.EqualTo(Enumerable.Range(0, count)));
        foreach (SplitPart part in new[] { SplitPart.Train, SplitPart.Val, SplitPart.Test }) Assert.That(split[part], Is.Ordered.Ascending);
    }

    [Test]
    public void Patients_stay_on_one_side()
    {
        SyntheticLesions data = new(1, 20 * 33);
        Split split = Split.Of(data, SplitProtocol.Patient, 5);
        string[][] patients = [.. new[] { split.Train, split.Val, split.Test }.Select(part => part.Select(data.Patient).Distinct().ToArray())];
        Assert.That(patients.Select(p => p.Length), Is.EqualTo(new[] { 26, 3, 4 }));
        Assert.That(patients.SelectMany(p => p), Is.Unique);
        Assert.That(split[SplitPart.All], Has.Length.EqualTo(data.Count));
    }

    [Test]
    public void Splits_depend_on_the_seed_alone_and_limits_choose_before()
    {
        SyntheticLesions data = new(1, 200);
        int[] test = Split.Of(data, SplitProtocol.Slice, 5).Test;
        Assert.That(Split.Of(data, SplitProtocol.Slice, 5).Test, Is.EqualTo(test));
        Assert.That(Split.Of(data, SplitProtocol.Slice, 6).Test, Is.Not.EqualTo(test));
        Split limited = Split.Of(data, SplitProtocol.Slice, 5, limit: 30);
        Assert.That(limited[SplitPart.All], Has.Length.EqualTo(30).And.Ordered.Ascending.And.Unique);
        Assert.That((limited.Train.Length, limited.Val.Length, limited.Test.Length), Is.EqualTo((24, 3, 3)));
        Assert.That(Split.Of(data, SplitProtocol.Slice, 5, limit: 500)[SplitPart.All], Has.Length.EqualTo(200));
        Assert.That(() => Split.Of(data, SplitProtocol.Slice, 5, limit: 0), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Split.Of(new SyntheticLesions(1, 40), SplitProtocol.Patient, 5), Throws.TypeOf<DatasetException>().With.Message.Contains("40 images of 2 patients"));
        Assert.That(() => Split.Of(data, SplitProtocol.Slice, 5, limit: 2), Throws.TypeOf<DatasetException>().With.Message.Contains("at least 3 images"));
    }

    [Test]
    public void Synthetic_slices_are_a_function_of_seed_index_and_size()
    {
        SyntheticLesions data = new(3, 50, 48, 64), again = new(3, 500, 48, 64), other = new(4, 50, 48, 64);
        data.Load(12);
        SegmentationSample sample = data.Load(7);
        Assert.That((sample.Image.Width, sample.Image.Height, sample.Image.Channels, sample.Mask.Channels), Is.EqualTo((64, 48, 3, 1)));
        Assert.That(again.Load(7).Image.Pixels, Is.EqualTo(sample.Image.Pixels));
        Assert.That(again.Load(7).Mask.Pixels, Is.EqualTo(sample.Mask.Pixels));
        Assert.That(other.Load(7).Image.Pixels, Is.Not.EqualTo(sample.Image.Pixels));
        Assert.That((data.Name(25), data.Patient(25)), Is.EqualTo(("patient_0002/slice_06", "patient_0002")));
        Assert.That(() => data.Load(50), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Synthetic_lesions_are_there_and_bright_in_flair()
    {
        SyntheticLesions data = new(37, 200, 64, 64);
        int empty = 0;
        double inside = 0, outside = 0, area = 0, brain = 0;
        for (int i = 0; i < data.Count; i++)
        {
            SegmentationSample sample = data.Load(i);
            if (!sample.Mask.Pixels.Contains((byte)255)) empty++;
            Assert.That(sample.Mask.Pixels, Is.All.AnyOf((byte)0, (byte)255));
            for (int k = 0; k < sample.Mask.Pixels.Length; k++)
            {
                // The middle of the picture is brain.
                int x = k % 64 - 32, y = k / 64 - 32, flair = sample.Image.Pixels[3 * k + 1];
                if (sample.Mask.Pixels[k] == 255) (inside, area) = (inside + flair, area + 1);
                else if (x * x + y * y < 100) (outside, brain) = (outside + flair, brain + 1);
            }
        }
        Assert.That(empty, Is.InRange(30, 70));
        Assert.That(area / (data.Count * 64 * 64), Is.InRange(0.01, 0.05));
        Assert.That(inside / area - outside / brain, Is.GreaterThan(25));
    }

    [Test]
    public void Augmentation_moves_picture_and_mask_together()
    {
        SegmentationAugment everything = new() { Flips = true, QuarterTurns = true };
        Image mask = Pictures.Random(9, 9, 1);
        Image image = new(9, 9, 3, [.. mask.Pixels.SelectMany(v => new[] { v, (byte)(255 - v), v })]);
        HashSet<string> seen = [];
        for (int epoch = 0; epoch < 80; epoch++)
        {
            var moved = (SegmentationSample)everything.Apply(new SegmentationSample(image, mask), 1, epoch, 2);
            for (int i = 0; i < 81; i++) Assert.That(moved.Image.Pixels[3 * i], Is.EqualTo(moved.Mask.Pixels[i]));
            Assert.That(moved.Mask.Pixels.Order(), Is.EqualTo(mask.Pixels.Order()));
            seen.Add(Convert.ToHexString(moved.Mask.Pixels));
        }
        Assert.That(seen, Has.Count.EqualTo(8), "the symmetries of a square");
    }

    [Test]
    public void Quarter_turn_by_hand()
    {
        // Turns alone give exactly these four.
        Image image = new(2, 2, 1, [1, 2, 3, 4]);
        string[] turns = [.. Enumerable.Range(0, 60).Select(e => string.Concat(new SegmentationAugment { QuarterTurns = true }.Apply(new SegmentationSample(image, image), 1, e, 0).Image.Pixels)).Distinct().Order()];
        Assert.That(turns, Is.EqualTo(new[] { "1234", "2413", "3142", "4321" }));
    }

    [Test]
    public void Brightness_and_contrast_stay_in_their_range_and_spare_the_mask()
    {
        Image image = new(2, 1, 1, [100, 140]), mask = new(2, 1, 1, [0, 255]);
        List<double> means = [], spreads = [];
        for (int epoch = 0; epoch < 200; epoch++)
        {
            var changed = (SegmentationSample)new SegmentationAugment { Brightness = 0.2f, Contrast = 0.5f }.Apply(new SegmentationSample(image, mask), 1, epoch, 0);
            Assert.That(changed.Mask.Pixels, Is.EqualTo(mask.Pixels));
            means.Add((changed.Image.Pixels[0] + changed.Image.Pixels[1]) / 2.0);
            spreads.Add((changed.Image.Pixels[1] - changed.Image.Pixels[0]) / means[^1]);
        }
        Assert.That(means, Is.All.InRange(95.0, 145.0));
        Assert.That((means.Min() < 100, means.Max() > 140), Is.EqualTo((true, true)));
        Assert.That(spreads, Is.All.InRange(40 / 120.0 * 0.5 - 0.02, 40 / 120.0 * 1.5 + 0.02));
        Assert.That(image.Pixels, Is.EqualTo(new byte[] { 100, 140 }), "the original stays");
    }

    private static void AssertRefused(string folder, string says) =>
        Assert.That(() => new SegmentationFolder(folder), Throws.TypeOf<DatasetException>().With.Message.StartsWith(folder).And.Message.Contains(says));
}
