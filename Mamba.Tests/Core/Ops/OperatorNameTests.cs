using Mamba.Core;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Every refusal names the operator that was called, not one that it is made of.</summary>
internal sealed class OperatorNameTests
{
    private const Activation NoActivation = (Activation)99;
    private const Reduction NoReduction = (Reduction)99;
    private const int Many = 1 << 16;

    public static IEnumerable<TestCaseData> Arguments =>
    [
        Case("Celu", () => Ops.Celu(Row, 0f)),
        Case("Softplus", () => Ops.Softplus(Row, 0f)),
        Case("RepeatInterleave", () => Ops.RepeatInterleave(Row, -1, 0)),
        Case("Apply", () => Ops.Apply(NoActivation, Row)),
        Case("Conv2d", () => Ops.Conv2d(Image, Kernel, options: new() { Activation = NoActivation })),
        Case("Conv1d", () => Ops.Conv1d(Sequence, Tensor.Zeros(2, 2, 1), options: new() { Activation = NoActivation })),
        Case("ConvTranspose2d", () => Ops.ConvTranspose2d(Image, Kernel, options: new() { Activation = NoActivation })),
        Case("ConvTranspose1d", () => Ops.ConvTranspose1d(Sequence, Tensor.Zeros(2, 2, 1), options: new() { Activation = NoActivation })),
        Case("BatchNorm", () => Ops.BatchNorm(Image, options: new() { Training = true, Activation = NoActivation })),
        Case("InstanceNorm", () => Ops.InstanceNorm(Image, activation: NoActivation)),
        Case("CausalConv1d", () => Ops.CausalConv1d(Sequence, Tensor.Zeros(2, 1, 3), activation: NoActivation)),
        Case("FocalLoss", () => Ops.FocalLoss(Row, Row, gamma: -1f)),
        Case("FocalLoss", () => Ops.FocalLoss(Row, Row, reduction: NoReduction)),
        Case("FocalLoss", () => Ops.FocalLoss(Row, [0], gamma: float.NaN)),
        Case("FocalLoss", () => Ops.FocalLoss(Row, [0], reduction: NoReduction)),
        Case("HuberLoss", () => Ops.HuberLoss(Row, Row, 0f)),
        Case("HuberLoss", () => Ops.HuberLoss(Row, Row, float.PositiveInfinity)),
        Case("SmoothL1Loss", () => Ops.SmoothL1Loss(Row, Row, -1f)),
        Case("MeanSquaredError", () => Ops.MeanSquaredError(Row, Row, NoReduction)),
        Case("L1Loss", () => Ops.L1Loss(Row, Row, NoReduction)),
        Case("BinaryCrossEntropyWithLogits", () => Ops.BinaryCrossEntropyWithLogits(Row, Row, 2f, NoReduction)),
        Case("TverskyLoss", () => Ops.TverskyLoss(Row, Row, gamma: 0f)),
        Case("Distillation", () => Ops.Distillation(Row, Row, 0f)),
        Case("Distillation", () => Ops.Distillation(Row, Row, float.PositiveInfinity)),
        Case("Distillation", () => Ops.Distillation(Row, Row, reduction: NoReduction)),
        Case("CrossEntropy", () => Ops.CrossEntropy(Row, [0], new CrossEntropyOptions { Reduction = NoReduction })),
        Case("CrossEntropy", () => Ops.CrossEntropy(Row, Row, new CrossEntropyOptions { Reduction = NoReduction })),
        Case("NllLoss", () => Ops.NllLoss(Row, [0], reduction: NoReduction)),
    ];

    /// <summary>Operands of few elements whose result has 2^31 or more.</summary>
    public static IEnumerable<TestCaseData> LargeResults =>
    [
        Case("Linear", () => Ops.Linear(Tensor.Zeros(Many, 0), Tensor.Zeros(Many, 0))),
        Case("MatMul", () => Ops.MatMul(Tensor.Zeros(Many, 0), Tensor.Zeros(Many, 0), transposeB: true)),
        Case("Einsum", () => Ops.Einsum("ik,jk->ij", Tensor.Zeros(Many, 0), Tensor.Zeros(Many, 0))),
        Case("Add", () => Ops.Add(Column, Column.Reshape(1, Many))),
        Case("Maximum", () => Ops.Maximum(Column, Column.Reshape(1, Many))),
        Case("Where", () => Ops.Where(Column, Column, Column.Reshape(1, Many))),
        Case("CosineSimilarity", () => Ops.CosineSimilarity(Column.Reshape(Many, 1, 1), Column.Reshape(1, Many, 1))),
        Case("RepeatInterleave", () => Ops.RepeatInterleave(Column, Many, 1)),
        Case("Embedding", () => Ops.Embedding(Column.Reshape(1, Many), new int[Many])),
        Case("Embedding", () => Ops.Embedding(Column.Reshape(1, Many), Column)),
        Case("IndexSelect", () => Ops.IndexSelect(Column.Reshape(1, Many), 0, new int[Many])),
        Case("Pad", () => Ops.Pad(Image, new Padding2d(Many, Many, Many, Many))),
        Case("ResizeNearest", () => Ops.ResizeNearest(Image, (Many, Many))),
        Case("ResizeBilinear", () => Ops.ResizeBilinear(Image, (Many, Many), false)),
        Case("ResizeBicubic", () => Ops.ResizeBicubic(Image, (Many, Many), false)),
        Case("AdaptiveAvgPool2d", () => Ops.AdaptiveAvgPool2d(Image, (Many, Many))),
        Case("AdaptiveMaxPool2d", () => Ops.AdaptiveMaxPool2d(Image, (Many, Many))),
        Case("Conv2d", () => Ops.Conv2d(Column.Reshape(1, 1, Many, 1), Column.Reshape(Many, 1, 1, 1))),
        Case("Conv1d", () => Ops.Conv1d(Column.Reshape(1, Many, 1), Column.Reshape(Many, 1, 1))),
        Case("ConvTranspose2d", () => Ops.ConvTranspose2d(Column.Reshape(256, 1, 256, 1), Column.Reshape(1, Many, 1, 1))),
        Case("Attention", () => Recorded(Column.Reshape(1, Many, 1), q => Ops.Attention(q, q, q, 1))),
        Case("SelfAttention", () => Recorded(Tensor.Zeros(1, Many, 3), qkv => Ops.SelfAttention(qkv, 1))),
        Case("FavorAttention", () =>
        {
            Tensor q = Column.Reshape(1, Many, 1);
            return Ops.FavorAttention(q, q, q, Column, 1);
        }),
    ];

    private static Tensor Row => Tensor.Zeros(1, 2);

    private static Tensor Column => Tensor.Zeros(Many, 1);

    private static Tensor Image => Tensor.Zeros(1, 4, 4, 2);

    private static Tensor Kernel => Tensor.Zeros(2, 2, 1, 1);

    private static Tensor Sequence => Tensor.Zeros(1, 4, 2);

    [TestCaseSource(nameof(Arguments))]
    public void A_bad_argument_is_refused_by_the_operator_that_was_called(string name, Func<Tensor> call) =>
        OperatorCheck.RefusesArgument(name, call);

    [TestCaseSource(nameof(LargeResults))]
    public void A_result_that_no_array_holds_is_refused_by_the_operator_that_was_called(string name, Func<Tensor> call) =>
        OperatorCheck.Refuses(name, call);

    [Test]
    public void The_norm_of_order_infinity_is_refused_by_its_own_name()
    {
        OperatorCheck.Refuses("Norm", () => Ops.Norm(Tensor.Zeros(2, 0), float.PositiveInfinity, [1]));
        OperatorCheck.Refuses("Norm", () => Ops.Norm(Row, float.PositiveInfinity, [2]));
    }

    private static Tensor Recorded(Tensor x, Func<Tensor, Tensor> op)
    {
        x.RequiresGrad = true;
        using Tape tape = new();
        return op(x);
    }

    private static TestCaseData Case(string name, Func<Tensor> call) => new(name, call);
}
