using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>
/// Fault 12: every elementwise function at the edges of float32, forward and derivative, at every width, against its formula in IEEE double
/// arithmetic
/// rounded to float32, which is what PyTorch gives.
/// </summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class EdgeValueTests(VectorWidth width) : WidthFixture(width)
{
    private const float Infinity = float.PositiveInfinity, Denormal = 1e-40f, Normal = 1.17549435e-38f;

    /// <summary>
    /// Where functions break: zeros, infinities, NaN, denormals, the largest numbers, and both sides of where e^x leaves float32.
    /// </summary>
    private static readonly float[] s_edges =
    [
        0f, -0f, Infinity, -Infinity, float.NaN, float.Epsilon, -float.Epsilon, Denormal, -Denormal, Normal, -Normal,
        1e-20f, -1e-20f, 1e38f, -1e38f, float.MaxValue, float.MinValue,
        1000f, -1000f, 200f, -200f, 100f, -100f, 104f, -104f, 103.9f, -103.9f,
        88.73f, -88.73f, 88.7f,
        -88.7f, 87.4f, -87.4f, 87.3f, -87.3f, 20f, -20f, 4f, -4f, 1f, -1f,
    ];

    /// <summary>A function, and its value and derivative in double.</summary>
    public sealed record Elementwise(string Name, Func<Tensor, Tensor> Call, Func<double, double> Value, Func<double, double> Slope)
    {
        public override string ToString() => Name;
    }

    public static IEnumerable<Elementwise> Functions =>
    [
        new("Exp", Ops.Exp, Math.Exp, Math.Exp),
        new("Relu", Ops.Relu, x => double.IsNaN(x) ? x : Math.Max(x, 0), x => x <= 0 ? 0 : 1),
        new("LeakyRelu", Ops.LeakyRelu, x => x > 0 ? x : 0.01f * x, x => x > 0 ? 1 : 0.01f),
        new("Sigmoid", Ops.Sigmoid, Sigmoid, x => Sigmoid(x) * (1 - Sigmoid(x))),
        new("Silu", Ops.Silu, x => x / (1 + Exp(-x)), x => Sigmoid(x) * (1 + x * (1 - Sigmoid(x)))),
        new("Tanh", Ops.Tanh, Math.Tanh, x => 1 - Math.Tanh(x) * Math.Tanh(x)),
        new("Softplus", Ops.Softplus, x => double.IsNaN(x) ? x : Math.Max(x, 0) + Log1P(Math.Exp(-Math.Abs(x))), Sigmoid),
        // Both factors of x Phi(x) are known exactly where the tail has underflowed: there the product is -0, and NaN at -infinity.
        new("Gelu", Ops.Gelu, x => x * Phi(x), GeluSlope),
        new("GeluTanh", Ops.GeluTanh, x => x * (0.5 + 0.5 * Math.Tanh(Inner(x))), GeluTanhSlope),
        new("Scale", x => Ops.Scale(x, -2.5f), x => -2.5 * x, _ => -2.5),
        new("Add", x => Ops.Add(x, Tensor.Full(1f, 1)), x => x + 1, _ => 1),
        new("Subtract", x => Ops.Subtract(Tensor.Full(1f, 1), x), x => 1 - x, _ => -1),
        new("Multiply", x => Ops.Multiply(x, Tensor.Full(3f, 1)), x => 3 * x, _ => 3),
    ];

    [TestCaseSource(nameof(Functions))]
    public void Values_at_the_edges_of_float32_are_those_of_IEEE_and_PyTorch(Elementwise function)
    {
        using Tensor x = Tensor.From(s_edges, s_edges.Length), y = function.Call(x);
        for (int i = 0; i < s_edges.Length; i++)
            Matches(function.Value(s_edges[i]), y.Span[i], $"{function.Name}({s_edges[i]:R})", Tolerance(function.Name, s_edges[i]));
    }

    [TestCaseSource(nameof(Functions))]
    public void Derivatives_at_the_edges_of_float32_are_those_of_IEEE_and_PyTorch(Elementwise function)
    {
        using Tensor x = Tensor.From(s_edges, s_edges.Length);
        x.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = function.Call(x);
        tape.Backward(y, Tensor.Full(1f, y.Shape));
        for (int i = 0; i < s_edges.Length; i++)
            Matches(
                function.Slope(s_edges[i]), x.Grad!.Value.Span[i], $"derivative of {function.Name} at {s_edges[i]:R}", 4e-6,
                smallest: 1e-6);
    }

    [TestCase(0f), TestCase(-0f)]
    public void Odd_functions_keep_the_sign_of_zero(float zero)
    {
        using Tensor x = Tensor.Full(zero, 19);
        foreach (Func<Tensor, Tensor> function in new Func<Tensor, Tensor>[] { Ops.Tanh, Ops.Silu, Ops.Gelu, Ops.GeluTanh, Ops.LeakyRelu })
        {
            using Tensor y = function(x);
            foreach (float value in y.Span) Assert.That(float.IsNegative(value), Is.EqualTo(float.IsNegative(zero)), function.Method.Name);
        }
    }

    [Test]
    public unsafe void The_logarithm_is_right_for_every_float()
    {
        float[] values = [.. s_edges, 0.5f, 2f, 0.70710677f, 1.41421354f, 3e-39f, 1e-44f, 1e-45f];
        Tensor x = Tensor.From(values, values.Length), y = Tensor.Empty(values.Length);
        Launch.Run(new LogKernel { X = x.Pointer, Y = y.Pointer }, values.Length, 1000);
        for (int i = 0; i < values.Length; i++) Matches(Math.Log(values[i]), y.Span[i], $"Log({values[i]:R})", 3e-7);
        GC.KeepAlive((x, y));
    }

    private static readonly float[][] s_rows =
    [
        [0f, -100f, -1000f, -1e38f, -Infinity], [1e38f, -1e38f, 1e38f, 0f, 5f],
        [-Infinity, -Infinity, 0f, -Infinity, -Infinity], [float.MaxValue, float.MinValue, 0f, 1f, 2f],
        [-0f, 0f, Denormal, -Denormal, float.Epsilon],
        [-Infinity, -Infinity, -Infinity, -Infinity, -Infinity], [Infinity, 0f, 1f, 2f, 3f],
        [0f, float.NaN, 1f, 2f, 3f], [1f, 2f, 3f, 4f, float.NaN],
    ];

    [TestCase(1), TestCase(9), TestCase(40)]
    public void Softmax_at_the_edges_of_float32(int repeats)
    {
        foreach (float[] pattern in s_rows)
        {
            float[] row = [.. Enumerable.Repeat(pattern, repeats).SelectMany(r => r)];
            double max = row.Any(float.IsNaN) ? double.NaN : row.Max(), sum = row.Sum(v => Math.Exp(v - max));
            using Tensor x = Tensor.From(row, 1, row.Length), y = Ops.Softmax(x), log = Ops.LogSoftmax(x);
            for (int i = 0; i < row.Length; i++)
            {
                double expected = Math.Exp(row[i] - max) / sum;
                // A probability below the smallest normal number may count as 0.
                string of = $"of {row[i]:R} in ({string.Join(", ", pattern)})";
                if (!(expected < Normal && y.Span[i] == 0f)) Matches(expected, y.Span[i], $"softmax {of}", 1e-6);
                Matches(row[i] - max - Math.Log(sum), log.Span[i], $"log-softmax {of}", 1e-6);
            }
        }
    }

    [Test]
    public void Maxima_pass_NaN_on([Values(1, 2, 3, 7, 16, 40)] int columns)
    {
        for (int place = 0; place < columns; place++)
        {
            float[] row = Numbers.Uniform(columns, seed: 5);
            row[place] = float.NaN;
            using Tensor x = Tensor.From(row, 1, columns);
            x.RequiresGrad = true;
            using Tape tape = new();
            Tensor y = Ops.Max(x, [-1], keepDim: true);
            Assert.That(y.Item(), Is.NaN, $"NaN at {place} of {columns}");
            tape.Backward(y, Tensor.Full(2f, y.Shape));
            for (int i = 0; i < columns; i++)
                Assert.That(x.Grad!.Value.Span[i], Is.EqualTo(i == place ? 2f : 0f), $"gradient {i}, NaN at {place} of {columns}");
        }
        using Tensor lowest = Tensor.Full(-Infinity, 3, columns), none = Ops.Max(lowest, [-1], keepDim: true);
        Assert.That(none.Span.ToArray(), Is.All.EqualTo(-Infinity));
    }

    [TestCase(1), TestCase(5), TestCase(20)]
    public void Max_pooling_passes_NaN_on(int channels)
    {
        const int Size = 6;
        for (int place = 0; place < 9; place++)
        {
            Tensor x = Numbers.Random(3, 1, Size, Size, channels);
            int nan = place / 3 * Size + place % 3; // inside the first window of 3 x 3
            for (int c = 0; c < channels; c++) x.Span[nan * channels + c] = float.NaN;
            x.RequiresGrad = true;
            using Tape tape = new();
            Tensor y = Ops.MaxPool2d(x, 3);
            tape.Backward(y, Tensor.Full(1f, y.Shape));
            for (int c = 0; c < channels; c++)
            {
                Assert.That(y.Span[c], Is.NaN, $"NaN at {place}");
                Assert.That(y.Span[channels + c], Is.Not.NaN, "the window beside it");
                Assert.That(x.Grad!.Value.Span[nan * channels + c], Is.EqualTo(1f), "the gradient goes to the NaN");
            }
        }
        Tensor all = Tensor.Full(float.NaN, 1, 4, 4, channels);
        foreach (float value in Ops.MaxPool2d(all, 2).Span) Assert.That(value, Is.NaN);
    }

    [Test]
    public void A_window_of_minus_infinity_has_a_gradient_inside_the_image()
    {
        Tensor x = Tensor.Full(-Infinity, 1, 4, 4, 3);
        x.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = Ops.MaxPool2d(x, 3, new() { Stride = 2, Padding = 1 });
        Assert.That(y.Span.ToArray(), Is.All.EqualTo(-Infinity));
        tape.Backward(y, Tensor.Full(1f, y.Shape));
        Assert.That(x.Grad!.Value.Span.ToArray().Sum(), Is.EqualTo(y.Count));
    }

    [Test]
    public void Losses_pass_NaN_on_and_bear_the_largest_numbers()
    {
        Tensor ones = Tensor.Full(1f, 2, 9), zeros = Tensor.Zeros(2, 9);
        Assert.That(Ops.BinaryCrossEntropyWithLogits(Tensor.Full(1e38f, 2, 9), ones).Item(), Is.Zero);
        Assert.That(Ops.BinaryCrossEntropyWithLogits(Tensor.Full(-1e38f, 2, 9), zeros).Item(), Is.Zero);
        Assert.That(Ops.BinaryCrossEntropyWithLogits(Tensor.Full(-1000f, 2, 9), ones).Item(), Is.EqualTo(1000f));
        Assert.That(Ops.BinaryCrossEntropy(zeros, ones).Item(), Is.EqualTo(100f));
        Assert.That(Ops.BinaryCrossEntropy(ones, zeros).Item(), Is.EqualTo(100f));
        Assert.That(Ops.BinaryCrossEntropy(Tensor.Full(Denormal, 2, 9), ones).Item(), Is.EqualTo(-Math.Log(Denormal)).Within(1e-4));
        Assert.That(Ops.CrossEntropy(Tensor.From([1e38f, -1e38f, 0f], 1, 3), [0]).Item(), Is.Zero);

        Tensor nan = Numbers.Uniform(1, 0.2f, 0.8f, 2, 9);
        nan.Span[17] = float.NaN;
        foreach (Func<Tensor, Tensor, Tensor> loss in new Func<Tensor, Tensor, Tensor>[]
        {
            Ops.BinaryCrossEntropy, Ops.BinaryCrossEntropyWithLogits, (p, t) => Ops.DiceWithLogits(p, t), (p, t) => Ops.BceDice(p, t),
            (p, t) => Ops.CrossEntropy(p, t),
        })
        {
            Assert.That(loss(nan, zeros).Item(), Is.NaN);
            Assert.That(loss(nan, ones).Item(), Is.NaN);
        }
    }

    /// <summary>e^x as float32 holds it: infinite from 88.73 on, so that what PyTorch divides by it is 0.</summary>
    private static double Exp(double x) => (float)Math.Exp(x);

    private static double Log1P(double x) => x < 1e-5 ? x - x * x / 2 : Math.Log(1 + x);

    private static double Sigmoid(double x) => 1 / (1 + Exp(-x));

    private static double Inner(double x) => Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);

    private static double GeluSlope(double x) =>
        Math.Abs(x) > 50 && double.IsFinite(x) ? Phi(x) : Phi(x) + x * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI);

    private static double GeluTanhSlope(double x)
    {
        if (Math.Abs(x) > 16) return x > 0 ? 1 : 0;
        double t = Math.Tanh(Inner(x));
        return 0.5 + 0.5 * t + 0.5 * x * (1 - t * t) * Math.Sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
    }

    /// <summary>
    /// The normal distribution function, exact where these tests ask for it: near zero, and where float32 knows only 0 and 1.
    /// </summary>
    private static double Phi(double x) => x switch
    {
        > 8 => 1,
        < -8 => 0,
        1 => 0.84134474606854293,
        -1 => 0.15865525393145707,
        4 => 0.99996832875816688,
        -4 => 3.1671241833119924e-5,
        _ => 0.5 + x / Math.Sqrt(2 * Math.PI),
    };

    /// <summary>Where a tail is found by 1 minus a number near 1, as in PyTorch, it has the absolute error of that.</summary>
    private static double Tolerance(string name, float x) => name is "Gelu" or "GeluTanh" && x < -2 ? 0.02 : 1e-6;

    /// <summary>Equal to some units in the last place; among denormals one step of the smallest; infinities and NaN exactly.</summary>
    private static void Matches(double expected, float actual, string what, double tolerance, double smallest = 2.0 * float.Epsilon)
    {
        float rounded = (float)expected;
        if (float.IsNaN(rounded)) Assert.That(actual, Is.NaN, what);
        else if (float.IsInfinity(rounded)) Assert.That(actual, Is.EqualTo(rounded), what);
        else Assert.That(actual, Is.EqualTo(expected).Within(Math.Max(Math.Abs(expected) * tolerance, smallest)), what);
    }

    private unsafe struct LogKernel : IKernel
    {
        public float* X, Y;

        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            nint n = Vec.Count<V>();
            for (nint i = begin; i < end; i += n)
            {
                nint lanes = Math.Min(n, end - i);
                Vec.Store(VecMath.Log(Vec.Load<V>(X + i, lanes)), Y + i, lanes);
            }
        }
    }
}
