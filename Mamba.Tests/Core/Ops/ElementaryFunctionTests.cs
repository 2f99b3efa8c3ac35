using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>
/// Functions of one variable. Over a range: their last bits, and their derivatives by finite differences. At the edges of float32: the
/// values of IEEE 754 and PyTorch, forward and backward. All at every width.
/// </summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class ElementaryFunctionTests(VectorWidth width) : WidthFixture(width)
{
    private const float Infinity = float.PositiveInfinity;

    private static readonly float[] s_edges =
    [
        0f, -0f, Infinity, -Infinity, float.NaN, float.Epsilon, -float.Epsilon, 1e-40f, -1e-40f, 1.17549435e-38f, -1.17549435e-38f, 1e-20f,
        -1e-20f, 1e-5f, -1e-5f,
        1e38f, -1e38f, float.MaxValue, float.MinValue, 1e10f, -1e10f, 7000f, -7000f, 1000f, -1000f, 100f, -100f, 88.73f, -88.73f, 20f, -20f,
        6f, 3f, -3f, 2f, -2f,
        1f, -1f, 0.5f, -0.5f, 0.499999f, 0.25f,
    ];

    /// <summary>A function, its value and derivative in double, and the range in which its last bits are looked at.</summary>
    public sealed record Function(
        string Name, Func<Tensor, Tensor> Call, Func<double, double> Value, Func<double, double> Slope, float Low = -6f, float High = 6f)
    {
        public override string ToString() => Name;
    }

    public static IEnumerable<Function> Functions =>
    [
        new("Abs", Ops.Abs, Math.Abs, x => double.IsNaN(x) ? 0 : Math.Sign(x)),
        new("Square", Ops.Square, x => x * x, x => 2 * x),
        new("Sqrt", Ops.Sqrt, Math.Sqrt, x => 0.5 / Math.Sqrt(x), 0.01f),
        new("Rsqrt", Ops.Rsqrt, x => 1 / Math.Sqrt(x), x => -0.5 * Math.Pow(1 / Math.Sqrt(x), 3), 0.01f),
        new("Reciprocal", Ops.Reciprocal, x => 1 / x, x => -1 / (x * x), 0.1f),
        new("Sin", Ops.Sin, Math.Sin, Math.Cos, -40f, 40f),
        new("Cos", Ops.Cos, Math.Cos, x => -Math.Sin(x), -40f, 40f),
        new("Erf", Ops.Erf, Erf, x => 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x), -3f, 3f),
        new("ExpM1", Ops.ExpM1, ExpM1, Math.Exp),
        new("Log", Ops.Log, Math.Log, x => 1 / x, 0.01f),
        new("Log1P", Ops.Log1P, Log1P, x => 1 / (1 + x), -0.9f),
        new("Pow 3", x => Ops.Pow(x, 3f), x => x * x * x, x => 3 * x * x),
        new("Pow 2.5", x => Ops.Pow(x, 2.5f), x => Math.Pow(x, 2.5), x => 2.5 * Math.Pow(x, 1.5), 0.01f),
        new("Pow -0.5", x => Ops.Pow(x, -0.5f), x => Math.Pow(x, -0.5), x => -0.5 * Math.Pow(x, -1.5), 0.1f),
        new("Pow 4", x => Ops.Pow(x, 4f), x => Math.Pow(x, 4), x => 4 * Math.Pow(x, 3)),
        new("Pow 0", x => Ops.Pow(x, 0f), _ => 1, _ => 0),
        new("Relu6", Ops.Relu6, x => Math.Clamp(x, 0, 6), x => x is <= 0 or >= 6 ? 0 : 1, -2f, 8f),
        new("HardSigmoid", Ops.HardSigmoid, x => Math.Clamp(x + 3, 0, 6) / 6, x => x is > -3 and < 3 ? 1.0 / 6 : 0),
        new("HardSwish", Ops.HardSwish, x => x * (Math.Clamp(x + 3, 0, 6) / 6), x => x < -3 ? 0 : x > 3 ? 1 : x / 3 + 0.5),
        new("HardTanh", x => Ops.HardTanh(x, -0.5f, 2f), x => Math.Clamp(x, -0.5, 2), x => x is <= -0.5 or >= 2 ? 0 : 1),
        new("Clamp", x => Ops.Clamp(x, -0.5f, 2f), x => Math.Clamp(x, -0.5, 2), x => x is >= -0.5 and <= 2 ? 1 : 0),
        new("Clamp below", x => Ops.Clamp(x, min: 0.25f), x => double.IsNaN(x) ? x : Math.Max(x, 0.25), x => x >= 0.25 ? 1 : 0),
        new("LeakyRelu 0.2", x => Ops.LeakyRelu(x, 0.2f), x => x > 0 ? x : 0.2f * x, x => x > 0 ? 1 : 0.2f),
        new(
            "SoftShrink", x => Ops.SoftShrink(x), x => x > 0.5 ? x - 0.5 : x < -0.5 ? x + 0.5 : double.IsNaN(x) ? x : 0,
            x => x is >= -0.5 and <= 0.5 ? 0 : 1),
        new("HardShrink", x => Ops.HardShrink(x), x => x is >= -0.5 and <= 0.5 ? 0 : x, x => x is >= -0.5 and <= 0.5 ? 0 : 1),
        new("Elu 0.7", x => Ops.Elu(x, 0.7f), x => x > 0 ? x : 0.7f * ExpM1(x), x => x > 0 ? 1 : 0.7f * Math.Exp(x)),
        new("Celu 1.3", x => Ops.Celu(x, 1.3f), x => x > 0 ? x : 1.3f * ExpM1(x / 1.3f), x => x > 0 ? 1 : Math.Exp(x / 1.3f)),
        new("Selu", Ops.Selu, x => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * ExpM1(x)),
            x => 1.0507009873554805 * (x > 0 ? 1 : 1.6732632423543772 * Math.Exp(x))),
        new("Mish", Ops.Mish, x => x * Math.Tanh(Log1P(Math.Exp(Math.Min(x, 700)))), MishSlope),
        new("LogSigmoid", Ops.LogSigmoid, x => Math.Min(x, 0) - Log1P(Math.Exp(-Math.Abs(x))), x => 1 / (1 + Math.Exp(x))),
        new("SoftSign", Ops.SoftSign, x => x / (1 + Math.Abs(x)), x => 1 / ((1 + Math.Abs(x)) * (1 + Math.Abs(x)))),
        // Where tanh is a number near x, its rounding is what the difference has.
        new("TanhShrink", Ops.TanhShrink, x => Math.Abs(x) < 1e-3 ? x * x * x / 3 : x - Math.Tanh(x), x => Math.Tanh(x) * Math.Tanh(x)),
        new("QuickGelu", Ops.QuickGelu, x => x / (1 + Math.Exp(-1.702f * x)), QuickGeluSlope),
        new("Softplus beta 2", x => Ops.Softplus(x, 2f), x => 2 * x > 20 ? x : (Math.Max(2 * x, 0) + Log1P(Math.Exp(-Math.Abs(2 * x)))) / 2,
            x => 2 * x > 20 ? 1 : 1 / (1 + Math.Exp(-2 * x))),
        new("Scale by operators", x => -(2f * (x / 4f) - 1f) + 3f, x => -(x / 2 - 1) + 3, _ => -0.5),
    ];

    [TestCaseSource(nameof(Functions))]
    public void The_last_bits_are_right(Function function)
    {
        float[] values = Numbers.Uniform(5003, seed: 7, function.Low, function.High);
        Tensor y = function.Call(Tensor.From(values, values.Length));
        for (int i = 0; i < values.Length; i++)
        {
            double expected = function.Value(values[i]), scale = Math.Abs(expected);
            if (function.Name is "TanhShrink" or "Scale by operators") scale = Math.Max(scale, Math.Abs(values[i])); // a difference
            Assert.That(y.Span[i], Is.EqualTo(expected).Within(1e-6 * scale), $"{function.Name}({values[i]:R})");
        }
    }

    [TestCaseSource(nameof(Functions))]
    public void Derivatives_are_those_of_finite_differences(Function function)
    {
        // Off the kinks, which finite differences do not see from one side.
        float[] kinks = [-3f, -0.5f, 0f, 0.25f, 0.5f, 2f, 3f, 6f, 10f];
        float[] values = Array.ConvertAll(Numbers.Uniform(61, seed: 3, function.Low, function.High), v =>
            kinks.Any(k => Math.Abs(v - k) < 0.01f) ? 1.125f : v);
        OperatorCheck.Run(
            Isa.Current, i => function.Call(i[0]), i => Array.ConvertAll(i[0], v => function.Value(v)), [Tensor.From(values, 61)]);
    }

    [TestCaseSource(nameof(Functions))]
    public void Values_at_the_edges_are_those_of_IEEE_and_PyTorch(Function function)
    {
        Tensor y = function.Call(Tensor.From(s_edges, s_edges.Length));
        for (int i = 0; i < s_edges.Length; i++)
            Matches(function.Value(s_edges[i]), y.Span[i], s_edges[i], $"{function.Name}({s_edges[i]:R})", 1e-6);
    }

    [TestCaseSource(nameof(Functions))]
    public void Derivatives_at_the_edges_are_those_of_IEEE_and_PyTorch(Function function)
    {
        Tensor x = Tensor.From(s_edges, s_edges.Length);
        x.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = function.Call(x);
        tape.Backward(y, Tensor.Full(1f, y.Shape));
        for (int i = 0; i < s_edges.Length; i++)
            Matches(
                function.Slope(s_edges[i]), x.Grad!.Value.Span[i], s_edges[i], $"derivative of {function.Name} at {s_edges[i]:R}", 1e-5);
    }

    [TestCase(0f), TestCase(-0f)]
    public void Odd_functions_keep_the_sign_of_zero(float zero)
    {
        using Tensor x = Tensor.Full(zero, 19);
        foreach (Func<Tensor, Tensor> function in new Func<Tensor, Tensor>[]
        {
            Ops.Sin, Ops.Erf, Ops.ExpM1, Ops.Log1P, Ops.Sqrt, Ops.SoftSign, Ops.TanhShrink, Ops.QuickGelu, Ops.HardSwish, Ops.Mish,
            Ops.Reciprocal, Ops.Selu,
            v => Ops.Elu(v), v => Ops.Celu(v, 2f), v => Ops.LeakyRelu(v, 0.2f), v => Ops.Pow(v, 3f),
        })
            foreach (float value in function(x).Span)
                Assert.That(float.IsNegative(value), Is.EqualTo(float.IsNegative(zero)), function.Method.Name);
    }

    [Test]
    public void Sine_and_cosine_keep_their_bits_beside_their_zeros()
    {
        // The floats next to multiples of pi/2: what is left of them is far below their own last bit.
        float[] x =
        [
            .. Enumerable.Range(1, 3800).Select(k => (float)(k * Math.PI / 2)),
            .. Enumerable.Range(1, 60).Select(k => (float)(k * 1e5 * Math.PI)),
        ];
        Tensor input = Tensor.From(x, x.Length), sin = Ops.Sin(input), cos = Ops.Cos(input);
        for (int i = 0; i < x.Length; i++)
        {
            Assert.That(sin.Span[i], Is.EqualTo(Math.Sin(x[i])).Within(1e-6 * Math.Abs(Math.Sin(x[i]))), $"sin {x[i]:R}");
            Assert.That(cos.Span[i], Is.EqualTo(Math.Cos(x[i])).Within(1e-6 * Math.Abs(Math.Cos(x[i]))), $"cos {x[i]:R}");
        }
    }

    [Test]
    public void Activations_by_name_are_the_operators([Values] Activation activation)
    {
        Tensor x = Numbers.Uniform(3, -5f, 8f, 3, 17), y = Ops.Apply(activation, x);
        Func<Tensor, Tensor> op = activation switch
        {
            Activation.None => t => t,
            Activation.Elu => t => Ops.Elu(t),
            _ => typeof(Ops).GetMethod(activation.ToString(), [typeof(Tensor)])!.CreateDelegate<Func<Tensor, Tensor>>(),
        };
        Assert.That(y.Span.ToArray(), Is.EqualTo(op(x).Span.ToArray()));
        // Norms take any of them, fused or not.
        Tensor image = Numbers.Random(4, 2, 3, 5, 9);
        Tensor fused = Ops.InstanceNorm(image, activation: activation), apart = Ops.Apply(activation, Ops.InstanceNorm(image));
        GradCheck.Close(apart.ToDouble(), fused.Span, 1e-6, $"{activation} of a norm");
    }

    [Test]
    public void Bad_arguments_are_refused()
    {
        Tensor x = Tensor.Zeros(3);
        Assert.That(() => Ops.Clamp(x), Throws.ArgumentException);
        Assert.That(() => Ops.Clamp(x, float.NaN), Throws.ArgumentException);
        Assert.That(() => Ops.HardTanh(x, 1f, 1f), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Ops.SoftShrink(x, -1f), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Ops.HardShrink(x, float.NaN), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Ops.Celu(x, 0f), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Ops.Softplus(x, 0f), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Ops.Apply((Activation)99, x), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(Ops.Mish(Tensor.Zeros(2, 0)).Shape, Is.EqualTo(new Shape(2, 0)));
    }

    private static double ExpM1(double x) => Math.Abs(x) < 1e-5 ? x + x * x / 2 : Math.Exp(x) - 1;

    private static double Log1P(double x) => Math.Abs(x) < 1e-5 ? x - x * x / 2 : Math.Log(1 + x);

    private static double MishSlope(double x)
    {
        if (x > 100) return 1; // the tail's product of infinity and 0
        double t = Math.Tanh(Log1P(Math.Exp(x)));
        return t + x * (1 - t * t) / (1 + Math.Exp(-x));
    }

    private static double QuickGeluSlope(double x)
    {
        double z = 1.702f * x, s = 1 / (1 + Math.Exp(-z));
        return s * (1 + z * (1 - s));
    }

    /// <summary>The error function by its series, which converges everywhere and keeps its digits for |x| &lt; 4.</summary>
    private static double Erf(double x)
    {
        if (!(Math.Abs(x) < 4.5)) return double.IsNaN(x) ? x : Math.Sign(x);
        double sum = x, term = x;
        for (int n = 1; n < 120; n++) sum += (term *= -x * x / n) / (2 * n + 1);
        return 2 / Math.Sqrt(Math.PI) * sum;
    }

    /// <summary>
    /// Equal to some units in the last place; a factor x magnifies what a denormal cannot hold; infinities and NaN exactly.
    /// </summary>
    private static void Matches(double expected, float actual, float x, string what, double tolerance)
    {
        float rounded = (float)expected;
        if (float.IsNaN(rounded)) Assert.That(actual, Is.NaN, what);
        else if (float.IsInfinity(rounded)) Assert.That(actual, Is.EqualTo(rounded), what);
        else
        {
            double smallest = 4 * float.Epsilon * Math.Max(1, float.IsFinite(x) ? Math.Abs(x) : 1);
            Assert.That(actual, Is.EqualTo(expected).Within(Math.Max(Math.Abs(expected) * tolerance, Math.Min(smallest, 1e-30))), what);
        }
    }
}
