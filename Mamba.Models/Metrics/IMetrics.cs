namespace Mamba.Models.Metrics;

/// <summary>Accumulates predictions in order, and scores them.</summary>
public interface IMetrics
{
    /// <summary>The number of images added.</summary>
    int Images { get; }

    /// <summary>Counts one image.</summary>
    /// <param name="probabilities">Probabilities of the classes for each pixel, or one per class of a classifier.</param>
    /// <param name="target">The ground truth: the class of each pixel, or a value per class of a classifier.</param>
    /// <exception cref="ArgumentException">The numbers of values do not fit together.</exception>
    void Add(ReadOnlySpan<float> probabilities, ReadOnlySpan<float> target);

    /// <summary>Counts one image of known size, name and group.</summary>
    /// <param name="probabilities">The model's probabilities.</param>
    /// <param name="target">The ground truth.</param>
    /// <param name="image">What is known of the image.</param>
    /// <exception cref="ArgumentException">The numbers of values do not fit together, or not the size.</exception>
    void Add(ReadOnlySpan<float> probabilities, ReadOnlySpan<float> target, in MetricImage image) => Add(probabilities, target);

    /// <summary>Counts one image that other metrics of this kind have measured.</summary>
    /// <param name="image">What they have measured.</param>
    /// <exception cref="ArgumentException">It is of other classes.</exception>
    void Add(MeasuredImage image);

    /// <summary>What was measured of the image that was added last.</summary>
    /// <returns>
    /// What <see cref="Add(MeasuredImage)"/> takes; of a slice of a volume without distances, which are the volume's.
    /// </returns>
    MeasuredImage Last();

    /// <summary>The scores of the images added so far; more may follow.</summary>
    /// <returns>The scores.</returns>
    /// <exception cref="InvalidOperationException">No image was added.</exception>
    Scores Result();
}
