using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class MaskedAttentionTests(VectorWidth width)
{
    // One query; blocks of causal queries that end inside and at the length; more keys than queries, and fewer.
    [TestCase(1, 1, 1, 1, 1), TestCase(2, 7, 7, 3, 2), TestCase(1, 64, 64, 1, 5), TestCase(1, 130, 130, 2, 3), TestCase(1, 5, 9, 2, 3),
        TestCase(2, 70, 4, 1, 3)]
    public void Causal_queries_see_no_later_key(int batch, int lq, int lk, int heads, int dh) => OperatorCheck.Run(
        width, i => Ops.Attention(i[0], i[1], i[2], heads, AttentionOptions.CausalMask),
        i => Naive(i[0], i[1], i[2], batch, lq, lk, heads, dh, dh + 1, 1 / Math.Sqrt(dh), true, null, []),
        [Numbers.Random(1, batch, lq, heads * dh), Numbers.Random(2, batch, lk, heads * dh),
            Numbers.Random(3, batch, lk, heads * (dh + 1))]);

    [TestCase(2, 5, 2, 3), TestCase(1, 130, 1, 4)]
    public void Causal_self_attention(int batch, int length, int heads, int dh) => OperatorCheck.Run(
        width, i => Ops.SelfAttention(i[0], heads, AttentionOptions.CausalMask),
        i =>
        {
            double[] Part(int part) => [.. i[0].Chunk(3 * heads * dh).SelectMany(token => token.Skip(part * heads * dh).Take(heads * dh))];
            return Naive(Part(0), Part(1), Part(2), batch, length, length, heads, dh, dh, 1 / Math.Sqrt(dh), true, null, []);
        },
        [Numbers.Random(1, batch, length, 3 * heads * dh)]);

    [TestCase(new[] { 7, 5 }, false), TestCase(new[] { 2, 7, 5 }, false), TestCase(new[] { 3, 2, 7, 5 }, false),
        TestCase(new[] { 3, 1, 1, 5 }, false)]
    [TestCase(new[] { 7, 1 }, false), TestCase(new int[0], false), TestCase(new[] { 7, 5 }, true), TestCase(new[] { 3, 1, 7, 1 }, true)]
    public void Masks_are_added_and_differentiated(int[] shape, bool causal)
    {
        const int B = 3, Lq = 7, Lk = 5, Heads = 2, Dh = 3;
        // One number for all keys changes no weight: its gradient is 0 but for rounding, which cannot be compared relative to itself.
        int[] frozen = shape is [.., > 1] ? [] : [3];
        AttentionOptions options = new() { Causal = causal, Scale = 0.7f };
        OperatorCheck.Run(
            width, i => Ops.Attention(i[0], i[1], i[2], Heads, options, i[3]),
            i => Naive(i[0], i[1], i[2], B, Lq, Lk, Heads, Dh, Dh, 0.7f, causal, i[3], shape),
            [Numbers.Random(1, B, Lq, Heads * Dh), Numbers.Random(2, B, Lk, Heads * Dh), Numbers.Random(3, B, Lk, Heads * Dh),
                Numbers.Random(4, shape)],
            1e-5, frozen);
    }

    [TestCase(0f), TestCase(-1.5f)]
    public void Any_scale_is_taken(float scale) => OperatorCheck.Run(
        width, i => Ops.Attention(i[0], i[1], i[2], 1, new AttentionOptions { Scale = scale }),
        i => Naive(i[0], i[1], i[2], 1, 4, 6, 1, 3, 3, scale, false, null, []),
            [Numbers.Random(1, 1, 4, 3), Numbers.Random(2, 1, 6, 3), Numbers.Random(3, 1, 6, 3)]);

    [Test]
    public void What_a_mask_shuts_out_counts_nothing()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor q = Numbers.Random(1, 1, 2, 4), k = Numbers.Random(2, 1, 19, 4), v = Numbers.Random(3, 1, 19, 4), mask = Tensor.Zeros(2, 19);
        mask.Span[..18].Fill(float.NegativeInfinity); // the first query sees the last key alone
        mask.Span[19..].Fill(float.NegativeInfinity); // the second one none
        v.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = Ops.Attention(q, k, v, 1, mask: mask);
        Assert.That(y.Span[..4].SequenceEqual(v.Span[^4..]));
        Assert.That(y.Span[4..].ToArray(), Is.All.NaN);
        tape.Backward(y, Tensor.From([1f, 1f, 1f, 1f, 0f, 0f, 0f, 0f], 1, 2, 4));
    }

    [Test]
    public void A_key_that_is_shut_out_gets_no_gradient()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor q = Numbers.Random(1, 1, 3, 4), k = Numbers.Random(2, 1, 5, 4), v = Numbers.Random(3, 1, 5, 4), mask = Tensor.Zeros(1, 5);
        mask.Span[2] = float.NegativeInfinity;
        (k.RequiresGrad, v.RequiresGrad) = (true, true);
        using Tape tape = new();
        tape.Backward(Ops.Attention(q, k, v, 2, mask: mask), Numbers.Random(4, 1, 3, 4));
        Assert.That(k.Grad!.Value.Span.Slice(8, 4).ToArray(), Is.All.Zero);
        Assert.That(v.Grad!.Value.Span.Slice(8, 4).ToArray(), Is.All.Zero);
    }

    // More than 256 queries are several blocks; a causal one has 64.
    [TestCase(300, false), TestCase(5, false), TestCase(130, true), TestCase(5, true)]
    public void Any_two_of_the_inputs_may_be_one_tensor(int length, bool causal)
    {
        AttentionOptions options = new() { Causal = causal };
        Tensor x = Numbers.Random(1, 1, length, 4), other = Numbers.Random(2, 1, length, 4);
        foreach (int[] pick in (int[][])[[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 0]])
            OperatorCheck.Run(
                width, i => Ops.Attention(i[pick[0]], i[pick[1]], i[pick[2]], 2, options),
                i => Naive(i[pick[0]], i[pick[1]], i[pick[2]], 1, length, length, 2, 2, 2, 1 / Math.Sqrt(2), causal, null, []),
                pick.Contains(1) ? [x, other] : [x]);
    }

    [Test]
    public void An_unmasked_attention_has_the_same_bits_with_and_without_options()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor q = Numbers.Random(1, 2, 9, 6), k = Numbers.Random(2, 2, 5, 6);
        Assert.That(Ops.Attention(q, k, k, 2, AttentionOptions.Default).Span.SequenceEqual(Ops.Attention(q, k, k, 2).Span));
    }

    [Test]
    public void No_queries_give_no_results()
    {
        using IDisposable _ = Isa.Use(width);
        Assert.That(Ops.Attention(Tensor.Zeros(2, 0, 4), Tensor.Zeros(2, 3, 4), Tensor.Zeros(2, 3, 4), 2,
            AttentionOptions.CausalMask).Shape, Is.EqualTo(new Shape(2, 0, 4)));
    }

    [Test]
    public void Bad_masks_are_refused()
    {
        Tensor q = Tensor.Zeros(2, 3, 4), k = Tensor.Zeros(2, 5, 4);
        foreach (int[] shape in (int[][])[[5, 3], [3, 4], [2, 2, 3, 5, 1], [3, 2, 3, 5], [1, 1, 2, 3, 5], [0]])
            OperatorCheck.Refuses("Attention", () => Ops.Attention(q, k, k, 2, mask: Tensor.Zeros(shape)));
        OperatorCheck.Refuses("SelfAttention", () => Ops.SelfAttention(Tensor.Zeros(1, 2, 6), 1, mask: Tensor.Zeros(3, 3)));
        OperatorCheck.Refuses("SelfAttention", () => Ops.SelfAttention(Tensor.Zeros(1, 2, 6), int.MaxValue));
    }

    private static double[] Naive(
        double[] q, double[] k, double[] v, int batch, int lq, int lk, int heads, int dh, int dv, double scale, bool causal, double[]? mask,
            int[] maskShape)
    {
        double[] y = new double[batch * lq * heads * dv];
        for (int b = 0; b < batch; b++)
            for (int h = 0; h < heads; h++)
                for (int i = 0; i < lq; i++)
                {
                    int seen = causal ? Math.Min(lk, i + 1) : lk;
                    double[] scores = new double[seen];
                    for (int j = 0; j < seen; j++)
                    {
                        for (int d = 0; d < dh; d++) scores[j] += scale * q[((b * lq + i) * heads + h) * dh
                            + d] * k[((b * lk + j) * heads + h) * dh + d];
                        scores[j] += mask is null ? 0 : mask[MaskAt(b, h, i, j)];
                    }
                    scores = Support.Naive.Softmax(scores, seen);
                    for (int j = 0; j < seen; j++)
                        for (int d = 0; d < dv; d++) y[((b * lq + i) * heads + h) * dv + d] += scores[j] * v[((b * lk + j) * heads + h) * dv
                            + d];
                }
        return y;

        int MaskAt(params ReadOnlySpan<int> index)
        {
            int at = 0;
            for (int i = 0; i < maskShape.Length; i++) at = at * maskShape[i] + (maskShape[i] == 1 ? 0 : index[i + 4 - maskShape.Length]);
            return at;
        }
    }
}
