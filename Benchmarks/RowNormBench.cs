using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Norms of rows, a mean and a variance a token: layer norm, RMS norm.</summary>
public class RowNormBench : OperatorBench
{
    public override IEnumerable<OperatorCase> Cases =>
    [
        Layer("ul-vm-unet", 1024, 24),
        Layer("segformer stage 1", 3136, 64),
        Layer("umambabot", 256, 512),
        Layer("vit, 64 images", 4160, 168),
        new("vim: RmsNorm 65 x 168", x => Ops.RmsNorm(x[0], x[1]), [65, 168], [168]),
        new("vim, 64 images: RmsNorm 4160 x 168", x => Ops.RmsNorm(x[0], x[1]), [4160, 168], [168]),
    ];

    private static OperatorCase Layer(string name, int rows, int channels) =>
        new($"{name}: LayerNorm {rows} x {channels}", x => Ops.LayerNorm(x[0], x[1], x[2]), [rows, channels], [channels], [channels]);
}
