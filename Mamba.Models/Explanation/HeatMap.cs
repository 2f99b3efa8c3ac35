using Mamba.Models.Data;
using Mamba.Models.Data.Loading;

namespace Mamba.Models.Explanation;

/// <summary>Pictures of explanations.</summary>
public static class HeatMap
{
    // Small pictures are enlarged to this many pixels a side.
    private const int LeastSide = 256;

    // Above this share of the pixels values have the brightest color, so that one peak does not darken the rest.
    private const double BrightShare = 0.995;
    private const int ColorPercent = 60;

    // From near black to pale yellow, by violet and orange. CIE lightness is 3, 19, 36, 54, 73 and 97: nearly linear.
    private static readonly (int R, int G, int B)[] s_anchors =
        [(12, 7, 34), (62, 25, 105), (148, 38, 112), (222, 80, 62), (250, 160, 40), (252, 250, 170)];

    /// <summary>A color whose lightness grows with the value.</summary>
    /// <param name="value">From 0 to 1; others are clamped.</param>
    /// <returns>Red, green, blue.</returns>
    public static (byte R, byte G, byte B) Color(double value)
    {
        double position = Math.Clamp(double.IsNaN(value) ? 0 : value, 0, 1) * (s_anchors.Length - 1);
        int low = Math.Min((int)position, s_anchors.Length - 2);
        (int R, int G, int B) a = s_anchors[low], b = s_anchors[low + 1];
        double t = position - low;
        return ((byte)Math.Round(a.R + t * (b.R - a.R)), (byte)Math.Round(a.G + t * (b.G - a.G)), (byte)Math.Round(a.B + t * (b.B - a.B)));
    }

    /// <summary>The picture in gray below the colors of a map, from its least value to one that few pixels exceed.</summary>
    /// <param name="explanation">The picture; a small cross marks the pixel from which is looked.</param>
    /// <param name="map">One of its maps.</param>
    /// <returns>Three channels; small pictures are enlarged by a whole factor.</returns>
    public static Image Overlay(ImageExplanation explanation, ExplanationMap map)
    {
        ArgumentNullException.ThrowIfNull(explanation);
        ArgumentNullException.ThrowIfNull(map);
        Image picture = explanation.Picture;
        int factor = Factor(picture), width = factor * picture.Width, height = factor * picture.Height;
        float[] values = new float[width * height], sorted = [.. map.Pixels];
        PlaneResize.Run(sorted, (picture.Height, picture.Width), values, (height, width), 1, Resampling.Bilinear);
        Array.Sort(sorted);
        double low = sorted[0], range = sorted[(int)(BrightShare * (sorted.Length - 1))] - low;
        if (range <= 0) range = sorted[^1] > low ? sorted[^1] - low : 1; // few pixels have all there is; or none has anything
        Image result = new(width, height, 3);
        for (int i = 0; i < values.Length; i++)
        {
            int at = 3 * (i / width / factor * picture.Width + i % width / factor);
            int gray = (picture.Pixels[at] + picture.Pixels[at + 1] + picture.Pixels[at + 2]) / 3;
            (byte r, byte g, byte b) = Color((values[i] - low) / range);
            Span<byte> to = result.Pixels.AsSpan(3 * i, 3);
            (to[0], to[1], to[2]) = (Mixed(gray, r), Mixed(gray, g), Mixed(gray, b));
        }
        if (explanation.Target.InputPixel is { } pixel) Mark(result, pixel, factor);
        return result;

        static byte Mixed(int gray, int color) => (byte)((gray * (100 - ColorPercent) + color * ColorPercent) / 100);
    }

    /// <summary>The picture, with the explained region of a segmentation tinted and outlined.</summary>
    /// <param name="explanation">The picture.</param>
    /// <returns>Three channels; small pictures are enlarged by a whole factor.</returns>
    public static Image Picture(ImageExplanation explanation)
    {
        ArgumentNullException.ThrowIfNull(explanation);
        Image picture = explanation.Picture;
        if (explanation.Target.Region is { } region) picture = Overlays.Overlay(picture, region, Overlays.Prediction);
        int factor = Factor(picture), width = factor * picture.Width;
        Image result = new(width, factor * picture.Height, 3);
        for (int i = 0; i < width * result.Height; i++)
            picture.Pixels.AsSpan(3 * (i / width / factor * picture.Width + i % width / factor), 3).CopyTo(result.Pixels.AsSpan(3 * i));
        if (explanation.Target.InputPixel is { } pixel) Mark(result, pixel, factor);
        return result;
    }

    private static int Factor(Image picture) => Math.Max(1, LeastSide / Math.Min(picture.Width, picture.Height));

    /// <summary>A white cross around a pixel, open in the middle.</summary>
    private static void Mark(Image image, (int X, int Y) pixel, int factor)
    {
        const int Gap = 3, Arm = 7;
        int x = pixel.X * factor + factor / 2, y = pixel.Y * factor + factor / 2;
        for (int d = -Arm; d <= Arm; d++)
        {
            if (Math.Abs(d) < Gap) continue;
            White(x + d, y);
            White(x, y + d);
        }

        void White(int atX, int atY)
        {
            if (atX >= 0 && atY >= 0 && atX < image.Width && atY < image.Height)
                image.Pixels.AsSpan(3 * (atY * image.Width + atX), 3).Fill(byte.MaxValue);
        }
    }
}
