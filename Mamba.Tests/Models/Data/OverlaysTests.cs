using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Colors, legends and pictures of errors.</summary>
internal sealed class OverlaysTests
{
    [Test]
    public void Colors_are_stable_and_differ()
    {
        (byte R, byte G, byte B)[] colors = [.. Enumerable.Range(0, LabelMap.MaxClasses).Select(ClassColors.Of)];
        Assert.That(colors, Is.Unique);
        Assert.That(colors[..4], Is.EqualTo(new[] { (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115) }), "Okabe and Ito");
        // Written down once, so that no later change of the formula moves a color.
        Assert.That(
            (colors[8], colors[9], colors[254]),
            Is.EqualTo((((byte)239, (byte)143, (byte)143), ((byte)22, (byte)61, (byte)156), ((byte)239, (byte)164, (byte)143))));
        for (int c = 8; c + 1 < colors.Length; c++)
            Assert.That(
                Math.Abs(colors[c].R - colors[c + 1].R) + Math.Abs(colors[c].G - colors[c + 1].G) + Math.Abs(colors[c].B - colors[c + 1].B),
                Is.GreaterThan(100), $"neighbors {c} and {c + 1}");
        Assert.That(() => ClassColors.Of(255), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => ClassColors.Of(-1), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Classes_are_tinted_and_outlined_in_their_colors()
    {
        Image image = Pictures.Random(9, 8, 1);
        LabelMap map = new(9, 8);
        for (int y = 1; y < 7; y++)
            for (int x = 1; x < 8; x++) map.Classes[y * 9 + x] = x < 5 ? (byte)1 : (byte)2;
        map.Classes[0] = LabelMap.Ignored;
        Image overlay = Overlays.Overlay(image, map);
        for (int i = 0; i < 72; i++)
        {
            int y = i / 9, x = i % 9, own = map.Classes[i], value = image.Pixels[i];
            bool tinted = own is 1 or 2, edge = tinted && (y is 1 or 6 || x is 1 or 4 or 5 or 7);
            (int r, int g, int b) = own switch { 1 => (230, 159, 0), 2 => (86, 180, 233), _ => (0, 0, 0) };
            int percent = edge ? 100 : tinted ? 45 : 0;
            int[] expected = [.. new[] { r, g, b }.Select(c => (value * (100 - percent) + c * percent) / 100)];
            Assert.That(overlay.Pixels.AsSpan(3 * i, 3).ToArray(), Is.EqualTo(expected), $"pixel {x}, {y}");
        }
        Assert.That(() => Overlays.Overlay(image, new LabelMap(8, 9)), Throws.TypeOf<ShapeException>().With.Message.Contains("9 x 8"));
    }

    [Test]
    public void Painting_in_place_is_the_overlay()
    {
        LabelMap map = new(9, 8, Array.ConvertAll(Numbers.Uniform(72, 3, 0f, 2.5f), v => (byte)v));
        Image classes = Pictures.Random(9, 8, 3), mask = Pictures.Random(9, 8, 3);
        byte[] expected = Overlays.Overlay(classes, map).Pixels;
        Overlays.Paint(classes, map);
        Assert.That(classes.Pixels, Is.EqualTo(expected));
        LabelMap one = new(9, 8, Array.ConvertAll(map.Classes, c => c == 1 ? (byte)1 : (byte)0));
        expected = Overlays.Overlay(mask, new Image(9, 8, 1, Array.ConvertAll(one.Classes, c => (byte)(255 * c))), (9, 8, 7)).Pixels;
        Overlays.Paint(mask, one, (9, 8, 7));
        Assert.That(mask.Pixels, Is.EqualTo(expected));
        Assert.That(() => Overlays.Paint(new Image(9, 8, 1), map), Throws.TypeOf<ShapeException>());
    }

    [Test]
    public void Errors_have_three_colors()
    {
        Image image = new(6, 1, 3);
        LabelMap truth = new(6, 1, [0, 1, 2, 1, 0, 255]), prediction = new(6, 1, [0, 1, 0, 2, 1, 1]);
        byte[] pixels = Overlays.Errors(image, truth, prediction).Pixels;
        (byte, byte, byte)[] colors = [default, ClassColors.Found, ClassColors.Missed, ClassColors.Wrong, ClassColors.Wrong, default];
        for (int i = 0; i < 6; i++)
        {
            (byte r, byte g, byte b) = colors[i];
            Assert.That(pixels.AsSpan(3 * i, 3).ToArray(), Is.EqualTo(new[] { r * 65 / 100, g * 65 / 100, b * 65 / 100 }), $"pixel {i}");
        }
    }

    [Test]
    public void A_legend_names_the_classes_that_occur()
    {
        string[] labels = ["background", "disc", "square", "a class whose name is far wider than the picture can be"];
        LabelMap map = new(90, 40);
        (map.Classes[0], map.Classes[1], map.Classes[2]) = (3, 1, LabelMap.Ignored);
        ((byte R, byte G, byte B) Color, string Name)[] legend = [.. Overlays.Legend(labels, map)];
        Assert.That(legend, Is.EqualTo(new[] { (ClassColors.Of(1), "disc"), (ClassColors.Of(3), labels[3]) }));
        Image picture = new(90, 40, 3), with = Overlays.WithLegend(picture, legend);
        Assert.That((with.Width, with.Height), Is.EqualTo((90, 40 + 2 * 10 + 3)), "a row for each, as both do not fit into one");
        Assert.That(with.Pixels.AsSpan(0, picture.Pixels.Length).SequenceEqual(picture.Pixels), "the picture itself is untouched");
        Assert.That(Pixel(with, 5, 45), Is.EqualTo(ClassColors.Of(1)), "a swatch");
        Assert.That(Pixel(with, 5, 55), Is.EqualTo(ClassColors.Of(3)));
        Assert.That(Pixel(with, 1, 41), Is.EqualTo(((byte)255, (byte)255, (byte)255)));
        Assert.That(Overlays.WithLegend(picture, []), Is.SameAs(picture));
    }

    [Test]
    public void Letters_are_told_apart_and_stay_inside()
    {
        HashSet<string> shapes = [];
        for (char c = ' '; c <= '~'; c++)
        {
            Image cell = new(7, 9, 3);
            BitmapText.Draw(cell, 1, 1, $"{c}", (255, 255, 255));
            Assert.That(shapes.Add(Convert.ToHexString(cell.Pixels)), $"'{c}' looks like another letter");
            for (int x = 0; x < 7; x++)
                Assert.That((Pixel(cell, x, 0).R, Pixel(cell, x, 8).R), Is.EqualTo((0, 0)), $"'{c}' is 7 rows high");
        }
        Image other = new(7, 9, 3), question = new(7, 9, 3);
        BitmapText.Draw(other, 1, 1, "\u00E4", (255, 255, 255));
        BitmapText.Draw(question, 1, 1, "?", (255, 255, 255));
        Assert.That(other.Pixels, Is.EqualTo(question.Pixels));
        Image double_ = new(10, 14, 3);
        BitmapText.Draw(double_, 0, 0, "I", (9, 9, 9), scale: 2);
        Assert.That((Pixel(double_, 2, 0).R, Pixel(double_, 7, 1).R, Pixel(double_, 0, 0).R), Is.EqualTo((9, 9, 0)));
        Assert.That(() => BitmapText.Draw(double_, -3, 12, "outside", (1, 1, 1), 3), Throws.Nothing);
        string[] cut = [.. new[] { 35, 34, 10 }.Select(width => BitmapText.Fit("abcdef", width))];
        Assert.That(cut, Is.EqualTo(new[] { "abcdef", "abc..", "" }));
    }

    private static (byte R, byte G, byte B) Pixel(Image image, int x, int y)
    {
        int at = (y * image.Width + x) * 3;
        return (image.Pixels[at], image.Pixels[at + 1], image.Pixels[at + 2]);
    }
}
