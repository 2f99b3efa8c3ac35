using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>
/// The selective scan at the limits of float32: a million tokens, steps and rates of all sizes, inputs near the largest and smallest
/// numbers.
/// </summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class ScanStabilityTests(VectorWidth width) : WidthFixture(width)
{
    private const int Length = 1_000_000, Channels = 2, States = 2;

    private static readonly string[] s_names = ["u", "delta", "A", "B", "C", "D", "z", "delta bias", "initial state"];
    private static readonly Lazy<(float[][] Inputs, float[] Cotangent, ScanReference Reference)> s_long = new(MakeLong);

    [Test]
    public void A_million_tokens_agree_with_double_precision_forwards_and_backwards(
        [Values(ScanSchedule.Sequential, ScanSchedule.Chunked)] ScanSchedule schedule)
    {
        (float[][] inputs, float[] cotangent, ScanReference reference) = s_long.Value;
        (float[] y, float[] last, float[][] gradients) = Run(inputs, cotangent, Length, Channels, States, schedule, softplus: true);
        GradCheck.Close(reference.Output, y, 1e-5, "output");
        GradCheck.Close(reference.Last, last, 1e-5, "last state");
        for (int i = 0; i < gradients.Length; i++) GradCheck.Close(reference.Gradients[i], gradients[i], 1e-4, $"gradient of {s_names[i]}");
    }

    [TestCase("large steps and rates", 1f, 1e4f, -1e6f, 1f, 1f), TestCase("large steps, slow decay", 1f, 1e4f, -1e-6f, 1f, 1f)]
    [TestCase("steps of the smallest numbers", 1f, 1e-42f, -1f, 1f, 1f)]
    [TestCase("inputs near the largest number", 3e38f, 1e-3f, -1f, 0.1f, 0.1f)]
    [TestCase("inputs of the smallest numbers", 1e-42f, 0.1f, -1f, 1f, 1f), TestCase("B and C near the ends", 1f, 0.1f, -1f, 1e37f, 1e-37f)]
    [TestCase("no step", 1f, 0f, -1e6f, 1f, 1f)]
    public void What_is_finite_stays_finite(string what, float u, float dt, float a, float b, float c)
    {
        const int Tokens = 50;
        float[] Scaled(int seed, int count, float scale) => [.. Numbers.Uniform(count, seed).Select(x => (0.75f + 0.25f * x) * scale)];

        float[][] inputs =
        [
            Scaled(1, Tokens * Channels, u), Scaled(2, Tokens * Channels, dt), Scaled(3, Channels * States, a),
            Scaled(4, Tokens * States, b), Scaled(5, Tokens * States, c),
            Scaled(6, Channels, 0.5f), Scaled(7, Tokens * Channels, 1f), Scaled(8, Channels, 0f), Scaled(9, Channels * States, 1f),
        ];
        float[] cotangent = Numbers.Uniform(Tokens * Channels, seed: 10);
        ScanReference reference = ScanReference.Of(inputs, cotangent, Tokens, Channels, States, softplus: false);
        // no decay falls below 2^-126; steps carry that into states and gradients
        double smallestDecay = Math.Pow(2, -126) * Tokens * Math.Max(1, dt * dt);
        foreach (ScanSchedule schedule in new[] { ScanSchedule.Sequential, ScanSchedule.Chunked })
        {
            (float[] y, float[] last, float[][] gradients) = Run(inputs, cotangent, Tokens, Channels, States, schedule, softplus: false);
            Close(reference.Output, y, $"output, {schedule}");
            Close(reference.Last, last, $"last state, {schedule}");
            for (int i = 0; i < gradients.Length; i++) Close(reference.Gradients[i], gradients[i], $"gradient of {s_names[i]}, {schedule}");
        }

        void Close(double[] expected, float[] actual, string name)
        {
            double largest = expected.Max(Math.Abs);
            if (largest >= float.MaxValue) return; // it is not finite
            for (int i = 0; i < actual.Length; i++)
                Assert.That(actual[i], Is.EqualTo(expected[i]).Within(1e-4 * largest + smallestDecay), $"{what}: {name}, element {i}");
        }
    }

    private static (float[][] Inputs, float[] Cotangent, ScanReference Reference) MakeLong()
    {
        float[] Uniform(int seed, int count, float low, float high) =>
            [.. Numbers.Uniform(count, seed).Select(x => low + (high - low) * (x + 1) / 2)];

        float[][] inputs =
        [
            Uniform(1, Length * Channels, -1, 1), Uniform(2, Length * Channels, -3, 3), Uniform(3, Channels * States, -8, -0.1f),
            Uniform(4, Length * States, -1, 1), Uniform(5, Length * States, -1, 1),
            // dt from 0.001 to 1.3
            Uniform(6, Channels, -1, 1), Uniform(7, Length * Channels, -2, 2), Uniform(8, Channels, -4, -2),
            Uniform(9, Channels * States, -1, 1),
        ];
        float[] cotangent = Uniform(10, Length * Channels, -1, 1);
        return (inputs, cotangent, ScanReference.Of(inputs, cotangent, Length, Channels, States, softplus: true));
    }

    private static (float[] Output, float[] Last, float[][] Gradients) Run(
        float[][] inputs, float[] cotangent, int length, int channels, int states, ScanSchedule schedule, bool softplus)
    {
        int[][] shapes =
        [
            [1, length, channels], [1, length, channels], [channels, states], [1, length, states], [1, length, states], [channels],
            [1, length, channels], [channels], [1, channels, states],
        ];
        using Tape tape = new();
        Tensor[] x = [.. inputs.Zip(shapes, (values, shape) => Tensor.From(values, shape))];
        foreach (Tensor input in x) input.RequiresGrad = true;
        ScanOptions options = new() { D = x[5], Z = x[6], DeltaBias = x[7], DeltaSoftplus = softplus, InitialState = x[8] };
        (Tensor y, Tensor last) = Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], options with { Schedule = schedule });
        (float[] output, float[] state) = (y.Span.ToArray(), last.Span.ToArray());
        tape.Backward(y, Tensor.From(cotangent, 1, length, channels));
        return (output, state, [.. x.Select(input => input.Grad!.Value.Span.ToArray())]);
    }
}
