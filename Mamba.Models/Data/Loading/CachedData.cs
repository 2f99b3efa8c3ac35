using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Loading;

/// <summary>A data set that keeps decoded samples in memory up to a budget. Safe to read from several threads.</summary>
/// <param name="source">The data set.</param>
/// <param name="budget">The most bytes of decoded samples to keep.</param>
public sealed class CachedData(IImageData source, long budget) : IImageData
{
    private readonly Lock _gate = new();
    private readonly Dictionary<int, Sample> _samples = [];

    /// <summary>Bytes of decoded samples in memory.</summary>
    public long Bytes { get; private set; }

    /// <inheritdoc/>
    public ModelTask Task => source.Task;

    /// <inheritdoc/>
    public IReadOnlyList<string> Labels => source.Labels;

    /// <inheritdoc/>
    public int Count => source.Count;

    /// <inheritdoc/>
    public string Name(int index) => source.Name(index);

    /// <inheritdoc/>
    public string Patient(int index) => source.Patient(index);

    /// <inheritdoc/>
    public bool KnowsPatients => source.KnowsPatients;

    /// <inheritdoc/>
    public int? Stratum(int index) => source.Stratum(index);

    /// <inheritdoc/>
    public string Fingerprint(int index) => source.Fingerprint(index);

    /// <inheritdoc/>
    public SplitPart? Part(int index) => source.Part(index);

    /// <inheritdoc/>
    public Sample Load(int index)
    {
        lock (_gate)
        {
            if (_samples.TryGetValue(index, out Sample? known)) return known;
        }
        Sample sample = source.Load(index); // outside the lock, so that threads decode side by side
        lock (_gate)
        {
            if (Bytes + sample.Bytes > budget || !_samples.TryAdd(index, sample)) return sample;
            Bytes += sample.Bytes;
            return sample;
        }
    }
}
