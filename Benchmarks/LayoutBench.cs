using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>What moves numbers and computes nothing.</summary>
public class LayoutBench : OperatorBench
{
    public override IEnumerable<OperatorCase> Cases =>
    [
        new("unet skip: Concat 256x256 x 32, twice", x => Ops.Concat([x[0], x[1]]), [1, 256, 256, 32], [1, 256, 256, 32]),
        new("class token: Concat 64 x 1 and 64 x 64, x 168", x => Ops.Concat([x[0], x[1]], axis: 1), [64, 1, 168], [64, 64, 168]),
        new("ul-vm-unet chunks: Permute 1024 x 4 x 6", x => Ops.Permute(x[0], 0, 2, 1, 3), [1, 1024, 4, 6]),
        new("vit patches: Permute 64 images into 8x8 of 4x4", x => Ops.Permute(x[0], 0, 1, 3, 2, 4), [64, 8, 4, 8, 12]),
        new("segformer in_proj: Slice 512 of 1536 rows of 512", x => Ops.Slice(x[0], 0, 512, 512), [1536, 512]),
        new("vim: Split 65 x 672 in two", x => Ops.Split(x[0], 336, 336)[0], [65, 672]),
        new("ul-vm-unet: Split 4096 x 33 into 1, 16, 16", x => Ops.Split(x[0], 1, 16, 16)[1], [4096, 33]),
        new("Flip 64 x 65 x 168", x => Ops.Flip(x[0], 1), [64, 65, 168]),
    ];
}
