using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>The Mamba-2 block: names, first values, and that its three ways to run agree. Goldens hold its values.</summary>
internal sealed class Mamba2MixerTests
{
    private static readonly Mamba2Config s_config = new(DModel: 12, DState: 8, HeadDim: 6);

    public static IEnumerable<Mamba2Config> Configs =>
    [
        s_config, s_config with { NGroups = 2, DHasHeadDim = true }, s_config with { RmsNorm = false, DtLimit = (0.002f, 0.05f) },
        s_config with { NormBeforeGate = true, Bias = true, ConvBias = false, DConv = 2 },
    ];

    [Test]
    public void Names_shapes_and_first_values_are_those_of_mamba_ssm()
    {
        Mamba2Config config = new(768);
        ParameterStore store = new(seed: 3);
        _ = new Mamba2Mixer(new Scope(store), config);
        Assert.That(
            store.All.Select(p => $"{p.Name} {p.Tensor.Shape}"), Is.EqualTo(
            [
                "dt_bias (24)", "A_log (24)", "D (24)", "in_proj.weight (3352, 768)", "conv1d.weight (1792, 1, 4)", "conv1d.bias (1792)",
                "norm.weight (1536)", "out_proj.weight (768, 1536)",
            ]));
        Dictionary<string, float[]> values = store.All.ToDictionary(p => p.Name, p => p.Tensor.Span.ToArray());
        foreach (float value in values["A_log"]) Assert.That(value, Is.InRange(0f, (float)Math.Log(16)));
        foreach (float value in values["dt_bias"]) Assert.That(Math.Log(1 + Math.Exp(value)), Is.InRange(0.00099, 0.101));
        Assert.That(values["D"].Concat(values["norm.weight"]), Is.All.EqualTo(1f));
        Assert.That(values["conv1d.weight"].Max(Math.Abs), Is.InRange(0.49f, 0.5f));
    }

    [TestCaseSource(nameof(Configs))]
    public void Steps_equal_the_whole_sequence(Mamba2Config config)
    {
        Mamba2Mixer mixer = new(new Scope(new ParameterStore(seed: 4)), config);
        Tensor x = Numbers.Random(5, 2, 19, 12), whole = mixer.Forward(x);
        SequenceState state = mixer.NewState(2);
        for (int t = 0; t < 19; t++)
        {
            Tensor y = mixer.Step(Ops.Slice(x, 1, t, 1).Reshape(2, 12), state);
            GradCheck.Close(Ops.Slice(whole, 1, t, 1).ToDouble(), y.Span, 1e-5, $"token {t}");
        }
    }

    /// <summary>Parts may be shorter than the convolution, or a single token.</summary>
    [TestCase(4, 15), TestCase(1, 18), TestCase(2, 1, 16)]
    public void Parts_equal_the_whole_sequence(params int[] lengths)
    {
        foreach (Mamba2Config config in Configs)
        {
            Mamba2Mixer mixer = new(new Scope(new ParameterStore(seed: 4)), config);
            Tensor x = Numbers.Random(5, 2, 19, 12), residual = Numbers.Random(6, 2, 19, 12), whole = mixer.Forward(x, residual);
            SequenceState state = mixer.NewState(2);
            int at = 0;
            foreach (int length in lengths)
            {
                Tensor y = mixer.Forward(Ops.Slice(x, 1, at, length), Ops.Slice(residual, 1, at, length), state);
                GradCheck.Close(Ops.Slice(whole, 1, at, length).ToDouble(), y.Span, 1e-5, $"tokens from {at}");
                at += length;
            }
            Assert.That(at, Is.EqualTo(19));
        }
    }

    /// <summary>A stream has no end: its state keeps its size, a warmed-up step allocates nothing, and a reset begins anew.</summary>
    [TestCaseSource(nameof(Configs))]
    [NonParallelizable]
    public void Steps_allocate_nothing_and_a_reset_state_is_a_new_one(Mamba2Config config)
    {
        ParameterStore store = new(seed: 4);
        Mamba2Mixer mixer = new(new Scope(store), config);
        SequenceSteps.AllocateNothingAndStartAnew(mixer, store, 12);
    }

    [Test]
    public void Tokens_states_and_sizes_that_do_not_fit_are_refused()
    {
        Mamba2Mixer mixer = new(new Scope(new ParameterStore(seed: 4)), s_config);
        SequenceState state = mixer.NewState(2);
        foreach (Tensor token in new[] { Numbers.Random(1, 2, 9), Numbers.Random(1, 1, 12), Numbers.Random(1, 2, 1, 12) })
            Assert.That(
                () => mixer.Step(token, state), Throws.TypeOf<ShapeException>().With.Message.Contains("Mamba2Mixer.Step"),
                $"{token.Shape}");
        Assert.That(() => mixer.Forward(Numbers.Random(1, 2, 12)), Throws.TypeOf<ShapeException>().With.Message.Contains("Mamba2Mixer"));
        foreach (Mamba2Config other in new[] { s_config with { DState = 4 }, s_config with { DConv = 3 }, s_config with { HeadDim = 4 } })
            Assert.That(() => mixer.Step(Numbers.Random(1, 2, 12), new Mamba2State(2, other)), Throws.TypeOf<ShapeException>());
        SequenceState foreign = new MambaState(2, new MambaConfig(12));
        Assert.That(() => mixer.Step(Numbers.Random(1, 2, 12), foreign), Throws.TypeOf<ShapeException>());
        foreach (Mamba2Config bad in new[]
                 {
                     s_config with { AInitRange = (0, 16) }, s_config with { AInitRange = (2, 1) },
                     s_config with { AInitRange = (double.NaN, 1) }, s_config with { AInitRange = (1, double.PositiveInfinity) },
                     s_config with { DtMin = 0 }, s_config with { DtMax = 1e-4 },
                 })
        {
            ParameterStore store = new();
            Assert.That(
                () => new Mamba2Mixer(new Scope(store), bad), Throws.ArgumentException.With.Message.Contains("0 < low <= high"), $"{bad}");
            Assert.That(store.All, Is.Empty);
        }
        ParameterStore same = new();
        _ = new Mamba2Mixer(new Scope(same), s_config with { AInitRange = (2, 2) });
        Assert.That(same["A_log"].Span.ToArray(), Is.All.EqualTo((float)Math.Log(2)));
        foreach (Mamba2Config odd in new[] { s_config with { HeadDim = 5 }, s_config with { HeadDim = 0 }, s_config with { NGroups = 3 } })
            Assert.That(
                () => new Mamba2Mixer(new Scope(new ParameterStore()), odd), Throws.ArgumentException.With.Message.Contains("Mamba2Mixer"));
    }
}
