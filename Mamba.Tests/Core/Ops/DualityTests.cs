using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>State-space duality against the recurrence in double precision, in both forms, and the gated norm.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class DualityTests(VectorWidth width) : WidthFixture(width)
{
    [TestCase(2, 1, 4, 3, 2, 5, true), TestCase(1, 7, 2, 9, 1, 4, false), TestCase(1, 30, 3, 4, 3, 6, true)]
    [TestCase(2, 49, 2, 17, 1, 3, false), TestCase(1, 101, 1, 1, 1, 1, true), TestCase(1, 97, 2, 6, 1, 18, true)]
    public void Matches_the_recurrence_and_its_derivatives(
        int batch, int length, int heads, int channels, int groups, int states, bool byChannel)
    {
        Size s = new(batch, length, heads, channels, groups, states, byChannel);
        foreach (bool lastState in new[] { false, true })
            GradCheck.Check(
                x =>
                {
                    (Tensor y, Tensor last) = Run(x);
                    return lastState ? last : y;
                },
                x => lastState ? Naive(s, x).Last : Naive(s, x).Output, s.Inputs(), tolerance: 2e-5);
    }

    [Test]
    public void A_step_that_was_cut_has_no_gradient([Values(4, 60)] int length)
    {
        Size s = new(1, length, 2, 3, 1, 4, false);
        (float, float) limit = (0.3f, 0.9f);
        GradCheck.Check(x => Run(x, limit).Output, x => Naive(s, x, limit).Output, s.Inputs(), tolerance: 2e-5);
    }

    [Test]
    public void Without_options_it_is_the_bare_recurrence([Values(3, 70)] int length)
    {
        Size s = new(2, length, 4, 5, 2, 6, false);
        Tensor[] x = s.Inputs()[..5];
        foreach (ref float dt in x[1].Span) dt = Math.Abs(dt);
        double[][] values = [.. x.Select(t => t.ToDouble()), .. s.Inputs()[5..].Select(t => new double[t.Count])];
        (double[] y, double[] last) = Naive(s, values, softplus: false, gate: false);
        (Tensor actual, Tensor actualLast) = Ops.StateSpaceDuality(x[0], x[1], x[2], x[3], x[4]);
        GradCheck.Close(y, actual.Span, 1e-5, "output");
        GradCheck.Close(last, actualLast.Span, 1e-5, "last state");
    }

    [Test]
    public void A_sequence_can_be_computed_in_pieces()
    {
        Size s = new(2, 120, 3, 5, 1, 6, false);
        Tensor[] x = s.Inputs();
        (Tensor whole, Tensor last) = Run(x);
        Tensor state = x[8];
        List<Tensor> pieces = [];
        foreach ((int start, int count) in new[] { (0, 1), (1, 90), (91, 8), (99, 21) })
        {
            Tensor[] piece = [.. x];
            foreach (int i in new[] { 0, 1, 3, 4, 6 }) piece[i] = Ops.Slice(x[i], 1, start, count);
            piece[8] = state;
            (Tensor y, state) = Run(piece);
            pieces.Add(y);
        }
        GradCheck.Close(whole.ToDouble(), Ops.Concat([.. pieces], axis: 1).Span, 1e-5, "output");
        GradCheck.Close(last.ToDouble(), state.Span, 1e-5, "last state");
    }

    /// <summary>The logarithms of a chunk's decays reach -10^5; near neighbours still decay by what they should.</summary>
    [Test]
    public void Stays_exact_with_steps_of_all_sizes()
    {
        Size s = new(1, 3000, 2, 3, 1, 5, false);
        Tensor[] x = s.Inputs();
        for (int i = 0; i < x[1].Count; i++) x[1].Span[i] = x[1].Span[i] * 20f + (i % 97 == 0 ? 5000f : 0f); // dt from 1e-9 to 5000
        (double[] expected, double[] expectedLast) = Naive(s, [.. x.Select(t => t.ToDouble())]);
        (Tensor y, Tensor last) = Run(x);
        GradCheck.Close(expected, y.Span, 1e-5, "output");
        GradCheck.Close(expectedLast, last.Span, 1e-5, "last state");
    }

    /// <summary>A step without end forgets everything, and leaves no NaN behind.</summary>
    [Test]
    public void Decays_saturate([Values(3, 60)] int length)
    {
        Tensor x = Tensor.Zeros(1, length, 1, 1), dt = Tensor.Full(1f, 1, length, 1), ones = Tensor.Full(1f, 1, length, 1, 1);
        Tensor a = Tensor.From([-2e38f], 1);
        x.Span[^1] = 3f;
        DualityOptions options = new() { InitialState = Tensor.Full(1f, 1, 1, 1, 1) };
        (Tensor y, Tensor last) = Ops.StateSpaceDuality(x, dt, a, ones, ones, options);
        foreach (float value in y.Span[..^1]) Assert.That(value, Is.InRange(0f, 2e-38f));
        Assert.That((y.Span[^1], last.Span[0]), Is.EqualTo((3f, 3f)));
    }

    [Test]
    public void Thread_count_changes_no_bit([Values(5, 150)] int length)
    {
        Size s = new(2, length, 6, 9, 2, 12, true);
        float[][] one = Results(1), two = Results(2), three = Results(3);
        for (int i = 0; i < one.Length; i++)
        {
            Assert.That(two[i], Is.EqualTo(one[i]), $"result {i} of two threads");
            Assert.That(three[i], Is.EqualTo(one[i]), $"result {i} of three threads");
        }

        float[][] Results(int threads)
        {
            using ThreadCount count = new(threads);
            Tensor[] inputs = s.Inputs();
            foreach (Tensor input in inputs) input.RequiresGrad = true;
            using Tape tape = new();
            (Tensor y, Tensor last) = Run(inputs);
            tape.Backward([y, last], [Numbers.Random(92, y.Shape.ToArray()), Numbers.Random(93, last.Shape.ToArray())]);
            return [y.Span.ToArray(), last.Span.ToArray(), .. inputs.Select(x => x.Grad!.Value.Span.ToArray())];
        }
    }

    [Test]
    public void Recording_changes_no_bit([Values(5, 150)] int length)
    {
        Tensor[] x = new Size(1, length, 2, 5, 1, 6, false).Inputs();
        float[] alone = Run(x).Output.Span.ToArray();
        foreach (Tensor input in x) input.RequiresGrad = true;
        using Tape tape = new();
        Assert.That(Run(x).Output.Span.ToArray(), Is.EqualTo(alone));
    }

    /// <summary>The states before chunks are kept, and sums of B and C; nothing is (L, L), or (L, H, P, N).</summary>
    [Test]
    public void The_backward_pass_keeps_no_state_of_every_token()
    {
        long shorter = Peak(1024), longer = Peak(4096);
        Assert.That(longer, Is.LessThan(5 * shorter), "memory grows with the length");
        Assert.That(longer, Is.LessThan(24L * 4096 * 32), "some dozen times x, not 64 times for the states alone");

        static long Peak(int length)
        {
            Tensor[] inputs = new Size(1, length, 2, 16, 1, 64, false).Inputs();
            foreach (Tensor input in inputs) input.RequiresGrad = true;
            long before = RentedMemory.OfTheLiving();
            BufferPool.ResetPeak();
            using (Tape tape = new())
            {
                Tensor y = Run(inputs).Output;
                tape.Backward(y, Numbers.Random(93, y.Shape.ToArray()));
            }
            return BufferPool.Peak - before;
        }
    }

    [TestCase(null, false), TestCase(null, true), TestCase(3, false), TestCase(6, true)]
    public void The_gated_norm_matches_its_formula(int? group, bool before)
    {
        const int Rows = 5, Channels = 12;
        GatedNormOptions options = new() { GroupSize = group, NormBeforeGate = before, Eps = 0.01f };
        GradCheck.Check(
            i => Ops.RmsNormGated(i[0], i[1], i[2], options),
            i =>
            {
                int size = group ?? Channels;
                double[] g = [.. i[2].Select(z => z / (1 + Math.Exp(-z)))], y = new double[Rows * Channels];
                for (int first = 0; first < y.Length; first += size)
                {
                    double sum = 0;
                    for (int j = first; j < first + size; j++) sum += Math.Pow(before ? i[0][j] : i[0][j] * g[j], 2);
                    for (int j = first; j < first + size; j++)
                        y[j] = i[0][j] * g[j] * i[1][j % Channels] / Math.Sqrt(sum / size + 0.01f);
                }
                return y;
            },
            [Numbers.Random(1, Rows, Channels), Numbers.Random(2, Channels), Numbers.Random(3, Rows, Channels)]);
    }

    [Test]
    public void Bad_shapes_are_refused_by_name()
    {
        Tensor[] x = new Size(2, 5, 6, 4, 2, 3, false).Inputs();
        Tensor Call(
            Tensor? v = null, Tensor? dt = null, Tensor? a = null, Tensor? b = null, Tensor? c = null, DualityOptions o = default) => Ops
            .StateSpaceDuality(v ?? x[0], dt ?? x[1], a ?? x[2], b ?? x[3], c ?? x[4], o).Output;
        const string Name = "StateSpaceDuality";
        OperatorCheck.Refuses(Name, () => Call(v: Numbers.Random(1, 2, 5, 24)));
        OperatorCheck.Refuses(Name, () => Call(v: Numbers.Random(1, 2, 4, 6, 4)));
        OperatorCheck.Refuses(Name, () => Call(dt: Numbers.Random(1, 2, 5, 5)));
        OperatorCheck.Refuses(Name, () => Call(a: Numbers.Random(1, 6, 3)));
        OperatorCheck.Refuses(Name, () => Call(b: Numbers.Random(1, 2, 5, 2, 4)));
        OperatorCheck.Refuses(Name, () => Call(b: Numbers.Random(1, 2, 5, 4, 3), c: Numbers.Random(1, 2, 5, 4, 3)));
        OperatorCheck.Refuses(Name, () => Call(o: new() { D = Numbers.Random(1, 4) }));
        OperatorCheck.Refuses(Name, () => Call(o: new() { D = Numbers.Random(1, 6, 3) }));
        OperatorCheck.Refuses(Name, () => Call(o: new() { Z = Numbers.Random(1, 2, 5, 6, 3) }));
        OperatorCheck.Refuses(Name, () => Call(o: new() { DeltaBias = Numbers.Random(1, 5) }));
        OperatorCheck.Refuses(Name, () => Call(o: new() { InitialState = Numbers.Random(1, 2, 6, 3, 4) }));
        OperatorCheck.RefusesArgument(Name, () => Call(o: new() { DtLimit = (2f, 1f) }));
        OperatorCheck.RefusesArgument(Name, () => Call(o: new() { DtLimit = (float.NaN, 1f) }));
        Tensor row = Numbers.Random(1, 2, 12);
        OperatorCheck.Refuses("RmsNormGated", () => Ops.RmsNormGated(row, Numbers.Random(1, 11)));
        OperatorCheck.Refuses("RmsNormGated", () => Ops.RmsNormGated(row, Numbers.Random(1, 12), Numbers.Random(1, 2, 11)));
        OperatorCheck.Refuses("RmsNormGated", () => Ops.RmsNormGated(row, Numbers.Random(1, 12), row, new() { GroupSize = 5 }));
        OperatorCheck.Refuses("RmsNormGated", () => Ops.RmsNormGated(row, Numbers.Random(1, 12), row, new() { GroupSize = 0 }));
    }

    /// <summary>x, dt, A, B, C, D, z, dt bias and the initial state, with all options.</summary>
    private static (Tensor Output, Tensor Last) Run(Tensor[] x, (float Low, float High)? limit = null) => Ops.StateSpaceDuality(
        x[0], x[1], x[2], x[3], x[4],
        new() { D = x[5], Z = x[6], DeltaBias = x[7], DeltaSoftplus = true, InitialState = x[8], DtLimit = limit });

    private static (double[] Output, double[] Last) Naive(
        Size s, double[][] x, (float Low, float High)? limit = null, bool softplus = true, bool gate = true)
    {
        double[] y = new double[s.Batch * s.Length * s.Heads * s.Channels], state = [.. x[8]];
        for (int b = 0; b < s.Batch; b++)
            for (int t = 0; t < s.Length; t++)
                for (int h = 0; h < s.Heads; h++)
                {
                    int token = b * s.Length + t, factor = (token * s.Groups + h / (s.Heads / s.Groups)) * s.States;
                    double dt = x[1][token * s.Heads + h] + x[7][h];
                    if (softplus) dt = Math.Max(dt, 0) + Math.Log(1 + Math.Exp(-Math.Abs(dt)));
                    if (limit is { } l) dt = Math.Clamp(dt, l.Low, l.High);
                    double decay = Math.Exp(dt * x[2][h]);
                    for (int p = 0; p < s.Channels; p++)
                    {
                        int at = (token * s.Heads + h) * s.Channels + p;
                        double sum = x[5][s.ByChannel ? h * s.Channels + p : h] * x[0][at];
                        for (int n = 0; n < s.States; n++)
                        {
                            ref double one = ref state[((b * s.Heads + h) * s.Channels + p) * s.States + n];
                            one = decay * one + dt * x[0][at] * x[3][factor + n];
                            sum += one * x[4][factor + n];
                        }
                        y[at] = gate ? sum * x[6][at] / (1 + Math.Exp(-x[6][at])) : sum;
                    }
                }
        return (y, state);
    }

    private sealed record Size(int Batch, int Length, int Heads, int Channels, int Groups, int States, bool ByChannel)
    {
        public Tensor[] Inputs() =>
        [
            Numbers.Random(1, Batch, Length, Heads, Channels), Numbers.Random(2, Batch, Length, Heads),
            Numbers.Uniform(3, -2f, -0.1f, Heads), Numbers.Random(4, Batch, Length, Groups, States),
            Numbers.Random(5, Batch, Length, Groups, States), ByChannel ? Numbers.Random(6, Heads, Channels) : Numbers.Random(6, Heads),
            Numbers.Random(7, Batch, Length, Heads, Channels), Numbers.Random(8, Heads), Numbers.Random(9, Batch, Heads, Channels, States),
        ];
    }
}
