namespace Mamba.Models.Metrics;

/// <summary>Accumulates predictions in order, and scores them.</summary>
public interface IMetrics
{
    /// <summary>The number of images added.</summary>
    int Images { get; }

    /// <summary>Counts one image.</summary>
    /// <param name="probabilities">The model's probabilities: one per pixel, or one per class.</param>
    /// <param name="target">The ground truth, the same number of values.</param>
    /// <exception cref="ArgumentException">The numbers of values differ.</exception>
    void Add(ReadOnlySpan<float> probabilities, ReadOnlySpan<float> target);

    /// <summary>The scores of the images added so far; more may follow.</summary>
    /// <returns>The scores.</returns>
    /// <exception cref="InvalidOperationException">No image was added.</exception>
    Scores Result();
}
