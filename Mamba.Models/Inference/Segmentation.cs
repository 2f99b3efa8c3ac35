using Mamba.Models.Data;

namespace Mamba.Models.Inference;

/// <summary>The result of a <see cref="Segmenter"/>.</summary>
public sealed class Segmentation
{
    private readonly byte[] _pixels;
    private readonly byte _foreground;
    private Image? _mask;
    private LabelMap? _classes;

    /// <summary>Counts the pixels of each class.</summary>
    /// <param name="picture">The picture.</param>
    /// <param name="pixels">As <see cref="Segmenter.Segment(Image, Span{byte})"/> writes them.</param>
    /// <param name="classes">Classes of the model, 1 for a mask.</param>
    internal Segmentation(Image picture, byte[] pixels, int classes)
    {
        (Width, Height, _pixels, _foreground) = (picture.Width, picture.Height, pixels, classes == 1 ? byte.MaxValue : (byte)0);
        int[] areas = new int[Math.Max(2, classes)];
        foreach (byte pixel in pixels) areas[classes == 1 ? pixel >> 7 : pixel]++;
        Areas = areas;
    }

    /// <summary>Columns of the picture.</summary>
    public int Width { get; }

    /// <summary>Rows of the picture.</summary>
    public int Height { get; }

    /// <summary>One channel of the picture's size: 255 where a pixel is not background, 0 elsewhere.</summary>
    public Image Mask => _mask ??= new Image(
        Width, Height, 1, _foreground != 0 ? _pixels : Array.ConvertAll(_pixels, p => p != 0 ? byte.MaxValue : (byte)0));

    /// <summary>The class of each pixel; that of a mask is 0 or 1.</summary>
    public LabelMap Classes => _classes ??= new LabelMap(
        Width, Height, _foreground == 0 ? _pixels : Array.ConvertAll(_pixels, p => (byte)(p >> 7)));

    /// <summary>Pixels that are not background.</summary>
    public int Area => _pixels.Length - Areas[0];

    /// <summary>Pixels of each class, the background first.</summary>
    public IReadOnlyList<int> Areas { get; }

    /// <summary>The mean over pixels of the probability of what was chosen.</summary>
    public required double Confidence { get; init; }

    /// <summary>Time of the model, without decoding.</summary>
    public required double Milliseconds { get; init; }

    /// <summary>Pixels of the largest connected region of a class, see <see cref="ConnectedComponents"/>.</summary>
    /// <param name="class">Its index; 1 is the class of a mask.</param>
    /// <returns>Pixels; 0 where the class is absent.</returns>
    public int LargestComponent(int @class) =>
        ConnectedComponents.Largest(_pixels, Width, _foreground != 0 && @class == 1 ? _foreground : (byte)@class);
}
