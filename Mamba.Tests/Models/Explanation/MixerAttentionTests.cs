using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Explanation;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>
/// The closed forms of Mamba-2, Mamba-3 and S4D against gradients of their scans. Flipped, the scan gets the last token first, as the
/// backward direction of a mixer does.
/// </summary>
internal sealed class MixerAttentionTests
{
    [TestCase(7, 3, 1, false), TestCase(7, 4, 2, true), TestCase(37, 4, 2, false), TestCase(37, 2, 2, true)]
    public void A_row_of_Mamba_2_is_the_gradient_of_its_layer(int length, int heads, int groups, bool flipped)
    {
        ObservedSelectiveScan x = Mamba2(length, heads, groups);
        DualityOptions options = new() { DeltaBias = x.DeltaBias, DeltaSoftplus = true, DtLimit = x.DeltaLimit };
        Is_the_gradient(
            ScanTrace.Of(x, null, flipped), flipped, Numbers.Random(1, 2, length, heads, 3),
            u => Ops.StateSpaceDuality(u, x.Delta, x.A, x.B, x.C, options).Output);
    }

    [TestCase(7, 3, 1, false, false), TestCase(7, 4, 2, true, true), TestCase(21, 4, 2, false, true), TestCase(21, 3, 3, true, false)]
    public void A_row_of_Mamba_3_is_the_gradient_of_its_scan(int length, int heads, int groups, bool shared, bool flipped)
    {
        Mamba3Inputs x = Mamba3(new Mamba3Size(2, length, heads, groups, States: 6, Values: 2, Turned: 2, shared));
        Is_the_gradient(
            ScanTrace.Of(new ObservedMamba3Scan { Layer = "layer", Inputs = x }, null, flipped), flipped, x.V,
            u => Ops.Mamba3Scan(x with { V = u }).Output);
    }

    /// <summary>The mixer convolves with the kernel; its recurrence, which a state goes through, has no kernel.</summary>
    [TestCase(7, false), TestCase(19, true)]
    public void A_row_of_S4d_is_the_gradient_of_its_recurrence(int length, bool flipped)
    {
        const int Channels = 5;
        ParameterStore store = new(3);
        DiagonalStateSpace system = new(new Scope(store) / "layer", Channels, 8, S4dInitialization.Lin);
        store["layer.D"].Span.Clear(); // no skip
        Tensor u = Numbers.Random(1, 2, length, Channels, 1);
        ModelTrace trace = new();
        trace.Flip(flipped);
        trace.Watch(() => system.Convolve(u.Reshape(2, length, Channels)));
        Assert.That(trace.Scans.Single().Layer, Is.EqualTo("layer"));
        Is_the_gradient(
            trace.Scans[0], flipped, u,
            x => system.Scan(x.Reshape(2, length, Channels), null).Output.Reshape(2, length, Channels, 1));
    }

    [TestCase(DeltaChannels.Mean), TestCase(DeltaChannels.Max)]
    public void The_steps_of_Mamba_2_are_those_of_its_heads_within_their_limits(DeltaChannels channels)
    {
        ObservedSelectiveScan x = Mamba2(5, 3, 1);
        double[] steps = ImplicitAttention.Steps(ScanTrace.Of(x, null), channels);
        bool bounded = false;
        for (int t = 0; t < 5; t++)
        {
            List<double> all = [];
            for (int i = 0; i < 6; i++)
            {
                int sequence = i / 3, head = i % 3;
                double raw = Math.Log(1 + Math.Exp((double)x.Delta.Span[(sequence * 5 + t) * 3 + head] + x.DeltaBias.Span[head]));
                all.Add(Math.Clamp(raw, 0.4f, 1.2f));
                bounded |= raw is < 0.4f or > 1.2f;
            }
            Assert.That(steps[t], Is.EqualTo(channels == DeltaChannels.Max ? all.Max() : all.Average()).Within(1e-6));
        }
        Assert.That(bounded, "else the limits are not tested");
    }

    [Test]
    public void The_steps_of_Mamba_3_are_dt_and_those_of_S4d_one_constant()
    {
        Mamba3Inputs x = Mamba3(new Mamba3Size(1, 5, 3, 1, States: 4, Values: 2, Turned: 1));
        double[] steps = ImplicitAttention.Steps(
            ScanTrace.Of(new ObservedMamba3Scan { Layer = "layer", Inputs = x }, null, flipped: true), DeltaChannels.Mean);
        for (int t = 0; t < 5; t++)
            Assert.That(steps[t], Is.EqualTo(x.Dt.Span.Slice((4 - t) * 3, 3).ToArray().Average()).Within(1e-6), "in reading order");

        ObservedConvolution s4d = new() { Layer = "layer", Kernel = Numbers.Random(1, 3, 4), LogDelta = Numbers.Uniform(2, -4f, -1f, 3) };
        double[] constants = [.. s4d.LogDelta.ToDouble().Select(Math.Exp)];
        Assert.That(
            ImplicitAttention.Steps(ScanTrace.Of(s4d, null), DeltaChannels.Mean),
            Has.Length.EqualTo(4).And.All.EqualTo(constants.Average()).Within(1e-6));
        Assert.That(
            ImplicitAttention.Steps(ScanTrace.Of(s4d, null), DeltaChannels.Max), Is.All.EqualTo(constants.Max()).Within(1e-6));
    }

    [TestCase(MixerKind.Mamba2), TestCase(MixerKind.Mamba3), TestCase(MixerKind.S4d)]
    public void A_mixer_hands_over_its_scan_in_both_directions_and_computes_the_same(MixerKind kind)
    {
        BidirectionalMixer mixer = new(new Scope(new ParameterStore(3)) / "layer", "mixer", kind, width: 6);
        Tensor x = Numbers.Random(7, 1, 9, 6);
        ModelTrace trace = new();
        Tensor watched = default;
        trace.Watch(() => watched = mixer.Forward(x));
        Assert.That(watched.Span.ToArray(), Is.EqualTo(mixer.Forward(x).Span.ToArray()), "to the bit");
        Assert.That(
            trace.Scans.Select(s => (s.Layer, s.Reverse)), Is.EqualTo(new[] { ("layer.mixer_b", true), ("layer.mixer", false) }));
        foreach (ScanTrace scan in trace.Scans)
        {
            double[] row = ImplicitAttention.Row(scan, 3);
            for (int j = 0; j < 9; j++) Assert.That(row[j] > 0, Is.EqualTo(scan.Reverse ? j >= 3 : j <= 3), $"{scan.Layer}: {j}");
            Assert.That((scan.Length, scan.Delta.Min() > 0), Is.EqualTo((9, true)));
        }
    }

    private static void Is_the_gradient(ScanTrace trace, bool flipped, Tensor input, Func<Tensor, Tensor> scan)
    {
        int sequences = input.Shape[0], length = input.Shape[1], heads = input.Shape[2], values = input.Shape[3];
        Assert.That((trace.Reverse, trace.Length, trace.Channels), Is.EqualTo((flipped, length, heads)));
        input.RequiresGrad = true;
        float[] row = new float[length];
        double[] closed = new double[length];
        for (int i = 0; i < sequences * length * heads; i++)
        {
            int head = i % heads, token = i / heads % length, sequence = i / heads / length;
            float[] gradient = Gradient(scan, input, i * values + i % values);
            for (int j = 0; j < length; j++)
            {
                ref float value = ref gradient[((sequence * length + j) * heads + head) * values + i % values];
                (row[flipped ? length - 1 - j : j], value) = (value, 0);
            }
            Assert.That(gradient, Is.All.Zero, "of other channels and sequences");
            ImplicitAttention.Channel(trace, trace is KernelTrace ? 0 : sequence, flipped ? length - 1 - token : token, head, closed);
            GradCheck.Close(closed, row, 1e-5, $"row {token} of head {head} in sequence {sequence}");
        }
    }

    private static float[] Gradient(Func<Tensor, Tensor> scan, Tensor input, int element)
    {
        using Tape tape = new();
        Tensor y = scan(input), one = Tensor.Zeros(y.Shape);
        one.Span[element] = 1;
        return tape.Gradients(Ops.Sum(Ops.Multiply(y, one)), input)[0].Span.ToArray();
    }

    private static ObservedSelectiveScan Mamba2(int length, int heads, int groups) => new()
    {
        Layer = "layer",
        Delta = Numbers.Random(2, 2, length, heads),
        DeltaBias = Numbers.Random(3, heads),
        DeltaLimit = (0.4f, 1.2f),
        A = Numbers.Uniform(4, -2f, -0.1f, heads),
        B = Numbers.Random(5, 2, length, groups, 4),
        C = Numbers.Random(6, 2, length, groups, 4),
    };

    private static Mamba3Inputs Mamba3(Mamba3Size size)
    {
        Tensor[] x = size.Inputs();
        return new Mamba3Inputs
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
    }
}
