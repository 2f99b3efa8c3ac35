using Mamba.Models.Data;
using Mamba.Models.Data.Labels;
using Mamba.Models.Files;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>What the values of masks are taken for, as strangers write them.</summary>
internal sealed class MaskMeaningTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [TestCase(0, 1), TestCase(0, 255), TestCase(0, 2), TestCase(0, 37), TestCase(0, 40000), TestCase(7, 9)]
    public void The_smaller_of_two_values_is_background(int low, int high)
    {
        MaskMeaning meaning = Read([Gray(low, low, high), Gray(low, low, low)]);
        Assert.That(meaning.Labels, Is.EqualTo(new[] { "lesion" }));
        Assert.That(meaning.Apply("a", Gray(low, high, low)).Classes, Is.EqualTo(new byte[] { 0, 1, 0 }));
        Assert.That(
            () => meaning.Apply("b.png", Gray(low, high, high + 1)),
            Throws.TypeOf<DatasetException>().With.Message.Contains($"b.png: value {high + 1} at row 0, column 2 is no class"));
    }

    [Test]
    public void Three_values_are_classes_and_the_line_says_how_much_each_is()
    {
        RawMask[] masks = [Gray(0, 0, 1, 2), Gray(0, 0, 0, 2)];
        MaskMeaning meaning = Read(masks);
        Assert.That(meaning.Labels, Is.EqualTo(new[] { "background", "1", "2" }));
        Assert.That(meaning.Describe([.. masks.Select(MaskValues.Of)]), Is.EqualTo(
            "values 0, 1 and 2 in 2 files; class 1 '1' covers 12.5 % of the pixels, absent in 1 images; "
                + "class 2 '2' covers 25.0 % of the pixels, absent in 0 images"));
    }

    [TestCase(new[] { 0, 1, 255 }, new byte[] { 0, 1, 255 }), TestCase(new[] { 0, 1, 2, 255 }, new byte[] { 0, 1, 2, 255 })]
    [TestCase(new[] { 0, 128, 255 }, new byte[] { 0, 1, 2 }), TestCase(new[] { 0, 2, 255 }, new byte[] { 0, 1, 2 })]
    public void As_in_Pascal_255_is_ignored_beside_small_contiguous_values(int[] values, byte[] classes)
    {
        MaskMeaning meaning = Read([Gray([.. values.SelectMany(value => Enumerable.Repeat(value, 6))])]);
        Assert.That(meaning.Apply("a", Gray(values)).Classes, Is.EqualTo(classes));
        Assert.That(meaning.Ignores, Is.EqualTo(classes.Contains(LabelMap.Ignored)));
        Assert.That(meaning.Labels[0], Is.EqualTo("background"), "what is ignored needs a class for the rest");
    }

    [Test]
    public void Black_or_else_the_darkest_color_is_background()
    {
        RawMask mask = new(3, 1, MaskEncoding.Color, [0xFF0000, 0, 0x0000FF]);
        Assert.That(Read([mask]).Apply("a", mask).Classes, Is.EqualTo(new byte[] { 1, 0, 2 }).Or.EqualTo(new byte[] { 2, 0, 1 }));
        mask = new RawMask(2, 1, MaskEncoding.Color, [0xFFFFFF, 0x400000]);
        Assert.That(Read([mask]).Apply("a", mask).Classes, Is.EqualTo(new byte[] { 1, 0 }));
    }

    [Test]
    public void Palette_indices_count_where_files_share_a_palette_and_colors_where_they_do_not()
    {
        RawMask first = new(3, 1, MaskEncoding.Palette, [0, 1, 2]) { Palette = [0, 0x800000, 0x008000] };
        MaskMeaning meaning = Read([first, first]);
        Assert.That((meaning.Encoding, meaning.Labels.Count), Is.EqualTo((MaskEncoding.Palette, 3)));
        // The same classes under other indices.
        RawMask second = new(3, 1, MaskEncoding.Palette, [2, 0, 1]) { Palette = [0x800000, 0x008000, 0] };
        meaning = Read([first, second]);
        Assert.That(meaning.Encoding, Is.EqualTo(MaskEncoding.Color));
        Assert.That(meaning.Apply("b", second).Classes, Is.EqualTo(meaning.Apply("a", first).Classes));
        // White first, as a writer may sort a palette: white is still the foreground.
        RawMask white = new(2, 1, MaskEncoding.Palette, [0, 1]) { Palette = [0xFFFFFF, 0] };
        Assert.That(Read([white]).Apply("c", white).Classes, Is.EqualTo(new byte[] { 1, 0 }));
    }

    [Test]
    public void Jpeg_masks_are_cut_in_the_middle_of_their_range_and_three_groups_are_refused()
    {
        RawMask noisy = Gray(0, 1, 3, 2, 0, 0, 250, 255, 254, 130) with { Lossy = true };
        MaskMeaning meaning = Read([noisy]);
        Assert.That(meaning.Threshold, Is.EqualTo(127));
        Assert.That(meaning.Apply("a", noisy).Classes, Is.EqualTo(new byte[] { 0, 0, 0, 0, 0, 0, 1, 1, 1, 1 }));
        Refuses([Gray(0, 0, 1, 128, 127, 255) with { Lossy = true }], "expected masks in a format without loss");
        Refuses([Gray(0, 1, 0, 1) with { Lossy = true }], "values 0 to 1");
    }

    [Test]
    public void Soft_edges_are_cut_and_photographs_refused()
    {
        int[] edge = [.. Enumerable.Range(0, 16).Select(i => 16 * i)];
        RawMask soft = Gray([.. Enumerable.Repeat(0, 60), .. edge, .. Enumerable.Repeat(255, 60)]);
        Assert.That(Read([soft]).Apply("a", soft).Classes.Count(c => c == 1), Is.EqualTo(68));
        Refuses([Gray([.. Enumerable.Range(0, 400).Select(i => i * 7919 % 200)])], "as in a photograph");
        Refuses([Gray([.. Enumerable.Range(0, 400).SelectMany(i => Enumerable.Repeat(i, 5))])], "400 values");
    }

    [TestCase(1, 255), TestCase(1, 65535), TestCase(255, 65535)]
    public void Sets_of_which_some_masks_have_one_full_value_and_others_another_are_refused(int one, int other)
    {
        Refuses([Gray(0, 0, one), Gray(0, 0, other), Gray(0, 0, other)], $"1 masks have value {one}, 2 others {other}, and none both");
        if (one == 1 && other == 255) Assert.That(Read([Gray(0, 0, 1, 255)]).Ignores, Is.True, "one mask with both tells them apart");
    }

    [Test]
    public void Soft_edges_of_few_levels_are_refused_as_classes_of_such_values_are_not()
    {
        int[] inside = [.. Enumerable.Repeat(255, 12)], outside = [.. Enumerable.Repeat(0, 40)];
        Refuses([Gray([.. outside, 127, .. inside, 127, .. outside])], "lie in thin lines between 0 and 255");
        Assert.That(Read([Gray([.. outside, .. Enumerable.Repeat(127, 9), .. inside])]).Labels, Has.Count.EqualTo(3));
        int[] colors = [.. Enumerable.Repeat(0, 30), 0x400000, 0x800000, .. Enumerable.Repeat(0xFF0000, 9), 0x800000, 0x400000];
        Refuses([new RawMask(colors.Length, 1, MaskEncoding.Color, colors)], "half of them in thin lines");
    }

    [Test]
    public void A_value_of_its_own_in_each_mask_is_a_number()
    {
        Refuses([.. Enumerable.Range(1, 8).Select(i => Gray([0, 0, 0, .. Enumerable.Repeat(17 * i, 6)]))], "as instances are");
        RawMask[] classes = [.. Enumerable.Range(0, 16).Select(i => Gray([0, 0, 0, .. Enumerable.Repeat(1 + i % 8, 6)]))];
        Assert.That(Read(classes).Labels, Has.Count.EqualTo(9), "two masks of each are classes");
    }

    [Test]
    public void Numbers_of_things_are_no_classes()
    {
        RawMask three = Gray([0, 0, .. Runs(3)]), nine = Gray([0, 0, .. Runs(9)]);
        Refuses([three, nine], "as instances are");
        string file = Text("0 background\n1-65535 cell");
        MaskMeaning meaning = MaskReader.Read("d", [MaskValues.Of(three), MaskValues.Of(nine)], MaskLabels.Read(file), null);
        Assert.That(meaning.Labels, Is.EqualTo(new[] { "cell" }));
        Assert.That(meaning.Apply("a", nine).Classes.Distinct(), Is.EqualTo(new byte[] { 0, 1 }));

        static IEnumerable<int> Runs(int count) => Enumerable.Range(1, count).SelectMany(i => Enumerable.Repeat(i, 6));
    }

    [Test]
    public void Masks_without_foreground_are_refused()
    {
        Refuses([Gray(0, 0), Gray(0, 0)], "every pixel of 2 masks is 0, so there is nothing to find");
        Refuses([Gray(255, 255)], "every pixel of 1 masks is 255");
        Assert.That(
            () => MaskReader.Read("d", [MaskValues.Of(Gray(0, 0))], MaskLabels.Read(Text("0 background\n1 lesion")), null),
            Throws.TypeOf<DatasetException>().With.Message.Contains("no pixel of 1 masks is of a class but the background"));
    }

    [Test]
    public void A_labels_file_names_values_and_colors()
    {
        MaskMeaning values = Ruled("# cells\n0 background\n10: core\n20, rim\n30 ignore", Gray(0, 10, 20, 30));
        Assert.That(values.Labels, Is.EqualTo(new[] { "background", "core", "rim" }));
        Assert.That(values.Apply("a", Gray(30, 20, 10, 0)).Classes, Is.EqualTo(new byte[] { 255, 2, 1, 0 }));
        RawMask colors = new(3, 1, MaskEncoding.Color, [0x0000FF, 0, 0xFF0000]);
        Assert.That(Ruled("0 0 0 void\n255 0 0 tumour\n0 0 255 vessel", colors).Labels, Does.Contain("vessel").And.Contain("tumour"));
        Assert.That(Ruled("#000000 background\n#ff0000 tumour\n#0000FF vessel", colors).Apply("a", colors).Classes,
            Is.EqualTo(new byte[] { 2, 0, 1 }));
        Assert.That(
            Ruled(
                """{"channel_names": {"0": "MRI"}, "labels": {"background": 0, "edema": 1, "core": 2}}""",
                Gray(0, 1, 2), "dataset.json").Labels,
            Is.EqualTo(new[] { "background", "edema", "core" }));
        Assert.That(
            () => Ruled("0 background\n1 lesion", Gray(0, 1, 2)),
            Throws.TypeOf<DatasetException>().With.Message.Contains("value 2 of the masks is in no line of the labels file"));
    }

    [TestCase("1", "expected a value, a range or a color"), TestCase("0 a", "1 classes"), TestCase("0 a\n0 b", "have a value in common")]
    [TestCase("0 a\n#FF0000 b", "both values and colors"), TestCase("0 a\n9-3 b", "expected a value"),
        TestCase("0 a\nx b", "expected a value")]
    public void A_malformed_labels_file_is_refused(string text, string says) => Assert.That(
        () => MaskLabels.Read(Text(text)),
            Throws.TypeOf<DatasetException>().With.Message.Contains(says).And.Message.Contains("labels.txt"));

    [TestCase("""{"labels": {"a": [1, 2], "b": 0}}"""), TestCase("""{"labels": 3}"""), TestCase("{")]
    [TestCase("""{"labels": {"a": -1, "b": 2}}""")]
    public void A_malformed_dataset_json_is_refused(string text) =>
        Assert.That(() => MaskLabels.Read(Text(text, "dataset.json")),
            Throws.TypeOf<DatasetException>().With.Message.Contains("dataset.json"));

    [Test]
    public void What_the_training_meant_holds_where_it_knows_every_value()
    {
        MaskMeaning trained = Read([Gray(0, 1, 2)]);
        Assert.That(trained.Knows([MaskValues.Of(Gray(0, 2))]), Is.True);
        Assert.That(trained.Knows([MaskValues.Of(Gray(0, 3))]), Is.False);
        RawMask soft = Gray(0, 1, 3, 250, 255, 254) with { Lossy = true };
        Assert.That(Read([soft]).Knows([MaskValues.Of(soft)]), Is.False, "a threshold says nothing about other masks");
    }

    [Test]
    public void Masks_of_another_encoding_or_palette_are_not_known()
    {
        MaskMeaning gray = Read([Gray(0, 255)]);
        RawMask red = Color(0, 0xFF0000), voc = Indices([0, 0x800000, 0x008000, 0x808000]);
        Assert.That(gray.Knows([MaskValues.Of(Gray(255, 0))]), Is.True);
        Assert.That(gray.Knows([MaskValues.Of(red)]), Is.False, "red has no blue, and is not black");
        Assert.That(gray.Knows([MaskValues.Of(voc)]), Is.False);
        RawMask white = Indices([0, 0xFFFFFF]);
        Assert.That(gray.Knows([MaskValues.Of(white)]), Is.True, "gray colors are gray values");
        Assert.That(gray.Apply("a", white).Classes, Is.EqualTo(new byte[] { 0, 1 }));
        Assert.That(
            () => gray.Apply("b.png", red),
            Throws.TypeOf<DatasetException>().With.Message.EqualTo("b.png: has colors; expected values, as the other masks have"));

        MaskMeaning indices = Read([voc]);
        RawMask swapped = Indices([0, 0x008000, 0x800000, 0x808000]), other = Indices([0, 0x800000, 0x0000FF]);
        foreach (MaskMeaning same in new[] { indices, MasksDocument.Of(indices).ToMeaning(indices.Labels) })
        {
            Assert.That(same.Knows([MaskValues.Of(voc)]), Is.True);
            Assert.That(same.OtherColor([MaskValues.Of(voc)]), Is.Null);
            Assert.That(same.Knows([MaskValues.Of(swapped)]), Is.True, "the same colors, other indices");
            Assert.That(same.Apply("b.png", swapped).Classes, Is.EqualTo(new byte[] { 0, 2, 1, 3 }));
            Assert.That(same.Knows([MaskValues.Of(other)]), Is.False, "the same indices, another color");
            Assert.That(same.OtherColor([MaskValues.Of(other)]), Is.EqualTo("index 2 of the masks is #0000FF, in the training #008000"));
            Assert.That(() => same.Apply("b.png", other), Throws.TypeOf<DatasetException>().With.Message.Contains("of another palette"));
        }

        MaskMeaning colors = Read([Color(0, 0xFF0000, 0x0000FF)]);
        Assert.That(colors.Knows([MaskValues.Of(Gray(0, 0))]), Is.True, "a color file that is all black is read as gray");
        Assert.That(colors.Knows([MaskValues.Of(Indices([0, 0xFF0000]))]), Is.True, "colors are colors");
        Assert.That(colors.Knows([MaskValues.Of(Gray(0, 1))]), Is.False);
    }

    [Test]
    public void Indices_count_where_the_palette_of_the_training_is_not_known()
    {
        MaskMeaning older = new MasksDocument("palette", [0, 1, 2], [0, 1, 2]).ToMeaning(["background", "1", "2"]);
        RawMask background = new(2, 1, MaskEncoding.Palette, [0, 0]) { Palette = [0, 0x00FF00, 0xFF0000] };
        MaskValues[] part = [MaskValues.Of(background), MaskValues.Of(Indices([0, 0x00FF00]))];
        Assert.That(older.Knows(part), Is.True, "a part may lack a class");
        Assert.That(older.Apply("a", Indices([0, 0x00FF00, 0xFF0000])).Classes, Is.EqualTo(new byte[] { 0, 1, 2 }));
        Assert.That(older.Describe(part), Does.EndWith("; the palette of the training is not known, so that indices are compared"));
        // A labels file may name an index that is beyond the palette.
        MaskMeaning ruled = Ruled("0 background\n1 lesion\n255 ignore", Indices([0, 0xFF0000]));
        int[] padded = new int[256];
        padded[1] = 0xFF0000;
        RawMask ignored = new(3, 1, MaskEncoding.Palette, [0, 1, 255]) { Palette = padded };
        foreach (MaskMeaning same in new[] { ruled, MasksDocument.Of(ruled).ToMeaning(ruled.Labels) })
            Assert.That(same.Apply("a", ignored).Classes, Is.EqualTo(new byte[] { 0, 1, LabelMap.Ignored }));
    }

    [TestCase("background liver kidney spleen", new[] { 0, 1, 3 }, "background liver spleen", "; no mask has 'kidney' (2) of classes.txt")]
    [TestCase("liver kidney spleen", new[] { 0, 1, 3 }, "background liver spleen", "; no mask has 'kidney' (2) of classes.txt")]
    [TestCase("background liver", new[] { 0, 1, 3, 4 }, "background liver 3 4", "; classes.txt has no name for 3, 4")]
    [TestCase("background liver kidney", new[] { 1, 2 }, "background liver kidney", "")]
    [TestCase("background liver kidney", new[] { 0, 1, 2, 255 }, "background liver kidney", "")]
    [TestCase("background tumour", new[] { 0, 255 }, "tumour", ""), TestCase("tumour", new[] { 0, 255 }, "tumour", "")]
    [TestCase("road car tree", new[] { 0, 1, 2 }, "road car tree", "; classes.txt has as many names as there are values: ")]
    [TestCase("road car tree", new[] { 0, 1, 2, 255 }, "road car tree", "the first, 'road', is 0")]
    [TestCase("normal tumour", new[] { 0, 1 }, "tumour", "the first, 'normal', is 0")]
    [TestCase("normal tumour", new[] { 0, 255 }, "tumour", "the first, 'normal', is 0")]
    [TestCase("liver kidney", new[] { 1, 2 }, "background liver kidney", "")]
    [TestCase("background a b", new[] { 0, 255 }, "lesion", "; classes.txt has no name for 255; no mask has 'a' (1), 'b' (2) of ")]
    public void The_number_of_a_name_is_its_value(string names, int[] values, string labels, string says)
    {
        RawMask mask = Gray([.. values.SelectMany(value => Enumerable.Repeat(value, 6))]);
        MaskMeaning meaning = MaskReader.Read("d", [MaskValues.Of(mask)], null, names.Split(' '));
        Assert.That(string.Join(' ', meaning.Labels), Is.EqualTo(labels));
        string line = meaning.Describe([MaskValues.Of(mask)]);
        Assert.That(line, Does.Contain(says));
        if (says.Length == 0) Assert.That(line, Does.Not.Contain("classes.txt"));
        byte? last = meaning.ClassOf(values.Last(value => value < 255));
        if (meaning.Labels.Count > 1) Assert.That(last, Is.EqualTo(meaning.Labels.Count - 1));
    }

    [Test]
    public void Names_that_may_be_of_several_values_are_refused_and_colors_get_none()
    {
        Assert.That(
            () => MaskReader.Read("d", [MaskValues.Of(Gray(0, 1))], null, ["road", "car", "tree"]),
            Throws.TypeOf<DatasetException>().With.Message.StartsWith("d: classes.txt begins with 'road', which may be value 0 or 1"));
        RawMask mask = Color(0, 0xFF0000, 0x0000FF);
        MaskMeaning meaning = MaskReader.Read("d", [MaskValues.Of(mask)], null, ["background", "tumour", "stroma"]);
        Assert.That(meaning.Labels, Is.EqualTo(new[] { "background", "#0000FF", "#FF0000" }), "red and blue are equally bright");
        Assert.That(meaning.Describe([MaskValues.Of(mask)]), Does.EndWith(
            "; classes.txt names classes and no colors: --labels FILE names them, with a line a class as '#FF0000 stroma'"));
        mask = Color(0, 0xFF0000);
        foreach (string[] names in new string[][] { ["tumour"], ["normal", "tumour"] })
            Assert.That(MaskReader.Read("d", [MaskValues.Of(mask)], null, names).Labels, Is.EqualTo(new[] { "tumour" }));
    }

    [Test]
    public void Ignored_pixels_beside_many_small_values_are_no_soft_edges()
    {
        int[] few = [.. Enumerable.Range(1, 20).SelectMany(value => Enumerable.Repeat(value, 6))];
        RawMask scribbles = Gray([.. Enumerable.Repeat(0, 200), .. few, .. Enumerable.Repeat(255, 200)]);
        MaskMeaning meaning = Read([scribbles]);
        Assert.That((meaning.Threshold, meaning.Ignores, meaning.Labels.Count), Is.EqualTo(((int?)null, true, 21)));
        int[] edge = [.. Enumerable.Range(0, 200)];
        RawMask soft = Gray([.. Enumerable.Repeat(0, 999), .. edge, .. Enumerable.Repeat(255, 999)]);
        Assert.That(Read([soft]).Threshold, Is.EqualTo(127), "levels up to 199 are those of an edge");
    }

    [Test]
    public void A_transparent_mask_among_opacities_is_empty()
    {
        RawMask lesion = new(3, 1, MaskEncoding.Alpha, [0, 255, 255]), white = Gray(255, 255, 255) with { Opacity = 0 };
        MaskMeaning meaning = Read([lesion, white]);
        Assert.That(meaning.Encoding, Is.EqualTo(MaskEncoding.Alpha));
        Assert.That(meaning.Apply("a", lesion).Classes, Is.EqualTo(new byte[] { 0, 1, 1 }));
        Assert.That(meaning.Apply("b", white).Classes, Is.All.Zero);
        Assert.That(meaning.Apply("b", white with { Opacity = 255 }).Classes, Is.All.EqualTo(1));
        Assert.That(meaning.Describe([MaskValues.Of(lesion), MaskValues.Of(white)]), Does.Contain("absent in 1 images"));
        Assert.That(Read([lesion, Gray(0, 0, 0)]).Apply("c", Gray(0, 0, 0)).Classes, Is.All.Zero, "black without opacities is empty, too");
        foreach (RawMask other in new[] { Gray(0, 255, 0), Gray(9, 9, 9), Color(0xFF0000, 0xFF0000, 0xFF0000) })
            Refuses([lesion, other], "1 masks differ in their opacities alone, 1 others in their colors or gray values");
    }

    [Test]
    public void Masks_of_one_bit_beside_colors_or_jpeg_are_refused()
    {
        Refuses([Gray(0, 1, 1), Indices([0, 0xFFFFFF])], "1 masks have gray value 1, 1 others colors (#000000, #010101, #FFFFFF)");
        Assert.That(Read([Gray(0, 255, 255), Indices([0, 0xFFFFFF])]).Labels, Has.Count.EqualTo(1), "white is white");
        RawMask noisy = Gray(0, 1, 3, 2, 0, 0, 250, 255, 254, 255) with { Lossy = true };
        Refuses([Gray(0, 1, 1), noisy], "1 masks have values 0 and 1, others are compressed by JPEG");
    }

    private string Text(string text, string name = "labels.txt")
    {
        _folder.Write(name, System.Text.Encoding.UTF8.GetBytes(text));
        return Path.Combine(_folder.Root, name);
    }

    private MaskMeaning Ruled(string text, RawMask mask, string name = "labels.txt") =>
        MaskReader.Read("d", [MaskValues.Of(mask)], MaskLabels.Read(Text(text, name)), null);

    private static RawMask Gray(params int[] values) => new(values.Length, 1, MaskEncoding.Gray, values);

    private static RawMask Color(params int[] values) => new(values.Length, 1, MaskEncoding.Color, values);

    /// <summary>A pixel of each index of a palette.</summary>
    private static RawMask Indices(int[] palette) =>
        new(palette.Length, 1, MaskEncoding.Palette, [.. Enumerable.Range(0, palette.Length)]) { Palette = palette };

    private static MaskMeaning Read(RawMask[] masks) => MaskReader.Read("d", Array.ConvertAll(masks, MaskValues.Of), null, null);

    private static void Refuses(RawMask[] masks, string says) =>
        Assert.That(() => Read(masks), Throws.TypeOf<DatasetException>().With.Message.StartsWith("d: ").And.Message.Contains(says));
}
