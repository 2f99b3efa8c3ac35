using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;

namespace Mamba.Models.Inference;

/// <summary>The rectangle of a model's input that a picture fills if it keeps its aspect ratio.</summary>
/// <param name="Top">Its first row.</param>
/// <param name="Left">Its first column.</param>
/// <param name="Height">Rows.</param>
/// <param name="Width">Columns.</param>
internal sealed record LetterboxFrame(int Top, int Left, int Height, int Width)
{
    /// <summary>Writes a picture into the middle of an input of zeros, which is the mean color of normalized pictures.</summary>
    /// <param name="image">The picture.</param>
    /// <param name="input">The model's input.</param>
    /// <returns>(1, H, W, channels) of the model, and where the picture is.</returns>
    public static (Tensor Input, LetterboxFrame Frame) Write(Image image, BatchOptions input)
    {
        double scale = Math.Min((double)input.Height / image.Height, (double)input.Width / image.Width);
        int height = Math.Clamp((int)Math.Round(image.Height * scale), 1, input.Height);
        int width = Math.Clamp((int)Math.Round(image.Width * scale), 1, input.Width);
        LetterboxFrame frame = new((input.Height - height) / 2, (input.Width - width) / 2, height, width);
        Tensor small = Tensor.Empty(1, height, width, input.Channels), x = Tensor.Zeros(1, input.Height, input.Width, input.Channels);
        new BatchWriter(input with { Height = height, Width = width }).Image(image, small.Span);
        int row = width * input.Channels;
        for (int y = 0; y < height; y++)
            small.Span.Slice(y * row, row).CopyTo(x.Span[(((frame.Top + y) * input.Width + frame.Left) * input.Channels)..]);
        return (x, frame);
    }

    /// <summary>The part of a prediction that belongs to the picture.</summary>
    /// <param name="y">(1, H, W, classes).</param>
    /// <returns>(1, Height, Width, classes).</returns>
    public Tensor Cut(Tensor y) => Ops.Slice(Ops.Slice(y, 1, Top, Height), 2, Left, Width);
}
