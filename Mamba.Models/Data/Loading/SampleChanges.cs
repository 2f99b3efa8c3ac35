using Mamba.Core;
using Mamba.Models.Data.Augmentation;

namespace Mamba.Models.Data.Loading;

/// <summary>
/// The random changes of a sample, in this order: crop, augmentation. A function of options, epoch, index, and of how often the epoch has
/// drawn the sample before.
/// </summary>
internal sealed class SampleChanges
{
    private readonly BatchOptions _options;
    private readonly BatchWriter _writer;

    /// <summary>Prepares the changes.</summary>
    /// <param name="options">Crop, augmentation and seed.</param>
    /// <param name="writer">Resizes for an augmentation that acts at the model's size.</param>
    /// <exception cref="ArgumentException">The crop is not positive.</exception>
    public SampleChanges(BatchOptions options, BatchWriter writer)
    {
        if (options.Crop < 1) throw new ArgumentException($"BatchLoader: a crop of {options.Crop} pixels; expected at least 1.");
        (_options, _writer) = (options, writer);
    }

    /// <summary>Changes a sample.</summary>
    /// <param name="sample">The sample; it stays as it is.</param>
    /// <param name="epoch">The epoch.</param>
    /// <param name="index">Its index in the data set.</param>
    /// <param name="draw">How often the epoch has drawn it before.</param>
    /// <returns>The changed sample.</returns>
    public Sample Apply(Sample sample, int epoch, int index, int draw)
    {
        ulong seed = draw == 0 ? _options.Seed : new RandomStream(_options.Seed, $"draw/{draw}").NextBits();
        if (_options.Crop is { } side)
        {
            RandomStream random = new(seed, $"crop/{epoch}/{index}");
            sample = CropWindow.Random(side, sample.Image.Width, sample.Image.Height, random).Apply(sample);
        }
        if (_options.Augment is not { } augment) return sample;
        return augment.Apply(augment.AtModelSize ? _writer.Fit(sample) : sample, seed, epoch, index);
    }
}
