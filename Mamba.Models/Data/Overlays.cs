using CommunityToolkit.HighPerformance;
using Mamba.Core;

namespace Mamba.Models.Data;

/// <summary>Pictures of what a model reads and predicts.</summary>
public static class Overlays
{
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
        Mask(probabilities, mask.Pixels);
        return mask;
    }

    /// <summary>255 where a probability is at least one half, 0 elsewhere.</summary>
    /// <param name="probabilities">A value a pixel.</param>
    /// <param name="mask">As many pixels.</param>
    internal static void Mask(ReadOnlySpan<float> probabilities, Span<byte> mask)
    {
        for (int i = 0; i < probabilities.Length; i++) mask[i] = probabilities[i] >= 0.5f ? (byte)255 : (byte)0;
    }

    /// <summary>The picture with three channels of 8 bits.</summary>
    /// <param name="image">1 or 3 channels, of 8 or 16 bits.</param>
    /// <returns>The picture itself if it has them.</returns>
    public static Image Plain(Image image) =>
        image.Channels == 3 ? image.To8Bit() : Overlay(image, new Image(image.Width, image.Height, 1), default);

    /// <summary>The picture with the masked region tinted and outlined.</summary>
    /// <param name="image">1 or 3 channels, of 8 or 16 bits.</param>
    /// <param name="mask">One channel of 8 bits, of the same size.</param>
    /// <param name="color">The tint.</param>
    /// <returns>Three channels of 8 bits.</returns>
    /// <exception cref="ShapeException">The sizes differ.</exception>
    public static Image Overlay(Image image, Image mask, (byte R, byte G, byte B) color)
    {
        const int TintPercent = 30;
        if (image.Width != mask.Width || image.Height != mask.Height)
            throw new ShapeException(
                "Overlays.Overlay",
                $"an image of {image.Width} x {image.Height} and a mask of {mask.Width} x {mask.Height}; expected equal sizes");
        byte[] pixels = image.To8Bit().Pixels;
        Image result = new(image.Width, image.Height, 3);
        for (int y = 0, p = 0; y < image.Height; y++)
            for (int x = 0; x < image.Width; x++, p++)
            {
                bool inside = mask.Pixels[p] >= 128;
                int tint = !inside ? 0 : IsEdge(mask, x, y) ? 100 : TintPercent;
                for (int c = 0; c < 3; c++)
                {
                    int value = pixels[p * image.Channels + (image.Channels == 1 ? 0 : c)];
                    int target = c == 0 ? color.R : c == 1 ? color.G : color.B;
                    result.Pixels[p * 3 + c] = (byte)((value * (100 - tint) + target * tint) / 100);
                }
            }
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

    private static bool IsEdge(Image mask, int x, int y) =>
        x == 0 || y == 0 || x == mask.Width - 1 || y == mask.Height - 1
        || mask.Pixels[y * mask.Width + x - 1] < 128 || mask.Pixels[y * mask.Width + x + 1] < 128
        || mask.Pixels[(y - 1) * mask.Width + x] < 128 || mask.Pixels[(y + 1) * mask.Width + x] < 128;
}
