using Mamba.Models.Zoo;

namespace Mamba.Models.Data;

/// <summary>A picture and what is true of it.</summary>
/// <param name="Image">The picture, 1 or 3 channels.</param>
public abstract record Sample(Image Image)
{
    /// <summary>Bytes of its pixels.</summary>
    public abstract long Bytes { get; }

    /// <summary>Writes the truth as the loss and the metrics read it.</summary>
    /// <param name="writer">Knows the model's size.</param>
    /// <param name="to">A mask of (H, W, 1), or a probability a class.</param>
    public abstract void WriteTarget(BatchWriter writer, Span<float> to);
}

/// <summary>A picture and where its lesion is.</summary>
/// <param name="Image">The picture, 1 or 3 channels.</param>
/// <param name="Mask">One channel of the same size: 255 inside the lesion, 0 outside.</param>
public sealed record SegmentationSample(Image Image, Image Mask) : Sample(Image)
{
    /// <inheritdoc/>
    public override long Bytes => Image.Pixels.LongLength + Mask.Pixels.LongLength;

    /// <inheritdoc/>
    public override void WriteTarget(BatchWriter writer, Span<float> to) => writer.Mask(Mask, to);
}

/// <summary>A picture and its class.</summary>
/// <param name="Image">The picture, 1 or 3 channels.</param>
/// <param name="Label">The index of its class in <see cref="IImageData.Labels"/>.</param>
public sealed record ClassificationSample(Image Image, int Label) : Sample(Image)
{
    /// <inheritdoc/>
    public override long Bytes => Image.Pixels.LongLength;

    /// <inheritdoc/>
    public override void WriteTarget(BatchWriter writer, Span<float> to)
    {
        to.Clear();
        to[Label] = 1;
    }
}

/// <summary>A numbered set of pictures with what is true of them. Safe to read from one thread at a time.</summary>
public interface IImageData
{
    /// <summary>What can be learned from it.</summary>
    ModelTask Task { get; }

    /// <summary>The names of its classes, in their order.</summary>
    IReadOnlyList<string> Labels { get; }

    /// <summary>The number of samples.</summary>
    int Count { get; }

    /// <summary>What a sample is called: unique, with '/' between folders.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>The name.</returns>
    string Name(int index);

    /// <summary>Whose sample it is: those of one patient resemble each other.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>The name of the patient; of the sample itself where there are none.</returns>
    string Patient(int index) => Name(index);

    /// <summary>The part of a split that the makers of the data put a sample into.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>Train, Val or Test; null where they split nothing.</returns>
    SplitPart? Part(int index) => null;

    /// <summary>Reads or makes a sample; the caller owns it.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>A sample of the data's <see cref="Task"/>, of any size.</returns>
    /// <exception cref="ImageException">A file is damaged.</exception>
    /// <exception cref="DatasetException">Picture and mask do not belong together.</exception>
    Sample Load(int index);
}

/// <summary>A set of data cannot be used: the message names the folder or files, what is wrong and what was expected.</summary>
/// <param name="message">The whole message.</param>
/// <param name="inner">What the operating system said, if it did.</param>
public sealed class DatasetException(string message, Exception? inner = null) : IOException(message, inner);
