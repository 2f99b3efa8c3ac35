using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Models.Explanation;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>The closed form of the scan's attention against gradients of the scan, and against the formula with its sums.</summary>
internal sealed class ImplicitAttentionTests
{
    private const int Sequences = 2, Length = 7, Channels = 5, States = 4;

    private readonly Operands _x = new();

    [TestCase(false), TestCase(true)]
    public void A_row_is_the_gradient_of_the_scan_by_its_input(bool reverse)
    {
        ScanTrace scan = Trace(reverse);
        Tensor u = _x.U;
        u.RequiresGrad = true;
        float[] row = new float[Length];
        double[] closed = new double[Length];
        for (int sequence = 0; sequence < Sequences; sequence++)
            for (int token = 0; token < Length; token++)
                for (int channel = 0; channel < Channels; channel++)
                {
                    float[] gradient = Gradient(reverse, sequence, token, channel);
                    ImplicitAttention.Channel(scan, sequence, token, channel, closed);
                    for (int j = 0; j < Length; j++) row[j] = gradient[(sequence * Length + j) * Channels + channel];
                    GradCheck.Close(closed, row, 1e-5, $"row {token} of channel {channel} in sequence {sequence}");
                }
    }

    [TestCase(false), TestCase(true)]
    public void The_matrix_is_the_formula_with_its_sums_written_out(bool reverse)
    {
        ScanTrace scan = Trace(reverse);
        double[] row = new double[Length];
        for (int i = 0; i < Length; i++)
            for (int d = 0; d < Channels; d++)
            {
                ImplicitAttention.Channel(scan, 1, i, d, row);
                for (int j = 0; j < Length; j++) Assert.That(row[j], Is.EqualTo(Formula(i, j, d, reverse)).Within(1e-6), $"{i}, {j}, {d}");
            }
    }

    [Test]
    public void The_row_of_a_layer_is_the_mean_magnitude_over_channels_and_sequences()
    {
        ScanTrace scan = Trace(reverse: false);
        double[] expected = new double[Length], channel = new double[Length];
        for (int sequence = 0; sequence < Sequences; sequence++)
            for (int d = 0; d < Channels; d++)
            {
                ImplicitAttention.Channel(scan, sequence, 5, d, channel);
                for (int j = 0; j < Length; j++) expected[j] += Math.Abs(channel[j]) / (Sequences * Channels);
            }
        double[] row = ImplicitAttention.Row(scan, 5);
        Assert.That(row, Is.EqualTo(expected).Within(1e-12));
        Assert.That(row[..6], Is.All.GreaterThan(0));
        Assert.That(row[6], Is.Zero, "the scan has not seen it");
    }

    [Test]
    public void The_step_sizes_are_the_mean_or_the_largest_of_the_channels()
    {
        ScanTrace scan = Trace(reverse: false);
        double[] mean = ImplicitAttention.Steps(scan, DeltaChannels.Mean), max = ImplicitAttention.Steps(scan, DeltaChannels.Max);
        for (int token = 0; token < Length; token++)
        {
            List<double> steps = [];
            for (int sequence = 0; sequence < Sequences; sequence++)
                for (int d = 0; d < Channels; d++) steps.Add(Step(sequence, token, d));
            Assert.That(mean[token], Is.EqualTo(steps.Average()).Within(1e-6));
            Assert.That(max[token], Is.EqualTo(steps.Max()).Within(1e-6));
        }
    }

    [Test]
    public void A_mixer_hands_over_what_it_scans_with()
    {
        MambaMixer mixer = new(new Scope(new ParameterStore(3)) / "layer" / "mixer", new MambaConfig(8) { Bidirectional = true });
        Tensor x = Numbers.Random(7, 1, 6, 8);
        ModelTrace trace = new();
        Tensor watched = default;
        trace.Watch(() => watched = mixer.Forward(x));
        Assert.That(LayerObserver.Current, Is.Null);
        Assert.That(watched.Span.ToArray(), Is.EqualTo(mixer.Forward(x).Span.ToArray()), "to the bit");
        Assert.That(trace.Scans.Select(s => (s.Layer, s.Reverse)), Is.EqualTo(new[] { ("layer.mixer", false), ("layer.mixer", true) }));
        Assert.That(trace.Scans[0].Delta, Is.All.GreaterThan(0), "after the softplus");
        RecurrenceTrace forward = (RecurrenceTrace)trace.Scans[0], backward = (RecurrenceTrace)trace.Scans[1];
        Assert.That(forward.A, Is.All.LessThan(0));
        Assert.That((backward.Length, backward.Channels, backward.States), Is.EqualTo((6, 16, 16)));
    }

    [Test]
    public void An_observer_that_throws_watches_no_longer()
    {
        ModelTrace outer = new();
        outer.Watch(() =>
        {
            Assert.That(() => new ModelTrace().Watch(() => throw new NotSupportedException()), Throws.TypeOf<NotSupportedException>());
            Assert.That(LayerObserver.Current, Is.SameAs(outer));
        });
        Assert.That(LayerObserver.Current, Is.Null);
    }

    private ScanTrace Trace(bool reverse) => ScanTrace.Of(
        new ObservedSelectiveScan
        {
            Layer = "layer",
            Reverse = reverse,
            Delta = _x.Delta,
            DeltaBias = _x.Bias,
            A = _x.A,
            B = _x.B,
            C = _x.C,
        },
        new TokenGrid(1, Length, null));

    private float[] Gradient(bool reverse, int sequence, int token, int channel)
    {
        using Tape tape = new();
        ScanOptions options = new() { DeltaBias = _x.Bias, DeltaSoftplus = true, Reverse = reverse };
        Tensor y = Ops.SelectiveScan(_x.U, _x.Delta, _x.A, _x.B, _x.C, options).Output, one = Tensor.Zeros(y.Shape);
        one.Span[(sequence * Length + token) * Channels + channel] = 1;
        return tape.Gradients(Ops.Sum(Ops.Multiply(y, one)), _x.U)[0].Span.ToArray();
    }

    /// <summary>alpha[i,j] of channel d in sequence 1: the sum of steps between j and i in full.</summary>
    private double Formula(int i, int j, int d, bool reverse)
    {
        if (reverse ? j < i : j > i) return 0;
        double between = 0, sum = 0;
        for (int k = 0; k < Length; k++)
            if (reverse ? k >= i && k < j : k > j && k <= i) between += Step(1, k, d);
        for (int n = 0; n < States; n++)
            sum += _x.C.Span[(Length + i) * States + n] * Math.Exp(_x.A.Span[d * States + n] * between) * Step(1, j, d)
                * _x.B.Span[(Length + j) * States + n];
        return sum;
    }

    private double Step(int sequence, int token, int d) =>
        Math.Log(1 + Math.Exp((double)_x.Delta.Span[(sequence * Length + token) * Channels + d] + _x.Bias.Span[d]));

    private sealed class Operands
    {
        public Tensor U { get; } = Numbers.Random(1, Sequences, Length, Channels);

        public Tensor Delta { get; } = Numbers.Random(2, Sequences, Length, Channels);

        public Tensor Bias { get; } = Numbers.Random(3, Channels);

        public Tensor A { get; } = Numbers.Uniform(4, -2f, -0.1f, Channels, States);

        public Tensor B { get; } = Numbers.Random(5, Sequences, Length, States);

        public Tensor C { get; } = Numbers.Random(6, Sequences, Length, States);
    }
}
