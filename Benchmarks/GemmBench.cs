using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>
/// Matrix products: the linear layers of the zoo, from one row or one channel to hundreds, and products with transposed operands.
/// </summary>
public class GemmBench : OperatorBench
{
    public override IEnumerable<OperatorPass> Passes => [OperatorPass.Forward, OperatorPass.InputGradient, OperatorPass.WeightGradient];

    public override IEnumerable<OperatorCase> Cases =>
    [
        Linear("ul-vm-unet in_proj", 4096, 6, 24),
        Linear("ul-vm-unet x_proj", 4096, 12, 33),
        Linear("ul-vm-unet dt_proj", 4096, 1, 12),
        Linear("ul-vm-unet proj", 1024, 24, 32),
        Linear("vim in_proj", 65, 168, 672),
        Linear("vim x_proj", 65, 336, 43),
        Linear("vim in_proj, 64 images", 4160, 168, 672),
        Linear("vit mlp, 64 images", 4160, 768, 168),
        Linear("umambabot in_proj", 256, 512, 2048),
        Linear("umambabot dt_proj", 256, 32, 1024),
        Linear("segformer stage 1", 3136, 64, 64),
        Linear("segformer stage 4", 49, 512, 512),
        Linear("resnet18 head, one row", 1, 512, 1000),
        Linear("resnet50 head", 64, 2048, 1000),
        MatMul("A B", 512, 512, 512, false, false),
        MatMul("A B", 1024, 1024, 1024, false, false),
        MatMul("A B", 2048, 2048, 2048, false, false),
        MatMul("A^T B", 512, 512, 512, true, false),
        MatMul("A B^T", 512, 512, 512, false, true),
        MatMul("A B, few columns", 4096, 8, 256, false, false),
        MatMul("A^T B, long sums", 32, 32, 16384, true, false),
        new("A B, 256 of them: 64 x 64 x 64", x => Ops.MatMul(x[0], x[1]), [256, 64, 64], [256, 64, 64]),
        new("A B, one A for 64 B: 64 x 64 x 64", x => Ops.MatMul(x[0], x[1]), [64, 64], [64, 64, 64]),
    ];

    private static OperatorCase Linear(string name, int rows, int inputs, int outputs) =>
        new($"{name}: {rows} x {inputs} -> {outputs}", x => Ops.Linear(x[0], x[1]), [rows, inputs], [outputs, inputs]);

    private static OperatorCase MatMul(string name, int m, int n, int k, bool transposeA, bool transposeB) => new(
        $"{name}: {m} x {n} x {k}", x => Ops.MatMul(x[0], x[1], transposeA, transposeB), transposeA ? [k, m] : [m, k], transposeB ? [n, k]
            : [k, n]);
}
