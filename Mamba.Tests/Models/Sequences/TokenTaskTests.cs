using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Sequences;

namespace Mamba.Tests.Models;

/// <summary>The generators of tokens: the answers follow from the inputs, and a sequence from its key.</summary>
internal sealed class TokenTaskTests
{
    private const int Count = 200;

    public static IEnumerable<string> Names =>
        [SequenceTasks.SelectiveCopy, SequenceTasks.Induction, SequenceTasks.Parity, SequenceTasks.ModularAddition];

    [Test]
    public void Selective_copying_asks_for_the_data_tokens_in_their_order()
    {
        SelectiveCopy task = new(64, seed: 3);
        HashSet<int> places = [], tokens = [];
        foreach ((int[] input, int[] target) in Sequences(task, task.Length))
        {
            int[] room = input[..64], data = [.. room.Where(token => token != 0)];
            Assert.That(data, Has.Length.EqualTo(16).And.All.InRange(1, 14));
            Assert.That(input[64..], Is.All.EqualTo(15), "the markers");
            Assert.That(target[64..], Is.EqualTo(data));
            Assert.That(target[..64], Is.All.EqualTo(SequenceBatch.NoAnswer));
            places.UnionWith(Enumerable.Range(0, 64).Where(i => room[i] != 0));
            tokens.UnionWith(data);
        }
        Assert.That(places, Has.Count.EqualTo(64), "every place is used");
        Assert.That(tokens, Has.Count.EqualTo(14), "and every token");
    }

    [Test]
    public void Places_of_data_tokens_are_uniform()
    {
        int[] counts = new int[20];
        SelectiveCopy task = new(20, seed: 1, memorize: 5);
        for (int i = 0; i < 4000; i++)
            foreach ((int position, int token) in Read(task, i, 25).Inputs[..20].Index())
                if (token != 0) counts[position]++;
        // Binomial: mean 1,000, standard deviation 27.
        Assert.That(counts, Is.All.InRange(1000 - 120, 1000 + 120));
    }

    [TestCase(3), TestCase(4), TestCase(64)]
    public void Induction_heads_ask_for_the_token_that_followed_the_prefix(int length)
    {
        HashSet<int> places = [];
        foreach ((int[] input, int[] target) in Sequences(new InductionHeads(length, seed: 3), length))
        {
            int first = Array.IndexOf(input, 15);
            Assert.That(input.Count(token => token == 15), Is.EqualTo(2));
            Assert.That(input[^1], Is.EqualTo(15));
            Assert.That(first, Is.LessThan(length - 2));
            Assert.That(target[^1], Is.EqualTo(input[first + 1]));
            Assert.That(target[..^1], Is.All.EqualTo(SequenceBatch.NoAnswer));
            places.Add(first);
        }
        Assert.That(places, Has.Count.GreaterThan(Math.Min(length - 3, 50)));
    }

    [TestCase(SequenceTasks.Parity, 2), TestCase(SequenceTasks.ModularAddition, 5)]
    public void Sums_are_those_of_the_tokens_so_far(string name, int modulus)
    {
        SequenceTask task = SequenceTasks.Open(name, null, 30, seed: 3);
        Assert.That(task.Vocabulary, Is.EqualTo(modulus));
        foreach ((int[] input, int[] target) in Sequences((TokenTask)task, 30))
        {
            Assert.That(input, Is.All.InRange(0, modulus - 1));
            Assert.That(target, Is.EqualTo(Enumerable.Range(1, 30).Select(n => input[..n].Sum() % modulus)));
        }
    }

    [Test]
    public void Parts_of_a_sequence_are_the_sequence([ValueSource(nameof(Names))] string name, [Values(1, 7, 1000)] int part)
    {
        const int Length = 100;
        TokenTask task = (TokenTask)SequenceTasks.Open(name, null, Length, seed: 5);
        (int[] inputs, int[] targets) = Read(task, 9, Length);
        TokenSequence sequence = task.Open(SplitPart.Train, 9, Length);
        for (int at = 0; at < Length; at += part)
        {
            int count = Math.Min(part, Length - at);
            float[] tokens = new float[count];
            int[] asked = new int[count];
            sequence.Next(tokens, asked);
            Assert.That(tokens, Is.EqualTo(inputs[at..(at + count)]));
            Assert.That(asked, Is.EqualTo(targets[at..(at + count)]));
        }
    }

    [Test]
    public void A_sequence_follows_from_seed_part_and_number([ValueSource(nameof(Names))] string name)
    {
        using MemoryScope scope = new();
        SequenceTask task = SequenceTasks.Open(name, null, 48, seed: 5), same = SequenceTasks.Open(name, null, 48, seed: 5);
        SequenceBatch batch = task.Batch(SplitPart.Train, 10, 4), later = same.Batch(SplitPart.Train, 12, 2);
        Assert.That(batch.Answers, Is.EqualTo(batch.Targets.Count(target => target >= 0)));
        Assert.That(later.Inputs.Span.SequenceEqual(batch.Inputs.Rows(2, 2).Span), "whatever batch it is in");
        Assert.That(later.Targets, Is.EqualTo(batch.Targets[(2 * task.Length)..]));
        float[] first = batch.Inputs.Rows(0, 1).Span.ToArray();
        Assert.That(task.Batch(SplitPart.Test, 10, 1).Inputs.Span.ToArray(), Is.Not.EqualTo(first));
        Assert.That(task.Batch(SplitPart.Val, 10, 1).Inputs.Span.ToArray(), Is.Not.EqualTo(first));
        Assert.That(batch.Inputs.Rows(1, 1).Span.ToArray(), Is.Not.EqualTo(first));
        Assert.That(
            SequenceTasks.Open(name, null, 48, seed: 6).Batch(SplitPart.Train, 10, 1).Inputs.Span.ToArray(), Is.Not.EqualTo(first));
    }

    [TestCase(SequenceTasks.SelectiveCopy, 15), TestCase(SequenceTasks.Induction, 2)]
    public void A_sequence_that_is_too_short_is_refused(string name, int length)
    {
        Assert.That(() => SequenceTasks.Open(name, null, length, 0), Throws.ArgumentException.With.Message.Contains("expected at least"));
        Assert.That(() => SequenceTasks.Open(name, null, length + 1, 0), Throws.Nothing);
    }

    [Test]
    public void Names_and_folders_that_do_not_fit_are_refused()
    {
        Assert.That(
            () => SequenceTasks.Open("copying", null, null, 0), Throws.ArgumentException.With.Message.Contains("expected selective-copy"));
        Assert.That(() => SequenceTasks.Open("parity", "mnist", null, 0), Throws.ArgumentException.With.Message.Contains("--images"));
        Assert.That(
            () => SequenceTasks.Open("mnist-sequence", null, null, 0), Throws.ArgumentException.With.Message.Contains("--images DIR"));
    }

    private static IEnumerable<(int[] Inputs, int[] Targets)> Sequences(TokenTask task, int length) =>
        Enumerable.Range(0, Count).Select(i => Read(task, i, length));

    private static (int[] Inputs, int[] Targets) Read(TokenTask task, long number, int length)
    {
        float[] tokens = new float[length];
        int[] targets = new int[length];
        task.Open(SplitPart.Train, number, length).Next(tokens, targets);
        return (Array.ConvertAll(tokens, token => (int)token), targets);
    }
}
