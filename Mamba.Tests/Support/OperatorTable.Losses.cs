using Mamba.Core;
using LossReduction = Mamba.Core.Reduction;

namespace Mamba.Tests.Support;

internal static partial class OperatorTable
{
    /// <summary>Losses with their options and reductions; the mean of nothing is NaN, as in PyTorch.</summary>
    public static OperatorCase[] LossForms =>
    [
        .. Elements("MeanSquaredError", (x, t, r) => Ops.MeanSquaredError(x, t, r), constantTarget: false),
        .. Elements("L1Loss", (x, t, r) => Ops.L1Loss(x, t, r), constantTarget: false),
        .. Elements("SmoothL1Loss", (x, t, r) => Ops.SmoothL1Loss(x, t, 0.7f, r), constantTarget: false),
        .. Elements("SmoothL1Loss", (x, t, r) => Ops.SmoothL1Loss(x, t, 0f, r), constantTarget: false),
        .. Elements("HuberLoss", (x, t, r) => Ops.HuberLoss(x, t, 0.6f, r), constantTarget: false),
        .. Elements(
            "BinaryCrossEntropyWithLogits", (x, t, r) => Ops.BinaryCrossEntropyWithLogits(x, Share(t), 2.5f, r), constantTarget: true),
        .. Elements("FocalLoss", (x, t, r) => Ops.FocalLoss(x, Share(t), reduction: r), constantTarget: true),
        .. Elements("FocalLoss", (x, t, r) => Ops.FocalLoss(x, t, -1f, 0.5f, r), constantTarget: true),
        .. Rows("CrossEntropy", (x, w, r) => Ops.CrossEntropy(
            x, Classes(x), new CrossEntropyOptions { Weight = w, IgnoreIndex = 2, LabelSmoothing = 0.2f, Reduction = r })),
        .. Rows("NllLoss", (x, w, r) => Ops.NllLoss(Ops.LogSoftmax(x), Classes(x), w, 2, r)),
        .. Rows("NllLoss", (x, w, r) => Ops.NllLoss(x, Classes(x), w, 2, r)),
        .. Rows("FocalLoss", (x, w, r) => Ops.FocalLoss(x, Classes(x), 1.5f, w, 2, r)),
        .. TargetRows("CrossEntropy", (x, t, r) => Ops.CrossEntropy(
            x, Ops.Softmax(t), new CrossEntropyOptions { LabelSmoothing = 0.1f, Reduction = r })),
        .. TargetRows("CrossEntropy", (x, t, r) => Ops.CrossEntropy(
            x, t, new CrossEntropyOptions { Weight = Tensor.Full(2f, x.Shape[^1]), Reduction = r })),
        .. TargetRows("Distillation", (x, t, r) => Ops.Distillation(x, t, 3f, r)),
        new("CrossEntropy", "B C", "B=300 C=17",
            i => [Ops.CrossEntropy(i[0], Classes(i[0]), 0.1f)]) { Refused = "C", ValueOfEmpty = float.NaN },
        new("TverskyLoss", "B L, B L", "B=30 L=300", i => [Ops.TverskyLoss(i[0], Share(i[1]))]) { Frozen = [1], Refused = "B L" },
        new("TverskyLoss", "B L, B L", "B=3 L=30", i => [Ops.TverskyLoss(i[0], i[1], gamma: 0.75f)]) { Frozen = [1], Refused = "B L" },
        new("DiceLoss", "B L C", "B=3 L=600 C=17", i => [Ops.DiceLoss(i[0], Classes(i[0]))]) { Refused = "B L C" },
        new("DiceLoss", "B L C", "B=3 L=40 C=5",
            i => [Ops.DiceLoss(i[0], Classes(i[0]), new() { PerImage = true, Background = false, IgnoreIndex = 2, Smooth = 0.1f })])
        { Refused = "B L C" },
        new("LovaszSoftmax", "B L C", "B=3 L=60 C=17", i => [Ops.LovaszSoftmax(i[0], Classes(i[0]), 2)]) { Refused = "C" },
        new("LovaszSoftmax", "B L C", "B=3 L=60 C=5", i => [Ops.LovaszSoftmax(i[0], Classes(i[0]), perImage: true)]) { Refused = "C" },
        new("LovaszHinge", "B L, B L", "B=3 L=60", i => [Ops.LovaszHinge(i[0], Truth(i[1]))]) { Frozen = [1] },
        new("LovaszHinge", "B L, B L", "B=3 L=60", i => [Ops.LovaszHinge(i[0], Truth(i[1]), perImage: false)]) { Frozen = [1] },
        new("DiceWithLogits", "B L, B L", "B=3 L=5000", i => [Ops.DiceWithLogits(i[0], Share(i[1]), 1f)]) { Frozen = [1], Refused = "B L" },
        new("BceDice", "B L, B L", "B=3 L=5000",
            i => [Ops.BceDice(Share(i[0]), Truth(i[1]), 2f, 0.3f, 0.7f)]) { Frozen = [1], Refused = "B L" },
    ];

    private static LossReduction[] AllReductions => [LossReduction.Mean, LossReduction.Sum, LossReduction.None];

    /// <summary>A loss of elements, over several blocks.</summary>
    private static IEnumerable<OperatorCase> Elements(string name, Func<Tensor, Tensor, LossReduction, Tensor> call, bool constantTarget) =>
        AllReductions.Select(r => new OperatorCase(name, "B L, B L", "B=7 L=300", i => [call(i[0], i[1], r)])
        {
            Frozen = constantTarget ? [1] : [],
            ValueOfEmpty = r == LossReduction.Mean ? float.NaN : 0f,
            Note = $"elements, {r}",
        });

    /// <summary>A loss of rows with a class each and weights of classes; with one row, they may be one tensor.</summary>
    private static IEnumerable<OperatorCase> Rows(string name, Func<Tensor, Tensor, LossReduction, Tensor> call) =>
        from r in AllReductions
        from sizes in (string[])["B=3 L=200 C=17", "B=1 L=1 C=20"]
        select new OperatorCase(name, "B L C, C", sizes, i => [call(i[0], i[1], r)])
        {
            Frozen = [1],
            Refused = "C",
            ValueOfEmpty = r == LossReduction.Mean ? float.NaN : 0f,
            Note = $"classes, {sizes}, {r}",
        };

    /// <summary>A loss of rows with a row of targets each.</summary>
    private static IEnumerable<OperatorCase> TargetRows(string name, Func<Tensor, Tensor, LossReduction, Tensor> call) =>
        AllReductions.Select(r => new OperatorCase(name, "B L C, B L C", "B=3 L=100 C=17", i => [call(i[0], i[1], r)])
        {
            Frozen = [1],
            Refused = "C",
            ValueOfEmpty = r == LossReduction.Mean ? float.NaN : 0f,
            Note = $"rows, {r}",
        });

    /// <summary>A class for each row of logits, all of them in turn.</summary>
    private static int[] Classes(Tensor logits)
    {
        int classes = logits.Shape[^1];
        return [.. Enumerable.Range(0, logits.Count / Math.Max(1, classes)).Select(row => row * 7 % classes)];
    }

    /// <summary>Numbers from 0 to 1.</summary>
    private static Tensor Share(Tensor x) => Ops.Sigmoid(x);

    /// <summary>0 or 1.</summary>
    private static Tensor Truth(Tensor x) => Tensor.From([.. x.Span.ToArray().Select(v => v > 0f ? 1f : 0f)], x.Shape.ToArray());
}
