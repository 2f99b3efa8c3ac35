namespace Mamba.Models.Data;

/// <summary>A picture and its ground truth.</summary>
/// <param name="Image">The picture, 1 or 3 channels.</param>
public abstract record Sample(Image Image)
{
    /// <summary>Bytes of its pixels.</summary>
    public abstract long Bytes { get; }

    /// <summary>Writes the ground truth in the form that loss and metrics read.</summary>
    /// <param name="writer">Resizes a mask to the model's input.</param>
    /// <param name="to">Class indices of (H, W, 1), or one probability per class.</param>
    public abstract void WriteTarget(IMaskWriter writer, Span<float> to);
}

/// <summary>A picture and its mask.</summary>
/// <param name="Image">The picture, 1 or 3 channels.</param>
/// <param name="Mask">The class of each pixel, of the same size.</param>
public sealed record SegmentationSample(Image Image, LabelMap Mask) : Sample(Image)
{
    /// <inheritdoc/>
    public override long Bytes => Image.Bytes + Mask.Classes.LongLength;

    /// <inheritdoc/>
    public override void WriteTarget(IMaskWriter writer, Span<float> to) => writer.Mask(Mask, to);
}

/// <summary>A picture and its class.</summary>
/// <param name="Image">The picture, 1 or 3 channels.</param>
/// <param name="Label">The index of its class in <see cref="IImageData.Labels"/>.</param>
public sealed record ClassificationSample(Image Image, int Label) : Sample(Image)
{
    /// <inheritdoc/>
    public override long Bytes => Image.Bytes;

    /// <inheritdoc/>
    public override void WriteTarget(IMaskWriter writer, Span<float> to)
    {
        to.Clear();
        to[Label] = 1;
    }
}
