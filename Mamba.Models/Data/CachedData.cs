namespace Mamba.Models.Data;

/// <summary>A data set whose samples are decoded once, as long as they fit a budget of memory. Safe to read from several threads.</summary>
/// <param name="source">The data set.</param>
/// <param name="budget">Bytes of decoded samples that may stay.</param>
public sealed class CachedData(ISegmentationData source, long budget) : ISegmentationData
{
    private readonly Lock _gate = new();
    private readonly Dictionary<int, SegmentationSample> _samples = [];

    /// <summary>Bytes of decoded samples in memory.</summary>
    public long Bytes { get; private set; }

    /// <inheritdoc/>
    public int Count => source.Count;

    /// <inheritdoc/>
    public string Name(int index) => source.Name(index);

    /// <inheritdoc/>
    public string Patient(int index) => source.Patient(index);

    /// <inheritdoc/>
    public SegmentationSample Load(int index)
    {
        lock (_gate)
        {
            if (_samples.TryGetValue(index, out SegmentationSample? sample)) return sample;
            sample = source.Load(index);
            long bytes = sample.Image.Pixels.LongLength + sample.Mask.Pixels.LongLength;
            if (Bytes + bytes > budget) return sample;
            Bytes += bytes;
            _samples.Add(index, sample);
            return sample;
        }
    }
}
