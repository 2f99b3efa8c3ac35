using Mamba.Core;

namespace Mamba.Tests.Support;

internal static partial class OperatorTable
{
    // A dimension whose places an index names has a fixed extent: an index into nothing is no question of shapes.
    public static OperatorCase[] Indexing =>
    [
        new("Embedding", "9 C, B L", "B=3 L=40 C=17", i => [Ops.Embedding(i[0], Places(i[1], 9))]) { Frozen = [1] },
        new("Embedding", "9 C, B L", "B=3 L=40 C=17", i => [Ops.Embedding(i[0], Places(i[1], 9), paddingIndex: -1)]) { Frozen = [1] },
        new("Embedding", "9 C", "C=17", i => [Ops.Embedding(i[0], [3, 0, 8, 3])]),
        new("Embedding", "R C", "R=9 C=17", i => [Ops.Embedding(i[0], [])]),
        new("IndexSelect", "B 9 C", "B=3 C=17", i => [Ops.IndexSelect(i[0], 1, [3, 0, 8, 3])]),
        new("IndexSelect", "B L 9", "B=3 L=40", i => [Ops.IndexSelect(i[0], -1, [3, 0, 8, 3])]),
        new("IndexSelect", "B L C", "B=3 L=40 C=17", i => [Ops.IndexSelect(i[0], 1, [])]),
        new("Gather", "B 9 C, B K C", "B=3 K=9 C=17", i => [Ops.Gather(i[0], 1, Places(i[1], 9))]) { Frozen = [1] },
        new("Gather", "B L 9, B L K", "B=3 L=40 K=5", i => [Ops.Gather(i[0], -1, Places(i[1], 9))]) { Frozen = [1] },
        new("Gather", "4 9 17, B K C", "B=3 K=30 C=5", i => [Ops.Gather(i[0], 1, Places(i[1], 9))]) { Frozen = [1] },
        new("ScatterAdd", "B 9 C, B K C, B K C", "B=3 K=9 C=17",
            i => [Ops.ScatterAdd(i[0], 1, Places(i[1], 9), i[2])]) { Frozen = [1], HasOtherWays = true },
        new("ScatterAdd", "B L 9, B L K, 5 50 40", "B=3 L=40 K=30",
            i => [Ops.ScatterAdd(i[0], -1, Places(i[1], 9), i[2])]) { Frozen = [1], HasOtherWays = true },
    ];

    public static OperatorCase[] Arrangement =>
    [
        new("Roll", "B L C", "B=3 L=40 C=17", i => [Ops.Roll(i[0], 7, axis: 1)]),
        new("Roll", "B L C", "B=3 L=40 C=17", i => [Ops.Roll(i[0], -100, axis: -1)]),
        new("Roll", "B L C", "B=3 L=40 C=17", i => [Ops.Roll(i[0], [1, -2], [0, 2])]),
        new("Flip", "B L C", "B=3 L=40 C=17", i => [Ops.Flip(i[0], -1)]),
        new("Flip", "B L C", "B=3 L=40 C=17", i => [Ops.Flip(i[0], 0)]),
        new("RepeatInterleave", "B L C", "B=3 L=40 C=17", i => [Ops.RepeatInterleave(i[0], 3, axis: 1)]),
        new("RepeatInterleave", "B L C", "B=3 L=40 C=17", i => [Ops.RepeatInterleave(i[0], 2, axis: -1)]),
        new("RepeatInterleave", "B L C", "B=3 L=40 C=17", i => [Ops.RepeatInterleave(i[0], 0, axis: 0)]),
        new("Stack", "B L C, B L C", "B=3 L=40 C=17", i => [Ops.Stack([i[0], i[1]])]),
        new("Stack", "B L C, B L C, B L C", "B=3 L=40 C=17", i => [Ops.Stack(i, axis: -1)]),
        new("Stack", string.Join(", ", Enumerable.Repeat("B C", 9)), "B=3 C=17", i => [Ops.Stack(i, axis: 1)]),
        new("Transpose", "B L C", "B=3 L=40 C=17", i => [Ops.Transpose(i[0])]),
        new("Transpose", "B L C", "B=3 L=40 C=17", i => [Ops.Transpose(i[0], 0, 2)]),
        new("Permute", "A B C D E F", "A=2 B=3 C=4 D=3 E=2 F=5", i => [Ops.Permute(i[0], 5, 0, -2, 1, 3, 2)]),
        new("Permute", "C", "C=17", i => [Ops.Permute(i[0], 0)]),
        new("Concat", "B L C, B L C", "B=3 L=40 C=17", i => [Ops.Concat([i[0], i[1]], axis: 0)]),
        new("Slice", "B L C", "B=4 L=30 C=17", i => [Ops.Slice(i[0], -1, i[0].Shape[2] / 3, i[0].Shape[2] / 2)]),
        new("Split", "B C", "B=4 C=17", i => [.. Ops.Split(i[0], i[0].Shape[1]).AsSpan()]),
    ];

    /// <summary>Numbers from -1 to 1 as places from 0 to an extent less 1.</summary>
    private static Tensor Places(Tensor numbers, int extent) =>
        Tensor.From(Array.ConvertAll(numbers.Span.ToArray(), v => Math.Clamp(MathF.Floor((v + 1f) / 2f * extent), 0f, extent - 1f)),
            numbers.Shape.ToArray());
}
