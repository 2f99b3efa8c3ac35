namespace Mamba.Models.Data.Augmentation;

/// <summary>Random changes of training pictures.</summary>
public interface IAugmentation
{
    /// <summary>Whether a picture of another size is resized to the model's first, so that strengths are in the model's pixels.</summary>
    bool AtModelSize { get; }

    /// <summary>Augments a sample. The result is a function of the arguments alone.</summary>
    /// <param name="sample">The sample; it stays as it is.</param>
    /// <param name="seed">The seed of the run.</param>
    /// <param name="epoch">The epoch.</param>
    /// <param name="index">The sample's index in its data set.</param>
    /// <returns>The changed sample.</returns>
    Sample Apply(Sample sample, ulong seed, int epoch, int index);
}
