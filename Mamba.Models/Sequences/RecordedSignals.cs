using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;

namespace Mamba.Models.Sequences;

/// <summary>
/// Recorded signals of one length: longer ones are cut, at a random place in training and in their middle otherwise; shorter ones end in
/// zeros. Each channel of a recording has mean 0 and standard deviation 1. Without a test part, a fifth of each class is one.
/// </summary>
public sealed class RecordedSignals : ClassifiedSequences
{
    private const int TestShare = 5;

    private readonly IReadOnlyList<SignalFolder.Entry> _signals;

    /// <summary>The task of a folder.</summary>
    /// <param name="folder">The signals; they are normalized in place.</param>
    /// <param name="length">Samples of a sequence; null for those of the longest signal.</param>
    /// <param name="seed">The seed of the split and of the order.</param>
    /// <exception cref="DatasetException">A part has no signal.</exception>
    public RecordedSignals(SignalFolder folder, int? length, ulong seed)
        : base(seed)
    {
        ArgumentNullException.ThrowIfNull(folder);
        (_signals, Labels, Channels) = (folder.Signals, folder.Labels, folder.Channels);
        Length = length ?? _signals.Max(entry => entry.Signal.Length);
        foreach (SignalFolder.Entry entry in _signals) Normalize(entry.Signal);
        Split(_signals.Any(entry => entry.Part == SplitPart.Test) ? [.. _signals.Select(entry => entry.Part!.Value)] : Parts());
    }

    /// <inheritdoc/>
    public override string Name => SequenceTasks.Signals;

    /// <inheritdoc/>
    public override int Length { get; }

    /// <inheritdoc/>
    public override int Channels { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels { get; }

    /// <inheritdoc/>
    protected override int Write(int index, RandomStream? random, Span<float> inputs)
    {
        Signal signal = _signals[index].Signal;
        int spare = signal.Length - Length, start = spare <= 0 ? 0 : random?.NextInt(spare + 1) ?? spare / 2;
        ReadOnlySpan<float> values = signal.Values.AsSpan(start * Channels, Math.Min(signal.Length, Length) * Channels);
        values.CopyTo(inputs);
        inputs[values.Length..].Clear();
        return _signals[index].Label;
    }

    /// <summary>A fifth of each class is the test part, at random.</summary>
    private SplitPart[] Parts()
    {
        SplitPart[] parts = new SplitPart[_signals.Count];
        foreach (IGrouping<int, int> label in Enumerable.Range(0, parts.Length).GroupBy(i => _signals[i].Label))
        {
            int[] samples = [.. label];
            new RandomStream(Seed, $"{Name}.test.{Labels[label.Key]}").Shuffle(samples.AsSpan());
            foreach (int i in samples[..((samples.Length + TestShare - 1) / TestShare)]) parts[i] = SplitPart.Test;
        }
        return parts;
    }

    private static void Normalize(Signal signal)
    {
        for (int c = 0; c < signal.Channels; c++)
        {
            double sum = 0, squares = 0;
            for (int i = c; i < signal.Values.Length; i += signal.Channels) sum += signal.Values[i];
            double mean = sum / signal.Length;
            for (int i = c; i < signal.Values.Length; i += signal.Channels) squares += Math.Pow(signal.Values[i] - mean, 2);
            double scale = 1 / (Math.Sqrt(squares / signal.Length) + 1e-8);
            for (int i = c; i < signal.Values.Length; i += signal.Channels) signal.Values[i] = (float)((signal.Values[i] - mean) * scale);
        }
    }
}
