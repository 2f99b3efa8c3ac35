using CommunityToolkit.HighPerformance;
using Mamba.Core;

namespace Mamba.Models.Data;

/// <summary>Pictures of what a model reads and predicts.</summary>
public static class Overlays
{
    private const int TintPercent = 30, ClassTintPercent = 45, OutlinePercent = 100;

    // From twice this width on, letters of legends and captions are larger.
    private const int LegendWidth = 320;

    /// <summary>The color of a prediction: red.</summary>
    public static (byte R, byte G, byte B) Prediction => (255, 64, 48);

    /// <summary>The color of the truth: green.</summary>
    public static (byte R, byte G, byte B) Truth => (64, 220, 96);

    /// <summary>Turns a model's input back into a picture.</summary>
    /// <param name="input">(H, W, C) normalized values of one image.</param>
    /// <param name="height">H.</param>
    /// <param name="width">W.</param>
    /// <param name="normalization">The normalization to undo.</param>
    /// <returns>The picture, with C channels.</returns>
    public static Image FromInput(ReadOnlySpan<float> input, int height, int width, Normalization normalization)
    {
        int channels = normalization.Mean.Length;
        Image image = new(width, height, channels);
        for (int i = 0; i < input.Length; i++)
        {
            float value = input[i] * normalization.Std[i % channels] + normalization.Mean[i % channels];
            image.Pixels[i] = (byte)Math.Clamp(MathF.Round(value * 255f), 0f, 255f);
        }
        return image;
    }

    /// <summary>White where a probability is at least one half.</summary>
    /// <param name="probabilities">A value a pixel.</param>
    /// <param name="height">Rows.</param>
    /// <param name="width">Columns.</param>
    /// <returns>One channel of 0 and 255.</returns>
    public static Image Mask(ReadOnlySpan<float> probabilities, int height, int width)
    {
        Image mask = new(width, height, 1);
        PixelClasses.AtLeast(probabilities, 0.5f, byte.MaxValue, mask.Pixels);
        return mask;
    }

    /// <summary>The picture with three channels of 8 bits.</summary>
    /// <param name="image">1 or 3 channels, of 8 or 16 bits.</param>
    /// <returns>The picture itself if it has them.</returns>
    public static Image Plain(Image image) =>
        image.Channels == 3 ? image.To8Bit() : Overlay(image, new Image(image.Width, image.Height, 1), default);

    /// <summary>The picture with the masked region tinted and outlined.</summary>
    /// <param name="image">1 or 3 channels.</param>
    /// <param name="mask">One channel of the same size.</param>
    /// <param name="color">The tint.</param>
    /// <returns>Three channels.</returns>
    /// <exception cref="ShapeException">The sizes differ.</exception>
    public static Image Overlay(Image image, Image mask, (byte R, byte G, byte B) color)
    {
        byte[] inside = Array.ConvertAll(mask.Pixels, p => p >= 128 ? (byte)1 : (byte)0);
        return Tint(image, new LabelMap(mask.Width, mask.Height, inside), _ => color, TintPercent, OutlinePercent);
    }

    /// <summary>The picture with each class but the background tinted and outlined in its color (<see cref="ClassColors"/>).</summary>
    /// <param name="image">1 or 3 channels.</param>
    /// <param name="classes">The classes, of the same size; ignored pixels are not tinted.</param>
    /// <returns>Three channels.</returns>
    /// <exception cref="ShapeException">The sizes differ.</exception>
    public static Image Overlay(Image image, LabelMap classes) =>
        Tint(image, classes, ClassColors.Of, ClassTintPercent, OutlinePercent);

    /// <summary>As <see cref="Overlay(Image, LabelMap)"/>, in place: a picture so large that two of them are too much.</summary>
    /// <param name="image">Three channels; overwritten.</param>
    /// <param name="classes">The classes, of the same size.</param>
    /// <param name="color">The tint of every class, as that of a mask; null for the colors of the classes.</param>
    /// <exception cref="ShapeException">The sizes differ, or the picture has no three channels.</exception>
    public static void Paint(Image image, LabelMap classes, (byte R, byte G, byte B)? color = null)
    {
        if (image.Channels != 3) throw new ShapeException("Overlays.Paint", $"{image.Channels} channel; expected 3");
        if (color is { } one) Tint(image, classes, _ => one, (TintPercent, OutlinePercent), image);
        else Tint(image, classes, ClassColors.Of, (ClassTintPercent, OutlinePercent), image);
    }

    /// <summary>
    /// What a prediction got right and wrong, on the picture in gray: <see cref="ClassColors.Found"/> where the class is right, <see
    /// cref="ClassColors.Missed"/> where background was predicted, <see cref="ClassColors.Wrong"/> where another class was.
    /// </summary>
    /// <param name="image">1 or 3 channels.</param>
    /// <param name="truth">The truth, of the same size; ignored pixels are not tinted.</param>
    /// <param name="prediction">The prediction, of the same size.</param>
    /// <returns>Three channels.</returns>
    /// <exception cref="ShapeException">The sizes differ.</exception>
    public static Image Errors(Image image, LabelMap truth, LabelMap prediction)
    {
        const int ErrorPercent = 65;
        ThrowIfUnequal(image, prediction.Width, prediction.Height);
        ThrowIfUnequal(image, truth.Width, truth.Height);
        byte[] kinds = new byte[truth.Classes.Length];
        for (int i = 0; i < kinds.Length; i++)
        {
            byte t = truth.Classes[i], p = prediction.Classes[i];
            kinds[i] = t == LabelMap.Ignored || (t == 0 && p == 0) ? (byte)0 : t == p ? (byte)1 : p == 0 ? (byte)2 : (byte)3;
        }
        LabelMap errors = new(truth.Width, truth.Height, kinds);
        return Tint(Gray(image), errors, ErrorColor, ErrorPercent, ErrorPercent);

        static (byte, byte, byte) ErrorColor(int kind) => kind switch
        {
            1 => ClassColors.Found,
            2 => ClassColors.Missed,
            _ => ClassColors.Wrong,
        };
    }

    /// <summary>A picture with a legend below it.</summary>
    /// <param name="picture">Three channels.</param>
    /// <param name="entries">Colors and what they mean; names that are wider than the picture are cut.</param>
    /// <returns>The picture itself where there are no entries; otherwise a higher one of the same width.</returns>
    public static Image WithLegend(Image picture, IEnumerable<((byte R, byte G, byte B) Color, string Name)> entries)
    {
        const int Margin = 3, Swatch = BitmapText.Height;
        int scale = Math.Max(1, picture.Width / LegendWidth), width = picture.Width / scale;
        List<(int X, int Row, string Name, (byte, byte, byte) Color)> placed = [];
        int x = Margin, row = 0;
        foreach (((byte, byte, byte) color, string name) in entries)
        {
            string text = BitmapText.Fit(name, width - 3 * Margin - Swatch);
            int length = Swatch + Margin + BitmapText.Width(text);
            if (x > Margin && x + length > width - Margin) (x, row) = (Margin, row + 1);
            placed.Add((x, row, text, color));
            x += length + 2 * Margin;
        }
        if (placed.Count == 0) return picture;
        int line = BitmapText.Height + Margin, height = (row + 1) * line + Margin;
        Image result = Enlarge(picture, height * scale);
        foreach ((int left, int at, string text, (byte, byte, byte) color) in placed)
        {
            int top = picture.Height + (Margin + at * line) * scale;
            BitmapText.Fill(result, left * scale, top, Swatch * scale, color);
            BitmapText.Draw(result, (left + Swatch + Margin) * scale, top, text, (0, 0, 0), scale);
        }
        return result;
    }

    /// <summary>The legend of the classes that occur in maps, without the background.</summary>
    /// <param name="labels">The names of the classes, the background first.</param>
    /// <param name="maps">The maps.</param>
    /// <returns>Colors and names, in the order of the classes.</returns>
    public static IEnumerable<((byte R, byte G, byte B) Color, string Name)> Legend(
        IReadOnlyList<string> labels, params ReadOnlySpan<LabelMap> maps)
    {
        bool[] occurs = new bool[256];
        foreach (LabelMap map in maps)
            foreach (byte value in map.Classes) occurs[value] = true;
        return [.. Enumerable.Range(1, labels.Count - 1).Where(c => occurs[c]).Select(c => (ClassColors.Of(c), labels[c]))];
    }

    /// <summary>A picture with a line of text below it.</summary>
    /// <param name="picture">Three channels.</param>
    /// <param name="text">The text; cut where it is wider than the picture.</param>
    /// <returns>A higher picture of the same width.</returns>
    public static Image WithCaption(Image picture, string text)
    {
        const int Margin = 3;
        int scale = Math.Max(1, picture.Width / LegendWidth);
        Image result = Enlarge(picture, (BitmapText.Height + 2 * Margin) * scale);
        string fitting = BitmapText.Fit(text, picture.Width / scale - 2 * Margin);
        BitmapText.Draw(result, Margin * scale, picture.Height + Margin * scale, fitting, (0, 0, 0), scale);
        return result;
    }

    /// <summary>Puts pictures of equal height side by side.</summary>
    /// <param name="images">At least one, three channels each.</param>
    /// <returns>One picture.</returns>
    public static Image SideBySide(params ReadOnlySpan<Image> images)
    {
        const int Gap = 4;
        int width = -Gap;
        foreach (Image image in images) width += image.Width + Gap;
        Image result = new(width, images[0].Height, 3);
        result.Pixels.AsSpan().Fill(255);
        int left = 0;
        Span2D<byte> target = new(result.Pixels, result.Height, width * 3);
        foreach (Image image in images)
        {
            new ReadOnlySpan2D<byte>(image.Pixels, image.Height, image.Width * 3)
                .CopyTo(target.Slice(0, left * 3, image.Height, image.Width * 3));
            left += image.Width + Gap;
        }
        return result;
    }

    private static Image Tint(Image image, LabelMap map, Func<int, (byte R, byte G, byte B)> colorOf, int tintPercent, int outlinePercent)
    {
        Image result = new(image.Width, image.Height, 3);
        Tint(image, map, colorOf, (tintPercent, outlinePercent), result);
        return result;
    }

    private static void Tint(
        Image image, LabelMap map, Func<int, (byte R, byte G, byte B)> colorOf, (int Inside, int Outline) percent, Image result)
    {
        ThrowIfUnequal(image, map.Width, map.Height);
        byte[] pixels = image.To8Bit().Pixels, to = result.Pixels;
        if (image.Channels == 3) pixels.CopyTo(to, 0);
        else
            for (int p = 0; p < pixels.Length; p++) to.AsSpan(3 * p, 3).Fill(pixels[p]);
        for (int y = 0; y < map.Height; y++)
        {
            ReadOnlySpan<byte> row = map.Classes.AsSpan(y * map.Width, map.Width);
            for (int x = row.IndexOfAnyExcept((byte)0); (uint)x < (uint)row.Length; x++)
            {
                if (row[x] is 0 or LabelMap.Ignored) continue;
                int tint = IsEdge(map, x, y) ? percent.Outline : percent.Inside;
                (byte r, byte g, byte b) = colorOf(row[x]);
                Span<byte> pixel = to.AsSpan(3 * (y * map.Width + x), 3);
                (pixel[0], pixel[1], pixel[2]) = (Mixed(pixel[0], r, tint), Mixed(pixel[1], g, tint), Mixed(pixel[2], b, tint));
            }
        }

        static byte Mixed(int value, int color, int percent) => (byte)((value * (100 - percent) + color * percent) / 100);
    }

    private static void ThrowIfUnequal(Image image, int width, int height)
    {
        if (image.Width != width || image.Height != height)
            throw new ShapeException(
                "Overlays.Overlay",
                $"an image of {image.Width} x {image.Height} and a mask of {width} x {height}; expected equal sizes");
    }

    private static Image Gray(Image image)
    {
        image = image.To8Bit();
        if (image.Channels == 1) return image;
        Image gray = new(image.Width, image.Height, 1);
        for (int i = 0; i < gray.Pixels.Length; i++)
            gray.Pixels[i] = (byte)((image.Pixels[3 * i] + image.Pixels[3 * i + 1] + image.Pixels[3 * i + 2]) / 3);
        return gray;
    }

    /// <summary>The picture with white rows below it.</summary>
    private static Image Enlarge(Image picture, int rows)
    {
        Image result = new(picture.Width, picture.Height + rows, 3);
        picture.Pixels.CopyTo(result.Pixels, 0);
        result.Pixels.AsSpan(picture.Pixels.Length).Fill(byte.MaxValue);
        return result;
    }

    /// <summary>Whether a pixel lies at the border of the picture or beside one of another class.</summary>
    private static bool IsEdge(LabelMap map, int x, int y)
    {
        int i = y * map.Width + x;
        byte own = map.Classes[i];
        return x == 0 || y == 0 || x == map.Width - 1 || y == map.Height - 1
            || map.Classes[i - 1] != own || map.Classes[i + 1] != own
            || map.Classes[i - map.Width] != own || map.Classes[i + map.Width] != own;
    }
}
