using Mamba.Core;

namespace Mamba.Tests.Support;

/// <summary>
/// Compares an operator with a naive implementation in double precision. Results are compared directly. Gradients are compared with central
/// differences of the naive one, whose own error (1e-9 or so) is far below float32's.
/// </summary>
internal static class GradCheck
{
    private const double Step = 1e-5;
    private const int MaxProbes = 32;

    /// <summary>
    /// Checks results and all gradients; errors are relative to the largest magnitude of the tensor in question. Then the gradients must be
    /// the same, bit for bit, where the inputs' memory is gone when the backward pass begins (<see cref="RecomputedInputs"/>).
    /// </summary>
    /// <param name="op">The operator.</param>
    /// <param name="naive">The same function of flat arrays, in double.</param>
    /// <param name="inputs">
    /// Its inputs; of each the gradients of up to 32 elements are checked, spread evenly from the first to the last.
    /// </param>
    /// <param name="tolerance">Largest error allowed.</param>
    /// <param name="frozen">Indices of inputs without gradient (targets, running statistics).</param>
    public static void Check(
        Func<Tensor[], Tensor> op, Func<double[][], double[]> naive, Tensor[] inputs, double tolerance = 1e-5, params int[] frozen)
    {
        double[][] values = Array.ConvertAll(inputs, x => x.ToDouble());
        double[] expected = naive(values);
        float[] weights = Numbers.Uniform(expected.Length, seed: 991);

        for (int i = 0; i < inputs.Length; i++)
        {
            inputs[i].RequiresGrad = !frozen.Contains(i);
            inputs[i].ZeroGrad();
        }
        using (Tape tape = new())
        {
            Tensor y = op(inputs);
            Close(expected, y.Span, tolerance, "output");
            tape.Backward(y, Tensor.From(weights, y.Shape.ToArray()));
        }
        foreach (int i in Enumerable.Range(0, inputs.Length).Except(frozen))
            Assert.That(inputs[i].Grad, Is.Not.Null, $"gradient of input {i}");
        RecomputedInputs.GiveTheSameGradients(op, inputs, weights);

        for (int i = 0; i < inputs.Length; i++)
        {
            if (frozen.Contains(i)) continue;
            int probes = Math.Min(MaxProbes, values[i].Length);
            double[] gradient = new double[probes];
            float[] actual = new float[probes];
            for (int probe = 0; probe < probes; probe++)
            {
                int j = probes == 1 ? 0 : (int)((long)probe * (values[i].Length - 1) / (probes - 1));
                actual[probe] = inputs[i].Grad!.Value.Span[j];
                double x = values[i][j];
                values[i][j] = x + Step;
                double above = Dot(naive(values), weights);
                values[i][j] = x - Step;
                double below = Dot(naive(values), weights);
                values[i][j] = x;
                gradient[probe] = (above - below) / (2 * Step);
            }
            Close(gradient, actual, tolerance, $"gradient of input {i}, probed,");
            inputs[i].RequiresGrad = false;
        }
    }

    /// <summary>Asserts that the largest difference is below the tolerance times the largest magnitude expected.</summary>
    public static void Close(ReadOnlySpan<double> expected, ReadOnlySpan<float> actual, double tolerance, string what)
    {
        Assert.That(actual.Length, Is.EqualTo(expected.Length), $"{what}: length");
        double scale = 1e-6, worst = 0;
        int where = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            scale = Math.Max(scale, Math.Abs(expected[i]));
            double error = Math.Abs(expected[i] - actual[i]);
            if (!(error <= worst)) (worst, where) = (double.IsNaN(error) ? double.PositiveInfinity : error, i);
        }
        if (worst > tolerance * scale)
            Assert.Fail(
                $"{what}: element {where} is {actual[where]:R}, expected {expected[where]:R}; "
                + $"error {worst / scale:E2} of the largest magnitude, allowed {tolerance:E1}");
    }

    private static double Dot(double[] a, float[] b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++) sum += a[i] * b[i];
        return sum;
    }
}
