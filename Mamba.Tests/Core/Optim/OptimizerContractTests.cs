using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Core.Optim;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>What holds for every optimizer: checks before changes, groups, and deriving one.</summary>
internal sealed class OptimizerContractTests
{
    private const int Count = 5;

    [Test]
    public void A_frozen_parameter_stops_a_step_before_anything_changes()
    {
        ParameterStore store = new(3);
        Tensor first = new Scope(store).Parameter("first", Init.Uniform(1), Count),
            frozen = new Scope(store).Parameter("frozen", Init.Uniform(1), Count);
        Adam adam = new(store.Parameters, 0.1);
        Fill(first, 1f);
        Fill(frozen, 1f);
        float[] before = first.Span.ToArray();
        frozen.Freeze();
        Assert.That(adam.Step, Throws.InvalidOperationException.With.Message.Contains("'frozen'"));
        Assert.That(adam.Steps, Is.Zero);
        Assert.That(first.Span.ToArray(), Is.EqualTo(before));
        Assert.That(adam.State.SelectMany(s => s.Tensor.Span.ToArray()), Is.All.Zero);
        frozen.Thaw();
        adam.Step();
        Assert.That(adam.Steps, Is.EqualTo(1));
        Assert.That(first.Span.ToArray(), Is.Not.EqualTo(before));
    }

    [Test]
    public void A_frozen_parameter_without_a_gradient_stops_nothing()
    {
        Tensor first = Leaf(1), frozen = Leaf(2);
        Fill(first, 1f);
        frozen.Freeze();
        new Sgd([("first", first), ("frozen", frozen)], 0.1).Step();
        Assert.That(first.Span[0], Is.EqualTo(Leaf(1).Span[0] - 0.1f).Within(1e-6f));
    }

    [Test]
    public void A_gradient_that_is_not_finite_stops_a_step_before_anything_changes()
    {
        Tensor first = Leaf(1), bad = Leaf(2);
        Fill(first, 1f);
        Fill(bad, float.NaN);
        float[] before = first.Span.ToArray();
        AdamW adam = new([("first", first), ("bad", bad)], 0.1);
        Assert.That(adam.Step, Throws.TypeOf<NonFiniteException>().With.Message.Contains("'bad'"));
        Assert.That(adam.Steps, Is.Zero);
        Assert.That(first.Span.ToArray(), Is.EqualTo(before));
    }

    [Test]
    public void A_swap_refuses_frozen_weights_and_changes_nothing()
    {
        ParameterStore store = new(3);
        Tensor w = new Scope(store).Parameter("w", Init.Uniform(1), Count), statistic = new Scope(store).Buffer("s", Init.Zeros, 2);
        WeightAverage average = new(store, 0.5);
        foreach (ref float x in w.Span) x += 1f;
        statistic.Span.Fill(1f);
        average.Update();
        float[] before = w.Span.ToArray();
        store.Freeze();
        Assert.That(average.Swap, Throws.InvalidOperationException.With.Message.Contains("frozen"));
        Assert.That(w.Span.ToArray(), Is.EqualTo(before));
        Assert.That(average.Weights.First().Tensor.Span.ToArray(), Is.EqualTo(before), "the weights are where they were");
        store.Thaw();
        average.Swap();
        Assert.That(w.Span.ToArray(), Is.Not.EqualTo(before));
    }

    // A linear layer keeps a frozen weight in packed form: a product after thawing must see what the swap wrote.
    [Test]
    public void After_a_thaw_products_see_what_a_swap_wrote()
    {
        ParameterStore store = new(3);
        Tensor w = new Scope(store).Parameter("w", Init.Uniform(1), 3, 4), x = Numbers.Random(1, 2, 4);
        WeightAverage average = new(store, 0);
        foreach (ref float v in w.Span) v *= 2f;
        store.Freeze();
        float doubled = Ops.Linear(x, w).Span[0];
        store.Thaw();
        average.Swap();
        Assert.That(Ops.Linear(x, w).Span[0], Is.EqualTo(doubled / 2).Within(1e-6f));
    }

    [Test]
    public void Groups_have_rates_and_decays_of_their_own()
    {
        Tensor a = Leaf(1), b = Leaf(2), c = Leaf(3);
        double[] expectedA = a.ToDouble(), expectedB = b.ToDouble(), expectedC = c.ToDouble();
        foreach (Tensor t in (Tensor[])[a, b, c]) Fill(t, 0.5f);
        ParameterGroup slow = new() { LearningRateScale = 0.1, WeightDecay = 0.2 };
        Sgd sgd = new([("x.a", a), ("x.A_log", b), ("x.c", c)], 0.5, momentum: 0, weightDecay: 0.1)
        {
            Groups = (name, _) => name.EndsWith("A_log", StringComparison.Ordinal) ? slow : name == "x.c" ? ParameterGroup.NoDecay
                : ParameterGroup.Default,
        };
        sgd.LearningRate = 0.25; // as a schedule does
        sgd.Step();
        for (int i = 0; i < Count; i++)
        {
            expectedA[i] -= 0.25 * (0.5 + 0.1 * expectedA[i]);
            expectedB[i] -= 0.025 * (0.5 + 0.2 * expectedB[i]);
            expectedC[i] -= 0.25 * 0.5;
        }
        GradCheck.Close(expectedA, a.Span, 1e-6, "default group");
        GradCheck.Close(expectedB, b.Span, 1e-6, "group of its own");
        GradCheck.Close(expectedC, c.Span, 1e-6, "no decay");
        Assert.That(() => new Sgd([("a", a)], 1) { Groups = (_, _) => null! }, Throws.ArgumentException.With.Message.Contains("'a'"));
    }

    [Test]
    public void Mambas_rule_exempts_what_its_authors_exempt()
    {
        ParameterStore store = new(1);
        _ = new MambaMixer(new Scope(store) / "mixer", new MambaConfig(8) { Bidirectional = true });
        string[] exempt = [.. store.Parameters.Where(p =>
            GroupRules.MambaWeightDecay(p.Name, p.Tensor) == ParameterGroup.NoDecay).Select(p => p.Name)];
        string[] decaying = [.. store.Parameters.Select(p => p.Name).Except(exempt)];
        Assert.That(exempt, Is.SupersetOf(new[] { "mixer.A_log", "mixer.D", "mixer.A_b_log", "mixer.D_b", "mixer.conv1d.bias",
            "mixer.dt_proj.bias" }));
        Assert.That(decaying,
            Is.SupersetOf(new[] { "mixer.in_proj.weight", "mixer.conv1d.weight", "mixer.x_proj.weight", "mixer.dt_proj.weight",
            "mixer.out_proj.weight" }));
        Assert.That(GroupRules.MambaWeightDecay("norm.weight", Tensor.Zeros(4)), Is.SameAs(ParameterGroup.NoDecay));
        Assert.That(GroupRules.MambaWeightDecay("mixer.B_bias", Tensor.Zeros(4, 1, 8)), Is.SameAs(ParameterGroup.Default));

        GroupRule ending = GroupRules.ByEnding(ParameterGroup.NoDecay, "A_log", ".D");
        Assert.That(ending("x.A_log", Tensor.Zeros(1)), Is.SameAs(ParameterGroup.NoDecay));
        Assert.That(ending("x.SD", Tensor.Zeros(1)), Is.SameAs(ParameterGroup.Default));
        Assert.That(() => GroupRules.ByEnding(ParameterGroup.NoDecay), Throws.ArgumentException);
    }

    [Test]
    public void An_optimizer_can_be_derived()
    {
        Tensor w = Leaf(1);
        float[] before = w.Span.ToArray();
        SignSgd sign = new([("w", w)], 0.25) { MaxGradientNorm = 1 };
        Fill(w, -3f);
        sign.Step();
        sign.Step();
        for (int i = 0; i < Count; i++) Assert.That(w.Span[i], Is.EqualTo(before[i] + 0.5f).Within(1e-6f));
        Assert.That(sign.State.Select(s => s.Name), Is.EqualTo(new[] { "steps.w" }));
        Assert.That(sign.State.Single().Tensor.Span.ToArray(), Is.All.EqualTo(2f));
        Assert.That(sign.LastScale, Is.EqualTo(1 / (3 * Math.Sqrt(Count))).Within(1e-6));
    }

    [Test]
    public void States_keep_the_names_of_checkpoints()
    {
        (string, Tensor)[] one = [("w", Leaf(1))];
        Assert.That(Names(new Adam(one)), Is.EqualTo(new[] { "mean.w", "square.w" }));
        Assert.That(Names(new AdamW(one)), Is.EqualTo(new[] { "mean.w", "square.w" }));
        Assert.That(Names(new Adam(one) { AmsGrad = true }), Is.EqualTo(new[] { "mean.w", "square.w", "largest.w" }));
        Assert.That(Names(new Sgd(one, 1)), Is.EqualTo(new[] { "velocity.w" }));
        Assert.That(Names(new RmsProp(one, momentum: 0.5) { Centered = true }), Is.EqualTo(new[] { "square.w", "mean.w", "velocity.w" }));
        Assert.That(Names(new Adagrad(one)), Is.EqualTo(new[] { "sum.w" }));

        static IEnumerable<string> Names(Optimizer optimizer) => optimizer.State.Select(s => s.Name);
    }

    [Test]
    public void Clipping_by_norm_leaves_gradients_that_are_small_or_not_finite()
    {
        Tensor a = Leaf(1), b = Leaf(2), without = Leaf(3);
        Fill(a, 3f);
        Fill(b, 4f);
        double norm = Math.Sqrt(Count * 25);
        Assert.That(GradientNorm.Clip([a, b, without], 100), Is.EqualTo(norm).Within(1e-5));
        Assert.That(a.Grad!.Value.Span[0], Is.EqualTo(3f));
        Assert.That(GradientNorm.Clip([a, b, without], 1), Is.EqualTo(norm).Within(1e-5));
        Assert.That(b.Grad!.Value.Span[0], Is.EqualTo(4 / norm).Within(1e-5));
        Fill(a, float.PositiveInfinity);
        Assert.That(GradientNorm.Clip([a, b], 1), Is.EqualTo(double.PositiveInfinity));
        Assert.That(b.Grad!.Value.Span[0], Is.EqualTo(4 / norm).Within(1e-5));
        Assert.That(() => GradientNorm.Clip([a], double.NaN), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    private static Tensor Leaf(int seed)
    {
        Tensor w = Numbers.Random(seed, Count);
        w.RequiresGrad = true;
        return w;
    }

    private static void Fill(Tensor w, float gradient)
    {
        w.ZeroGrad();
        w.OpenGrad().Span.Fill(gradient);
    }

    private sealed class SignSgd : Optimizer
    {
        private readonly Tensor[] _steps;

        public SignSgd(IEnumerable<(string Name, Tensor Tensor)> parameters, double rate)
            : base(parameters, rate) => _steps = NewState();

        public float LastScale { get; private set; }

        public override IEnumerable<(string Name, Tensor Tensor)> State => Named("steps", _steps);

        protected override void Update(in ParameterUpdate update)
        {
            Span<float> w = update.Parameter.Span, g = update.Gradient.Span;
            for (int i = 0; i < w.Length; i++) w[i] -= (float)update.LearningRate * MathF.Sign(g[i]);
            foreach (ref float n in _steps[update.Index].Span) n++;
            LastScale = update.GradientScale;
        }
    }

    public static IEnumerable<TestCaseData> BadSettings()
    {
        (string, Tensor)[] w = [("w", Leaf(1))];
        foreach ((string name, Func<object> make) in new (string, Func<object>)[]
        {
            ("a rate below 0", () => new Sgd(w, -0.1)), ("a rate that is NaN", () => new Adam(w, double.NaN)),
            ("an infinite rate", () => new RmsProp(w, double.PositiveInfinity)),
            ("a later rate below 0", () => new Sgd(w, 0.1) { LearningRate = -1 }),
            ("a decay below 0", () => new AdamW(w, 0.1, -1)), ("a momentum below 0", () => new Sgd(w, 0.1, -0.5)),
            ("RMSprop's momentum", () => new RmsProp(w, momentum: -1)), ("RMSprop's smoothing", () => new RmsProp(w) { Smoothing = 1 }),
            ("Adam's first beta", () => new Adam(w) { Beta1 = 1 }), ("Adam's second beta", () => new Adam(w) { Beta2 = double.NaN }),
            ("Adam's eps", () => new Adam(w) { Eps = -1 }), ("Adagrad's decay", () => new Adagrad(w, learningRateDecay: -1)),
            ("Adagrad's first sum", () => new Adagrad(w, initialSum: -1)), ("a bound below 0", () => new Sgd(w,
                0.1) { MaxGradientNorm = -1 }),
            ("a bound that is NaN", () => new Sgd(w, 0.1) { MaxGradientNorm = double.NaN }),
            ("a group's scale", () => new ParameterGroup { LearningRateScale = -1 }),
            ("a group's decay", () => new ParameterGroup { WeightDecay = double.NaN }),
        }) yield return new TestCaseData(make).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(BadSettings))]
    public void A_setting_out_of_range_is_refused(Func<object> make) => Assert.That(make, Throws.InstanceOf<ArgumentOutOfRangeException>());

    [Test]
    public void Nesterov_without_momentum_is_refused() =>
        Assert.That(() => new Sgd([("w", Leaf(1))], 0.1, momentum: 0) { Nesterov = true }, Throws.ArgumentException);

    // It would be changed twice a step, and the second name would overwrite the first one's state in a checkpoint.
    [Test]
    public void A_parameter_or_a_name_that_comes_twice_is_refused()
    {
        Tensor w = Leaf(1), other = Leaf(2);
        Assert.That(() => new Sgd([("a", w), ("b", w)], 0.1), Throws.ArgumentException.With.Message.Contains("'b'"));
        Assert.That(() => new Sgd([("a", w), ("b", w.Reshape(1, Count))], 0.1), Throws.ArgumentException.With.Message.Contains("'b'"));
        Assert.That(() => new Sgd([("a", w), ("a", other)], 0.1), Throws.ArgumentException.With.Message.Contains("'a'"));
    }

    [Test]
    public void The_result_of_an_operator_is_no_parameter()
    {
        using Tape tape = new();
        Tensor result = Ops.Exp(Leaf(1));
        Assert.That(() => new Sgd([("y", result)], 0.1), Throws.ArgumentException.With.Message.Contains("'y'"));
    }
}
