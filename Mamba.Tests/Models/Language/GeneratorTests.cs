using Mamba.Core;
using Mamba.Models.Language;

namespace Mamba.Tests.Models;

/// <summary>Tokens chosen by their logits, and texts continued by them.</summary>
internal sealed class GeneratorTests
{
    private static readonly float[] s_logits = [1f, 3f, 2f, -1f, 2.5f]; // probabilities 0.065, 0.478, 0.176, 0.009, 0.29 at temperature 1

    [Test]
    public void Greedy_takes_the_largest_logit_of_the_vocabulary()
    {
        Assert.That(new Sampler(5, new()).Next(s_logits), Is.EqualTo(1));
        Assert.That(new Sampler(1, new()).Next(s_logits), Is.Zero, "later logits are those of padding");
        Assert.That(new Sampler(5, new() { TopK = 1, Temperature = 3 }).Next(s_logits), Is.EqualTo(1));
    }

    [TestCase(1, 0, 1.0), TestCase(0.5, 0, 1.0), TestCase(2, 3, 1.0), TestCase(1, 0, 0.7), TestCase(1, 4, 0.95), TestCase(1, 0, 0.1)]
    public void Frequencies_are_the_probabilities_that_are_left(double temperature, int topK, double topP)
    {
        const int Draws = 20_000;
        double[] expected = Probabilities(temperature, topK, topP);
        Sampler sampler = new(5, new() { Temperature = temperature, TopK = topK, TopP = topP, Seed = 4 });
        int[] counts = new int[5];
        for (int i = 0; i < Draws; i++) counts[sampler.Next(s_logits)]++;
        for (int i = 0; i < 5; i++)
            if (expected[i] == 0) Assert.That(counts[i], Is.Zero, $"token {i}");
            else // five standard deviations
                Assert.That(
                    counts[i] / (double)Draws,
                    Is.EqualTo(expected[i]).Within(5 * Math.Sqrt(expected[i] * (1 - expected[i]) / Draws) + 1e-6), $"token {i}");
    }

    [Test]
    public void Tokens_that_were_there_lose_by_the_penalty()
    {
        Sampler sampler = new(5, new() { RepetitionPenalty = 1.25 });
        sampler.See(4); // 2.5 -> 2
        Assert.That(sampler.Next(s_logits), Is.EqualTo(1)); // 3 -> 2.4 from now on
        Assert.That(sampler.Next(s_logits), Is.EqualTo(1));
        sampler = new(5, new() { RepetitionPenalty = 2 });
        sampler.See(1); // 1.5
        Assert.That(new[] { 4, 2, 1 }, Is.EqualTo(Enumerable.Range(0, 3).Select(_ => sampler.Next(s_logits))));
        sampler = new(2, new() { RepetitionPenalty = 2 });
        sampler.See(0); // -1 -> -2
        Assert.That(sampler.Next([-1f, -1.5f]), Is.EqualTo(1));
    }

    [Test]
    public void A_seed_decides_all_choices()
    {
        int[] Draw(ulong seed)
        {
            Sampler sampler = new(5, new() { Temperature = 1, Seed = seed });
            return [.. Enumerable.Range(0, 40).Select(_ => sampler.Next(s_logits))];
        }

        int[] first = Draw(1), again = Draw(1);
        Assert.That(again, Is.EqualTo(first));
        Assert.That(Draw(2), Is.Not.EqualTo(first));
    }

    [Test]
    public void What_is_out_of_range_is_refused()
    {
        Assert.That(() => new Sampler(5, new() { Temperature = -1 }), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new Sampler(5, new() { TopK = -1 }), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new Sampler(5, new() { TopP = 0 }), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new Sampler(5, new() { RepetitionPenalty = 0 }), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new Sampler(5, new()).Next([1f, float.NaN, 0f, 0f, 0f]), Throws.TypeOf<NonFiniteException>());
        Assert.That(() => new Sampler(6, new()).Next(s_logits), Throws.InstanceOf<ArgumentException>());
    }

    [Test]
    public void A_generator_gives_the_tokens_of_whole_sequences()
    {
        using LanguageModel model = Make(out int vocabulary);
        int[] prompt = [3, 1, 4, 1, 5, 9];
        List<int> all = [.. prompt];
        for (int i = 0; i < 12; i++)
            all.Add(ArgMax(model.ForwardAt(Tensor.From([.. all.Select(t => (float)t)], 1, all.Count), [-1]).Span[..vocabulary]));
        TokenGenerator generator = new(model, new(), vocabulary);
        List<int> tokens = [generator.Read(prompt)];
        while (tokens.Count < 12) tokens.Add(generator.Next());
        Assert.That(tokens, Is.EqualTo(all[prompt.Length..]));

        TokenGenerator inParts = new(model, new(), vocabulary);
        _ = inParts.Read(prompt);
        int next = inParts.Read([7, 8]); // after the token that was chosen
        int[] read = [.. prompt, tokens[0], 7, 8];
        Assert.That(next, Is.EqualTo(ArgMax(
            model.ForwardAt(Tensor.From([.. read.Select(t => (float)t)], 1, read.Length), [-1]).Span[..vocabulary])));
    }

    /// <summary>Numbers between tokens, as those between GPT-NeoX's and the padding, have no text.</summary>
    [Test]
    public void What_is_no_token_is_never_chosen([Values] bool greedy)
    {
        using LanguageModel model = Make(out _);
        SamplingOptions options = new() { Temperature = greedy ? 0 : 50, RepetitionPenalty = 1e6 }; // so that all come in turn
        TokenGenerator free = new(model, options, new Few(all: true)), few = new(model, options, new Few(all: false));
        List<int> any = [free.Read([3, 6])], some = [few.Read([3, 6])];
        for (int i = 0; i < 60; i++)
        {
            any.Add(free.Next());
            some.Add(few.Next());
        }
        Assert.That(any.Any(t => t % 3 != 0), "the model would choose them");
        Assert.That(some, Has.All.Matches<int>(t => t % 3 == 0 || t == 28), "every third, and the end");
    }

    [Test]
    public void A_Transformer_is_full_when_its_positions_are_read()
    {
        LanguageModelConfig config = new(29, Width: 16, Depth: 1) { Positions = 5, VocabularyMultiple = 1 };
        using LanguageModel model = LanguageRegistry.Find("transformer-lm").Create(config, seed: 2);
        model.Parameters.Freeze();
        TokenGenerator generator = new(model, new(), 29);
        _ = generator.Read([1, 2, 3]);
        int count = 1;
        for (; !generator.IsFull; count++) _ = generator.Next();
        Assert.That(count, Is.EqualTo(3), "after 3, 4 and 5 tokens");
        Assert.That(() => generator.Next(), Throws.TypeOf<ShapeException>());
        using LanguageModel endless = Make(out int vocabulary);
        generator = new(endless, new(), vocabulary);
        _ = generator.Read([1]);
        Assert.That((endless.LongestSequence, generator.IsFull), Is.EqualTo(((int?)null, false)));
    }

    [Test]
    public void A_generator_refuses_what_it_cannot_read()
    {
        using LanguageModel model = Make(out int vocabulary);
        TokenGenerator generator = new(model, new(), vocabulary);
        Assert.That(() => generator.Next(), Throws.InvalidOperationException);
        Assert.That(() => generator.Read([]), Throws.ArgumentException);
        Assert.That(() => generator.Read([vocabulary]), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new TokenGenerator(model, new(), 33), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void A_prompt_can_be_stopped_before_each_part()
    {
        using LanguageModel model = Make(out int vocabulary);
        CancellationToken stopped = new(canceled: true);
        TokenGenerator generator = new(model, new(), vocabulary);
        Assert.That(() => generator.Read([1, 2, 3], stopped), Throws.InstanceOf<OperationCanceledException>());
        LanguageState state = model.NewState(1);
        Assert.That(
            () => model.Prefill(Tensor.Zeros(1, 4), state, 2, stopped), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(state.Position, Is.Zero, "nothing was read");
    }

    [Test]
    public void A_warmed_up_token_allocates_nothing([Values] bool greedy)
    {
        using LanguageModel model = Make(out int vocabulary);
        TokenGenerator generator = new(
            model, greedy ? new() : new() { Temperature = 1, TopK = 20, TopP = 0.9, RepetitionPenalty = 1.1 }, vocabulary);
        _ = generator.Read([1, 2, 3]);
        for (int i = 0; i < 100; i++) _ = generator.Next();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 50; i++) _ = generator.Next();
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    /// <summary>29 numbers of which every third is a token, or all, and the last the end.</summary>
    private sealed class Few(bool all) : TextTokenizer
    {
        public override int Vocabulary => 29;

        public override IReadOnlyList<int> Ends => [28];

        public override int[] Encode(string text) => throw new NotSupportedException();

        public override ReadOnlySpan<byte> BytesOf(int token) => (all || token % 3 == 0) && token != 28 ? "x"u8 : [];
    }

    private static LanguageModel Make(out int vocabulary)
    {
        LanguageModel model = LanguageRegistry.Find("mamba-lm").Create(new(29, Width: 16, Depth: 2), seed: 11);
        foreach (ref float x in model.Parameters["backbone.embedding.weight"].Span) x *= 50; // so that logits are apart
        model.Parameters.Freeze();
        vocabulary = 29;
        return model;
    }

    private static int ArgMax(ReadOnlySpan<float> values)
    {
        int best = 0;
        for (int i = 1; i < values.Length; i++)
            if (values[i] > values[best]) best = i;
        return best;
    }

    /// <summary>Sorted by hand: the k largest, softmax with the temperature, and from below what sums up to at most 1 - p goes.</summary>
    private static double[] Probabilities(double temperature, int topK, double topP)
    {
        int[] order = [.. Enumerable.Range(0, 5).OrderByDescending(i => s_logits[i])];
        double[] p = new double[5];
        foreach (int i in order[..(topK > 0 ? topK : 5)]) p[i] = Math.Exp(s_logits[i] / temperature);
        double sum = p.Sum(), gone = 0;
        foreach (int i in order.Reverse())
        {
            if (gone + p[i] > (1 - topP) * sum + 1e-12) break;
            gone += p[i];
            p[i] = 0;
        }
        return Array.ConvertAll(p, x => x / p.Sum());
    }
}
