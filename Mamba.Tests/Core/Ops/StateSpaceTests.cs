using System.Numerics;
using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class StateSpaceTests(VectorWidth width) : WidthFixture(width)
{
    private readonly VectorWidth _width = width;

    [TestCase(2, 19, 3, 4, true), TestCase(1, 150, 17, 3, false), TestCase(2, 1, 5, 1, true)]
    public void A_scan_matches_the_recurrence(int batch, int length, int channels, int states, bool pairs)
    {
        Tensor[] inputs =
        [
            Numbers.Random(1, batch, length, channels), Numbers.Uniform(2, -0.65f, 0.65f, channels, states, 2),
            Numbers.Random(3, channels, states, 2), Numbers.Random(4, channels, states, 2), Numbers.Random(5, channels),
            Numbers.Random(6, batch, channels, states, 2),
        ];
        foreach (bool last in new[] { false, true })
            OperatorCheck.Run(
                _width,
                x =>
                {
                    LtiScanOptions options = new() { D = x[4], State = x[5], ConjugatePairs = pairs };
                    (Tensor y, Tensor state) = Ops.LtiScan(x[0], x[1], x[2], x[3], options);
                    // D reaches the last state nowhere; a sum gives every input a gradient.
                    return last ? Ops.Add(Ops.Sum(y), state) : y;
                },
                x => NaiveScan(x, batch, length, channels, pairs, last), inputs, tolerance: 2e-5);
    }

    [TestCase(DiscretizationMethod.ZeroOrderHold, true, 70), TestCase(DiscretizationMethod.Bilinear, true, 31)]
    [TestCase(DiscretizationMethod.ZeroOrderHold, false, 33), TestCase(DiscretizationMethod.Mamba, true, 1)]
    public void The_S4D_kernel_matches_its_sum(DiscretizationMethod method, bool complex, int length)
    {
        const int Channels = 3, States = 4;
        int[] numbers = complex ? [Channels, States, 2] : [Channels, States];
        Tensor[] inputs =
        [
            Numbers.Uniform(1, -4f, -1f, Channels), Numbers.Uniform(2, -1f, 1f, Channels, States), Numbers.Random(3, numbers),
            Numbers.Random(4, numbers), .. complex ? [Numbers.Uniform(5, -9f, 9f, Channels, States)] : Array.Empty<Tensor>(),
        ];
        OperatorCheck.Run(
            _width,
            x =>
            {
                S4dKernelOptions options = new() { Method = method, ConjugatePairs = complex, AImag = complex ? x[4] : null, B = x[3] };
                return Ops.S4dKernel(x[0], x[1], x[2], length, options);
            },
            x =>
            {
                double[] kernel = new double[Channels * length];
                for (int state = 0; state < Channels * States; state++)
                {
                    int i = state, h = i / States;
                    Complex a = new(-Math.Exp(x[1][i]), complex ? x[4][i] : 0);
                    Complex Number(double[] numbers) => complex ? new Complex(numbers[2 * i], numbers[2 * i + 1]) : numbers[i];
                    Complex c = Number(x[2]), b = Number(x[3]);
                    (Complex abar, Complex bbar) = LtiReference.Discretize(a, b, Math.Exp(x[0][h]), method);
                    Complex term = c * bbar * (complex ? 2 : 1);
                    for (int l = 0; l < length; l++, term *= abar) kernel[h * length + l] += term.Real;
                }
                return kernel;
            },
            inputs, tolerance: 5e-5);
    }

    /// <summary>
    /// The product of giant and baby steps is exact where the recurrence in float32 is not: 100,000 steps of a slow decay.
    /// </summary>
    [Test]
    public void The_S4D_kernel_stays_exact_over_a_long_sequence()
    {
        const int Length = 100_000;
        Tensor kernel = Ops.S4dKernel(
            Tensor.From([(float)Math.Log(1e-5)], 1), Tensor.From([0f], 1, 1), Tensor.From([1f, 0.5f], 1, 1, 2), Length,
            new() { AImag = Tensor.From([2000f], 1, 1) });
        double dt = Math.Exp((float)Math.Log(1e-5));
        Complex a = new(-1, 2000), bbar = (Complex.Exp(dt * a) - 1) / a;
        double[] expected = [.. Enumerable.Range(0, Length).Select(l => (new Complex(1, 0.5) * bbar * Complex.Exp(l * dt * a)).Real)];
        GradCheck.Close(expected, kernel.Span, 2e-7, "kernel");
    }

    [TestCase(3, 40, 0), TestCase(2, 7, 7), TestCase(1, 1, 5), TestCase(4, 33, 50)]
    public void The_S4_kernel_matches_powers(int states, int length, int storedLength)
    {
        const int Channels = 2;
        Tensor[] inputs = DplrInputs(Channels, states);
        OperatorCheck.Run(
            _width,
            x => Ops.S4Kernel(new S4System(x[0], x[1], x[2], x[3], x[4]) { StoredLength = storedLength }, length),
            x =>
            {
                double[] kernel = new double[Channels * length];
                for (int h = 0; h < Channels; h++)
                {
                    Complex[] Part(int i) => LtiReference.Complexes(x[i])[(h * states)..((h + 1) * states)];
                    (Complex[] a, Complex[] state) = LtiReference.DiscretizeDplr(Part(0), Part(1), Part(2), Math.Exp(x[4][h]));
                    Complex[] c = LtiReference.Doubled(Part(3));
                    if (storedLength > 0) c = Restored(c, a, storedLength);
                    for (int l = 0; l < length; l++)
                    {
                        kernel[h * length + l] = c.Zip(state, (p, q) => p * q).Aggregate((p, q) => p + q).Real;
                        state = Times(a, state);
                    }
                }
                return kernel;
            },
            inputs, tolerance: 5e-5);
    }

    [Test]
    public void Diagonal_systems_are_discretized([Values] DiscretizationMethod method, [Values] bool shared)
    {
        const int Channels = 3, States = 4;
        int[] shape = shared ? [States, 2] : [Channels, States, 2];
        Tensor[] inputs = [Numbers.Uniform(1, -2f, 2f, shape), Numbers.Random(2, shape), Numbers.Uniform(3, 0.05f, 0.4f, Channels)];
        foreach (bool second in new[] { false, true })
            OperatorCheck.Run(
                _width, x =>
                {
                    (Tensor a, Tensor b) = Ops.DiscretizeDiagonal(x[0], x[1], x[2], method, 0.25f);
                    return second ? b : Ops.Add(a, Ops.Sum(b));
                },
                x =>
                {
                    Complex[] a = LtiReference.Complexes(x[0]), b = LtiReference.Complexes(x[1]);
                    (Complex A, Complex B)[] all = [.. Enumerable.Range(0, Channels * States).Select(i =>
                        LtiReference.Discretize(a[shared ? i % States : i], b[shared ? i % States : i], x[2][i / States], method))];
                    double sum = all.Sum(s => s.B.Real + s.B.Imaginary);
                    return second ? LtiReference.Pairs(all.Select(s => s.B))
                        : Array.ConvertAll(LtiReference.Pairs(all.Select(s => s.A)), v => v + sum);
                },
                inputs, tolerance: 2e-5);
    }

    [Test]
    public void Dense_systems_are_discretized([Values] DiscretizationMethod method, [Values(1, 5)] int states)
    {
        const int Steps = 2, Inputs = 2;
        Tensor[] inputs =
            [Numbers.Random(1, states, states), Numbers.Random(2, states, Inputs), Numbers.Uniform(3, 0.05f, 0.4f, Steps)];
        OperatorCheck.Run(
            _width, x =>
            {
                (Tensor a, Tensor b) = Ops.DiscretizeDense(x[0], x[1], x[2], method, 0.25f);
                return Ops.Concat([a, b]);
            },
            x => [.. Enumerable.Range(0, Steps).SelectMany(h =>
            {
                (double[] a, double[] b) = LtiReference.Discretize(x[0], x[1], states, x[2][h], method);
                return Enumerable.Range(0, states).SelectMany(i =>
                    a[(i * states)..((i + 1) * states)].Concat(b[(i * Inputs)..((i + 1) * Inputs)]));
            })],
            inputs, tolerance: 2e-5);
    }

    [Test]
    public void Dplr_systems_are_discretized()
    {
        const int Channels = 2, States = 3;
        Tensor[] inputs = DplrInputs(Channels, States);
        foreach (bool second in new[] { false, true })
            OperatorCheck.Run(
                _width, x =>
                {
                    (Tensor a, Tensor b) = Ops.DiscretizeDplr(x[0], x[1], x[2], x[4]);
                    return Ops.Add(second ? b : Ops.Add(a, Ops.Sum(b)), Ops.Sum(x[3]));
                },
                x =>
                {
                    (Complex[] A, Complex[] B)[] all = [.. Enumerable.Range(0, Channels).Select(h =>
                    {
                        Complex[] Part(int i) => LtiReference.Complexes(x[i])[(h * States)..((h + 1) * States)];
                        return LtiReference.DiscretizeDplr(Part(0), Part(1), Part(2), Math.Exp(x[4][h]));
                    })];
                    double[] a = LtiReference.Pairs(all.SelectMany(s => s.A)), b = LtiReference.Pairs(all.SelectMany(s => s.B));
                    double added = x[3].Sum() + (second ? 0 : b.Sum());
                    return Array.ConvertAll(second ? b : a, v => v + added);
                },
                inputs, tolerance: 2e-5);
    }

    [TestCase(2, 9, 2, 4, 3), TestCase(1, 30, 1, 17, 1)]
    public void A_dense_system_matches_the_recurrence(int batch, int length, int inputs, int states, int outputs)
    {
        Tensor[] tensors =
        [
            Numbers.Random(1, batch, length, inputs), Numbers.Uniform(2, -0.4f, 0.4f, states, states), Numbers.Random(3, states, inputs),
            Numbers.Random(4, outputs, states), Numbers.Random(5, outputs, inputs), Numbers.Random(6, batch, states),
        ];
        OperatorCheck.Run(
            _width, x =>
            {
                (Tensor y, Tensor last) = Ops.LtiDense(x[0], x[1], x[2], x[3], x[4], x[5]);
                return Ops.Add(y, Ops.Sum(last));
            },
            x =>
            {
                double[] y = new double[batch * length * outputs];
                double lasts = 0;
                for (int b = 0; b < batch; b++)
                {
                    double[] state = x[5][(b * states)..((b + 1) * states)];
                    for (int l = 0; l < length; l++)
                    {
                        double[] u = x[0][((b * length + l) * inputs)..((b * length + l + 1) * inputs)];
                        state = Sum(
                            LtiReference.Multiply(x[1], state, states, states, 1), LtiReference.Multiply(x[2], u, states, inputs, 1));
                        Sum(LtiReference.Multiply(x[3], state, outputs, states, 1), LtiReference.Multiply(x[4], u, outputs, inputs, 1))
                            .CopyTo(y, (b * length + l) * outputs);
                    }
                    lasts += state.Sum();
                }
                return Array.ConvertAll(y, v => v + lasts);
            },
            tensors, tolerance: 5e-5);
    }

    [Test]
    public void The_memory_of_LegS_matches_its_equation()
    {
        const int Signals = 2, Length = 12, N = 5;
        OperatorCheck.Run(
            _width, x => Ops.LegsMemory(x[0], N), x =>
            {
                (double[] a, double[] b) = Hippo.Matrices(HippoMeasure.LegS, N);
                return [.. Enumerable.Range(0, Signals).SelectMany(h =>
                {
                    double[] c = new double[N];
                    for (int k = 1; k <= Length; k++)
                    {
                        (double[] abar, double[] bbar) = LtiReference.Discretize(a, b, N, 1.0 / k, DiscretizationMethod.Bilinear);
                        c = Sum(LtiReference.Multiply(abar, c, N, N, 1), Array.ConvertAll(bbar, v => v * x[0][h * Length + k - 1]));
                    }
                    return c;
                })];
            },
            [Numbers.Random(1, Signals, Length)]);
    }

    [Test]
    public void Bad_arguments_are_refused_by_name()
    {
        Tensor u = Tensor.Zeros(2, 5, 3), a = Tensor.Zeros(3, 4, 2), dt = Tensor.Zeros(3), real = Tensor.Zeros(3, 4);
        OperatorCheck.Refuses("LtiScan", () => Ops.LtiScan(u, a, a, Tensor.Zeros(3, 4)).Output);
        OperatorCheck.Refuses("LtiScan", () => Ops.LtiScan(Tensor.Zeros(2, 0, 3), a, a, a).Output);
        OperatorCheck.Refuses("LtiScan", () => Ops.LtiScan(u, a, a, a, new() { State = Tensor.Zeros(2, 3, 4) }).Output);
        OperatorCheck.Refuses("S4dKernel", () => Ops.S4dKernel(dt, real, a, 5));
        OperatorCheck.Refuses("S4dKernel", () => Ops.S4dKernel(dt, real, real, 5, new() { AImag = real }));
        OperatorCheck.Refuses("S4dKernel", () => Ops.S4dKernel(dt, real, a, 5, new() { AImag = real, B = real }));
        OperatorCheck.RefusesArgument("S4dKernel", () => Ops.S4dKernel(dt, real, real, 0));
        OperatorCheck.RefusesArgument("S4dKernel", () => Ops.S4dKernel(dt, real, real, 5, new() { Method = (DiscretizationMethod)99 }));
        OperatorCheck.Refuses("S4Kernel", () => Ops.S4Kernel(new S4System(a, a, a, real, dt), 5));
        OperatorCheck.RefusesArgument("S4Kernel", () => Ops.S4Kernel(new S4System(a, a, a, a, dt), 0));
        OperatorCheck.RefusesArgument("S4Kernel", () => Ops.S4Kernel(new S4System(a, a, a, a, dt) { StoredLength = -1 }, 5));
        OperatorCheck.Refuses("DiscretizeDplr", () => Ops.DiscretizeDplr(a, a, real, dt).A);
        OperatorCheck.Refuses("DiscretizeDiagonal", () => Ops.DiscretizeDiagonal(a, a, Tensor.Zeros(4)).A);
        OperatorCheck.RefusesArgument(
            "DiscretizeDiagonal", () => Ops.DiscretizeDiagonal(a, a, dt, DiscretizationMethod.GeneralizedBilinear, 1.5f).A);
        OperatorCheck.Refuses("DiscretizeDense", () => Ops.DiscretizeDense(real, real, dt).A);
        OperatorCheck.Refuses("LtiDense", () => Ops.LtiDense(u, real, real, real).Output);
        OperatorCheck.Refuses("LegsMemory", () => Ops.LegsMemory(u, 3));
        OperatorCheck.RefusesArgument("LegsMemory", () => Ops.LegsMemory(real, 0));
    }

    private static Tensor[] DplrInputs(int channels, int states)
    {
        Tensor lambda = Numbers.Uniform(1, -2f, 2f, channels, states, 2);
        for (int i = 0; i < lambda.Count; i += 2) lambda.Span[i] = -Math.Abs(lambda.Span[i]) - 0.1f;
        return
        [
            lambda, Numbers.Random(2, channels, states, 2), Numbers.Random(3, channels, states, 2), Numbers.Random(4, channels, states, 2),
            Numbers.Uniform(5, -2f, -0.5f, channels),
        ];
    }

    private static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];

    private static Complex[] Times(Complex[] a, Complex[] x) =>
        [.. Enumerable.Range(0, x.Length).Select(i => x.Select((v, j) => a[i * x.Length + j] * v).Aggregate((s, v) => s + v))];

    /// <summary>c from c (I - A^L), by (I - A^L)^T c = stored.</summary>
    private static Complex[] Restored(Complex[] stored, Complex[] a, int length)
    {
        int n = stored.Length, width = n + 1;
        Complex[] power = Array.ConvertAll(LtiReference.Identity(n), x => (Complex)x), rows = new Complex[n * width];
        for (int l = 0; l < length; l++)
            power = [.. Enumerable.Range(0, n).SelectMany(i => Times(a, [.. Enumerable.Range(0, n).Select(j => power[i * n + j])]))];
        // Row i of power is column i of A^L: it is transposed.
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++) rows[i * width + j] = (i == j ? 1 : 0) - power[i * n + j];
            rows[i * width + n] = stored[i];
        }
        LtiReference.Eliminate(rows, n, width);
        return [.. Enumerable.Range(0, n).Select(i => rows[i * width + n])];
    }

    private static double[] NaiveScan(double[][] x, int batch, int length, int channels, bool pairs, bool wantsState)
    {
        Complex[] a = LtiReference.Complexes(x[1]), b = LtiReference.Complexes(x[2]), c = LtiReference.Complexes(x[3]),
            state = LtiReference.Complexes(x[5]);
        int states = a.Length / channels;
        double[] y = new double[batch * length * channels];
        for (int s = 0; s < batch; s++)
            for (int l = 0; l < length; l++)
                for (int h = 0; h < channels; h++)
                {
                    int at = (s * length + l) * channels + h;
                    y[at] = x[4][h] * x[0][at];
                    for (int n = 0; n < states; n++)
                    {
                        ref Complex z = ref state[(s * channels + h) * states + n];
                        int i = h * states + n;
                        z = a[i] * z + b[i] * x[0][at];
                        y[at] += (pairs ? 2 : 1) * (c[i] * z).Real;
                    }
                }
        double sum = y.Sum();
        return wantsState ? Array.ConvertAll(LtiReference.Pairs(state), v => v + sum) : y;
    }
}
