using Mamba.Core;

namespace Mamba.Models.Verification;

// Losses.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_losses = new()
    {
        ["cross_entropy"] = c => [CrossEntropy(c)],
        ["nll_loss"] = c => [Ops.NllLoss(
            ChannelsLast(c.In("log_probabilities")), Classes(c), c.Optional("weight"), c.Int("ignore_index", -100), ReductionOf(c))],
        ["loss"] = c => [Loss(c)],
    };

    private static readonly Dictionary<string, Func<GoldenCase, Tensor>> s_namedLosses = new()
    {
        ["bce"] = c =>
        {
            c.Only("input", "\"probabilities\"");
            return Ops.BinaryCrossEntropy(c.In("pred"), c.In("target"));
        },
        ["bce_with_logits"] = c =>
        {
            Tensor logits = Logits(c);
            return c.Has("pos_weight") ? throw new UnsupportedCaseException("bce_with_logits: pos_weight per channel")
                : c.Float("pos_weight", 1f) is var weight && weight == 1f ? Ops.BinaryCrossEntropyWithLogits(logits, c.In("target"))
                : Ops.BinaryCrossEntropyWithLogits(logits, c.In("target"), weight);
        },
        ["dice"] = c =>
        {
            c.Only("pooled", "\"batch\"");
            return Ops.DiceWithLogits(Logits(c), c.In("target"), c.Float("smooth", 100f));
        },
        ["bce_dice"] = c =>
        {
            c.Only("input", "\"probabilities\"");
            c.Only("pooled", "\"image\"");
            return Ops.BceDice(c.In("pred"), c.In("target"), c.Float("smooth", 1f), c.Float("bce_weight", 1f), c.Float("dice_weight", 1f));
        },
        ["mse"] = c => Ops.MeanSquaredError(c.In("pred"), c.In("target"), ReductionOf(c)),
        ["l1"] = c => Ops.L1Loss(c.In("pred"), c.In("target"), ReductionOf(c)),
        ["smooth_l1"] = c => Ops.SmoothL1Loss(c.In("pred"), c.In("target"), c.Float("beta", 1f), ReductionOf(c)),
        ["huber"] = c => Ops.HuberLoss(c.In("pred"), c.In("target"), c.Float("delta", 1f), ReductionOf(c)),
        ["focal"] = c => Ops.FocalLoss(Logits(c), c.In("target"), c.Float("alpha", 0.25f), c.Float("gamma", 2f), ReductionOf(c)),
        ["focal_classes"] = c =>
            Ops.FocalLoss(ChannelsLast(Logits(c)), Classes(c), c.Float("gamma", 2f), c.Optional("weight"), c.Int("ignore_index", -100),
                ReductionOf(c)),
        ["dice_classes"] = c => Ops.DiceLoss(ChannelsLast(Logits(c)), Classes(c), new DiceOptions
        {
            Smooth = c.Float("smooth", 1f),
            PerImage = PerImage(c),
            Background = c.Bool("background", otherwise: true),
            IgnoreIndex = c.Int("ignore_index", -100),
        }),
        ["tversky"] = Tversky,
        ["focal_tversky"] = Tversky,
        ["lovasz_softmax"] = c =>
        {
            c.Only("classes", "\"present\"");
            return Ops.LovaszSoftmax(ChannelsLast(Logits(c)), Classes(c), c.Int("ignore_index", -100), PerImage(c));
        },
        ["lovasz_hinge"] = c => Ops.LovaszHinge(Logits(c), c.In("target"), PerImage(c)),
        ["distillation"] = Distillation,
    };

    private static Tensor Loss(GoldenCase c) => s_namedLosses[c.StartOfName(s_namedLosses.Keys)](c);

    private static Tensor CrossEntropy(GoldenCase c)
    {
        Tensor logits = ChannelsLast(c.In("logits")); // (B, Classes) or (B, ..., Classes)
        CrossEntropyOptions options = new()
        {
            Weight = c.Optional("weight"),
            IgnoreIndex = c.Int("ignore_index", -100),
            LabelSmoothing = c.Float("label_smoothing", 0f),
            Reduction = ReductionOf(c),
        };
        Tensor target = c.In("target");
        return target.Shape.Rank == logits.Shape.Rank
            ? Ops.CrossEntropy(logits, ChannelsLast(target), options)
            : Ops.CrossEntropy(logits, Classes(c), options);
    }

    private static Tensor Tversky(GoldenCase c)
    {
        c.Only("pooled", "\"batch\"");
        return Ops.TverskyLoss(
            Logits(c), c.In("target"), c.Float("alpha", 0.5f), c.Float("beta", 0.5f), c.Float("smooth", 1f), c.Float("gamma", 1f));
    }

    private static Tensor Distillation(GoldenCase c)
    {
        if (c.Text("reduction") is not (null or "batchmean" or "mean over pixels"))
            throw new UnsupportedCaseException("distillation: unknown reduction");
        Tensor student = ChannelsLast(c.In("student"));
        Tensor soft = Ops.Distillation(student, ChannelsLast(c.In("teacher")), c.Float("temperature", 1f));
        if (!c.Has("target")) return soft;
        float alpha = c.Float("alpha", 0.5f);
        return Ops.Add(Ops.Scale(Ops.CrossEntropy(student, Classes(c)), alpha), Ops.Scale(soft, 1f - alpha));
    }

    private static Tensor Logits(GoldenCase c)
    {
        c.Only("input", "\"logits\"");
        return c.In("pred");
    }

    private static int[] Classes(GoldenCase c) => Array.ConvertAll(c.In("target").Span.ToArray(), t => (int)t);

    private static bool PerImage(GoldenCase c) => c.Text("pooled") switch
    {
        "image" => true,
        "batch" or null => false,
        string other => throw new UnsupportedCaseException($"pooled = {other}"),
    };

    private static Reduction ReductionOf(GoldenCase c) => c.Text("reduction") switch
    {
        "mean" or null => Reduction.Mean,
        "sum" => Reduction.Sum,
        "none" => Reduction.None,
        string other => throw new UnsupportedCaseException($"reduction = {other}"),
    };
}
