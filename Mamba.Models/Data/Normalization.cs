namespace Mamba.Models.Data;

/// <summary>Well-known normalizations of images.</summary>
public enum NormalizationKind
{
    /// <summary>Values from 0 to 1, as the paper's segmentation has them.</summary>
    None,

    /// <summary>The paper's constants for CIFAR-10 (they are CIFAR-100's).</summary>
    Cifar,

    /// <summary>ImageNet's constants, which pretrained weights expect.</summary>
    ImageNet,

    /// <summary>MNIST's constants.</summary>
    Mnist,

    /// <summary>Values from -1 to 1.</summary>
    Half,
}

/// <summary>The normalization of a model's input: (x / 255 - mean) / std, with a mean and a standard deviation per channel.</summary>
/// <param name="Mean">The means.</param>
/// <param name="Std">The standard deviations, positive.</param>
public sealed record Normalization(float[] Mean, float[] Std)
{
    /// <summary>Values from 0 to 1: mean 0, standard deviation 1.</summary>
    /// <param name="channels">The channels of the model's input.</param>
    /// <returns>The normalization.</returns>
    public static Normalization None(int channels) => new(new float[channels], [.. Enumerable.Repeat(1f, channels)]);

    /// <summary>The normalization of a well-known data set.</summary>
    /// <param name="kind">Which.</param>
    /// <param name="channels">
    /// The channels of the model's input. Constants of a color set are averaged for one channel; those of a gray set are repeated.
    /// </param>
    /// <returns>The normalization.</returns>
    public static Normalization Of(NormalizationKind kind, int channels)
    {
        (float[] mean, float[] std) = kind switch
        {
            NormalizationKind.Cifar => ([0.5071f, 0.4867f, 0.4408f], [0.2675f, 0.2565f, 0.2761f]),
            NormalizationKind.ImageNet => ([0.485f, 0.456f, 0.406f], [0.229f, 0.224f, 0.225f]),
            NormalizationKind.Mnist => ([0.1307f], [0.3081f]),
            NormalizationKind.Half => ([0.5f], [0.5f]),
            _ => (new float[1], new float[] { 1 }),
        };
        return mean.Length == channels ? new Normalization(mean, std) : new Normalization(Repeat(mean.Average()), Repeat(std.Average()));

        float[] Repeat(float value) => [.. Enumerable.Repeat(value, channels)];
    }

    /// <summary>Whether it has this number of channels, finite means and finite, positive standard deviations.</summary>
    /// <param name="channels">The channels of the model's input.</param>
    /// <returns>True if it can be used.</returns>
    public bool Fits(int channels) =>
        Mean.Length == channels && Std.Length == channels && Mean.All(float.IsFinite) && Std.All(s => s > 0 && float.IsFinite(s));
}
