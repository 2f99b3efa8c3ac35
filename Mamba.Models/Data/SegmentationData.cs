namespace Mamba.Models.Data;

/// <summary>A picture and where its lesion is.</summary>
/// <param name="Image">The picture, 1 or 3 channels.</param>
/// <param name="Mask">One channel of the same size: 255 inside the lesion, 0 outside.</param>
public sealed record SegmentationSample(Image Image, Image Mask);

/// <summary>A numbered set of pictures with masks. Safe to read from one thread at a time.</summary>
public interface ISegmentationData
{
    /// <summary>The number of samples.</summary>
    int Count { get; }

    /// <summary>What a sample is called: unique, with '/' between folders.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>The name.</returns>
    string Name(int index);

    /// <summary>Whose sample it is: those of one patient resemble each other.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>The name of the patient.</returns>
    string Patient(int index);

    /// <summary>Reads or makes a sample; the caller owns it.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>The sample, of any size.</returns>
    /// <exception cref="ImageException">A file is damaged.</exception>
    /// <exception cref="DatasetException">Picture and mask do not belong together.</exception>
    SegmentationSample Load(int index);
}

/// <summary>A set of data cannot be used: the message names the folder or files, what is wrong and what was expected.</summary>
/// <param name="message">The whole message.</param>
/// <param name="inner">What the operating system said, if it did.</param>
public sealed class DatasetException(string message, Exception? inner = null) : IOException(message, inner);
