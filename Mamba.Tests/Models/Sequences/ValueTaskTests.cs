using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Sequences;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Sequences of real values: synthetic signals, recorded ones, and images.</summary>
internal sealed class ValueTaskTests
{
    [Test]
    public void Synthetic_signals_sound_as_their_classes()
    {
        SyntheticSignals task = new(1600, seed: 2);
        Dictionary<string, List<double>> crossings = [];
        for (int i = 0; i < 400; i++)
        {
            using MemoryScope scope = new();
            SequenceBatch one = task.Batch(SplitPart.Train, i, 1);
            float[] x = one.Inputs.Span.ToArray();
            double rms = Math.Sqrt(x.Average(value => (double)value * value));
            Assert.That(rms, Is.InRange(0.25, 1.8));
            string label = task.Labels[one.Targets[0]];
            if (!crossings.TryGetValue(label, out List<double>? list)) crossings[label] = list = [];
            list.Add(Correlation(x));
        }
        Assert.That(crossings.Keys, Is.EquivalentTo(task.Labels), "every class comes");
        // Neighboring samples of a hum are nearly equal, those of a vowel with low formants alike, and those of a hiss unlike.
        Assert.That(crossings["hum"].Average(), Is.GreaterThan(crossings["a"].Average()));
        Assert.That(crossings["u"].Average(), Is.GreaterThan(crossings["a"].Average()));
        Assert.That(crossings["hiss"], Is.All.LessThan(crossings["u"].Min()));
    }

    [Test]
    public void A_signal_follows_from_seed_part_and_number()
    {
        using MemoryScope scope = new();
        SyntheticSignals task = new(100, seed: 2), same = new(100, seed: 2);
        SequenceBatch batch = task.Batch(SplitPart.Train, 5, 3);
        Assert.That(same.Batch(SplitPart.Train, 7, 1).Inputs.Span.SequenceEqual(batch.Inputs.Rows(2, 1).Span));
        Assert.That(same.Batch(SplitPart.Test, 7, 1).Inputs.Span.SequenceEqual(batch.Inputs.Rows(2, 1).Span), Is.False);
    }

    [Test]
    public void Recorded_signals_are_split_by_class_normalized_cut_and_padded()
    {
        using TemporaryFolder folder = new();
        for (int i = 0; i < 10; i++)
        {
            folder.Write($"high/{i}.wav", WavSamples.Pcm16([.. Enumerable.Range(0, 30).Select(t => (short)(1000 + 10 * ((t + i) % 3)))]));
            folder.Write($"low/{i}.wav", WavSamples.Pcm16([.. Enumerable.Range(0, 12).Select(t => (short)(-500 + 7 * ((t * i + t) % 5)))]));
        }
        RecordedSignals task = new(new SignalFolder(folder.Root), 20, seed: 4);
        Assert.That(task.Labels, Is.EqualTo(new[] { "high", "low" }));
        Assert.That(
            new[] { SplitPart.Train, SplitPart.Val, SplitPart.Test }.Select(part => task.Count(part)), Is.EqualTo(new int?[] { 15, 1, 4 }));
        int[] others = [.. Enumerable.Range(0, 20).Except(task.Samples(SplitPart.Test))];
        new RandomStream(4, "signals.split").Shuffle(others.AsSpan());
        Assert.That(task.Samples(SplitPart.Val), Is.EqualTo(others[..1]), "the first of a shuffled tenth, as ever");
        using MemoryScope scope = new();
        SequenceBatch test = task.Batch(SplitPart.Test, 0, 4);
        Assert.That(test.Targets.Order(), Is.EqualTo(new[] { 0, 0, 1, 1 }), "a fifth of each class");
        for (int i = 0; i < 4; i++)
        {
            float[] x = test.Inputs.Rows(i, 1).Span.ToArray();
            if (test.Targets[i] == 0) continue;
            Assert.That(x[12..], Is.All.Zero);
            Assert.That(x[..12].Average(), Is.EqualTo(0).Within(1e-5));
            Assert.That(x[..12].Average(value => value * value), Is.EqualTo(1).Within(1e-4));
        }
        // Every pass has each training sequence once, in another order.
        string[][] passes = [.. new[] { 0, 15, 30 }.Select(first => Enumerable.Range(first, 15)
            .Select(i => string.Join(' ', task.Batch(SplitPart.Train, i, 1).Inputs.Span[..3].ToArray())).ToArray())];
        int[][] labels = [.. new[] { 0, 15, 30 }.Select(first => task.Batch(SplitPart.Train, first, 15).Targets)];
        Assert.That(labels.Select(pass => pass.Sum()), Is.All.EqualTo(labels[0].Sum()));
        Assert.That(passes[0], Is.Not.EqualTo(passes[1]));
    }

    [Test]
    public void Official_parts_of_recorded_signals_hold()
    {
        using TemporaryFolder folder = new();
        foreach (string part in new[] { "train", "val", "test" })
            foreach (string label in new[] { "a", "b" })
                folder.Write($"{part}/{label}/1.csv", "1\n2\n4\n"u8.ToArray());
        RecordedSignals task = new(new SignalFolder(folder.Root), null, seed: 4);
        Assert.That(task.Length, Is.EqualTo(3));
        Assert.That(
            new[] { SplitPart.Train, SplitPart.Val, SplitPart.Test }.Select(part => task.Count(part)), Is.EqualTo(new int?[] { 2, 2, 2 }));
    }

    [Test]
    public void No_class_loses_its_last_training_recording()
    {
        using TemporaryFolder folder = new();
        for (int i = 0; i < 12; i++) folder.Write($"a/{i}.csv", "1\n2\n"u8.ToArray());
        foreach (string label in new[] { "b", "c", "d", "e" })
            for (int i = 0; i < 2; i++) folder.Write($"{label}/{i}.csv", "1\n2\n"u8.ToArray());
        SignalFolder signals = new(folder.Root);
        for (ulong seed = 0; seed < 20; seed++)
        {
            RecordedSignals task = new(signals, null, seed);
            Assert.That(Labels(SplitPart.Train).Distinct(), Is.EquivalentTo(Enumerable.Range(0, 5)), $"seed {seed}");
            Assert.That(Labels(SplitPart.Val), Is.EqualTo(new[] { 0 }), $"seed {seed}");

            IEnumerable<int> Labels(SplitPart part) => task.Samples(part).Select(i => signals.Signals[i].Label);
        }
    }

    [TestCase(5, 1, "1 recording of class b, which would be the test, and none to train on; expected at least 2 of each class")]
    [TestCase(2, 2, "4 sequences leave none for validation; expected more")]
    public void A_class_needs_recordings_for_training_and_test(int first, int second, string message)
    {
        using TemporaryFolder folder = new();
        foreach ((string label, int count) in new[] { ("a", first), ("b", second) })
            for (int i = 0; i < count; i++) folder.Write($"{label}/{i}.csv", "1\n2\n"u8.ToArray());
        SignalFolder signals = new(folder.Root);
        Assert.That(
            () => new RecordedSignals(signals, null, seed: 0), Throws.TypeOf<DatasetException>().With.Message.Contains(message));
    }

    [TestCase("train-images-idx3-ubyte.gz", SequenceTasks.MnistSequence)]
    [TestCase("cifar-10-batches-bin/data_batch_1.bin", SequenceTasks.Cifar10Sequence)]
    [TestCase("yes/1.wav", SequenceTasks.Signals)]
    public void A_folder_has_the_recipe_of_its_task(string file, string task)
    {
        using TemporaryFolder folder = new();
        folder.Write(file, []);
        Assert.That(SequenceRecipe.Of(folder.Root), Is.EqualTo(SequenceRecipe.Of(task)));
    }

    [Test]
    public void A_folder_of_validation_stays_where_there_is_no_test()
    {
        using TemporaryFolder folder = new();
        foreach (string label in new[] { "a", "b" })
        {
            for (int i = 0; i < 10; i++) folder.Write($"train/{label}/{i}.csv", "1\n2\n"u8.ToArray());
            for (int i = 0; i < 3; i++) folder.Write($"val/{label}/{i}.csv", "1\n2\n"u8.ToArray());
        }
        RecordedSignals task = new(new SignalFolder(folder.Root), null, seed: 4);
        Assert.That(
            new[] { SplitPart.Train, SplitPart.Val, SplitPart.Test }.Select(part => task.Count(part)), Is.EqualTo(new int?[] { 16, 6, 4 }));
        Assert.That(task.Samples(SplitPart.Val).Select(i => task.Folder.Signals[i].Part), Is.All.EqualTo(SplitPart.Val));
    }

    [Test]
    public void Sequential_MNIST_is_its_pixels_row_by_row()
    {
        string path = ReferenceData.Path("data/mnist");
        Mnist images = new(path);
        SequenceTask task = SequenceTasks.Open(SequenceTasks.MnistSequence, path, null, seed: 1);
        Assert.That((task.Length, task.Channels, task.Labels.Count), Is.EqualTo((784, 1, 10)));
        Assert.That(
            new[] { SplitPart.Train, SplitPart.Val, SplitPart.Test }.Select(part => task.Count(part)),
            Is.EqualTo(new int?[] { 54_000, 6_000, 10_000 }));
        using MemoryScope scope = new();
        SequenceBatch test = task.Batch(SplitPart.Test, 41, 1);
        ClassificationSample sample = images.Load(60_041);
        Assert.That(test.Targets, Is.EqualTo(new[] { sample.Label }));
        Assert.That(
            test.Inputs.Span.ToArray(), Is.EqualTo(sample.Image.Pixels.Select(pixel => (pixel / 255f - 0.1307f) / 0.3081f)).Within(1e-6));
        Assert.That(
            () => SequenceTasks.Open(SequenceTasks.MnistSequence, path, 28, 1), Throws.ArgumentException.With.Message.Contains("784"));
    }

    /// <summary>The correlation of neighboring samples.</summary>
    private static double Correlation(float[] x) =>
        x.Zip(x.Skip(1), (a, b) => (double)a * b).Sum() / x.Sum(value => (double)value * value);
}
