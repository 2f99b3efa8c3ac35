using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;

namespace Mamba.Models.Sequences;

/// <summary>
/// Recorded signals of one length: longer ones are cut, at a random place in training and in their middle otherwise; shorter ones end in
/// zeros. Each channel of a recording has mean 0 and standard deviation 1. Without a test part, a fifth of each class is one. Each class
/// has a training recording.
/// </summary>
public sealed class RecordedSignals : ClassifiedSequences
{
    private const int TestShare = 5;

    private readonly SignalFolder _folder;
    private readonly IReadOnlyList<SignalFolder.Entry> _signals;

    /// <summary>The task of a folder.</summary>
    /// <param name="folder">The signals; they are normalized in place.</param>
    /// <param name="length">Samples of a sequence; null for those of the longest signal.</param>
    /// <param name="seed">The seed of the split and of the order.</param>
    /// <exception cref="DatasetException">A part has no signal, or a class has none to train on.</exception>
    public RecordedSignals(SignalFolder folder, int? length, ulong seed)
        : base(seed)
    {
        ArgumentNullException.ThrowIfNull(folder);
        (_folder, _signals, Labels, Channels) = (folder, folder.Signals, folder.Labels, folder.Channels);
        Length = length ?? _signals.Max(entry => entry.Signal.Length);
        folder.Normalize();
        SplitPart[] parts =
            _signals.Any(entry => entry.Part == SplitPart.Test) ? [.. _signals.Select(entry => entry.Part!.Value)] : Parts();
        Split(parts, [.. _signals.Select(entry => entry.Label)]);
    }

    /// <summary>Some signals of a folder as the test part of a task that has no other: to measure them.</summary>
    /// <param name="folder">The signals; they are normalized in place.</param>
    /// <param name="length">Samples of a sequence.</param>
    /// <param name="measured">The indices of the signals.</param>
    public RecordedSignals(SignalFolder folder, int length, IReadOnlyList<int> measured)
        : base(seed: 0)
    {
        ArgumentNullException.ThrowIfNull(folder);
        (_folder, _signals, Labels, Channels, Length) = (folder, folder.Signals, folder.Labels, folder.Channels, length);
        folder.Normalize();
        Measure(measured);
    }

    /// <summary>The signals.</summary>
    public SignalFolder Folder => _folder;

    /// <inheritdoc/>
    public override int? Rate => _folder.Rate;

    /// <summary>A single signal as a model reads it; the tensor belongs to the caller's scope.</summary>
    /// <param name="signal">The signal; it is normalized in place.</param>
    /// <param name="length">Samples of a sequence.</param>
    /// <returns>(1, length, channels).</returns>
    public static Tensor Input(Signal signal, int length)
    {
        ArgumentNullException.ThrowIfNull(signal);
        SignalFolder.Normalize(signal);
        Tensor input = Tensor.Empty(1, length, signal.Channels);
        Fit(signal, length, random: null, input.Span);
        return input;
    }

    /// <summary>How many signals of a part have the samples of a training signal.</summary>
    /// <param name="part">Val or Test.</param>
    /// <returns>The number; a score is better than it should be with each.</returns>
    public int Copies(SplitPart part)
    {
        HashSet<ulong> trained = [.. Contents(SplitPart.Train)];
        return Contents(part).Count(trained.Contains);
    }

    /// <summary>The hashes of the signals of a part.</summary>
    internal ulong[] Contents(SplitPart part) => [.. Samples(part).Select(i => _signals[i].Content)];

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
        Fit(_signals[index].Signal, Length, random, inputs);
        return _signals[index].Label;
    }

    private static void Fit(Signal signal, int length, RandomStream? random, Span<float> inputs)
    {
        int channels = signal.Channels, spare = signal.Length - length, start = spare <= 0 ? 0 : random?.NextInt(spare + 1) ?? spare / 2;
        ReadOnlySpan<float> values = signal.Values.AsSpan(start * channels, Math.Min(signal.Length, length) * channels);
        values.CopyTo(inputs);
        inputs[values.Length..].Clear();
    }

    /// <summary>A fifth of each class is the test part, at random; signals in a folder of validation stay there.</summary>
    private SplitPart[] Parts()
    {
        SplitPart[] parts = [.. _signals.Select(entry => entry.Part ?? SplitPart.Train)];
        IGrouping<int, int>[] classes =
            [.. Enumerable.Range(0, parts.Length).Where(i => parts[i] == SplitPart.Train).GroupBy(i => _signals[i].Label)];
        string[] lone = [.. classes.Where(label => label.Count() == 1).Select(label => Labels[label.Key])];
        if (lone.Length > 0)
            throw new DatasetException(
                $"{_folder.Root}: 1 recording of class {string.Join(", ", lone.Take(3))}{(lone.Length > 3 ? ", ..." : "")}, which would be "
                    + "the test, and none to train on; expected at least 2 of each class and 3 of one, or {train,test}/CLASS/NAME.");
        foreach (IGrouping<int, int> label in classes)
        {
            int[] samples = [.. label];
            new RandomStream(Seed, $"{Name}.test.{Labels[label.Key]}").Shuffle(samples.AsSpan());
            foreach (int i in samples[..((samples.Length + TestShare - 1) / TestShare)]) parts[i] = SplitPart.Test;
        }
        return parts;
    }
}
