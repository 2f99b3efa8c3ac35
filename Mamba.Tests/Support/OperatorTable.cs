using System.Reflection;
using Mamba.Core;

namespace Mamba.Tests.Support;

/// <summary>
/// Every operator with inputs that fit: what holds for all of them (two inputs may be one tensor, any extent may be zero) is tested over
/// this table. A new
/// operator stands in it, too, or a test names it as missing: add a partial file with a static property of <see cref="OperatorCase"/>s for
/// its family.
/// </summary>
/// <remarks>
/// Shapes are words: names of dimensions, with their sizes in <see cref="OperatorCase.Sizes"/>, or numbers. Sizes are such that the blocks
/// of the kernels are crossed.
/// </remarks>
internal static partial class OperatorTable
{
    /// <summary>All cases, from the properties of all files of this class.</summary>
    public static IEnumerable<OperatorCase> All =>
        typeof(OperatorTable).GetProperties(BindingFlags.Static | BindingFlags.Public)
            .Where(p => p.PropertyType == typeof(OperatorCase[]))
            .OrderBy(p => p.Name, StringComparer.Ordinal)
            .SelectMany(p => (OperatorCase[])p.GetValue(null)!);

    public static OperatorCase[] Activations =>
    [
        .. new (string Name, Func<Tensor, Tensor> Call)[]
        {
            ("Exp", Ops.Exp), ("Gelu", Ops.Gelu), ("GeluTanh", Ops.GeluTanh), ("LeakyRelu", Ops.LeakyRelu), ("Relu", Ops.Relu),
            ("Sigmoid", Ops.Sigmoid), ("Silu", Ops.Silu), ("Softplus", Ops.Softplus), ("Tanh", Ops.Tanh), ("Scale", x => Ops.Scale(x, -2f)),
        }.Select(f => new OperatorCase(f.Name, "B L C", "B=2 L=300 C=17", i => [f.Call(i[0])])),
    ];

    public static OperatorCase[] Binary =>
    [
        .. new (string Name, Func<Tensor, Tensor, Tensor> Call)[]
        {
            ("Add", Ops.Add), ("Subtract", Ops.Subtract), ("Multiply", Ops.Multiply),
        }.SelectMany(f => new OperatorCase[]
        {
            new(f.Name, "B L C, B L C", "B=3 L=200 C=17", i => [f.Call(i[0], i[1])]),
            new(f.Name, "B L C, C", "B=3 L=200 C=17", i => [f.Call(i[0], i[1])]),
            new(f.Name, "B 1 C, 1 L C", "B=3 L=5 C=17", i => [f.Call(i[0], i[1])]),
        }),
    ];

    public static OperatorCase[] Layout =>
    [
        new("Concat", "B L C, B L D", "B=2 L=300 C=17 D=17", i => [Ops.Concat([i[0], i[1]])]) { HasOtherWays = true },
        new("Concat", "B L C, B M C, B L C", "B=2 L=40 M=40 C=17", i => [Ops.Concat([i[0], i[1], i[2]], axis: 1)]) { HasOtherWays = true },
        new("Slice", "B L C", "B=4 L=30 C=17", i => [Ops.Slice(i[0], 1, i[0].Shape[1] / 3, i[0].Shape[1] / 2)]),
        new("Slice", "B L C", "B=4 L=30 C=17", i => [Ops.Slice(i[0], 0, i[0].Shape[0] / 3, i[0].Shape[0] / 2)]),
        new("Slice", "B C", "B=4 C=17", i => [Ops.Slice(i[0], 1, 0, 0)]),
        new("Split", "B L C", "B=4 L=30 C=17", i => [.. Ops.Split(i[0], i[0].Shape[2] / 3, i[0].Shape[2] - i[0].Shape[2] / 3).AsSpan()]),
        new("Split", "B C", "B=4 C=17", i => [.. Ops.Split(i[0], 0, i[0].Shape[1], 0).AsSpan()]),
        new("Permute", "B L C", "B=4 L=30 C=17", i => [Ops.Permute(i[0], 2, 0, 1)]),
        new("Flip", "B L C", "B=4 L=30 C=17", i => [Ops.Flip(i[0], 1)]),
    ];

    public static OperatorCase[] Products =>
    [
        new("Linear", "B L I, O I, O, B L O", "B=2 L=150 I=17 O=17", i => [Ops.Linear(i[0], i[1], i[2], i[3])]) { HasOtherWays = true },
        new("Linear", "B I, O I", "B=17 I=33 O=17", i => [Ops.Linear(i[0], i[1])]),
        new("Linear", "I, O I, O", "I=17 O=17", i => [Ops.Linear(i[0], i[1], i[2])]) { HasOtherWays = true },
        new("Linear", "B I, O I", "B=1200 I=1200 O=1", i => [Ops.Linear(i[0], i[1])]),
        new("MatMul", "B M K, B K N", "B=2 M=130 K=130 N=130", i => [Ops.MatMul(i[0], i[1])]),
        new("MatMul", "B M K, B N K", "B=2 M=33 K=20 N=33", i => [Ops.MatMul(i[0], i[1], transposeB: true)]),
        new("MatMul", "B K M, B K N", "B=2 M=33 K=20 N=33", i => [Ops.MatMul(i[0], i[1], transposeA: true)]),
        new("MatMul", "B K M, B N K", "B=2 M=17 K=17 N=17", i => [Ops.MatMul(i[0], i[1], transposeA: true, transposeB: true)]),
        new("MatMul", "M K, K N", "M=3 K=5 N=4", i => [Ops.MatMul(i[0], i[1])]),
    ];

    public static OperatorCase[] Convolutions =>
    [
        new("Conv2d", "B H W C, O C 3 3, O", "B=2 H=20 W=19 C=5 O=7",
            i => [Ops.Conv2d(i[0], i[1], i[2], options: new() { Padding = 1 })]) { Refused = "H W C O" },
        new("Conv2d", "B H W C, O C 3 3, O", "B=3 H=3 W=3 C=3 O=3",
            i => [Ops.Conv2d(i[0], i[1], i[2], options: new() { Padding = 1, Activation = Activation.Relu })]) { Refused = "H W C O" },
        new("Conv2d", "B H W C, O C H W, O", "B=4 H=4 W=4 C=4 O=4",
            i => [Ops.Conv2d(i[0], i[1], i[2], options: new() { Padding = 2 })]) { Refused = "H W C O" },
        new("Conv2d", "B H W C, O C 1 1, O", "B=1 H=1 W=1 C=1 O=1", i => [Ops.Conv2d(i[0], i[1], i[2])]) { Refused = "H W C O" },
        new("Conv2d", "B H W C, C 1 3 3, C", "B=2 H=9 W=9 C=20",
            i => [Ops.Conv2d(i[0], i[1], i[2], options: new() { Padding = 1, Groups = Math.Max(1, i[0].Shape[3]) })]) { Refused = "H W C" },
        new("Conv2d", "B H W C, O C 3 3, O", "B=2 H=16 W=16 C=48 O=48",
            i => [Ops.Conv2d(i[0], i[1], i[2], options: new() { Padding = 1 })]) { Refused = "H W C O" },
        new("Conv2d", "B H W C, O C 3 3", "B=2 H=16 W=16 C=3 O=1",
            i => [Ops.Conv2d(i[0], i[1], null, options: new() { Padding = 1 })]) { Refused = "H W C O" },
        new("Conv2d", "B H W C, O C 3 3, O", "B=2 H=9 W=9 C=4 O=6",
            i => [Ops.Conv2d(i[0], i[1], i[2], options: new() { Stride = 2 })]) { Refused = "H W C O" },
        new("Conv1d", "B L C, O C 3, O", "B=3 L=300 C=3 O=3",
            i => [Ops.Conv1d(i[0], i[1], i[2], options: new() { Padding = 1 })]) { Refused = "L C O" },
        new("Conv1d", "B L C, O C L, O", "B=3 L=3 C=3 O=3",
            i => [Ops.Conv1d(i[0], i[1], i[2], options: new() { Padding = 1 })]) { Refused = "L C O" },
        new("ConvTranspose2d", "B H W C, C O 2 2, O", "B=2 H=10 W=9 C=7 O=7",
            i => [Ops.ConvTranspose2d(i[0], i[1], i[2], options: new() { Stride = 2 })]) { Refused = "H W C O" },
        new("ConvTranspose2d", "B H W C, C O H W, O", "B=3 H=3 W=3 C=3 O=3",
            i => [Ops.ConvTranspose2d(i[0], i[1], i[2])]) { Refused = "H W C O" },
        new("CausalConv1d", "B L C, C 1 4, C", "B=3 L=300 C=17", i => [Ops.CausalConv1d(i[0], i[1], i[2], Activation.Silu)]),
        new("CausalConv1d", "B L C, C 1 3, C", "B=3 L=1 C=3", i => [Ops.CausalConv1d(i[0], i[1], i[2], Activation.Silu, reverse: true)]),
        new("CausalConv1d", "B L C, C 1 3, C", "B=2 L=300 C=20", i => [Ops.CausalConv1d(i[0], i[1], i[2])]),
    ];

    public static OperatorCase[] Sequences =>
    [
        new("Attention", "B Q E, B K E, B K V", "B=2 Q=300 K=300 E=16 V=16", i => [Ops.Attention(i[0], i[1], i[2], 2)]) { Refused = "E" },
        new("Attention", "B Q E, B K E, B K V", "B=2 Q=9 K=7 E=6 V=4", i => [Ops.Attention(i[0], i[1], i[2], 2)]) { Refused = "E" },
        new("SelfAttention", "B L 12", "B=2 L=300", i => [Ops.SelfAttention(i[0], 2)]),
        new("SelfAttention", "B L E", "B=2 L=5 E=12", i => [Ops.SelfAttention(i[0], 2)]) { Refused = "E" },
        Scan("u, delta, A, B, C, D, z, delta bias, initial state, residual", "B=2 L=300 D=17 N=17", ScanSchedule.Auto, reverse: false),
        Scan("the same, chunked, in reverse", "B=2 L=400 D=8 N=8", ScanSchedule.Chunked, reverse: true),
        Scan("A as large as the initial state", "B=1 L=3 D=3 N=3", ScanSchedule.Sequential, reverse: false),
    ];

    public static OperatorCase[] Norms =>
    [
        new("BatchNorm", "B L C, C, C, C, C", "B=3 L=300 C=17",
            i => [Ops.BatchNorm(i[0], i[1], i[2], i[3].Clone(), i[4].Clone(), options: new() { Training = true })])
        { Frozen = [3, 4], Refused = "C" },
        new("BatchNorm", "B L C, C, C, C, C", "B=3 L=300 C=17",
            i => [Ops.BatchNorm(i[0], i[1], i[2], i[3].Clone(), Ops.Exp(i[4]), options: new() { Activation = Activation.LeakyRelu })])
        { Frozen = [3, 4], Refused = "C" },
        new("GroupNorm", "B L C, C, C", "B=3 L=300 C=16", i => [Ops.GroupNorm(i[0], 4, i[1], i[2])]) { Refused = "C" },
        new("InstanceNorm", "B L C, C, C", "B=3 L=300 C=17",
            i => [Ops.InstanceNorm(i[0], i[1], i[2], activation: Activation.LeakyRelu)]) { Refused = "C" },
        new("LayerNorm", "B L C, C, C", "B=3 L=300 C=17", i => [Ops.LayerNorm(i[0], i[1], i[2])]),
        new("LayerNorm", "C, C, C", "C=17", i => [Ops.LayerNorm(i[0], i[1], i[2])]),
        new("RmsNorm", "B L C, C", "B=3 L=300 C=17", i => [Ops.RmsNorm(i[0], i[1])]),
        new("RmsNorm", "C, C", "C=17", i => [Ops.RmsNorm(i[0], i[1])]),
    ];

    public static OperatorCase[] PoolingAndReductions =>
    [
        new("MaxPool2d", "B H W C", "B=2 H=40 W=30 C=17",
            i => [Ops.MaxPool2d(i[0], 3, new() { Stride = 2, Padding = 1 })]) { Refused = "H W C" },
        new("AdaptiveAvgPool2d", "B H W C", "B=2 H=40 W=30 C=17", i => [Ops.AdaptiveAvgPool2d(i[0], (7, 5))]) { Refused = "H W C" },
        new("AdaptiveAvgPool2d", "B H W C", "B=2 H=4 W=3 C=17", i => [Ops.AdaptiveAvgPool2d(i[0], (9, 5))]) { Refused = "H W C" },
        new("ResizeBilinear", "B H W C", "B=2 H=10 W=11 C=17", i => [Ops.ResizeBilinear(i[0], (20, 23), false)]) { Refused = "H W C" },
        new("Mean", "B L C", "B=3 L=300 C=17", i => [Ops.Mean(i[0], [-1], keepDim: true)]) { ValueOfEmpty = float.NaN },
        new("Max", "B L C", "B=3 L=300 C=17", i => [Ops.Max(i[0], [-1], keepDim: true)]) { Refused = "C" },
        new("Mean", "B L C", "B=3 L=300 C=17", i => [Ops.Mean(i[0], [1])]) { ValueOfEmpty = float.NaN },
        new("Softmax", "B L C", "B=3 L=300 C=17", i => [Ops.Softmax(i[0])]),
        new("LogSoftmax", "B L C", "B=3 L=300 C=17", i => [Ops.LogSoftmax(i[0])]),
    ];

    public static OperatorCase[] Losses =>
    [
        new("CrossEntropy", "B C, B C", "B=300 C=17",
            i => [Ops.CrossEntropy(i[0], i[1])]) { Frozen = [1], Refused = "C", ValueOfEmpty = float.NaN },
        new("BinaryCrossEntropy", "B L, B L", "B=30 L=300",
            i => [Ops.BinaryCrossEntropy(Ops.Sigmoid(i[0]), i[1])]) { Frozen = [1], ValueOfEmpty = float.NaN },
        new("BinaryCrossEntropyWithLogits", "B L, B L", "B=30 L=300",
            i => [Ops.BinaryCrossEntropyWithLogits(i[0], i[1])]) { Frozen = [1], ValueOfEmpty = float.NaN },
        new("DiceWithLogits", "B L, B L", "B=30 L=300", i => [Ops.DiceWithLogits(i[0], i[1])]) { Frozen = [1], Refused = "B L" },
        new("BceDice", "B L, B L", "B=30 L=300", i => [Ops.BceDice(Ops.Sigmoid(i[0]), i[1])]) { Frozen = [1], Refused = "B L" },
    ];

    private static OperatorCase Scan(string note, string sizes, ScanSchedule schedule, bool reverse) =>
        new("SelectiveScan", "B L D, B L D, D N, B L N, B L N, D, B L D, D, B D N, B L D", sizes, i =>
        {
            // A is made negative, so that the recurrence is stable whatever the inputs are.
            (Tensor y, Tensor last) = Ops.SelectiveScan(
                i[0], i[1], Ops.Scale(Ops.Exp(i[2]), -1f), i[3], i[4], new ScanOptions
                {
                    D = i[5],
                    Z = i[6],
                    DeltaBias = i[7],
                    DeltaSoftplus = true,
                    InitialState = i[8],
                    Residual = i[9],
                    Schedule = schedule,
                    Reverse = reverse,
                });
            return [y, last];
        })
        { Refused = "L N", Note = note };
}

/// <summary>An operator with inputs that fit.</summary>
/// <param name="Name">The method of <see cref="Ops"/>.</param>
/// <param name="Shapes">The inputs, separated by commas: dimensions by name, or numbers.</param>
/// <param name="Sizes">The size of each dimension.</param>
/// <param name="Call">Calls it; gives all its results.</param>
internal sealed record OperatorCase(string Name, string Shapes, string Sizes, Func<Tensor[], Tensor[]> Call)
{
    /// <summary>Inputs that get no gradient: targets, running statistics.</summary>
    public int[] Frozen { get; init; } = [];

    /// <summary>Dimensions that must not be zero, as in PyTorch: refused with a <see cref="ShapeException"/>.</summary>
    public string Refused { get; init; } = "";

    /// <summary>What a result that is not empty holds where an input is.</summary>
    public float ValueOfEmpty { get; init; }

    /// <summary>
    /// Whether some input reaches the result by other ways than through the empty one (a bias, a residual): then values are for tests of
    /// its own.
    /// </summary>
    public bool HasOtherWays { get; init; }

    public string Note { get; init; } = "";

    public IReadOnlyList<string> Dimensions => [.. Sizes.Split(' ').Select(s => s.Split('=')[0])];

    /// <summary>Random inputs with the sizes of the table, but for one dimension that is zero.</summary>
    public Tensor[] Inputs(string? zero = null)
    {
        Dictionary<string, int> sizes =
            Sizes.Split(' ').Select(s => s.Split('=')).ToDictionary(s => s[0], s => s[0] == zero ? 0 : int.Parse(s[1]));
        return
        [
            .. Shapes.Split(", ").Select((shape, i) => Numbers.Random(
                7 + i, [.. shape.Split(' ').Select(word => sizes.TryGetValue(word, out int size) ? size : int.Parse(word))]))
        ];
    }

    public override string ToString() => Note.Length > 0 ? $"{Name}: {Note}" : $"{Name} ({Shapes}; {Sizes})";
}
