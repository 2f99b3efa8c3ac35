using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Language;

namespace Mamba.Tests.Models;

/// <summary>What all language models promise: whole, by parts and by steps they say the same, and errors name what is wrong.</summary>
internal sealed class LanguageModelTests
{
    private static readonly LanguageModelConfig s_small = new(21, Width: 24, Depth: 2)
    {
        States = 6,
        HeadWidth = 8,
        Heads = 3,
        Positions = 40,
    };

    public static IEnumerable<string> Names => ["mamba-lm", "mamba2-lm", "mamba3-lm", "s4d-lm", "transformer-lm"];

    [Test]
    public void Parts_chosen_positions_and_steps_give_the_logits_of_the_whole([ValueSource(nameof(Names))] string name)
    {
        using LanguageModel model = Make(name);
        using MemoryScope scope = new();
        const int Length = 17;
        Tensor tokens = Tokens(2, Length);
        Tensor whole = model.Forward(tokens); // (B, L, V)
        Assert.That(whole.Shape, Is.EqualTo(new Shape(2, Length, 24)), "the vocabulary is padded");

        Close(model.ForwardAt(tokens, [3, -1]), Ops.IndexSelect(whole, 1, [3, Length - 1]));
        Tensor last = Ops.Slice(whole, 1, Length - 1, 1).Reshape(2, 24);
        foreach (int part in new[] { 1, 5, 100 })
        {
            LanguageState state = model.NewState(2);
            Close(model.Prefill(tokens, state, part), last);
            Assert.That(state.Position, Is.EqualTo(Length));
        }

        LanguageState steps = model.NewState(2);
        for (int round = 0; round < 2; round++, steps.Reset()) // a state that was reset has forgotten all
            for (int t = 0; t < Length; t++)
                Close(model.Step(Ops.Slice(tokens, 1, t, 1).Reshape(2), steps), Ops.Slice(whole, 1, t, 1).Reshape(2, 24));
    }

    [Test]
    public void No_position_sees_a_later_token([ValueSource(nameof(Names))] string name)
    {
        using LanguageModel model = Make(name);
        Tensor tokens = Tokens(1, 12), other = tokens.Clone();
        other.Span[8] = (other.Span[8] + 1) % 21;
        Tensor a = model.Forward(tokens), b = model.Forward(other);
        Assert.That(a.Span[..(8 * 24)].SequenceEqual(b.Span[..(8 * 24)]));
        Assert.That(a.Span[(8 * 24)..].SequenceEqual(b.Span[(8 * 24)..]), Is.False);
    }

    [Test]
    public void The_head_is_the_embedding_under_a_second_name([ValueSource(nameof(Names))] string name)
    {
        using LanguageModel model = Make(name);
        Assert.That(model.Parameters["lm_head.weight"] == model.Parameters["backbone.embedding.weight"]);
        Assert.That(model.Parameters.All.Select(p => p.Name), Has.No.Member("lm_head.weight"));
    }

    [Test]
    public void The_130M_model_has_the_published_number_of_parameters()
    {
        using LanguageModel model = LanguageRegistry.Find("mamba-lm").Build(
            new Scope(new ParameterStore { SkipInitialValues = true }), LanguageRegistry.Find("mamba-lm").Config);
        Assert.That(model.Parameters.ParameterCount, Is.EqualTo(129_135_360));
    }

    [Test]
    public void What_a_layer_adds_starts_smaller_in_a_deeper_model()
    {
        using LanguageModel model = LanguageRegistry.Find("mamba-lm").Create(s_small with { Depth = 4 });
        float bound = 1 / MathF.Sqrt(48f * 4); // uniform in +-1 / sqrt(inputs depth)
        Span<float> weight = model.Parameters["backbone.layers.3.mixer.out_proj.weight"].Span;
        Assert.That(weight.ToArray().Max(MathF.Abs), Is.InRange(0.95f * bound, bound));
        double deviation = Math.Sqrt(model.Parameters["backbone.embedding.weight"].Span.ToArray().Average(x => (double)x * x));
        Assert.That(deviation, Is.EqualTo(0.02).Within(0.002));
    }

    [Test]
    public void Biases_of_linear_layers_start_at_0_as_in_mamba_ssm()
    {
        LanguageModelConfig config = s_small with { Mamba2 = new Mamba2Options { Bias = true } };
        using LanguageModel model = LanguageRegistry.Find("mamba2-lm").Create(config);
        foreach (string layer in new[] { "in_proj", "out_proj" })
            Assert.That(model.Parameters[$"backbone.layers.1.mixer.{layer}.bias"].Span.ToArray(), Is.All.Zero, layer);
        Assert.That(model.Parameters["backbone.layers.1.mixer.conv1d.bias"].Span.ToArray(), Has.Some.Not.Zero);
        Assert.That(model.Parameters["backbone.layers.1.mixer.dt_bias"].Span.ToArray(), Is.All.Not.Zero);
    }

    [Test]
    public void A_model_leaves_the_others_in_its_store_as_they_are([Values("mamba-lm", "transformer-lm")] string name)
    {
        LanguageEntry entry = LanguageRegistry.Find(name);
        ParameterStore store = new(seed: 7);
        Scope root = new(store);
        _ = entry.Build(root / "first", s_small);
        foreach ((_, Tensor tensor) in store.All) tensor.Span.Fill(5f); // as if loaded
        LanguageModelConfig deeper = s_small with { Depth = 3 };
        _ = entry.Build(root / "second", deeper);
        ParameterStore alone = new(seed: 7);
        _ = entry.Build(new Scope(alone) / "second", deeper);
        foreach ((string parameter, Tensor tensor) in store.All)
            if (alone.Contains(parameter)) Assert.That(tensor.Span.ToArray(), Is.EqualTo(alone[parameter].Span.ToArray()), parameter);
            else Assert.That(tensor.Span.ToArray(), Is.All.EqualTo(5f), parameter);
    }

    [Test]
    public void What_does_not_fit_is_refused_by_name([ValueSource(nameof(Names))] string name)
    {
        using LanguageModel model = Make(name);
        Tensor tokens = Tokens(2, 5);
        Assert.That(() => model.Forward(Tensor.Zeros(5)), Throws.TypeOf<ShapeException>().With.Message.Contains("expected (B, L)"));
        Assert.That(() => model.Forward(tokens, model.NewState(3)), Throws.TypeOf<ShapeException>().With.Message.Contains("3 sequences"));
        Assert.That(() => model.Step(tokens, model.NewState(2)), Throws.TypeOf<ShapeException>().With.Message.Contains("(B)"));
        Assert.That(() => model.Prefill(Tensor.Zeros(2, 0), model.NewState(2)), Throws.TypeOf<ShapeException>());
        Assert.That(() => model.Prefill(tokens, model.NewState(2), 0), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => model.Forward(Tensor.Full(24f, 1, 1)), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => model.Forward(Tensor.Full(0.5f, 1, 1)), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => model.ForwardAt(tokens, [5]), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => model.NewState(0), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void A_Transformer_has_as_many_positions_as_it_was_made_with()
    {
        using LanguageModel model = Make("transformer-lm");
        LanguageState state = model.NewState(1);
        _ = model.Forward(Tokens(1, 40), state);
        Assert.That(() => model.Step(Tokens(1, 1).Reshape(1), state), Throws.TypeOf<ShapeException>().With.Message.Contains("at most 40"));
        Assert.That(() => model.Forward(Tokens(1, 41)), Throws.TypeOf<ShapeException>().With.Message.Contains("at most 40"));
    }

    [Test]
    public void Sizes_that_cannot_be_are_refused_by_name()
    {
        Assert.That(() => LanguageRegistry.Find("mamba-lm").Create(s_small with { Depth = 0 }),
            Throws.ArgumentException.With.Message.Contains("depth is 0"));
        Assert.That(() => LanguageRegistry.Find("mamba-lm").Create(s_small with { States = -1 }),
            Throws.ArgumentException.With.Message.Contains("states is -1"));
        Assert.That(() => LanguageRegistry.Find("transformer-lm").Create(s_small with { Heads = 5 }), Throws.ArgumentException);
        Assert.That(() => LanguageRegistry.Find("mamba-ml"), Throws.ArgumentException.With.Message.Contains("did you mean 'mamba-lm'"));
    }

    [Test]
    public void A_warmed_up_step_allocates_nothing([Values("mamba-lm", "mamba2-lm", "mamba3-lm", "s4d-lm")] string name)
    {
        using LanguageModel model = Make(name);
        LanguageState state = model.NewState(1);
        Tensor token = Tensor.Full(3f, 1);
        Assert.That(Allocated(), Is.Zero);

        long Allocated()
        {
            long before = 0;
            for (int i = 0; i < 60; i++)
            {
                if (i == 50) before = GC.GetAllocatedBytesForCurrentThread();
                using MemoryScope scope = new();
                _ = model.Step(token, state);
            }
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    /// <summary>float32 rows round otherwise than packed panels, fewer bits as much as their codes.</summary>
    [Test]
    public void Stored_weights_give_nearly_the_same_logits(
        [ValueSource(nameof(Names))] string name, [Values] WeightFormat format)
    {
        using LanguageModel model = Make(name), stored = Make(name);
        stored.Store(format);
        using MemoryScope scope = new();
        Tensor tokens = Tokens(1, 9), whole = model.Forward(tokens);
        double tolerance = format switch
        {
            WeightFormat.Float32 => 1e-5,
            WeightFormat.Float16 => 5e-3,
            _ => 0.1,
        };
        Close(stored.Forward(tokens), whole, tolerance);
        LanguageState state = stored.NewState(1);
        for (int t = 0; t < 9; t++)
            Close(
                stored.Step(Ops.Slice(tokens, 1, t, 1).Reshape(1), state), Ops.Slice(whole, 1, t, 1).Reshape(1, 24), tolerance);
    }

    private static LanguageModel Make(string name)
    {
        LanguageModel model = LanguageRegistry.Find(name).Create(s_small, seed: 7);
        Random random = new(5);
        foreach ((string parameter, Tensor tensor) in model.Parameters.All) // larger than initial ones, so that every part matters
            if (tensor.Shape.Rank == 2 && parameter.EndsWith(".weight", StringComparison.Ordinal))
                foreach (ref float x in tensor.Span) x = (float)(random.NextDouble() - 0.5);
        model.Parameters.Freeze();
        return model;
    }

    private static Tensor Tokens(int batch, int length)
    {
        Random random = new(3);
        Tensor tokens = Tensor.Empty(batch, length);
        foreach (ref float token in tokens.Span) token = random.Next(21);
        return tokens;
    }

    private static void Close(Tensor actual, Tensor expected, double tolerance = 1e-5)
    {
        Assert.That(actual.Shape, Is.EqualTo(expected.Shape));
        float largest = expected.Span.ToArray().Max(MathF.Abs), worst = 0;
        for (int i = 0; i < actual.Count; i++) worst = MathF.Max(worst, MathF.Abs(actual.Span[i] - expected.Span[i]));
        Assert.That(worst, Is.LessThan(tolerance * largest));
    }
}
