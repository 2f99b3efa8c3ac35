using Mamba.Core;

namespace Mamba.Tests.Support;

internal static partial class OperatorTable
{
    private delegate Tensor ReductionCall(Tensor x, ReadOnlySpan<int> axes, bool keepDim);

    public static OperatorCase[] Reductions =>
    [
        .. OverAxes("Sum", Ops.Sum),
        .. OverAxes("Mean", Ops.Mean, float.NaN),
        .. OverAxes("Var", (x, axes, keepDim) => Ops.Var(x, axes, keepDim), float.NaN),
        .. OverAxes("Var", (x, axes, keepDim) => Ops.Var(x, axes, keepDim, unbiased: false), float.NaN),
        .. OverAxes("Std", (x, axes, keepDim) => Ops.Std(x, axes, keepDim), float.NaN),
        .. OverAxes("LogSumExp", Ops.LogSumExp, float.NegativeInfinity),
        .. OverAxes("Norm", (x, axes, keepDim) => Ops.Norm(x, 1f, axes, keepDim)),
        .. OverAxes("Norm", (x, axes, keepDim) => Ops.Norm(x, 2f, axes, keepDim)),
        .. OverAxes("Norm", (x, axes, keepDim) => Ops.Norm(x, 3f, axes, keepDim)),
        .. OverAxes("Norm", (x, axes, keepDim) => Ops.Norm(x, float.PositiveInfinity, axes, keepDim), refuses: true),
        .. OverAxes("Prod", (x, axes, keepDim) => Ops.Prod(Ops.Exp(x), axes, keepDim), 1f),
        .. OverAxes("Max", Ops.Max, refuses: true),
        .. OverAxes("Min", Ops.Min, refuses: true),
    ];

    public static OperatorCase[] Order =>
    [
        new("ArgMax", "B L C", "B=3 L=40 C=17", i => [Ops.ArgMax(i[0])]) { Frozen = [0], Refused = "C" },
        new("ArgMax", "B L C", "B=3 L=40 C=17", i => [Ops.ArgMax(i[0], axis: 1, keepDim: true)]) { Frozen = [0], Refused = "L" },
        new("ArgMin", "B L C", "B=3 L=40 C=17", i => [Ops.ArgMin(i[0])]) { Frozen = [0], Refused = "C" },
        new("TopK", "B L C", "B=3 L=40 C=17", i => Both(Ops.TopK(i[0], Math.Min(3, i[0].Shape[2])))),
        new("TopK", "B L C", "B=3 L=40 C=17", i => Both(Ops.TopK(i[0], i[0].Shape[1] / 2, axis: 1, largest: false))),
        new("TopK", "B L C", "B=3 L=4 C=17", i => Both(Ops.TopK(i[0], 0))),
        new("Sort", "B L C", "B=3 L=40 C=17", i => Both(Ops.Sort(i[0]))),
        new("Sort", "B L C", "B=3 L=40 C=17", i => Both(Ops.Sort(i[0], axis: 0, descending: true))),
        new("CumSum", "B L C", "B=3 L=40 C=17", i => [Ops.CumSum(i[0])]),
        new("CumSum", "B L C", "B=3 L=40 C=17", i => [Ops.CumSum(i[0], axis: 1, reverse: true)]),
    ];

    public static OperatorCase[] Directions =>
    [
        new("Normalize", "B L C", "B=3 L=40 C=17", i => [Ops.Normalize(i[0])]),
        new("Normalize", "B L C", "B=3 L=40 C=17", i => [Ops.Normalize(i[0], axis: 1)]),
        new("CosineSimilarity", "B L C, B L C", "B=3 L=40 C=17", i => [Ops.CosineSimilarity(i[0], i[1])]),
        new("CosineSimilarity", "B L C, B L C", "B=3 L=40 C=17", i => [Ops.CosineSimilarity(i[0], i[1], axis: 1)]),
        new("CosineSimilarity", "B 1 C, 1 L C", "B=5 L=5 C=17", i => [Ops.CosineSimilarity(i[0], i[1])]),
    ];

    /// <summary>A reduction over all dimensions, the last, one in the middle, and two with a third between them.</summary>
    /// <param name="name">The operator.</param>
    /// <param name="call">Calls it.</param>
    /// <param name="ofNothing">What it gives for no numbers.</param>
    /// <param name="refuses">Whether it refuses to reduce no numbers.</param>
    private static OperatorCase[] OverAxes(string name, ReductionCall call, float ofNothing = 0f, bool refuses = false)
    {
        return [Over("", "B L C"), Over("2", "C", keepDim: true), Over("1", "L"), Over("0 -1", "B C"), Over("0 2", "B C", keepDim: true)];

        OperatorCase Over(string axes, string reduced, bool keepDim = false)
        {
            int[] dimensions = [.. axes.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)];
            return new(name, "B L C", "B=3 L=40 C=17", i => [call(i[0], dimensions, keepDim)])
            {
                Refused = refuses ? reduced : "",
                ValueOfEmpty = ofNothing,
                Note = axes.Length == 0 ? "all dimensions" : $"dimensions {axes}",
            };
        }
    }

    private static Tensor[] Both((Tensor First, Tensor Second) results) => [results.First, results.Second];
}
