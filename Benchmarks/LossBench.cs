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
        new("CrossEntropy: 64 x 1000", x => Ops.CrossEntropy(x[0], x[1]), [64, 1000], [64, 1000]),
    ];

    /// <summary>Probabilities, logits and targets alike are in (0, 1).</summary>
    protected override Tensor Input(int index, int[] shape)
    {
        Tensor tensor = base.Input(index, shape);
        foreach (ref float x in tensor.Span) x = 0.5f + 0.9f * x;
        return tensor;
    }

    private static OperatorCase Masks(string name, Func<Tensor[], Tensor> loss) => new($"{name}: 2 x 256x256", loss, [2, 256, 256, 1], [2, 256, 256, 1]);
}
