using Mamba.Core;

namespace Mamba.Tests.Support;

internal static partial class OperatorTable
{
    public static OperatorCase[] FurtherActivations =>
    [
        .. new (string Name, string Note, Func<Tensor, Tensor> Call)[]
        {
            ("Celu", "alpha 0.7", x => Ops.Celu(x, 0.7f)), ("Elu", "alpha 1", x => Ops.Elu(x)), ("Elu", "alpha 0.5", x => Ops.Elu(x, 0.5f)),
            ("HardShrink", "", x => Ops.HardShrink(x)), ("HardSigmoid", "", Ops.HardSigmoid), ("HardSwish", "", Ops.HardSwish),
            ("HardTanh", "", x => Ops.HardTanh(x, -0.5f, 0.25f)), ("LeakyRelu", "slope 0.2", x => Ops.LeakyRelu(x, 0.2f)),
            ("LogSigmoid", "", Ops.LogSigmoid), ("Mish", "", Ops.Mish), ("QuickGelu", "", Ops.QuickGelu), ("Relu6", "", Ops.Relu6),
            ("Selu", "", Ops.Selu), ("SoftShrink", "", x => Ops.SoftShrink(x)), ("SoftSign", "", Ops.SoftSign),
            ("Softplus", "beta 2", x => Ops.Softplus(x, 2f, 1f)), ("TanhShrink", "", Ops.TanhShrink),
            ("Clamp", "both bounds", x => Ops.Clamp(x, -0.5f, 0.5f)), ("Clamp", "lower bound", x => Ops.Clamp(x, min: 0f)),
        }.Select(f => OfOne(f.Name, f.Note, f.Call)),
        .. Enum.GetValues<Activation>().Where(a => a != Activation.None).Select(a => OfOne("Apply", $"{a}", x => Ops.Apply(a, x))),
        new("PRelu", "B L C, C", "B=2 L=300 C=17", i => [Ops.PRelu(i[0], i[1])]),
        new("PRelu", "B L C, 1", "B=2 L=300 C=17", i => [Ops.PRelu(i[0], i[1])]),
        new("PRelu", "C, C", "C=17", i => [Ops.PRelu(i[0], i[1])]),
        new("Glu", "B L C", "B=2 L=300 C=34", i => [Ops.Glu(i[0])]),
        new("Glu", "B L C", "B=2 L=300 C=17", i => [Ops.Glu(i[0], axis: 1)]),
        new("SwiGlu", "B L C", "B=2 L=300 C=34", i => [Ops.SwiGlu(i[0])]),
        new("SwiGlu", "B L C", "B=4 L=30 C=17", i => [Ops.SwiGlu(i[0], axis: 0)]),
    ];

    public static OperatorCase[] ElementaryFunctions =>
    [
        .. new (string Name, Func<Tensor, Tensor> Call)[]
        {
            ("Abs", Ops.Abs), ("Cos", Ops.Cos), ("Erf", Ops.Erf), ("ExpM1", Ops.ExpM1), ("Log", Ops.Log), ("Log1P", Ops.Log1P),
            ("Reciprocal", Ops.Reciprocal), ("Rsqrt", Ops.Rsqrt), ("Sin", Ops.Sin), ("Sqrt", Ops.Sqrt), ("Square", Ops.Square),
        }.Select(f => OfOne(f.Name, "", f.Call)),
        .. new[] { -1f, 0f, 0.5f, 2f, 3f, 2.5f }.Select(p => OfOne("Pow", $"exponent {p}", x => Ops.Pow(x, p))),
        OfOne("Dropout", "rate 0.3", x => Ops.Dropout(x, 0.3, SameNumbers())),
        OfOne("Dropout", "rate 0", x => Ops.Dropout(x, 0, SameNumbers())),
    ];

    public static OperatorCase[] Pairs =>
    [
        .. new (string Name, Func<Tensor, Tensor, Tensor> Call)[]
        {
            // The divisor is at least 1, so that the difference of both gradients is not lost in rounding.
            ("Divide", (a, b) => Ops.Divide(a, Ops.Add(Ops.Square(b), Tensor.Full(1f)))),
            ("Maximum", Ops.Maximum), ("Minimum", Ops.Minimum),
        }.SelectMany(f => InShapes(f.Name, f.Call, [])),
        .. new (string Name, Func<Tensor, Tensor, Tensor> Call)[]
        {
            ("Equal", Ops.Equal), ("Greater", Ops.Greater), ("GreaterOrEqual", Ops.GreaterOrEqual), ("Less", Ops.Less),
            ("LessOrEqual", Ops.LessOrEqual), ("NotEqual", Ops.NotEqual),
        }.SelectMany(f => InShapes(f.Name, f.Call, [0, 1])),
        .. new (string Name, Func<Tensor, float, Tensor> Call)[]
        {
            ("Equal", Ops.Equal), ("Greater", Ops.Greater), ("GreaterOrEqual", Ops.GreaterOrEqual), ("Less", Ops.Less),
            ("LessOrEqual", Ops.LessOrEqual), ("NotEqual", Ops.NotEqual),
        }.Select(f => new OperatorCase(f.Name, "B L C", "B=2 L=30 C=17", i => [f.Call(i[0], 0.5f)]) { Frozen = [0], Note = "a constant" }),
    ];

    public static OperatorCase[] Choices =>
    [
        new("Where", "B L C, B L C, B L C", "B=2 L=300 C=17", i => [Ops.Where(Mask(i[0]), i[1], i[2])]) { Frozen = [0] },
        new("Where", "L 1, B L C, C", "B=2 L=300 C=17", i => [Ops.Where(Mask(i[0]), i[1], i[2])]) { Frozen = [0] },
        new("Where", "B L C, 1, C", "B=2 L=30 C=17", i => [Ops.Where(Mask(i[0]), i[1], i[2])]) { Frozen = [0] },
        new("MaskedFill", "B L C, B L C", "B=2 L=300 C=17", i => [Ops.MaskedFill(i[0], Mask(i[1]), -2f)]) { Frozen = [1] },
        new("MaskedFill", "B L C, L 1", "B=2 L=300 C=17", i => [Ops.MaskedFill(i[0], Mask(i[1]), float.NegativeInfinity)]) { Frozen = [1] },
    ];

    public static OperatorCase[] Softmaxes =>
    [
        .. new (string Name, Func<Tensor, int, float, Tensor> Call)[] { ("Softmax", Ops.Softmax), ("LogSoftmax", Ops.LogSoftmax) }
            .SelectMany(f => new[] { 0, 1, -1 }.Select(axis =>
                new OperatorCase(f.Name, "B L C", "B=3 L=40 C=17", i => [f.Call(i[0], axis, 0.5f)])
                {
                    Note = $"dimension {axis}, T = 0.5",
                })),
    ];

    private static OperatorCase OfOne(string name, string note, Func<Tensor, Tensor> call) =>
        new(name, "B L C", "B=2 L=300 C=17", i => [call(i[0])]) { Note = note };

    private static OperatorCase[] InShapes(string name, Func<Tensor, Tensor, Tensor> call, int[] frozen) =>
    [
        new(name, "B L C, B L C", "B=3 L=200 C=17", i => [call(i[0], i[1])]) { Frozen = frozen },
        new(name, "B L C, C", "B=3 L=200 C=17", i => [call(i[0], i[1])]) { Frozen = frozen },
        new(name, "1, B L C", "B=3 L=20 C=17", i => [call(i[0], i[1])]) { Frozen = frozen },
        new(name, "B 1 C, 1 L C", "B=3 L=5 C=17", i => [call(i[0], i[1])]) { Frozen = frozen },
    ];

    /// <summary>1 where a number is above 0, 0 elsewhere.</summary>
    private static Tensor Mask(Tensor numbers) => Ops.Greater(numbers, 0f);

    // One stream for all calls, so that a call allocates nothing.
    private static readonly RandomStream s_random = new(5, "mask");

    /// <summary>The same random numbers for each call.</summary>
    private static RandomStream SameNumbers()
    {
        s_random.Restart(5, "mask");
        return s_random;
    }
}
