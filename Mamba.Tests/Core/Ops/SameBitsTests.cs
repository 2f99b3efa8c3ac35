using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>
/// One width, one result: every operator has the same bits on x64 and on ARM64, forwards and backwards. The widths are those of both.
/// </summary>
[TestFixture(VectorWidth.Scalar)]
[TestFixture(VectorWidth.V128)]
internal sealed class SameBitsTests(VectorWidth width) : WidthFixture(width)
{
    private static readonly BitRecord s_record = new("operators");

    private readonly VectorWidth _width = width;

    /// <summary>Signed zeros, denormals, infinities, NaN, and both sides of where an exponential leaves float32.</summary>
    private static readonly float[] s_edges =
    [
        0f, -0f, float.PositiveInfinity, float.NegativeInfinity, float.NaN, 1e-40f, -1e-40f, 1.17549435e-38f, 1e38f, -1e38f,
        float.MaxValue, float.MinValue, 128f, -128f, 104f, -104f, 88.8f, -88.8f, 87.3f, -87.3f, 7000f, -7000f, 0.5f, -0.5f, 2.5f, -2.5f,
    ];

    public static IEnumerable<TestCaseData> Cases
    {
        get
        {
            HashSet<string> keys = [];
            foreach (OperatorCase op in OperatorTable.All)
            {
                string key = op.ToString();
                for (int i = 2; !keys.Add(key); i++) key = $"{op} {i}";
                yield return new TestCaseData(op, key).SetArgDisplayNames(key);
            }
        }
    }

    [TestCaseSource(nameof(Cases))]
    public void Results_and_gradients_have_the_bits_on_record(OperatorCase op, string key)
    {
        s_record.Holds(_width, key, Run(op, op.Inputs()));
        if (op.Shapes.Contains(',', StringComparison.Ordinal)) return;
        // Rows that begin with the edges: lanes of whole vectors, and of the parts at the ends of rows.
        Tensor[] inputs = op.Inputs();
        for (int i = 0; i < inputs[0].Count; i++)
            if (i % 61 < s_edges.Length) inputs[0].Span[i] = s_edges[i % 61];
        s_record.Holds(_width, key + " at the edges of float32", Run(op, inputs));
    }

    private static List<float[]> Run(OperatorCase op, Tensor[] inputs)
    {
        for (int i = 0; i < inputs.Length; i++) inputs[i].RequiresGrad = !op.Frozen.Contains(i);
        using Tape tape = new();
        Tensor[] results = op.Call(inputs);
        List<float[]> values = [.. results.Select(r => r.Span.ToArray())];
        Tensor[] outputs = [.. results.Where(r => r.NeedsGrad)];
        if (outputs.Length > 0) tape.Backward(outputs, [.. outputs.Select((y, i) => Numbers.Random(991 + i, y.Shape.ToArray()))]);
        values.AddRange(inputs.Where(x => x.Grad is not null).Select(x => x.Grad!.Value.Span.ToArray()));
        return values;
    }
}
