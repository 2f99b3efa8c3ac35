using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class AttentionTests(VectorWidth width)
{
    [TestCase(1, 1), TestCase(3, 3), TestCase(5, 17), TestCase(3, 33), TestCase(700, 33)]
    public void Softmax_normalizes_rows(int rows, int columns)
    {
        Tensor x = Numbers.Uniform(1, -4f, 4f, rows, columns);
        OperatorCheck.Run(width, i => Ops.Softmax(i[0]), i => Naive.Softmax(i[0], columns), [x]);
        OperatorCheck.Run(width, i => Ops.LogSoftmax(i[0]), i => Array.ConvertAll(Naive.Softmax(i[0], columns), Math.Log), [x]);
    }

    [Test]
    public void Softmax_of_large_numbers_does_not_overflow()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.From([.. Enumerable.Range(0, 19).Select(i => i == 7 ? 3e4f : -3e4f)], 19);
        Assert.That(Ops.Softmax(x).Span[7], Is.EqualTo(1f));
        Assert.That(Ops.LogSoftmax(x).Span[3], Is.EqualTo(-6e4f));
    }

    [TestCase(1, 1, 1, 1, 1, 1), TestCase(3, 5, 7, 2, 3, 3), TestCase(1, 9, 4, 1, 17, 5), TestCase(1, 3, 33, 3, 8, 1)]
    [TestCase(3, 17, 17, 4, 6, 6), TestCase(1, 600, 7, 2, 3, 2), TestCase(1, 6, 34, 2, 18, 3)]
    public void Attention_mixes_values_by_scores(int batch, int lq, int lk, int heads, int dh, int dv) => OperatorCheck.Run(
        width, i => Ops.Attention(i[0], i[1], i[2], heads), i => Naive.Attention(i[0], i[1], i[2], batch, lq, lk, heads, dh, dv),
        [Numbers.Random(1, batch, lq, heads * dh), Numbers.Random(2, batch, lk, heads * dh), Numbers.Random(3, batch, lk, heads * dv)]);

    [Test]
    public void Attention_of_a_sequence_with_itself() => OperatorCheck.Run(
        width, i => Ops.Attention(i[0], i[0], i[0], 2), i => Naive.Attention(i[0], i[0], i[0], 2, 5, 5, 2, 3, 3),
        [Numbers.Random(1, 2, 5, 6)]);

    [TestCase(0), TestCase(1), TestCase(2)]
    public void Attention_differentiates_what_is_asked(int frozen) => OperatorCheck.Run(
        width, i => Ops.Attention(i[0], i[1], i[2], 2), i => Naive.Attention(i[0], i[1], i[2], 1, 5, 4, 2, 3, 3),
        [Numbers.Random(1, 1, 5, 6), Numbers.Random(2, 1, 4, 6), Numbers.Random(3, 1, 4, 6)], 1e-5, frozen);

    [TestCase(2, 5, 2, 3), TestCase(1, 19, 1, 20), TestCase(1, 300, 2, 2), TestCase(1, 65, 1, 17), TestCase(3, 65, 2, 16)]
    public void Self_attention_reads_queries_keys_and_values_in_place(int batch, int length, int heads, int dh) => OperatorCheck.Run(
        width, i => Ops.SelfAttention(i[0], heads), i => Naive.SelfAttention(i[0], batch, length, heads, dh),
        [Numbers.Random(1, batch, length, 3 * heads * dh)]);

    [Test]
    public void Bad_shapes_are_refused()
    {
        Tensor q = Tensor.Zeros(2, 5, 6);
        OperatorCheck.Refuses("Softmax", () => Ops.Softmax(Tensor.Zeros(2, 3), 2));
        OperatorCheck.Refuses("LogSoftmax", () => Ops.LogSoftmax(Tensor.Zeros(2, 3), -3));
        OperatorCheck.Refuses("Attention", () => Ops.Attention(q, q, q, 4));
        OperatorCheck.RefusesArgument("Attention", () => Ops.Attention(q, q, q, 0));
        OperatorCheck.Refuses("Attention", () => Ops.Attention(q, Tensor.Zeros(2, 4, 6), q, 2));
        OperatorCheck.Refuses("Attention", () => Ops.Attention(q, Tensor.Zeros(2, 5, 4), q, 2));
        OperatorCheck.Refuses("Attention", () => Ops.Attention(q, Tensor.Zeros(1, 5, 6), Tensor.Zeros(1, 5, 6), 2));
        OperatorCheck.Refuses("Attention", () => Ops.Attention(Tensor.Zeros(5, 6), q, q, 2));
        OperatorCheck.Refuses("SelfAttention", () => Ops.SelfAttention(q, 4));
        OperatorCheck.Refuses("SelfAttention", () => Ops.SelfAttention(Tensor.Zeros(5, 6), 2));
        OperatorCheck.Refuses("Attention", () => Ops.Attention(q, Tensor.Zeros(2, 0, 6), q, 2));
    }
}
