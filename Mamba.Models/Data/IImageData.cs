using Mamba.Models.Tasks;

namespace Mamba.Models.Data;

/// <summary>A numbered set of pictures with their ground truth. Several threads may load samples at once.</summary>
public interface IImageData
{
    /// <summary>The task that it is for.</summary>
    ModelTask Task { get; }

    /// <summary>The names of its classes, in their order.</summary>
    IReadOnlyList<string> Labels { get; }

    /// <summary>The number of samples.</summary>
    int Count { get; }

    /// <summary>The unique name of a sample, with '/' between folders.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>The name.</returns>
    string Name(int index);

    /// <summary>The patient that a sample is from. A split by patient keeps the samples of a patient together.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>The name of the patient; the name of the sample if the data knows no patients.</returns>
    string Patient(int index) => Name(index);

    /// <summary>Whether <see cref="Patient"/> tells patients apart.</summary>
    bool KnowsPatients => false;

    /// <summary>What a random split should spread evenly: the class of an image, or the rarest class in its mask.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>A number; null if nothing is known that should be spread.</returns>
    int? Stratum(int index) => null;

    /// <summary>The part of the official split that a sample is in.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>Train, Val or Test; null if the data has no official split.</returns>
    SplitPart? Part(int index) => null;

    /// <summary>What tells a sample from another file under its name: the name, and the file's length where there is a file.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>The name, and what follows from the file.</returns>
    string Fingerprint(int index) => Name(index);

    /// <summary>Reads or makes a sample; the caller owns it.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>A sample of the data's <see cref="Task"/>, of any size.</returns>
    /// <exception cref="ImageException">A file is damaged.</exception>
    /// <exception cref="DatasetException">Picture and mask differ in size.</exception>
    Sample Load(int index);
}
