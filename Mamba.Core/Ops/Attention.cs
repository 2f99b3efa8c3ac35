using Mamba.Core.Kernels;
using Mamba.Core.Kernels.Attention;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// Scaled dot-product attention by heads (Vaswani et al. 2017, equation 1): softmax(q k^T / sqrt(Dh)) v. Heads are column ranges, read in place.
    /// </summary>
    /// <param name="q">(B, Lq, Heads Dh).</param>
    /// <param name="k">(B, Lk, Heads Dh).</param>
    /// <param name="v">(B, Lk, Heads Dv).</param>
    /// <param name="heads">How many heads; it divides the widths.</param>
    /// <returns>(B, Lq, Heads Dv); zeros where there are no keys.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, or heads have no width.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are no heads.</exception>
    public static Tensor Attention(Tensor q, Tensor k, Tensor v, int heads)
    {
        Check.Positive(heads, "Attention", nameof(heads));
        Check.Rank(q, 3, "Attention", "q (B, Lq, Heads Dh)");
        bool fits = k.Shape.Rank == 3 && v.Shape.Rank == 3 && k.Shape[0] == q.Shape[0] && v.Shape[0] == q.Shape[0] && v.Shape[1] == k.Shape[1]
            && k.Shape[2] == q.Shape[2] && q.Shape[2] > 0 && q.Shape[2] % heads == 0 && v.Shape[2] % heads == 0;
        Check.That(fits, "Attention", $"q {q.Shape}, k {k.Shape}, v {v.Shape} with {heads} heads; expected (B, Lq, H Dh), (B, Lk, H Dh), (B, Lk, H Dv)");
        int batch = q.Shape[0], lq = q.Shape[1], lk = k.Shape[1], width = q.Shape[2], widthV = v.Shape[2];
        if (lk == 0 || (long)batch * lq * widthV == 0) return Independent(Tensor.Zeros(batch, lq, widthV), q, k, v);
        AttentionShape s = new(batch, lq, lk, heads, width / heads, widthV / heads, width, width, widthV);
        (Tensor y, Tensor? weights) = Attend(s, q.Pointer, k.Pointer, v.Pointer, Tape.IsRecording && (q.NeedsGrad || k.NeedsGrad || v.NeedsGrad));
        if (Tape.Needs(q, k, v))
            Tape.Push(y, (q, k, v, weights, s), static (context, dy) =>
            {
                (Tensor q, Tensor k, Tensor v, Tensor? weights, AttentionShape s) = context;
                // Opened in the order in which the kernel writes: q, k and v may be one tensor.
                GradSlot? dv = v.NeedsGrad ? v.OpenGrad() : null, dq = q.NeedsGrad ? q.OpenGrad() : null, dk = k.NeedsGrad ? k.OpenGrad() : null;
                // Where q and k are one tensor and v is another, dK of the first block of queries reaches rows that dQ has not written yet.
                bool shared = dq is { Accumulate: false } first && dk is { } second && first.Pointer == second.Pointer;
                if (shared) dq!.Value.Span.Clear();
                Launch.Run(
                    new AttentionBackward
                    {
                        Shape = s,
                        Q = q.Pointer,
                        K = k.Pointer,
                        V = v.Pointer,
                        P = weights!.Pointer,
                        Dy = dy.Pointer,
                        Dq = shared ? new GradientTarget(dq!.Value.Pointer, accumulate: true) : dq.Target,
                        Dk = dk.Target,
                        Dv = dv.Target,
                    },
                    s.Batch * s.Heads, 1);
            }, q, k, v, weights);
        return y;
    }

    /// <summary>The attention of a sequence with itself, its queries, keys and values side by side as one projection makes them.</summary>
    /// <param name="qkv">(B, L, 3 Heads Dh).</param>
    /// <param name="heads">How many heads; three times it divides the width.</param>
    /// <returns>(B, L, Heads Dh).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, or heads have no width.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are no heads.</exception>
    public static Tensor SelfAttention(Tensor qkv, int heads)
    {
        Check.Positive(heads, "SelfAttention", nameof(heads));
        Check.Rank(qkv, 3, "SelfAttention", "(B, L, 3 Heads Dh)");
        Check.That(
            qkv.Shape[2] % (3L * heads) == 0 && qkv.Shape[2] > 0, "SelfAttention",
            $"{qkv.Shape} with {heads} heads; expected (B, L, 3 H Dh)");
        int length = qkv.Shape[1], row = qkv.Shape[2], inner = row / 3;
        if (qkv.Count == 0) return Independent(Tensor.Zeros(qkv.Shape.With(2, inner)), qkv);
        AttentionShape s = new(qkv.Shape[0], length, length, heads, inner / heads, inner / heads, row, row, row);
        (Tensor y, Tensor? weights) = Attend(s, qkv.Pointer, qkv.Pointer + inner, qkv.Pointer + 2 * inner, Tape.IsRecording && qkv.NeedsGrad);
        if (Tape.Needs(qkv))
            Tape.Push(y, (qkv, weights, s, inner), static (context, dy) =>
            {
                (Tensor qkv, Tensor? weights, AttentionShape s, int inner) = context;
                GradSlot slot = qkv.OpenGrad();
                Launch.Run(
                    new AttentionBackward
                    {
                        Shape = s,
                        Q = qkv.Pointer,
                        K = qkv.Pointer + inner,
                        V = qkv.Pointer + 2 * inner,
                        P = weights!.Pointer,
                        Dy = dy.Pointer,
                        Dq = slot.Target,
                        Dk = new(slot.Pointer + inner, slot.Accumulate),
                        Dv = new(slot.Pointer + 2 * inner, slot.Accumulate),
                    },
                    s.Batch * s.Heads, 1);
            }, qkv, weights);
        return y;
    }

    /// <summary>The result, and the weights (B, Heads, Queries, Keys), padded to ScoreRow, if the backward pass will want them.</summary>
    private static (Tensor Y, Tensor? Weights) Attend(in AttentionShape s, float* q, float* k, float* v, bool record)
    {
        Tensor y = Tensor.Empty((int)s.Batch, (int)s.Queries, (int)(s.Heads * s.ValueWidth));
        Tensor? weights = record ? Tensor.Empty((int)s.Batch, (int)s.Heads, (int)s.Queries, (int)s.ScoreRowStride) : null;
        Launch.Run(
            new AttentionForward { Shape = s, Q = q, K = k, V = v, Y = y.Pointer, P = weights is null ? null : weights.Pointer }, s.Batch * s.Heads * s.QueryBlocks, 1);
        MultiplyAdds.Add((long)(s.Batch * s.Heads * s.Queries * s.Keys * (s.HeadWidth + s.ValueWidth)));
        return (y, weights);
    }
}
