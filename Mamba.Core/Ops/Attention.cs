using System.Numerics.Tensors;
using Mamba.Core.Kernels;
using Mamba.Core.Kernels.Attention;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>Options of an attention.</summary>
public sealed record AttentionOptions
{
    /// <summary>Every query attends to every key; scores are divided by sqrt(Dh).</summary>
    public static AttentionOptions Default { get; } = new();

    /// <summary>Query i attends to keys 0 to i only; blocks above the diagonal are not computed.</summary>
    public static AttentionOptions CausalMask { get; } = new() { Causal = true };

    /// <summary>Whether query i attends to keys 0 to i only.</summary>
    public bool Causal { get; init; }

    /// <summary>The factor on the scores; null for 1 / sqrt(Dh).</summary>
    public float? Scale { get; init; }
}

public static unsafe partial class Ops
{
    /// <summary>
    /// Scaled dot-product attention by heads (Vaswani et al. 2017, equation 1): softmax(scale q k^T + mask) v. Heads are column ranges,
    /// read in place. PyTorch's scaled_dot_product_attention, with the heads side by side.
    /// </summary>
    /// <param name="q">(B, Lq, Heads Dh).</param>
    /// <param name="k">(B, Lk, Heads Dh).</param>
    /// <param name="v">(B, Lk, Heads Dv).</param>
    /// <param name="heads">Number of heads; divides the widths.</param>
    /// <param name="options">Causal attention, another scale; null for <see cref="AttentionOptions.Default"/>.</param>
    /// <param name="mask">
    /// (Lq, Lk), (Heads, Lq, Lk) or (B, Heads, Lq, Lk); extents of 1 broadcast. Added to the scaled scores; -infinity excludes a key. A
    /// query with all keys excluded becomes NaN, as in PyTorch. Null for none.
    /// </param>
    /// <returns>(B, Lq, Heads Dv); zeros where there are no keys.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, or heads have no width.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are no heads.</exception>
    public static Tensor Attention(Tensor q, Tensor k, Tensor v, int heads, AttentionOptions? options = null, Tensor? mask = null)
    {
        Check.Positive(heads, "Attention", nameof(heads));
        Check.Rank(q, 3, "Attention", "q (B, Lq, Heads Dh)");
        bool fits = k.Shape.Rank == 3 && v.Shape.Rank == 3 && k.Shape[0] == q.Shape[0] && v.Shape[0] == q.Shape[0]
            && v.Shape[1] == k.Shape[1] && k.Shape[2] == q.Shape[2] && q.Shape[2] > 0 && q.Shape[2] % heads == 0 && v.Shape[2] % heads == 0;
        Check.That(
            fits, "Attention",
            $"q {q.Shape}, k {k.Shape}, v {v.Shape} with {heads} heads; expected (B, Lq, H Dh), (B, Lk, H Dh), (B, Lk, H Dv)");
        int batch = q.Shape[0], lq = q.Shape[1], lk = k.Shape[1], width = q.Shape[2], widthV = v.Shape[2];
        AttentionShape s = With(options, new(batch, lq, lk, heads, width / heads, widthV / heads, width, width, widthV));
        CheckMask("Attention", s, mask);
        if (lk == 0 || (long)batch * lq * widthV == 0)
            return Independent(Tensor.Zeros(Shape.Of("Attention", batch, lq, widthV)), q, k, v, mask);
        bool record = Tape.IsRecording && (q.NeedsGrad || k.NeedsGrad || v.NeedsGrad || mask is { NeedsGrad: true });
        (Tensor y, Tensor? weights) = Attend("Attention", s, q.Pointer, k.Pointer, v.Pointer, mask, record);
        if (Tape.Needs(q, k, v, mask))
            Tape.Record(y, new AttentionStep(q, k, v, mask, weights, s), static (step, dy) => step.Values.Backward(dy), q, k, v, weights);
        return y;
    }

    /// <summary>Self-attention of a sequence whose queries, keys and values are side by side, as one projection makes them.</summary>
    /// <param name="qkv">(B, L, 3 Heads Dh).</param>
    /// <param name="heads">Number of heads; the width is a multiple of 3 x heads.</param>
    /// <param name="options">Causal attention, another scale; null for <see cref="AttentionOptions.Default"/>.</param>
    /// <param name="mask">(L, L), (Heads, L, L) or (B, Heads, L, L), see <see cref="Attention"/>. Null for none.</param>
    /// <returns>(B, L, Heads Dh).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, or heads have no width.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are no heads.</exception>
    public static Tensor SelfAttention(Tensor qkv, int heads, AttentionOptions? options = null, Tensor? mask = null)
    {
        Check.Positive(heads, "SelfAttention", nameof(heads));
        Check.Rank(qkv, 3, "SelfAttention", "(B, L, 3 Heads Dh)");
        Check.That(
            qkv.Shape[2] % (3L * heads) == 0 && qkv.Shape[2] > 0, "SelfAttention",
            $"{qkv.Shape} with {heads} heads; expected (B, L, 3 H Dh)");
        int length = qkv.Shape[1], row = qkv.Shape[2], inner = row / 3;
        AttentionShape s = With(options, new(qkv.Shape[0], length, length, heads, inner / heads, inner / heads, row, row, row));
        CheckMask("SelfAttention", s, mask);
        if (qkv.Count == 0) return Independent(Tensor.Zeros(qkv.Shape.With(2, inner)), qkv, mask);
        bool record = Tape.IsRecording && (qkv.NeedsGrad || mask is { NeedsGrad: true });
        (Tensor y, Tensor? weights) = Attend("SelfAttention", s, qkv.Pointer, qkv.Pointer + inner, qkv.Pointer + 2 * inner, mask, record);
        if (Tape.Needs(qkv, mask))
            Tape.Record(y, (qkv, mask, weights, s, inner), static (context, dy) =>
            {
                (Tensor qkv, Tensor? mask, Tensor? weights, AttentionShape s, int inner) = context.Values;
                GradSlot? slot = Open(qkv);
                if (s.Causal) ClearFirst(slot); // a causal block does not write every key
                float* d = slot is { } open ? open.Pointer : null;
                bool add = s.Causal || slot is { Accumulate: true };
                AttentionBackward kernel = new()
                {
                    Shape = s,
                    Q = qkv.Pointer,
                    K = qkv.Pointer + inner,
                    V = qkv.Pointer + 2 * inner,
                    P = weights!.Pointer,
                    Dy = dy.Pointer,
                    Dq = d == null ? default : new GradientTarget(d, add),
                    Dk = d == null ? default : new GradientTarget(d + inner, add),
                    Dv = d == null ? default : new GradientTarget(d + 2 * inner, add),
                };
                RunBackward(kernel, mask);
            }, qkv, weights);
        return y;
    }

    /// <summary>A recorded attention.</summary>
    private readonly record struct AttentionStep(Tensor Q, Tensor K, Tensor V, Tensor? Mask, Tensor? Weights, AttentionShape Shape)
    {
        public void Backward(Tensor dy)
        {
            // Opened in the order in which the kernel writes: q, k and v may be the same tensor.
            GradSlot? dv = Open(V), dq = Open(Q), dk = Open(K);
            // As views of one tensor, q and v may have rows of different lengths. Their heads overlap then, and the heads run on different
            // threads: dv goes to scratch first.
            bool overlap = Same(dq, dv) && Q.Shape != V.Shape;
            // With several query blocks, a tensor used twice would be overwritten by a later block. A causal block does not write every
            // key.
            bool add = overlap || Shape.Causal
                || (Shape.QueryBlocks > 1 && (Same(dq, dk) || Same(dq, dv) || Same(dk, dv)));
            if (add)
            {
                ClearFirst(dv);
                ClearFirst(dq);
                ClearFirst(dk);
            }
            using Scratch values = new(overlap ? V.Count : 0);
            Span<float> apart = overlap ? new(values.Pointer, V.Count) : default;
            apart.Clear();
            AttentionBackward kernel = new()
            {
                Shape = Shape,
                Q = Q.Pointer,
                K = K.Pointer,
                V = V.Pointer,
                P = Weights!.Pointer,
                Dy = dy.Pointer,
                Dq = Added(dq, add),
                Dk = Added(dk, add),
                Dv = overlap ? new(values.Pointer, accumulate: true) : Added(dv, add),
            };
            RunBackward(kernel, Mask);
            if (overlap) TensorPrimitives.Add(apart, dv!.Value.Span, dv.Value.Span);
        }

        private static GradientTarget Added(GradSlot? slot, bool add) =>
            add && slot is { } open ? new(open.Pointer, accumulate: true) : slot.Target;
    }

    /// <summary>Runs the backward kernel of an attention. A mask that several heads share gets the sum of their gradients.</summary>
    private static void RunBackward(AttentionBackward kernel, Tensor? mask)
    {
        AttentionShape s = kernel.Shape;
        Tensor? dmask = mask is { NeedsGrad: true } ? Tensor.Empty((int)s.Batch, (int)s.Heads, (int)s.Queries, (int)s.Keys) : null;
        kernel.Dmask = dmask.Pointer;
        Launch.Run(kernel, s.Batch * s.Heads, 1);
        if (dmask is { } ofMask) PassOn(mask!.Value, ofMask.Shape, ofMask, 1f, mayTake: false);
    }

    /// <summary>Whether two gradients are those of one tensor.</summary>
    private static bool Same(GradSlot? a, GradSlot? b) => a is { } x && b is { } y && x.Pointer == y.Pointer;

    /// <summary>Zeroes a gradient, so that the kernel can add to it.</summary>
    private static void ClearFirst(GradSlot? slot)
    {
        if (slot is { Accumulate: false } first) first.Span.Clear();
    }

    private static AttentionShape With(AttentionOptions? options, AttentionShape s) =>
        options is null ? s : s with { Causal = options.Causal, Scale = options.Scale ?? s.Scale };

    private static void CheckMask(string name, in AttentionShape s, Tensor? mask)
    {
        if (mask is not { } m) return;
        ReadOnlySpan<nint> scores = [s.Batch, s.Heads, s.Queries, s.Keys];
        bool fits = m.Shape.Rank <= 4;
        for (int i = 1; fits && i <= m.Shape.Rank; i++) fits = m.Shape[^i] == scores[^i] || m.Shape[^i] == 1;
        Check.That(fits, name,
            $"mask {m.Shape}; expected a shape that broadcasts to the scores, ({s.Batch}, {s.Heads}, {s.Queries}, {s.Keys})");
    }

    /// <summary>The result and, if the backward pass needs them, the weights (B, Heads, Queries, Keys), padded to ScoreRow.</summary>
    private static (Tensor Y, Tensor? Weights) Attend(
        string name, in AttentionShape s, float* q, float* k, float* v, Tensor? mask, bool record)
    {
        Tensor y = Tensor.Empty(Shape.Of(name, (int)s.Batch, (int)s.Queries, (int)(s.Heads * s.ValueWidth)));
        Tensor? weights = record
            ? Tensor.Empty(Shape.Of(name, (int)s.Batch, (int)s.Heads, (int)s.Queries, (int)s.ScoreRowStride))
            : null;
        Launch.Run(
            new AttentionForward
            {
                Shape = s,
                Q = q,
                K = k,
                V = v,
                Y = y.Pointer,
                P = weights.Pointer,
                Mask = mask is { } m ? Strides(m) : default,
            },
            s.Batch * s.Heads * s.QueryBlocks, 1);
        nint square = Math.Min(s.Queries, s.Keys);
        nint pairs = s.Causal ? square * (square + 1) / 2 + (s.Queries - square) * square : s.Queries * s.Keys;
        MultiplyAdds.Add((long)(s.Batch * s.Heads * pairs * (s.HeadWidth + s.ValueWidth)), (long)(s.Batch * s.Heads * pairs));
        return (y, weights);

        static AttentionMask Strides(Tensor m)
        {
            return new(m.Pointer, Stride(m, 4), Stride(m, 3), Stride(m, 2), Stride(m, 1));

            static nint Stride(Tensor m, int fromEnd)
            {
                if (fromEnd > m.Shape.Rank || m.Shape[^fromEnd] == 1) return 0;
                nint stride = 1;
                for (int i = 1; i < fromEnd; i++) stride *= m.Shape[^i];
                return stride;
            }
        }
    }
}
