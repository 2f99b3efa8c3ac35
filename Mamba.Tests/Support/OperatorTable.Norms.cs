using Mamba.Core;

namespace Mamba.Tests.Support;

internal static partial class OperatorTable
{
    /// <summary>Batch normalization without parameters or running statistics, and of all ranks.</summary>
    public static OperatorCase[] BatchNorms =>
    [
        new("BatchNorm", "B C", "B=90 C=17", i => [Ops.BatchNorm(i[0], options: new() { Training = true })]) { Refused = "C" },
        new("BatchNorm", "B C, C", "B=17 C=17", i => [Ops.BatchNorm(i[0], i[1], options: new() { Training = true })]) { Refused = "C" },
        new("BatchNorm", "C C, C, C", "C=17", i => [Ops.BatchNorm(i[0], i[1], i[2], options: new() { Training = true })]) { Refused = "C" },
        new("BatchNorm", "B H W C, C, C", "B=2 H=20 W=30 C=33",
            i => [Ops.BatchNorm(i[0], i[1], i[2], options: new() { Training = true, Activation = Activation.Relu, Eps = 0.01f })])
        { Refused = "C" },
        new("BatchNorm", "B L C, C, C", "B=3 L=70 C=6",
            i => [Ops.BatchNorm(i[0], null, i[1], i[2].Clone(), Tensor.Full(2f, i[2].Shape), new() { Activation = Activation.Silu })])
        { Frozen = [2], Refused = "C" },
        new("BatchNorm", "1 C, C, C, C, C", "C=20",
            i => [Ops.BatchNorm(i[0], i[1], i[2], i[3].Clone(), Ops.Exp(i[4]), new() { Activation = Activation.Relu })])
        { Frozen = [3, 4], Refused = "C" },
    ];
}
