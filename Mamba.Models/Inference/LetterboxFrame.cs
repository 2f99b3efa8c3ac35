using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;

namespace Mamba.Models.Inference;

/// <summary>The rectangle of a model's input that pictures of one size fill if they keep their aspect ratio.</summary>
internal sealed class LetterboxFrame
{
    private readonly int _imageWidth, _imageHeight, _top, _left, _height, _width;
    private readonly BatchOptions _input;
    private readonly BatchWriter _writer;

    /// <summary>Centers the rectangle.</summary>
    /// <param name="image">A picture of the size.</param>
    /// <param name="input">The model's input.</param>
    public LetterboxFrame(Image image, BatchOptions input)
    {
        double scale = Math.Min((double)input.Height / image.Height, (double)input.Width / image.Width);
        (_imageWidth, _imageHeight, _input) = (image.Width, image.Height, input);
        _height = Math.Clamp((int)Math.Round(image.Height * scale), 1, input.Height);
        _width = Math.Clamp((int)Math.Round(image.Width * scale), 1, input.Width);
        (_top, _left) = ((input.Height - _height) / 2, (input.Width - _width) / 2);
        _writer = new BatchWriter(input with { Height = _height, Width = _width });
    }

    /// <summary>Whether a picture has the size.</summary>
    /// <param name="image">The picture.</param>
    /// <returns>True if it has.</returns>
    public bool IsFor(Image image) => image.Width == _imageWidth && image.Height == _imageHeight;

    /// <summary>Writes a picture into the middle of an input of zeros, which is the mean color of normalized pictures.</summary>
    /// <param name="image">The picture.</param>
    /// <returns>(1, H, W, channels) of the model.</returns>
    public Tensor Write(Image image)
    {
        Tensor small = Tensor.Empty(1, _height, _width, _input.Channels), x = Tensor.Zeros(1, _input.Height, _input.Width, _input.Channels);
        _writer.Image(image, small.Span);
        int row = _width * _input.Channels;
        for (int y = 0; y < _height; y++)
            small.Span.Slice(y * row, row).CopyTo(x.Span[(((_top + y) * _input.Width + _left) * _input.Channels)..]);
        return x;
    }

    /// <summary>The part of a prediction that belongs to the picture.</summary>
    /// <param name="y">(1, H, W, classes).</param>
    /// <returns>(1, rows, columns, classes).</returns>
    public Tensor Cut(Tensor y) => Ops.Slice(Ops.Slice(y, 1, _top, _height), 2, _left, _width);
}
