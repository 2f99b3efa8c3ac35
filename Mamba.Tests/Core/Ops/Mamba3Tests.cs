using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class Mamba3Tests(VectorWidth width) : WidthFixture(width)
{
    private static readonly string[] s_outputs = ["y", "angles", "state", "key", "value"];

    [TestCase(1, 1, 1, 1, 2, 1, 1, false)]
    [TestCase(2, 9, 4, 2, 8, 3, 2, false)]
    [TestCase(1, 5, 2, 1, 5, 9, 2, true)]
    [TestCase(1, 3, 1, 1, 3, 17, 0, false)]
    public void Matches_the_recurrence_and_its_derivatives(
        int batch, int length, int heads, int groups, int states, int values, int turned, bool shared)
    {
        Mamba3Size s = new(batch, length, heads, groups, states, values, turned, shared);
        for (int output = 0; output < s_outputs.Length; output++)
        {
            if (output == 1 && turned == 0) continue;
            int o = output;
            GradCheck.Check(x => Run(x)[o], x => Mamba3Reference.Of(s, x).All[o], s.Inputs(), tolerance: 2e-5);
        }
    }

    [Test]
    public void Gradients_cross_the_borders_of_chunks()
    {
        Mamba3Size s = new(1, 150, 2, 1, 4, 3, 1);
        GradCheck.Check(x => Run(x)[0], x => Mamba3Reference.Of(s, x).Output, s.Inputs(), tolerance: 2e-5);
    }

    [Test]
    public void Without_skip_gate_and_state_they_are_one_and_zero()
    {
        Mamba3Size s = new(2, 70, 4, 2, 8, 5, 3);
        Tensor[] x = s.Inputs();
        foreach (int i in new[] { 9, 11, 12, 13, 14 }) x[i].Span.Clear();
        (Tensor y, _) = Ops.Mamba3Scan(Inputs(x));
        double[][] values = [.. x.Select(t => t.ToDouble())];
        double[] gated = Mamba3Reference.Of(s, values).Output;
        for (int i = 0; i < gated.Length; i++) gated[i] /= values[10][i] / (1 + Math.Exp(-values[10][i]));
        GradCheck.Close(gated, y.Span, 1e-5, "output");
    }

    /// <summary>lambda = 1, no turn, no bias: the rule of Mamba-2, a sum that can be written down.</summary>
    [Test]
    public void With_lambda_one_it_is_the_recurrence_of_mamba_2()
    {
        Mamba3Size s = new(1, 40, 2, 1, 6, 4, 3);
        Tensor[] x = s.Inputs();
        foreach (int i in new[] { 6, 7, 8, 9 }) x[i].Span.Clear();
        x[5].Span.Fill(100f);
        (Tensor y, _) = Ops.Mamba3Scan(Inputs(x));
        double[] expected = new double[y.Count];
        for (int h = 0; h < 2; h++)
            for (int t = 0; t < 40; t++)
            {
                double decay = 1;
                for (int r = t; r >= 0; r--)
                {
                    double dot = 0;
                    for (int n = 0; n < 6; n++) dot += (double)x[0].Span[t * 6 + n] * x[1].Span[r * 6 + n];
                    for (int p = 0; p < 4; p++)
                        expected[(t * 2 + h) * 4 + p] += decay * x[4].Span[r * 2 + h] * dot * x[2].Span[(r * 2 + h) * 4 + p];
                    decay *= Math.Exp(x[3].Span[r * 2 + h]);
                }
            }
        GradCheck.Close(expected, y.Span, 1e-5, "output");
    }

    /// <summary>
    /// Decays from nothing to all at once. The angles' tangents are 1, -1 or 0: others are rounded, which alone turns by 1e-5 over so many
    /// tokens.
    /// </summary>
    [Test]
    public void Stays_exact_over_a_long_sequence_with_decays_of_all_sizes()
    {
        Mamba3Size s = new(1, 6000, 2, 1, 4, 3, 2);
        Tensor[] x = s.Inputs();
        float[] decays = [-1e-6f, -0.01f, -3f, -30f, -1000f, 0f, 0.5f, -0.2f];
        for (int i = 0; i < x[3].Count; i++) x[3].Span[i] = decays[i / 16 % decays.Length];
        for (int i = 0; i < x[8].Count; i++) x[8].Span[i] = 20f * (i * 7 / 5 % 3 - 1);
        double[][] expected = Mamba3Reference.Of(s, [.. x.Select(t => t.ToDouble())]).All;
        Tensor[] actual = Run(x);
        for (int i = 0; i < expected.Length; i++) GradCheck.Close(expected[i], actual[i].Span, 1e-5, s_outputs[i]);
    }

    [Test]
    public void A_million_tokens_turn_to_the_same_angle()
    {
        const int Length = 1_000_000;
        const float Step = 0.37f;
        Tensor ones = Tensor.Full(1f, 1, Length, 1, 2), dt = Tensor.Full(Step, 1, Length, 1), decay = Tensor.Full(-1f, 1, Length, 1);
        Tensor zero = Tensor.Zeros(1, 2);
        Mamba3Inputs inputs = new()
        {
            Q = ones,
            K = ones,
            V = dt.Reshape(1, Length, 1, 1),
            Adt = decay,
            Dt = dt,
            Trap = dt,
            QBias = zero,
            KBias = zero,
            Angles = Tensor.Full(20f, 1, Length, 1, 1), // its tangent is 1, to the last bit
        };
        (_, Mamba3Memory last) = Ops.Mamba3Scan(inputs);
        double turns = (double)Step / 2 * Length, angle = (turns - Math.Floor(turns)) * 2 * Math.PI;
        Assert.That((double)last.Angles.Item() + last.AngleRests!.Value.Item(), Is.EqualTo(angle).Within(1e-6));
    }

    [Test]
    public void A_sequence_can_be_scanned_in_pieces()
    {
        Mamba3Size s = new(2, 150, 4, 2, 8, 5, 3);
        Tensor[] x = s.Inputs(), whole = Run(x);
        Mamba3Memory state = new(x[11], x[12], x[13], x[14]);
        List<Tensor> pieces = [];
        foreach ((int start, int count) in new[] { (0, 1), (1, 1), (2, 80), (82, 68) })
        {
            Tensor[] piece = [.. x.Select((t, i) => i is < 6 or 8 or 10 ? Ops.Slice(t, 1, start, count) : t)];
            (Tensor y, state) = Ops.Mamba3Scan(Inputs(piece), new() { D = x[9], Z = piece[10], Initial = state });
            pieces.Add(y);
        }
        GradCheck.Close(whole[0].ToDouble(), Ops.Concat([.. pieces], axis: 1).Span, 2e-6, "output");
        Tensor[] last = [state.Angles, state.Ssm, state.Key, state.Value];
        for (int i = 0; i < last.Length; i++) GradCheck.Close(whole[i + 1].ToDouble(), last[i].Span, 2e-6, s_outputs[i + 1]);
    }

    [Test]
    public void Thread_count_changes_no_bit([Values] bool shared)
    {
        Mamba3Size s = new(2, 200, 6, 2, 16, 8, 4, shared);
        float[][] one = Run(1), two = Run(2), three = Run(3);
        for (int i = 0; i < one.Length; i++)
        {
            Assert.That(two[i], Is.EqualTo(one[i]), $"result {i}");
            Assert.That(three[i], Is.EqualTo(one[i]), $"result {i}");
        }

        float[][] Run(int threads)
        {
            using ThreadCount count = new(threads);
            Tensor[] inputs = s.Inputs();
            foreach (Tensor input in inputs) input.RequiresGrad = true;
            using Tape tape = new();
            Tensor[] outputs = Mamba3Tests.Run(inputs);
            tape.Backward(outputs, [.. outputs.Select((o, i) => Numbers.Random(92 + i, o.Shape.ToArray()))]);
            return [.. outputs.Select(o => o.Span.ToArray()), .. inputs.Select(x => x.Grad!.Value.Span.ToArray())];
        }
    }

    [Test]
    public void The_backward_pass_keeps_no_state_of_every_token()
    {
        const int Length = 4096, Values = 16, States = 16;
        Mamba3Size s = new(1, Length, 1, 1, States, Values, 4);
        Tensor[] inputs = s.Inputs();
        foreach (Tensor input in inputs) input.RequiresGrad = true;
        long before = RentedMemory.OfTheLiving();
        BufferPool.ResetPeak();
        using (Tape tape = new())
        {
            Tensor y = Run(inputs)[0];
            tape.Backward(y, Numbers.Random(93, y.Shape.ToArray()));
        }
        // y, y before the gate, two gradients of y, those of V, Z, Q and K with their sums: a dozen L P, not N L P.
        Assert.That(BufferPool.Peak - before, Is.LessThan(15L * Length * Values));
    }

    [Test]
    public void Bad_shapes_are_refused_by_name()
    {
        Tensor[] x = new Mamba3Size(2, 5, 4, 2, 8, 3, 2).Inputs();
        Refused("A dt", i => i[3] = Numbers.Random(1, 2, 5, 3));
        Refused("(2, 5, 3, 8)", i => i[1] = Numbers.Random(1, 2, 5, 3, 8));
        Refused("Q", i => i[0] = Numbers.Random(1, 2, 5, 1, 8));
        Refused("turned pairs", i => i[8] = Numbers.Random(1, 2, 5, 4, 5));
        Refused("the angles", i => i[8] = Numbers.Random(1, 2, 5, 2, 2));
        Refused("the state", i => i[12] = Numbers.Random(1, 2, 4, 3, 8));
        Refused("Z", i => i[10] = Numbers.Random(1, 2, 5, 4, 2));
        Assert.That(
            () => Ops.Mamba3Rates(x[3], x[2]), Throws.TypeOf<ShapeException>().With.Message.Contains("Mamba3Rates"));
        Assert.That(() => Ops.Mamba3Rates(x[3], x[4], 0f), Throws.TypeOf<ArgumentOutOfRangeException>());

        void Refused(string message, Action<Tensor[]> change)
        {
            Tensor[] inputs = [.. x];
            change(inputs);
            Assert.That(
                () => Run(inputs), Throws.TypeOf<ShapeException>().With.Message.Contains("Mamba3Scan").And.Message.Contains(message));
        }
    }

    [Test]
    public void Rates_match_their_formula_on_both_sides_of_zero_and_of_the_floor()
    {
        const float Floor = 0.7f;
        Tensor x = Numbers.Random(1, 3, 40), a = Numbers.Uniform(2, -3f, 3f, 3, 40);
        foreach (int output in new[] { 0, 1 })
            GradCheck.Check(
                i => output == 0 ? Ops.Mamba3Rates(i[0], i[1], Floor).Dt : Ops.Mamba3Rates(i[0], i[1], Floor).Adt,
                i => [.. i[0].Zip(i[1], (x, a) => Math.Log(1 + Math.Exp(x)) * (output == 0 ? 1 : -Math.Max(Floor, F(a))))], [x, a]);

        static double F(double a) => a >= 0 ? 1 + a : 1 / (1 - a);
    }

    /// <summary>At a = 0 both sides have the slope 1.</summary>
    [Test]
    public void Rates_have_their_slope_at_zero()
    {
        Tensor x = Tensor.Zeros(2), a = Tensor.From([0f, -0f], 2);
        a.RequiresGrad = true;
        using Tape tape = new();
        tape.Backward(Ops.Mamba3Rates(x, a).Adt, Tensor.Full(1f, 2));
        Assert.That(a.Grad!.Value.Span.ToArray(), Is.All.EqualTo(-MathF.Log(2f)).Within(1e-6));
    }

    private static Mamba3Inputs Inputs(Tensor[] x) => new()
    {
        Q = x[0],
        K = x[1],
        V = x[2],
        Adt = x[3],
        Dt = x[4],
        Trap = x[5],
        QBias = x[6],
        KBias = x[7],
        Angles = x[8],
    };

    private static Tensor[] Run(Tensor[] x)
    {
        Mamba3Memory initial = new(x[11], x[12], x[13], x[14]);
        (Tensor y, Mamba3Memory last) = Ops.Mamba3Scan(Inputs(x), new() { D = x[9], Z = x[10], Initial = initial });
        return [y, last.Angles, last.Ssm, last.Key, last.Value];
    }
}
