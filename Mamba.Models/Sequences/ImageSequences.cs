using Mamba.Core;
using Mamba.Models.Data;

namespace Mamba.Models.Sequences;

/// <summary>
/// Images as sequences of their pixels, row by row (Le et al. 2015; sequential MNIST has 784 positions, CIFAR-10 1,024 of 3 channels). The
/// set's official split holds.
/// </summary>
public sealed class ImageSequences : ClassifiedSequences
{
    private readonly IImageData _images;
    private readonly Normalization _normalization;

    /// <summary>A set of classified images, all of one size.</summary>
    /// <param name="name">The name on the command line.</param>
    /// <param name="images">MNIST or CIFAR-10.</param>
    /// <param name="normalization">The normalization of pixels.</param>
    /// <param name="seed">The seed of the validation split and of the order.</param>
    /// <exception cref="DatasetException">The set has no official split.</exception>
    public ImageSequences(string name, IImageData images, NormalizationKind normalization, ulong seed)
        : base(seed)
    {
        ArgumentNullException.ThrowIfNull(images);
        (Name, _images, Labels) = (name, images, images.Labels);
        Image first = images.Load(0).Image;
        (Length, Channels) = (first.Width * first.Height, first.Channels);
        _normalization = Normalization.Of(normalization, Channels);
        Split([.. Enumerable.Range(0, images.Count).Select(i => images.Part(i)
            ?? throw new DatasetException($"{name}: the images have no official split; expected MNIST or CIFAR-10"))]);
    }

    /// <inheritdoc/>
    public override string Name { get; }

    /// <inheritdoc/>
    public override int Length { get; }

    /// <inheritdoc/>
    public override int Channels { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels { get; }

    /// <inheritdoc/>
    protected override int Write(int index, RandomStream? random, Span<float> inputs)
    {
        ClassificationSample sample = (ClassificationSample)_images.Load(index);
        ReadOnlySpan<byte> pixels = sample.Image.Pixels;
        if (pixels.Length != inputs.Length)
            throw new DatasetException($"{_images.Name(index)}: {pixels.Length} values; expected {inputs.Length}, as the first image has.");
        for (int i = 0; i < pixels.Length; i++)
        {
            int channel = i % Channels;
            inputs[i] = (pixels[i] / 255f - _normalization.Mean[channel]) / _normalization.Std[channel];
        }
        return sample.Label;
    }
}
