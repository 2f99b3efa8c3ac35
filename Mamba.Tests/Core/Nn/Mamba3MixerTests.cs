using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Core.Optim;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class Mamba3MixerTests(VectorWidth width) : WidthFixture(width)
{
    private static readonly Mamba3Config s_small = new(DModel: 10, DState: 6, HeadDim: 5, NGroups: 2);

    private static readonly string[] s_names =
    [
        "dt_bias", "B_bias", "C_bias", "D", "in_proj.weight", "B_norm.weight", "C_norm.weight", "norm.weight", "out_proj.weight",
    ];

    [Test]
    public void Parameters_are_those_of_the_published_module()
    {
        ParameterStore store = new() { SkipInitialValues = true };
        _ = new Mamba3Mixer(new Scope(store), new Mamba3Config(768));
        Assert.That(store.ParameterCount, Is.EqualTo(3_821_872));
        ParameterStore small = new(seed: 1);
        _ = new Mamba3Mixer(new Scope(small), s_small with { IsOutprojNorm = true });
        Assert.That(small.All.Select(p => p.Name), Is.EqualTo(s_names));
        Assert.That(small["B_bias"].Shape, Is.EqualTo(new Shape(4, 1, 6)));
        foreach (string name in new[] { "B_bias", "C_bias", "D", "B_norm.weight", "C_norm.weight", "norm.weight" })
            Assert.That(small[name].Span.ToArray(), Is.All.EqualTo(1f), name);
        foreach (float bias in small["dt_bias"].Span) Assert.That(Math.Log(1 + Math.Exp(bias)), Is.InRange(0.00099, 0.1001));
        double bound = 1 / Math.Sqrt(10);
        Assert.That(small["in_proj.weight"].Span.ToArray(), Is.All.InRange(-bound, bound));
    }

    [Test]
    public void Step_sizes_and_the_skip_do_not_decay()
    {
        ParameterStore store = new();
        _ = new Mamba3Mixer(new Scope(store), s_small);
        string[] decaying = [.. store.Parameters.Where(p => GroupRules.MambaWeightDecay(p.Name, p.Tensor) == ParameterGroup.Default)
            .Select(p => p.Name)];
        Assert.That(decaying, Is.EqualTo(new[] { "B_bias", "C_bias", "in_proj.weight", "out_proj.weight" }));
    }

    [Test]
    public void Steps_equal_the_whole_sequence([Values] bool norm)
    {
        Mamba3Mixer mixer = Mixer(s_small with { IsOutprojNorm = norm, RopeFraction = norm ? 1 : 0.5 });
        Tensor x = Numbers.Random(5, 2, 9, 10), whole = mixer.Forward(x);
        SequenceState state = mixer.NewState(2);
        for (int t = 0; t < 9; t++)
        {
            Tensor y = mixer.Step(Ops.Slice(x, 1, t, 1).Reshape(2, 10), state);
            GradCheck.Close(Ops.Slice(whole, 1, t, 1).ToDouble(), y.Span, 1e-5, $"token {t}");
        }
    }

    [TestCase(4, 5)]
    [TestCase(1, 8)]
    [TestCase(2, 1, 6)]
    public void Parts_equal_the_whole_sequence(params int[] lengths)
    {
        Mamba3Mixer mixer = Mixer(s_small);
        Tensor x = Numbers.Random(5, 2, 9, 10), residual = Numbers.Random(6, 2, 9, 10), whole = mixer.Forward(x, residual);
        SequenceState state = mixer.NewState(2);
        int at = 0;
        foreach (int length in lengths)
        {
            Tensor y = mixer.Forward(Ops.Slice(x, 1, at, length), Ops.Slice(residual, 1, at, length), state);
            GradCheck.Close(Ops.Slice(whole, 1, at, length).ToDouble(), y.Span, 1e-5, $"tokens from {at}");
            at += length;
        }
        Assert.That(at, Is.EqualTo(9));
    }

    /// <summary>A part's gradient is that of the same tokens after a constant memory, although the state has gone on by then.</summary>
    [Test]
    public void Parts_of_a_recorded_sequence_have_their_gradients()
    {
        Mamba3Mixer mixer = Mixer(s_small);
        Tensor x = Numbers.Random(5, 2, 9, 10), dy = Numbers.Random(6, 2, 5, 10), later;
        Mamba3Memory before = mixer.ForwardFrom(Ops.Slice(x, 1, 0, 4), memory: null).Last;
        float[] expected, actual;
        using (Tape tape = new())
        {
            later = Ops.Slice(x, 1, 4, 5).Clone();
            later.RequiresGrad = true;
            tape.Backward(mixer.ForwardFrom(later, before).Output, dy);
            expected = later.Grad!.Value.Span.ToArray();
        }
        using (Tape tape = new())
        {
            SequenceState state = mixer.NewState(2);
            mixer.Forward(Ops.Slice(x, 1, 0, 4), null, state);
            later = Ops.Slice(x, 1, 4, 5).Clone();
            later.RequiresGrad = true;
            Tensor y = mixer.Forward(later, null, state);
            mixer.Forward(Ops.Slice(x, 1, 0, 4), null, state);
            tape.Backward(y, dy);
            actual = later.Grad!.Value.Span.ToArray();
        }
        GradCheck.Close(Array.ConvertAll(expected, g => (double)g), actual, 1e-6, "gradient");
    }

    /// <summary>A stream has no end: its state keeps its size, a warmed-up step allocates nothing, and a reset begins anew.</summary>
    [Test]
    [NonParallelizable]
    public void Steps_allocate_nothing_and_a_reset_state_is_a_new_one([Values] bool norm)
    {
        ParameterStore store = new(seed: 4);
        Mamba3Mixer mixer = new(new Scope(store), s_small with { DModel = 20, IsOutprojNorm = norm });
        SequenceSteps.AllocateNothingAndStartAnew(mixer, store, 20);
    }

    [Test]
    public void Sizes_tokens_and_states_that_do_not_fit_are_refused()
    {
        Scope scope = new(new ParameterStore { SkipInitialValues = true });
        foreach (Mamba3Config bad in new[]
                 {
                     s_small with { HeadDim = 3 }, s_small with { NGroups = 3 }, s_small with { RopeFraction = 0.25 },
                     s_small with { DState = 0 }, s_small with { AFloor = 0 },
                 })
            Assert.That(
                () => new Mamba3Mixer(scope / "bad", bad), Throws.InstanceOf<ArgumentException>().With.Message.Contains("Mamba3Config"));
        foreach (Mamba3Config bad in new[] { s_small with { DtMin = 0 }, s_small with { DtMax = 1e-4 } })
            Assert.That(() => new Mamba3Mixer(scope / "bad", bad), Throws.ArgumentException.With.Message.Contains("0 < low <= high"));
        Mamba3Mixer mixer = Mixer(s_small);
        SequenceState state = mixer.NewState(2);
        foreach (Tensor token in new[] { Numbers.Random(1, 2, 9), Numbers.Random(1, 1, 10), Numbers.Random(1, 2, 1, 10) })
            Assert.That(
                () => mixer.Step(token, state), Throws.TypeOf<ShapeException>().With.Message.Contains("Mamba3Mixer.Step"),
                $"{token.Shape}");
        SequenceState[] others =
        [
            new Mamba3State(2, s_small with { DState = 8 }), new Mamba3State(2, s_small with { RopeFraction = 1 }),
            new MambaState(2, new MambaConfig(10)),
        ];
        foreach (SequenceState other in others)
            Assert.That(() => mixer.Step(Numbers.Random(1, 2, 10), other), Throws.TypeOf<ShapeException>());
        Assert.That(() => mixer.Forward(Numbers.Random(1, 2, 10)), Throws.TypeOf<ShapeException>());
    }

    private static Mamba3Mixer Mixer(Mamba3Config config) => new(new Scope(new ParameterStore(seed: 4)), config);
}
