using Mamba.Models.Tasks;

namespace Mamba.Models.Data;

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
