using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Attention: ViT's over a short sequence, SegFormer's of many queries over few keys, and the softmax alone.</summary>
public class AttentionBench : OperatorBench
{
    public override IEnumerable<OperatorCase> Cases =>
    [
        Self("vit", 1, 65, 4, 64),
        Self("vit, 64 images", 64, 65, 4, 64),
        Cross("segformer stage 1", 3136, 49, 1, 64),
        Cross("segformer stage 3", 196, 49, 4, 64),
        Cross("segformer stage 4", 49, 49, 8, 64),
        new("causal: 1 x 1024, 4 heads of 64", x => Ops.SelfAttention(x[0], 4, AttentionOptions.CausalMask), [1, 1024, 3 * 4 * 64]),
        new("random features: 1 x 1024, 4 heads of 64", x => Ops.FavorAttention(x[0], x[0], x[0], x[1], 4), [1, 1024, 4 * 64], [266, 64]),
        new("rotary: 1 x 1024, 4 heads of 64", x => Ops.RotaryEmbedding(x[0], 4), [1, 1024, 4 * 64]),
        new("softmax: 3136 x 49", x => Ops.Softmax(x[0]), [3136, 49]),
        new("softmax: 64 x 1000", x => Ops.Softmax(x[0]), [64, 1000]),
    ];

    private static OperatorCase Self(string name, int batch, int length, int heads, int width) =>
        new($"{name}: {batch} x {length}, {heads} heads of {width}", x => Ops.SelfAttention(x[0], heads),
            [batch, length, 3 * heads * width]);

    private static OperatorCase Cross(string name, int queries, int keys, int heads, int width) => new(
        $"{name}: {queries} queries, {keys} keys, {heads} heads of {width}", x => Ops.Attention(x[0], x[1], x[2], heads),
        [1, queries, heads * width], [1, keys, heads * width], [1, keys, heads * width]);
}
