using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class ActivationTests(VectorWidth width) : WidthFixture(width)
{
    public static IEnumerable<TestCaseData> Functions =>
    [
        new TestCaseData((Func<Tensor, Tensor>)Ops.Exp, (Func<double, double>)Math.Exp).SetArgDisplayNames("exp"),
        new TestCaseData((Func<Tensor, Tensor>)Ops.Relu, (Func<double, double>)(x => Math.Max(x, 0))).SetArgDisplayNames("relu"),
        new TestCaseData((Func<Tensor, Tensor>)Ops.LeakyRelu, (Func<double, double>)(x => x > 0 ? x : 0.01 * x))
            .SetArgDisplayNames("leaky_relu"),
        new TestCaseData((Func<Tensor, Tensor>)Ops.Sigmoid, (Func<double, double>)(x => 1 / (1 + Math.Exp(-x))))
            .SetArgDisplayNames("sigmoid"),
        new TestCaseData((Func<Tensor, Tensor>)Ops.Silu, (Func<double, double>)(x => x / (1 + Math.Exp(-x)))).SetArgDisplayNames("silu"),
        new TestCaseData((Func<Tensor, Tensor>)Ops.Tanh, (Func<double, double>)Math.Tanh).SetArgDisplayNames("tanh"),
        new TestCaseData(
            (Func<Tensor, Tensor>)Ops.Softplus, (Func<double, double>)(x => Math.Max(x, 0) + Math.Log(1 + Math.Exp(-Math.Abs(x)))))
            .SetArgDisplayNames("softplus"),
        new TestCaseData((Func<Tensor, Tensor>)Ops.GeluTanh, (Func<double, double>)(x =>
            0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))))).SetArgDisplayNames("gelu_tanh"),
    ];

    [TestCaseSource(nameof(Functions))]
    public void Matches_the_formula_and_its_derivative(Func<Tensor, Tensor> op, Func<double, double> formula)
    {
        // 61 is no multiple of any width; the values straddle zero but keep off the kinks of the ReLUs.
        float[] x = Array.ConvertAll(Numbers.Uniform(61, seed: 3, -6f, 6f), v => Math.Abs(v) < 0.01f ? 0.5f : v);
        GradCheck.Check(i => op(i[0]), i => Array.ConvertAll(i[0], v => formula(v)), [Tensor.From(x, 61)]);
    }

    [Test]
    public void Gradients_of_two_uses_add_up()
    {
        Tensor x = Numbers.Random(5, 40);
        x.RequiresGrad = true;
        using (Tape tape = new())
        {
            Tensor y = Ops.Relu(x), z = Ops.Relu(x);
            tape.Backward([y, z], [Tensor.Full(1f, 40), Tensor.Full(2f, 40)]);
        }
        for (int i = 0; i < 40; i++) Assert.That(x.Grad!.Value.Span[i], Is.EqualTo(x.Span[i] > 0 ? 3f : 0f));
    }

    [TestCase(200f), TestCase(-200f)]
    public void Extreme_inputs_stay_finite(float value)
    {
        Tensor x = Tensor.Full(value, 33);
        Func<Tensor, Tensor>[] all = [Ops.Sigmoid, Ops.Silu, Ops.Tanh, Ops.Softplus, Ops.Gelu, Ops.GeluTanh];
        foreach (Func<Tensor, Tensor> op in all)
            foreach (float y in op(x).Span) Assert.That(float.IsFinite(y), op.Method.Name);
    }
}
