using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class ScanTests(VectorWidth width) : WidthFixture(width)
{
    [TestCase(1, 1, 1, 1, 1), TestCase(2, 5, 3, 4, 1), TestCase(1, 19, 17, 3, 1), TestCase(2, 18, 6, 2, 3), TestCase(1, 40, 2, 5, 2)]
    public void Matches_the_recurrence_and_its_derivatives(int batch, int length, int channels, int states, int groups)
    {
        Size s = new(batch, length, channels, states, groups);
        foreach (ScanSchedule schedule in new[] { ScanSchedule.Sequential, ScanSchedule.Chunked })
            foreach (bool lastState in new[] { false, true })
                GradCheck.Check(
                    x =>
                    {
                        (Tensor y, Tensor last) = Run(x, schedule);
                        return lastState ? last : y;
                    },
                    x => lastState ? Naive(s, x).Last : Naive(s, x).Output, s.Inputs(), tolerance: 2e-5);
    }

    [Test]
    public void Adds_a_residual([Values] bool reverse)
    {
        Size s = new(2, 19, 9, 6, 1);
        Tensor[] x = s.Inputs();
        Tensor residual = Numbers.Random(96, 2, 19, 9), dy = Numbers.Random(97, 2, 19, 9);
        float[] expected = Ops.Add(Run(x, ScanSchedule.Auto, reverse).Output, residual).Span.ToArray();
        residual.RequiresGrad = true;
        x[0].RequiresGrad = true;
        using Tape tape = new();
        Tensor y = Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], Options(x) with { Reverse = reverse, Residual = residual }).Output;
        tape.Backward(y, dy);
        Assert.That(y.Span.SequenceEqual(expected));
        Assert.That(residual.Grad!.Value.Span.SequenceEqual(dy.Span));
    }

    [Test]
    public void The_gradient_is_right_where_inputs_are_computed_again_instead_of_kept()
    {
        Size s = new(2, 19, 9, 6, 1);
        Tensor[] x = s.Inputs();
        x[0].RequiresGrad = x[1].RequiresGrad = true;
        Tensor dy = Numbers.Random(97, 2, 19, 9);
        (float[] u, float[] delta) = Differentiate(keep: true);
        (float[] uAgain, float[] deltaAgain) = Differentiate(keep: false);
        Assert.That(uAgain, Is.EqualTo(u));
        Assert.That(deltaAgain, Is.EqualTo(delta));

        (float[] U, float[] Delta) Differentiate(bool keep)
        {
            x[0].ZeroGrad();
            x[1].ZeroGrad();
            using Tape tape = new();
            Tensor y;
            using (MemoryScope scope = new())
            {
                Tensor[] inputs = [.. x];
                for (int i = 0; i < 2; i++)
                {
                    inputs[i] = Ops.InstanceNorm(x[i], activation: Activation.Relu);
                    if (keep) scope.Return(inputs[i]);
                }
                y = scope.Return(Run(inputs, ScanSchedule.Auto).Output);
            }
            for (int i = 0; i < 4; i++) Tensor.Full(3f, 2, 19, 9).Dispose(); // other numbers where they stood
            tape.Backward(y, dy);
            return (x[0].Grad!.Value.Span.ToArray(), x[1].Grad!.Value.Span.ToArray());
        }
    }

    [TestCase(2, 19, 9, 6, 1), TestCase(1, 40, 4, 4, 2)]
    public void In_reverse_it_is_the_scan_of_the_sequence_turned_round(int batch, int length, int channels, int states, int groups)
    {
        Size s = new(batch, length, channels, states, groups);
        int[] sequences = [0, 1, 3, 4, 6];
        foreach (ScanSchedule schedule in new[] { ScanSchedule.Sequential, ScanSchedule.Chunked })
        {
            Tensor[] x = s.Inputs(), turned = [.. s.Inputs().Select((t, i) => sequences.Contains(i) ? Ops.Flip(t, 1) : t)];
            Tensor dy = Numbers.Random(94, batch, length, channels), dlast = Numbers.Random(95, batch, channels, states);
            float[] y = Differentiate(x, dy, reverse: true), expected = Differentiate(turned, Ops.Flip(dy, 1), reverse: false);
            GradCheck.Close(Ops.Flip(Tensor.From(expected, batch, length, channels), 1).ToDouble(), y, 1e-6, "output");
            for (int i = 0; i < x.Length; i++)
                GradCheck.Close(
                    (sequences.Contains(i) ? Ops.Flip(turned[i].Grad!.Value, 1) : turned[i].Grad!.Value).ToDouble(), x[i].Grad!.Value.Span,
                    1e-6, $"gradient of input {i}");

            float[] Differentiate(Tensor[] inputs, Tensor cotangent, bool reverse)
            {
                foreach (Tensor input in inputs) input.RequiresGrad = true;
                using Tape tape = new();
                (Tensor y, Tensor last) = Run(inputs, schedule, reverse);
                tape.Backward([y, last], [cotangent, dlast]);
                return y.Span.ToArray();
            }
        }
    }

    [Test]
    public void Schedules_agree_on_a_long_sequence([Values(1, 2)] int groups)
    {
        Size s = new(2, 700, 20, 16, groups);
        Tensor[] sequential = s.Inputs(), chunked = s.Inputs();
        Tensor dy = Numbers.Random(90, 2, 700, 20), dlast = Numbers.Random(91, 2, 20, 16);
        float[] a = Differentiate(sequential, ScanSchedule.Sequential), b = Differentiate(chunked, ScanSchedule.Chunked);
        GradCheck.Close(Array.ConvertAll(a, x => (double)x), b, 1e-5, "output");
        for (int i = 0; i < sequential.Length; i++)
            GradCheck.Close(sequential[i].Grad!.Value.ToDouble(), chunked[i].Grad!.Value.Span, 2e-5, $"gradient of input {i}");

        float[] Differentiate(Tensor[] inputs, ScanSchedule schedule)
        {
            foreach (Tensor input in inputs) input.RequiresGrad = true;
            using Tape tape = new();
            (Tensor y, Tensor last) = Run(inputs, schedule);
            tape.Backward([y, last], [dy, dlast]);
            return y.Span.ToArray();
        }
    }

    [Test]
    public void A_sequence_can_be_scanned_in_pieces()
    {
        Size s = new(2, 50, 9, 6, 1);
        Tensor[] x = s.Inputs();
        (Tensor whole, Tensor last) = Run(x, ScanSchedule.Sequential);
        Tensor state = x[8];
        List<Tensor> pieces = [];
        foreach ((int start, int count) in new[] { (0, 1), (1, 30), (31, 19) })
        {
            Tensor[] piece = [.. x];
            foreach (int i in new[] { 0, 1, 3, 4, 6 }) piece[i] = Ops.Slice(x[i], 1, start, count);
            piece[8] = state;
            (Tensor y, state) = Run(piece, ScanSchedule.Auto);
            pieces.Add(y);
        }
        GradCheck.Close(whole.ToDouble(), Ops.Concat([.. pieces], axis: 1).Span, 1e-6, "output");
        GradCheck.Close(last.ToDouble(), state.Span, 1e-6, "last state");
    }

    [Test]
    public void Stays_exact_over_a_long_sequence_with_steps_of_all_sizes()
    {
        Size s = new(1, 10_000, 3, 5, 1);
        Tensor[] x = s.Inputs();
        for (int i = 0; i < x[1].Count; i++) x[1].Span[i] = x[1].Span[i] * 20f + (i % 97 == 0 ? 500f : 0f); // dt from 1e-9 to 500
        (double[] expected, double[] expectedLast) = Naive(s, [.. x.Select(t => t.ToDouble())]);
        foreach (ScanSchedule schedule in new[] { ScanSchedule.Sequential, ScanSchedule.Chunked })
        {
            (Tensor y, Tensor last) = Run(x, schedule);
            GradCheck.Close(expected, y.Span, 1e-5, $"output, {schedule}");
            GradCheck.Close(expectedLast, last.Span, 1e-5, $"last state, {schedule}");
        }
    }

    [Test]
    public void Decays_saturate()
    {
        float[] rates = [-2e38f, -1e6f, -200f, 200f, 1e6f, 2e38f];
        Tensor zero = Tensor.Zeros(1, 2, rates.Length), a = Tensor.From(rates, rates.Length, 1), delta = Tensor.Zeros(1, 2, rates.Length);
        delta.Span[..rates.Length].Fill(2f); // dt A overflows; then a step of length 0, which takes nothing away
        ScanOptions ones = new() { InitialState = Tensor.Full(1f, 1, 6, 1) };
        (Tensor y, _) = Ops.SelectiveScan(zero, delta, a, Tensor.Zeros(1, 2, 1), Tensor.From([1f, 1f], 1, 2, 1), ones);
        for (int i = 0; i < y.Count; i++)
            Assert.That(y.Span[i], rates[i % rates.Length] < 0 ? Is.InRange(0f, 2e-38f) : Is.GreaterThan(1e38f), $"element {i}");
    }

    [Test]
    public void Thread_count_changes_no_bit([Values] ScanSchedule schedule)
    {
        Size s = new(3, 200, 37, 16, 1);
        float[][] one = Run(1), four = Run(4);
        for (int i = 0; i < one.Length; i++) Assert.That(four[i], Is.EqualTo(one[i]), $"result {i}");

        float[][] Run(int threads)
        {
            using ThreadCount count = new(threads);
            Tensor[] inputs = s.Inputs();
            foreach (Tensor input in inputs) input.RequiresGrad = true;
            using Tape tape = new();
            (Tensor y, _) = ScanTests.Run(inputs, schedule);
            tape.Backward(y, Numbers.Random(92, y.Shape.ToArray()));
            return [y.Span.ToArray(), .. inputs.Select(x => x.Grad!.Value.Span.ToArray())];
        }
    }

    [Test]
    public void The_backward_pass_keeps_no_state_of_every_token()
    {
        const int Length = 4096, Channels = 16, States = 16;
        Size s = new(1, Length, Channels, States, 1);
        Tensor[] inputs = s.Inputs();
        foreach (Tensor input in inputs) input.RequiresGrad = true;
        long before = RentedMemory.OfTheLiving();
        BufferPool.ResetPeak();
        using (Tape tape = new())
        {
            (Tensor y, _) = Run(inputs, ScanSchedule.Sequential);
            tape.Backward(y, Numbers.Random(93, y.Shape.ToArray()));
        }
        // y, its gradient, the cotangent, five gradients of (B, L, D), kept states and partial sums: some dozen L D, not N L D.
        Assert.That(BufferPool.Peak - before, Is.LessThan(14L * Length * Channels));
    }

    [TestCase(1, 1, 1, 1), TestCase(2, 7, 5, 4), TestCase(3, 3, 17, 6), TestCase(1, 40, 33, 2)]
    public void Causal_convolution_matches_the_formula(int batch, int length, int channels, int taps)
    {
        foreach ((bool silu, bool reverse) in new[] { (false, false), (true, false), (true, true) })
            GradCheck.Check(
                x => Ops.CausalConv1d(x[0], x[1], x[2], silu ? Activation.Silu : Activation.None, reverse),
                x =>
                {
                    double[] y = new double[batch * length * channels];
                    for (int b = 0; b < batch; b++)
                        for (int t = 0; t < length; t++)
                            for (int c = 0; c < channels; c++)
                            {
                                double sum = x[2][c];
                                for (int k = 0; k < taps; k++)
                                {
                                    int other = reverse ? t + taps - 1 - k : t - taps + 1 + k;
                                    if (other >= 0 && other < length) sum += x[1][c * taps + k] * x[0][(b * length + other) * channels + c];
                                }
                                y[(b * length + t) * channels + c] = silu ? sum / (1 + Math.Exp(-sum)) : sum;
                            }
                    return y;
                },
                [Numbers.Random(1, batch, length, channels), Numbers.Random(2, channels, 1, taps), Numbers.Random(3, channels)]);
    }

    [Test]
    public void Steps_equal_the_whole_sequence()
    {
        MambaConfig config = new(DModel: 10, DState: 5);
        MambaMixer mixer = new(new Scope(new ParameterStore(seed: 4)), config);
        Tensor x = Numbers.Random(5, 2, 9, 10), whole = mixer.Forward(x);
        MambaState state = new(2, config);
        for (int t = 0; t < 9; t++)
        {
            Tensor y = mixer.Step(Ops.Slice(x, 1, t, 1).Reshape(2, 10), state);
            GradCheck.Close(Ops.Slice(whole, 1, t, 1).ToDouble(), y.Span, 1e-5, $"token {t}");
        }
    }

    /// <summary>Parts may be shorter than the convolution, or a single token.</summary>
    [TestCase(4, 5)]
    [TestCase(1, 8)]
    [TestCase(2, 1, 6)]
    public void Parts_equal_the_whole_sequence(params int[] lengths)
    {
        MambaConfig config = new(DModel: 10, DState: 5);
        MambaMixer mixer = new(new Scope(new ParameterStore(seed: 4)), config);
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

    /// <summary>A stream has no end: its state keeps its size, a warmed-up step allocates nothing, and a reset begins anew.</summary>
    [Test]
    [NonParallelizable]
    public void Steps_allocate_nothing_and_a_reset_state_is_a_new_one()
    {
        MambaConfig config = new(DModel: 24, DState: 5);
        ParameterStore store = new(seed: 4);
        MambaMixer mixer = new(new Scope(store), config);
        SequenceSteps.AllocateNothingAndStartAnew(mixer, store, 24);
    }

    [Test]
    public void Tokens_and_states_that_do_not_fit_a_block_are_refused()
    {
        MambaConfig config = new(DModel: 10, DState: 5);
        MambaMixer mixer = new(new Scope(new ParameterStore(seed: 4)), config);
        MambaState state = new(2, config);
        foreach (Tensor token in new[] { Numbers.Random(1, 2, 9), Numbers.Random(1, 1, 10), Numbers.Random(1, 2, 1, 10) })
            Assert.That(
                () => mixer.Step(token, state), Throws.TypeOf<ShapeException>().With.Message.Contains("MambaMixer.Step"), $"{token.Shape}");
        foreach (MambaConfig other in new[] { config with { DState = 4 }, config with { DConv = 3 }, config with { Expand = 1 } })
            Assert.That(() => mixer.Step(Numbers.Random(1, 2, 10), new MambaState(2, other)), Throws.TypeOf<ShapeException>());
        MambaMixer both = new(new Scope(new ParameterStore(seed: 4)), config with { Bidirectional = true });
        Assert.That(
            () => both.Step(Numbers.Random(1, 2, 10), state), Throws.InvalidOperationException.With.Message.Contains("bidirectional"));
    }

    [Test]
    public void Bad_shapes_are_refused_by_name()
    {
        Tensor[] x = new Size(2, 5, 6, 4, 1).Inputs();
        Assert.That(
            () => Ops.SelectiveScan(x[0], x[1], x[2], x[3], Numbers.Random(1, 2, 5, 3)),
            Throws.TypeOf<ShapeException>().With.Message.Contains("SelectiveScan").And.Message.Contains("(2, 5, 3)"));
        Assert.That(() => Ops.SelectiveScan(x[0], Numbers.Random(1, 2, 4, 6), x[2], x[3], x[4]), Throws.TypeOf<ShapeException>());
        ScanOptions fewStates = new() { InitialState = Numbers.Random(1, 2, 6, 3) };
        Assert.That(() => Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], fewStates), Throws.TypeOf<ShapeException>());
        ScanOptions tooLong = new() { Residual = Numbers.Random(1, 2, 4, 6) };
        Assert.That(() => Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], tooLong), Throws.TypeOf<ShapeException>());
        Tensor grouped = Numbers.Random(1, 2, 5, 4, 4);
        Assert.That(() => Ops.SelectiveScan(x[0], x[1], x[2], grouped, grouped), Throws.TypeOf<ShapeException>());
        Assert.That(
            () => Ops.CausalConv1d(x[0], Numbers.Random(1, 5, 1, 4)),
            Throws.TypeOf<ShapeException>().With.Message.Contains("CausalConv1d"));
    }

    private static (Tensor Output, Tensor LastState) Run(Tensor[] x, ScanSchedule schedule, bool reverse = false) =>
        Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], Options(x) with { Schedule = schedule, Reverse = reverse });

    private static ScanOptions Options(Tensor[] x) =>
        new() { D = x[5], Z = x[6], DeltaBias = x[7], DeltaSoftplus = true, InitialState = x[8] };

    /// <summary>The recurrence, written down.</summary>
    private static (double[] Output, double[] Last) Naive(Size s, double[][] x)
    {
        (int batch, int length, int channels, int states, int groups) = s;
        double[] y = new double[batch * length * channels], last = (double[])x[8].Clone();
        for (int b = 0; b < batch; b++)
            for (int t = 0; t < length; t++)
                for (int d = 0; d < channels; d++)
                {
                    int i = (b * length + t) * channels + d, group = d / (channels / groups);
                    double dt = Math.Log(1 + Math.Exp(x[1][i] + x[7][d])), sum = x[5][d] * x[0][i];
                    for (int n = 0; n < states; n++)
                    {
                        int bc = ((b * length + t) * groups + group) * states + n;
                        ref double h = ref last[(b * channels + d) * states + n];
                        h = Math.Exp(dt * x[2][d * states + n]) * h + dt * x[3][bc] * x[0][i];
                        sum += h * x[4][bc];
                    }
                    y[i] = sum * x[6][i] / (1 + Math.Exp(-x[6][i]));
                }
        return (y, last);
    }

    private sealed record Size(int Batch, int Length, int Channels, int States, int Groups)
    {
        /// <summary>u, delta, A, B, C, D, z, delta bias, initial state.</summary>
        public Tensor[] Inputs()
        {
            int[] bc = Groups == 1 ? [Batch, Length, States] : [Batch, Length, Groups, States];
            return
            [
                Numbers.Random(11, Batch, Length, Channels), Numbers.Random(12, Batch, Length, Channels),
                Numbers.Uniform(13, -2f, -0.1f, Channels, States),
                Numbers.Random(14, bc), Numbers.Random(15, bc), Numbers.Random(16, Channels), Numbers.Random(17, Batch, Length, Channels),
                Numbers.Random(18, Channels), Numbers.Random(19, Batch, Channels, States),
            ];
        }
    }
}
