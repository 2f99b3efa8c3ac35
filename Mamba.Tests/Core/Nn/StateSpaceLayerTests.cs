using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>One parameter set, three forms: a convolution, a scan and steps.</summary>
internal sealed class StateSpaceLayerTests
{
    /// <summary>Convolution and scan differ by the rounding of Abar to float32, which a memory of some 1,000 tokens adds up.</summary>
    private const double Bound = 3e-5, StateBound = 1e-4;
    private const int Width = 6, Length = 40;

    public static IEnumerable<TestCaseData> Systems =>
    [
        .. Enum.GetValues<S4dInitialization>().Select(
            i => Case($"S4D-{i}", s => new S4d(s, new S4dLayerConfig(Width, 16) { Initialization = i }))),
        Case("S4", s => new S4(s, new S4Config(Width, 16))),
        Case("S4, stored C", s => new S4(s, new S4Config(Width, 16, Length))),
    ];

    public static IEnumerable<TestCaseData> Mixers =>
    [
        .. Systems,
        Case("S4D mixer", s => new S4dMixer(s, new S4dConfig(Width, 8))),
        Case("S4D mixer without a gate", s => new S4dMixer(s, new S4dConfig(Width, 8, DConv: 1, Expand: 1) { Gated = false })),
    ];

    private static TestCaseData Case(string name, Func<Scope, ISequenceMixer> create) => new TestCaseData(create).SetArgDisplayNames(name);

    [TestCaseSource(nameof(Systems))]
    public void The_three_forms_and_their_gradients_are_equal(Func<Scope, ISequenceMixer> create)
    {
        ParameterStore store = new(seed: 4);
        ISequenceMixer layer = create(new Scope(store));
        Tensor x = Numbers.Random(5, 2, Length, Width), cotangent = Numbers.Random(6, 2, Length, Width);
        x.RequiresGrad = true;
        float[][] convolution = Differentiate(store, x, cotangent, () => layer.Forward(x));
        float[][] scan = Differentiate(store, x, cotangent, () => Scan(layer, x, null).Output);
        float[][] steps = Differentiate(store, x, cotangent, () =>
        {
            Tensor? state = null;
            List<Tensor> outputs = [];
            for (int t = 0; t < Length; t++)
            {
                (Tensor y, state) = Scan(layer, Ops.Slice(x, 1, t, 1), state);
                outputs.Add(y);
            }
            return Ops.Concat([.. outputs], axis: 1);
        });
        AreClose(store, convolution, scan, Bound, "scan");
        AreClose(store, convolution, steps, Bound, "steps");
    }

    /// <summary>The output, the gradient of x and those of the parameters.</summary>
    private static float[][] Differentiate(ParameterStore store, Tensor x, Tensor cotangent, Func<Tensor> form)
    {
        store.ZeroGrad();
        x.ZeroGrad();
        using Tape tape = new();
        Tensor y = form();
        tape.Backward(y, cotangent);
        return [y.Span.ToArray(), x.Grad!.Value.Span.ToArray(), .. store.Parameters.Select(p => p.Tensor.Grad!.Value.Span.ToArray())];
    }

    private static void AreClose(ParameterStore store, float[][] expected, float[][] actual, double bound, string form)
    {
        string[] names = ["output", "gradient of x", .. store.Parameters.Select(p => $"gradient of {p.Name}")];
        for (int i = 0; i < names.Length; i++)
            GradCheck.Close(Array.ConvertAll(expected[i], v => (double)v), actual[i], bound, $"{form}: {names[i]}");
    }

    /// <summary>
    /// Over a long sequence the scan adds up the rounding of Abar, 6e-8 a step, until the state has decayed: some 1 / dt steps.
    /// </summary>
    [Test]
    public void The_forms_agree_over_a_long_sequence([Values] S4dInitialization initialization)
    {
        S4d layer = new(new Scope(new ParameterStore(seed: 4)), new S4dLayerConfig(8, 64) { Initialization = initialization });
        Tensor x = Numbers.Random(5, 1, 4000, 8);
        GradCheck.Close(layer.Convolve(x).ToDouble(), layer.Scan(x).Output.Span, 1e-4, "scan");
    }

    [Test]
    public void A_frozen_layer_follows_the_length_of_its_sequences_and_forgets_its_kernel_when_it_thaws()
    {
        ParameterStore store = new(seed: 4);
        S4d layer = new(new Scope(store), new S4dLayerConfig(Width, 8));
        Tensor x = Numbers.Random(5, 1, Length, Width);
        float[] expected = layer.Forward(x).Span.ToArray();
        store.Freeze();
        for (int i = 0; i < 2; i++)
        {
            Assert.That(layer.Forward(x).Span.ToArray(), Is.EqualTo(expected));
            Tensor part = layer.Forward(Ops.Slice(x, 1, 0, 9));
            GradCheck.Close(Ops.Slice(Tensor.From(expected, 1, Length, Width), 1, 0, 9).ToDouble(), part.Span, 1e-5, "a shorter sequence");
        }
        store.Thaw();
        store["kernel.C"].Span.Clear();
        Assert.That(layer.Forward(x).Span.ToArray(), Is.Not.EqualTo(expected));
        Assert.That(layer.Forward(Tensor.Zeros(2, 0, Width)).Shape, Is.EqualTo(new Shape(2, 0, Width)));
    }

    private static (Tensor Output, Tensor LastState) Scan(ISequenceMixer layer, Tensor x, Tensor? state) =>
        layer is S4d s4d ? s4d.Scan(x, state) : ((S4)layer).Scan(x, state);

    [TestCaseSource(nameof(Mixers))]
    public void Parts_and_steps_equal_the_whole_sequence(Func<Scope, ISequenceMixer> create)
    {
        foreach (bool frozen in new[] { false, true })
        {
            ParameterStore store = new(seed: 4);
            ISequenceMixer layer = create(new Scope(store));
            if (frozen) store.Freeze();
            Tensor x = Numbers.Random(5, 2, Length, Width), residual = Numbers.Random(6, 2, Length, Width);
            Tensor whole = layer.Forward(x, residual), plain = layer.Forward(x);
            SequenceState state = layer.NewState(2), single = layer.NewState(2);
            int at = 0;
            foreach (int part in new[] { 1, 2, 30, 7 })
            {
                Tensor y = layer.Forward(Ops.Slice(x, 1, at, part), Ops.Slice(residual, 1, at, part), state);
                GradCheck.Close(Ops.Slice(whole, 1, at, part).ToDouble(), y.Span, Bound, $"tokens from {at}");
                at += part;
            }
            for (int t = 0; t < Length; t++)
            {
                Tensor y = layer.Step(Ops.Slice(x, 1, t, 1).Reshape(2, Width), single);
                GradCheck.Close(Ops.Slice(plain, 1, t, 1).ToDouble(), y.Span, Bound, $"token {t}");
            }
            for (int i = 0; i < state.Tensors.Count; i++)
                GradCheck.Close(state.Tensors[i].ToDouble(), single.Tensors[i].Span, Bound, $"state {i}");
        }
    }

    [TestCaseSource(nameof(Mixers))]
    [NonParallelizable]
    public void Steps_allocate_nothing_and_a_reset_state_is_a_new_one(Func<Scope, ISequenceMixer> create)
    {
        ParameterStore store = new(seed: 4);
        ISequenceMixer layer = create(new Scope(store));
        SequenceSteps.AllocateNothingAndStartAnew(layer, store, Width);
    }

    [TestCaseSource(nameof(Mixers))]
    public void Tokens_and_states_that_do_not_fit_are_refused(Func<Scope, ISequenceMixer> create)
    {
        ISequenceMixer layer = create(new Scope(new ParameterStore(seed: 4)));
        SequenceState state = layer.NewState(2), other = new MambaState(2, new MambaConfig(Width)), alone = layer.NewState(1);
        foreach (Tensor token in new[] { Numbers.Random(1, 2, 9), Numbers.Random(1, 1, Width), Numbers.Random(1, 2, 1, Width) })
            Assert.That(() => layer.Step(token, state), Throws.TypeOf<ShapeException>().With.Message.Contains(".Step"), $"{token.Shape}");
        foreach (SequenceState wrong in new[] { other, alone })
        {
            Assert.That(() => layer.Step(Numbers.Random(1, 2, Width), wrong), Throws.TypeOf<ShapeException>());
            Assert.That(() => layer.Forward(Numbers.Random(1, 2, 3, Width), null, wrong), Throws.TypeOf<ShapeException>());
        }
        Assert.That(() => layer.Forward(Numbers.Random(1, 2, 3, Width + 1)), Throws.TypeOf<ShapeException>());
    }

    public static IEnumerable<TestCaseData> SelectiveMixers =>
    [
        Case("Mamba", s => new MambaMixer(s, new MambaConfig(Width))),
        Case("Mamba-2", s => new Mamba2Mixer(s, new Mamba2Config(Width) { HeadDim = 4, DState = 8 })),
        Case("Mamba-3", s => new Mamba3Mixer(s, new Mamba3Config(Width) { HeadDim = 4, DState = 8 })),
    ];

    public static IEnumerable<TestCaseData> AllMixers =>
        [.. Mixers, .. SelectiveMixers, Case("Attention", s => new CausalAttention(s, new CausalAttentionConfig(Width, 2, 3 * Length)))];

    [TestCaseSource(nameof(AllMixers))]
    public void A_part_after_an_empty_state_has_the_gradients_of_the_whole_sequence(Func<Scope, ISequenceMixer> create)
    {
        ParameterStore store = new(seed: 4);
        ISequenceMixer layer = create(new Scope(store));
        Tensor x = Numbers.Random(5, 2, Length, Width), cotangent = Numbers.Random(6, 2, Length, Width);
        x.RequiresGrad = true;
        SequenceState state = layer.NewState(2);
        float[][] whole = Differentiate(store, x, cotangent, () => layer.Forward(x));
        AreClose(store, whole, Differentiate(store, x, cotangent, () => layer.Forward(x, null, state)), StateBound, "part");
    }

    /// <summary>No earlier output depends on the last tokens, so their gradient is the same with the earlier ones in a state.</summary>
    [TestCaseSource(nameof(AllMixers))]
    public void A_later_part_has_its_gradients_although_the_state_moves_on(Func<Scope, ISequenceMixer> create)
    {
        const int First = 9;
        ISequenceMixer layer = create(new Scope(new ParameterStore(seed: 4)));
        Tensor x = Numbers.Random(5, 2, Length, Width), cotangent = Numbers.Random(6, 2, Length - First, Width);
        Tensor earlier = Ops.Slice(x, 1, 0, First), later = Ops.Slice(x, 1, First, Length - First);
        double[] expected = Gradient(() => Ops.Slice(layer.Forward(Ops.Concat([earlier, later], axis: 1)), 1, First, Length - First));
        SequenceState state = layer.NewState(2);
        layer.Forward(earlier, null, state);
        double[] actual = Gradient(() =>
        {
            Tensor y = layer.Forward(later, null, state);
            layer.Forward(x, null, state);
            return y;
        });
        GradCheck.Close(expected, Array.ConvertAll(actual, g => (float)g), StateBound, "gradient of the later tokens");

        double[] Gradient(Func<Tensor> form)
        {
            later.RequiresGrad = true;
            later.ZeroGrad();
            using Tape tape = new();
            tape.Backward(form(), cotangent);
            return later.Grad!.Value.ToDouble();
        }
    }

    [TestCaseSource(nameof(SelectiveMixers))]
    public void What_fails_before_the_scan_leaves_the_state(Func<Scope, ISequenceMixer> create)
    {
        ISequenceMixer layer = create(new Scope(new ParameterStore(seed: 4)));
        SequenceState state = layer.NewState(2);
        Tensor token = Numbers.Random(1, 2, Width);
        layer.Step(token, state);
        float[][] before = [.. state.Tensors.Select(t => t.Span.ToArray())];
        FailingObserver observer = new();
        Assert.That(() => observer.Watch(() => layer.Step(token, state)), Throws.TypeOf<InvalidTimeZoneException>());
        for (int i = 0; i < before.Length; i++) Assert.That(state.Tensors[i].Span.ToArray(), Is.EqualTo(before[i]), $"state {i}");
    }

    private sealed class FailingObserver : LayerObserver
    {
        public override void Scan(ObservedScan scan) => throw new InvalidTimeZoneException();
    }

    [Test]
    public void A_sum_of_one_direction_is_not_halved()
    {
        MambaMixer plain = new(new Scope(new ParameterStore(seed: 4)), new MambaConfig(Width));
        MambaMixer divided = new(new Scope(new ParameterStore(seed: 4)), new MambaConfig(Width) { DivideOut = true });
        Tensor x = Numbers.Random(5, 1, 1, Width);
        float[] expected = plain.Forward(x).Span.ToArray();
        Assert.That(divided.Forward(x).Span.ToArray(), Is.EqualTo(expected));
        Tensor step = divided.Step(x.Reshape(1, Width), divided.NewState(1));
        GradCheck.Close(Array.ConvertAll(expected, v => (double)v), step.Span, Bound, "step");
    }

    /// <summary>As in S4's code, the form in which C is stored does not change the function that a new layer starts with.</summary>
    [Test]
    public void A_new_layer_starts_with_the_same_C_in_both_forms()
    {
        ParameterStore store = new(seed: 4), stored = new(seed: 4);
        S4 layer = new(new Scope(store), new S4Config(Width, 16)), other = new(new Scope(stored), new S4Config(Width, 16, Length));
        Tensor x = Numbers.Random(5, 2, Length, Width);
        GradCheck.Close(layer.Forward(x).ToDouble(), other.Forward(x).Span, 1e-3, "output");
        const string C = "layer.kernel.C";
        Assert.That(stored[C].Span.ToArray(), Is.Not.EqualTo(store[C].Span.ToArray()));
        foreach ((string name, Tensor tensor) in store.All.Where(p => p.Name != C))
            Assert.That(stored[name].Span.ToArray(), Is.EqualTo(tensor.Span.ToArray()), name);
    }

    [TestCaseSource(nameof(AllMixers))]
    public void A_residual_of_another_shape_is_refused_before_the_state_moves(Func<Scope, ISequenceMixer> create)
    {
        ISequenceMixer layer = create(new Scope(new ParameterStore(seed: 4)));
        SequenceState state = layer.NewState(2), expected = layer.NewState(2);
        Tensor x = Numbers.Random(1, 2, 3, Width);
        foreach (int[] shape in new[] { [2, 4, Width], [2, 1, Width], new[] { Width } })
        {
            Assert.That(
                () => layer.Forward(x, Numbers.Random(2, shape), state), Throws.TypeOf<ShapeException>().With.Message.Contains("residual"));
            Assert.That(() => layer.Forward(x, Numbers.Random(2, shape)), Throws.TypeOf<ShapeException>());
        }
        float[] first = layer.Forward(x, null, expected).Span.ToArray();
        Assert.That(layer.Forward(x, null, state).Span.ToArray(), Is.EqualTo(first));
    }

    [Test]
    public void Sizes_that_are_not_positive_are_refused()
    {
        Scope scope = new(new ParameterStore());
        Action[] wrong =
        [
            () => _ = new MambaMixer(scope, new MambaConfig(0)),
            () => _ = new MambaMixer(scope, new MambaConfig(4, DConv: 0)),
            () => _ = new Mamba2Mixer(scope, new Mamba2Config(64, Expand: 0)),
            () => _ = new S4dMixer(scope, new S4dConfig(4, DConv: -1)),
            () => _ = new S4d(scope, new S4dLayerConfig(0)),
            () => _ = new S4(scope, new S4Config(-2)),
        ];
        foreach (Action make in wrong) Assert.That(() => make(), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(scope.Store.All, Is.Empty);
    }

    [Test]
    public void Layers_carry_the_published_names_and_shapes()
    {
        ParameterStore store = new();
        Scope root = new(store);
        _ = new S4d(root / "s4d", new S4dLayerConfig(4, 8));
        _ = new S4(root / "s4", new S4Config(4, 8));
        _ = new S4dMixer(root / "mixer", new S4dConfig(4, 8));
        string[] expected =
        [
            "s4d.D (4)", "s4d.kernel.C (4, 4, 2)", "s4d.kernel.log_dt (4)", "s4d.kernel.log_A_real (4, 4)", "s4d.kernel.A_imag (4, 4)",
            "s4d.output_linear.0.weight (8, 4, 1)", "s4d.output_linear.0.bias (8)",
            "s4.layer.D (1, 4)", "s4.layer.kernel.inv_dt (4, 1)", "s4.layer.kernel.C (1, 4, 4, 2)", "s4.layer.kernel.B (1, 4, 4, 2)",
            "s4.layer.kernel.A_real (4, 4)", "s4.layer.kernel.A_imag (4, 4)", "s4.layer.kernel.P (1, 4, 4, 2)",
            "s4.output_linear.0.weight (8, 4)", "s4.output_linear.0.bias (8)",
            "mixer.D (8)", "mixer.kernel.C (8, 4, 2)", "mixer.kernel.log_dt (8)", "mixer.kernel.log_A_real (8, 4)",
            "mixer.kernel.A_imag (8, 4)", "mixer.in_proj.weight (16, 4)", "mixer.conv1d.weight (8, 1, 4)", "mixer.conv1d.bias (8)",
            "mixer.out_proj.weight (4, 8)",
        ];
        Assert.That(store.Parameters.Select(p => $"{p.Name} {p.Tensor.Shape}"), Is.EqualTo(expected));
        foreach (float dt in store["s4d.kernel.log_dt"].Span) Assert.That(Math.Exp(dt), Is.InRange(0.999e-3, 0.1));
        float[] frequencies = store["s4d.kernel.A_imag"].Span[..4].ToArray();
        Assert.That(frequencies, Is.EqualTo(new[] { 0f, MathF.PI, 2 * MathF.PI, 3 * MathF.PI }).Within(1e-5f));
    }
}
