using System.Reflection;
using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>
/// What holds for every operator, over <see cref="OperatorTable"/>: faults 2 (inputs that are one tensor) and 10 (extents of zero).
/// </summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class AllOperatorsTests(VectorWidth width) : WidthFixture(width)
{
    public enum Alias
    {
        Leaf,
        ViewOfLeaf,
        Result,
    }

    public static IEnumerable<OperatorCase> Cases => OperatorTable.All;

    [Test]
    public void Every_operator_is_in_the_table()
    {
        MethodInfo[] methods = typeof(Ops).GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly);
        string[] operators = [.. methods.Select(m => m.Name).Distinct().Order(StringComparer.Ordinal)];
        string[] table = [.. OperatorTable.All.Select(c => c.Name).Distinct()];
        string[] missing = [.. operators.Except(table)], unknown = [.. table.Except(operators)];
        Assert.That(missing, Is.Empty, "operators without a case in Support/OperatorTable*.cs");
        Assert.That(unknown, Is.Empty, "cases of no operator");
    }

    /// <summary>The gradient of a tensor that is two inputs at once is the sum of those of two tensors with the same values.</summary>
    [TestCaseSource(nameof(Cases))]
    public void Any_two_inputs_of_one_shape_may_be_one_tensor(OperatorCase op)
    {
        Shape[] shapes = Array.ConvertAll(op.Inputs(), x => x.Shape);
        for (int first = 0; first < shapes.Length; first++)
            for (int second = first + 1; second < shapes.Length; second++)
            {
                // A reshape shares memory and gradient, so equal counts are enough for a view.
                if (shapes[first].Count != shapes[second].Count || (op.Frozen.Contains(first) && op.Frozen.Contains(second))) continue;
                Tensor[] apart = op.Inputs();
                apart[first].Span.CopyTo(apart[second].Span);
                (float[][] expected, float[]?[] gradients) = Run(op, apart);
                double[] sum = new double[shapes[first].Count];
                foreach (int input in new[] { first, second })
                    for (int i = 0; gradients[input] is { } g && i < sum.Length; i++) sum[i] += g[i];
                foreach (Alias alias in Enum.GetValues<Alias>())
                {
                    if (alias != Alias.ViewOfLeaf && shapes[first] != shapes[second]) continue;
                    string what = $"{op.Name}, inputs {first} and {second} one {alias}";
                    Tensor[] inputs = op.Inputs();
                    (float[][] actual, float[]?[] together) = Run(op, inputs, first, second, alias);
                    for (int i = 0; i < expected.Length; i++) Close(expected[i], actual[i], 1e-6, $"{what}: result {i}");
                    GradCheck.Close(sum, together[first]!, 2e-5, $"{what}: gradient");
                    for (int i = 0; i < inputs.Length; i++)
                        if (i != first && i != second && gradients[i] is { } other)
                            Close(other, together[i]!, 2e-5, $"{what}: gradient of input {i}");
                }
            }
    }

    [TestCaseSource(nameof(Cases))]
    public void Any_extent_may_be_zero_or_is_refused(OperatorCase op)
    {
        foreach (string zero in op.Dimensions)
        {
            Tensor[] inputs = op.Inputs(zero);
            string what = $"{op} with {zero} = 0";
            if (op.Refused.Split(' ').Contains(zero))
            {
                Assert.That(() => op.Call(inputs), Throws.TypeOf<ShapeException>(), what);
                continue;
            }
            (float[][] results, float[]?[] gradients) = Run(op, inputs);
            bool empty = results.All(r => r.Length == 0);
            // Poisoned memory is NaN: what nobody wrote shows.
            foreach (float[] result in results)
                foreach (float value in result)
                    if (op.HasOtherWays) Assert.That(value, Is.Not.NaN, $"{what}: result");
                    else Assert.That(value, Is.EqualTo(op.ValueOfEmpty), $"{what}: result");
            for (int i = 0; i < inputs.Length; i++)
                foreach (float g in gradients[i] ?? [])
                    if (empty) Assert.That(g, Is.Zero, $"{what}: gradient of input {i}");
                    else Assert.That(g, Is.Not.NaN, $"{what}: gradient of input {i}");
        }
    }

    /// <summary>
    /// A backward pass gives the same bits where the inputs' memory is given back after the forward pass and saved values are computed
    /// again elsewhere: it reads nothing that it has not saved, and keeps no address.
    /// </summary>
    [TestCaseSource(nameof(Cases))]
    public void A_backward_pass_reads_only_what_it_has_saved(OperatorCase op)
    {
        Tensor[] inputs = op.Inputs();
        Run(op, inputs);
        RecomputedInputs.GiveTheSameGradients(op.Call, inputs, Cotangent);
    }

    [Test]
    public void Linear_without_inputs_gives_the_bias_and_the_residual()
    {
        Tensor x = Tensor.Zeros(3, 0), weight = Tensor.Zeros(5, 0), bias = Numbers.Random(1, 5), residual = Numbers.Random(2, 3, 5);
        Assert.That(Ops.Linear(x, weight).Span.ToArray(), Is.All.Zero);
        float[] biased = Ops.Linear(x, weight, bias).Span.ToArray(), both = Ops.Linear(x, weight, bias, residual).Span.ToArray();
        for (int i = 0; i < 15; i++)
        {
            Assert.That(biased[i], Is.EqualTo(bias.Span[i % 5]));
            Assert.That(both[i], Is.EqualTo(bias.Span[i % 5] + residual.Span[i]));
        }
        Assert.That(Gradient(bias, () => Ops.Linear(x, weight, bias)), Is.All.EqualTo(3f));
        Assert.That(Gradient(residual, () => Ops.Linear(x, weight, bias, residual)), Is.All.EqualTo(1f));
    }

    [Test]
    public void MatMul_of_an_empty_matrix_gives_gradients_of_zero()
    {
        Tensor a = Tensor.Zeros(0, 3), b = Numbers.Random(1, 3, 4);
        Assert.That(Gradient(b, () => Ops.MatMul(a, b)), Is.All.Zero);
        Assert.That(Ops.MatMul(Tensor.Zeros(2, 0), Tensor.Zeros(0, 4)).Span.ToArray(), Is.EqualTo(new float[8]));
    }

    [Test]
    public void Attention_of_one_tensor_as_queries_and_keys_has_the_gradients_of_its_definition()
    {
        const int Length = 300, Width = 16;
        Tensor x = Numbers.Random(1, 1, Length, Width), v = Numbers.Random(2, 1, Length, Width);
        GradCheck.Check(
            i => Ops.Attention(i[0], i[0], i[1], 2),
            i => Naive.Attention(i[0], i[0], i[1], 1, Length, Length, 2, Width / 2, Width / 2), [x, v], tolerance: 2e-5);
    }

    private static float[] Written(Tensor leaf, string what)
    {
        Assert.That(leaf.Grad, Is.Not.Null, what);
        return leaf.Grad!.Value.Span.ToArray();
    }

    private static void Close(float[] expected, float[] actual, double tolerance, string what) =>
        GradCheck.Close(Array.ConvertAll(expected, v => (double)v), actual, tolerance, what);

    private static Tensor Cotangent(Tensor result, int number) => Numbers.Random(991 + number, result.Shape.ToArray());

    private static float[] Gradient(Tensor x, Func<Tensor> call)
    {
        x.RequiresGrad = true;
        x.ZeroGrad();
        using Tape tape = new();
        Tensor y = call();
        tape.Backward(y, Tensor.Full(1f, y.Shape));
        return x.Grad!.Value.Span.ToArray();
    }

    /// <summary>
    /// Results, and the gradients of the inputs (null for those without); inputs first and second are one tensor if given. No gradient
    /// changes after it was complete.
    /// </summary>
    private static (float[][] Results, float[]?[] Gradients) Run(
        OperatorCase op, Tensor[] inputs, int first = -1, int second = -1, Alias alias = Alias.Leaf)
    {
        for (int i = 0; i < inputs.Length; i++) inputs[i].RequiresGrad = !op.Frozen.Contains(i);
        if (first >= 0) inputs[first].RequiresGrad = true;
        float[]?[] complete = new float[]?[inputs.Length];
        using Tape tape = new() { Watch = new GradientWatch(inputs, i => complete[i] = inputs[i].Grad?.Span.ToArray()) };
        Tensor[] given = [.. inputs];
        if (first >= 0)
        {
            if (alias == Alias.Result) given[first] = Ops.Scale(inputs[first], 1f);
            given[second] = alias == Alias.ViewOfLeaf ? given[first].Reshape(inputs[second].Shape) : given[first];
        }
        Tensor[] results = op.Call(given);
        float[][] values = [.. results.Select(r => r.Span.ToArray())];
        Tensor[] outputs = [.. results.Where(r => r.NeedsGrad)];
        if (outputs.Length > 0) tape.Backward(outputs, [.. outputs.Select(Cotangent)]);
        for (int i = 0; i < inputs.Length && outputs.Length > 0; i++)
            Assert.That(inputs[i].Grad is { } g ? g.Span.SequenceEqual(complete[i]) : complete[i] is null, $"{op}: input {i}, complete");
        return (values, [.. inputs.Select((x, i) => x.RequiresGrad && i != second ? Written(x, $"{op}: gradient of input {i}") : null)]);
    }
}
