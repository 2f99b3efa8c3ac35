using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Attention by random features, and the rotary embedding.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class FavorAttentionTests(VectorWidth width)
{
    // The gradient of softmax features holds the stabilizers constant, which no finite difference does: they are checked where the small
    // number is none.
    [TestCase(2, 7, 5, 2, 6, 4, 12, false, false), TestCase(1, 1, 1, 1, 2, 1, 3, false, true), TestCase(1, 70, 70, 1, 3, 2, 5, false, true)]
    [TestCase(2, 7, 5, 2, 6, 4, 12, true, false), TestCase(1, 130, 130, 2, 3, 2, 17, true, true),
        TestCase(1, 64, 64, 1, 3, 2, 4, true, true)]
    public void Features_stand_for_the_softmax(int batch, int lq, int lk, int heads, int dh, int dv, int features, bool relu, bool causal)
    {
        FavorOptions options = new()
        {
            Kernel = relu ? FavorKernel.Relu : FavorKernel.Softmax,
            Causal = causal,
            Epsilon = relu ? 0.01f : 0f,
            NormEpsilon = 0f,
        };
        OperatorCheck.Run(
            width, i => Ops.FavorAttention(i[0], i[1], i[2], i[3], heads, options),
            i => Naive(i[0], i[1], i[2], i[3], batch, lq, lk, heads, dh, dv, features, options),
            [
                Numbers.Random(1, batch, lq, heads * dh), Numbers.Random(2, batch, lk, heads * dh),
                    Numbers.Random(3, batch, lk, heads * dv),
                Numbers.Random(4, features, dh),
            ],
            2e-5, 3);
    }

    [TestCase(false), TestCase(true)]
    public void A_sequence_with_itself(bool causal)
    {
        FavorOptions options = new() { Kernel = FavorKernel.Relu, Causal = causal, Epsilon = 0.01f, NormEpsilon = 0.5f };
        OperatorCheck.Run(
            width, i => Ops.FavorAttention(i[0], i[0], i[0], i[1], 2, options), i =>
                Naive(i[0], i[0], i[0], i[1], 1, 9, 9, 2, 3, 3, 6, options),
            [Numbers.Random(1, 1, 9, 6), Numbers.Random(2, 6, 3)], 2e-5, 1);
    }

    [TestCase(2, 5, 3, 4, false, 0), TestCase(1, 3, 1, 34, false, 7), TestCase(2, 5, 3, 4, true, 0), TestCase(1, 3, 1, 34, true, 1000),
        TestCase(1, 1, 1, 2, true, 0)]
    public void Rotary_embeddings_turn_pairs(int batch, int length, int heads, int dh, bool interleaved, int offset)
    {
        RotaryOptions options = new() { Interleaved = interleaved, Base = 100, Offset = offset };
        OperatorCheck.Run(width, i => Ops.RotaryEmbedding(i[0], heads, options), i =>
        {
            double[] y = new double[i[0].Length];
            for (int head = 0; head < y.Length / dh; head++)
                for (int p = 0; p < dh / 2; p++)
                {
                    double angle = (head / heads % length + offset) * Math.Pow(100, -2.0 * p / dh), cos = Math.Cos(angle),
                        sin = Math.Sin(angle);
                    int a = head * dh + (interleaved ? 2 * p : p), b = interleaved ? a + 1 : a + dh / 2;
                    (y[a], y[b]) = (i[0][a] * cos - i[0][b] * sin, i[0][b] * cos + i[0][a] * sin);
                }
            return y;
        }, [Numbers.Random(1, batch, length, heads * dh)]);
    }

    [Test]
    public void Empty_sequences_and_bad_shapes()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor q = Tensor.Zeros(2, 5, 6), w = Tensor.Zeros(4, 3);
        Assert.That(Ops.RotaryEmbedding(Tensor.Zeros(2, 0, 8), 2).Shape, Is.EqualTo(new Shape(2, 0, 8)));
        Assert.That(Ops.FavorAttention(Tensor.Zeros(2, 0, 6), q, q, w, 2).Shape, Is.EqualTo(new Shape(2, 0, 6)));
        OperatorCheck.Refuses("RotaryEmbedding", () => Ops.RotaryEmbedding(Tensor.Zeros(2, 3, 6), 2));
        OperatorCheck.RefusesArgument("RotaryEmbedding", () => Ops.RotaryEmbedding(Tensor.Zeros(2, 3, 6), 0));
        OperatorCheck.RefusesArgument("FavorAttention", () => Ops.FavorAttention(q, q, q, w, 0));
        OperatorCheck.Refuses("RotaryEmbedding", () => Ops.RotaryEmbedding(Tensor.Zeros(3, 6), 1));
        OperatorCheck.Refuses("FavorAttention", () => Ops.FavorAttention(q, q, q, Tensor.Zeros(4, 2), 2));
        OperatorCheck.Refuses("FavorAttention", () => Ops.FavorAttention(q, q, q, Tensor.Zeros(0, 3), 2));
        OperatorCheck.Refuses("FavorAttention", () => Ops.FavorAttention(q, Tensor.Zeros(2, 0, 6), Tensor.Zeros(2, 0, 6), w, 2));
        OperatorCheck.Refuses("FavorAttention", () => Ops.FavorAttention(Tensor.Zeros(2, 4, 6), q, q, w, 2,
            new FavorOptions { Causal = true }));
    }

    private static double[] Naive(
        double[] q, double[] k, double[] v, double[] w, int batch, int lq, int lk, int heads, int dh, int dv, int features, FavorOptions o)
    {
        double[] y = new double[batch * lq * heads * dv];
        for (int b = 0; b < batch; b++)
            for (int h = 0; h < heads; h++)
                for (int i = 0; i < lq; i++)
                {
                    double[] fq = Features(q, (b * lq + i) * heads + h);
                    double divisor = o.Causal ? o.NormEpsilon * fq.Sum() : 0;
                    for (int j = 0; j < (o.Causal ? i + 1 : lk); j++)
                    {
                        double weight = fq.Zip(Features(k, (b * lk + j) * heads + h), (x, z) => x * z).Sum();
                        divisor += weight;
                        for (int d = 0; d < dv; d++) y[((b * lq + i) * heads + h) * dv + d] += weight * v[((b * lk + j) * heads + h) * dv
                            + d];
                    }
                    for (int d = 0; d < dv; d++) y[((b * lq + i) * heads + h) * dv + d] /= divisor;
                }
        return y;

        // Without a small number the stabilizers cancel.
        double[] Features(double[] x, int token)
        {
            double[] scaled = [.. x.Skip(token * dh).Take(dh).Select(c => c * Math.Pow(dh, -0.25))];
            return [.. Enumerable.Range(0, features).Select(f =>
            {
                double p = scaled.Select((c, d) => c * w[f * dh + d]).Sum();
                return o.Kernel == FavorKernel.Relu ? Math.Max(0, p) + o.Epsilon!.Value : Math.Exp(p - 0.5 * scaled.Sum(c => c * c));
            })];
        }
    }
}
