using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>The losses of the recipes.</summary>
public class LossBench : OperatorBench
{
    public override IEnumerable<OperatorPass> Passes => [OperatorPass.Forward, OperatorPass.InputGradient];

    public override IEnumerable<OperatorCase> Cases =>
    [
        Masks("BceDice", x => Ops.BceDice(x[0], x[1])),
        Masks("DiceWithLogits", x => Ops.DiceWithLogits(x[0], x[1])),
        Masks("BinaryCrossEntropyWithLogits", x => Ops.BinaryCrossEntropyWithLogits(x[0], x[1])),
        Masks("FocalLoss", x => Ops.FocalLoss(x[0], x[1])),
        Masks("MeanSquaredError", x => Ops.MeanSquaredError(x[0], x[1])),
        new("CrossEntropy: 64 x 1000", x => Ops.CrossEntropy(x[0], x[1]), [64, 1000], [64, 1000]),
        Pixels("CrossEntropy", (x, classes) => Ops.CrossEntropy(x, classes)),
        Pixels("DiceLoss", (x, classes) => Ops.DiceLoss(x, classes)),
        Pixels("LovaszSoftmax", (x, classes) => Ops.LovaszSoftmax(x, classes)),
    ];

    /// <summary>Probabilities, logits and targets alike are in (0, 1).</summary>
    protected override Tensor Input(int index, int[] shape)
    {
        Tensor tensor = base.Input(index, shape);
        foreach (ref float x in tensor.Span) x = 0.5f + 0.9f * x;
        return tensor;
    }

    private static OperatorCase Pixels(string name, Func<Tensor, int[], Tensor> loss)
    {
        int[] classes = [.. Enumerable.Range(0, 2 * 256 * 256).Select(i => i % 5)];
        return new($"{name}: 2 x 256x256 of 5 classes", x => loss(x[0], classes), [2, 256, 256, 5]);
    }

    private static OperatorCase Masks(string name, Func<Tensor[], Tensor> loss) =>
        new($"{name}: 2 x 256x256", loss, [2, 256, 256, 1], [2, 256, 256, 1]);
}
