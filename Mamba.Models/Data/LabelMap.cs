namespace Mamba.Models.Data;

/// <summary>The class of each pixel: the ground truth of segmentation, or a prediction.</summary>
public sealed class LabelMap
{
    /// <summary>The value of a pixel that belongs to no class; losses and scores leave it out, as Pascal VOC's 255.</summary>
    public const byte Ignored = 255;

    /// <summary>The most classes, the background included.</summary>
    public const int MaxClasses = 255;

    /// <summary>Wraps class indices.</summary>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <param name="classes">height x width class indices, rows from the top; kept, not copied.</param>
    /// <exception cref="ArgumentException">Their number does not fit the size.</exception>
    public LabelMap(int width, int height, byte[] classes)
    {
        if (width < 1 || height < 1 || (long)width * height != classes.Length)
            throw new ArgumentException($"LabelMap: {classes.Length} pixels for {width} x {height}; expected width x height of them.");
        (Width, Height, Classes) = (width, height, classes);
    }

    /// <summary>A map of background.</summary>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    public LabelMap(int width, int height)
        : this(width, height, new byte[checked(width * height)])
    {
    }

    /// <summary>Columns.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>(Height, Width) class indices in row-major order: 0 is background, <see cref="Ignored"/> no class.</summary>
    public byte[] Classes { get; }
}
