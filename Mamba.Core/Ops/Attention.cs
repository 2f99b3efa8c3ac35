using Mamba.Core.Kernels;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    private const nint SoftmaxElementsPerChunk = 16384;

    /// <summary>e^x over its sum along the last dimension.</summary>
    /// <param name="x">(..., C).</param>
    /// <returns>The shape of x; each row sums to 1.</returns>
    public static Tensor Softmax(Tensor x) => SoftmaxOf(x, logarithm: false);

    /// <summary>The logarithm of <see cref="Softmax"/>.</summary>
    /// <param name="x">(..., C).</param>
    /// <returns>The shape of x.</returns>
    public static Tensor LogSoftmax(Tensor x) => SoftmaxOf(x, logarithm: true);

    /// <summary>
    /// Scaled dot-product attention by heads (Vaswani et al. 2017, equation 1): softmax(q k^T / sqrt(Dh)) v. Heads are column ranges, read in place.
    /// </summary>
    /// <param name="q">(B, Lq, Heads Dh).</param>
    /// <param name="k">(B, Lk, Heads Dh).</param>
    /// <param name="v">(B, Lk, Heads Dv).</param>
    /// <param name="heads">How many heads; it divides the widths.</param>
    /// <returns>(B, Lq, Heads Dv).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor Attention(Tensor q, Tensor k, Tensor v, int heads)
    {
        Check.Rank(q, 3, "Attention", "q (B, Lq, Heads Dh)");
        bool fits = k.Shape.Rank == 3 && v.Shape.Rank == 3 && k.Shape[0] == q.Shape[0] && v.Shape[0] == q.Shape[0] && v.Shape[1] == k.Shape[1]
            && k.Shape[2] == q.Shape[2] && k.Count > 0 && heads > 0 && q.Shape[2] % heads == 0 && v.Shape[2] % heads == 0;
        Check.That(fits, "Attention", $"q {q.Shape}, k {k.Shape}, v {v.Shape} with {heads} heads; expected (B, Lq, H Dh), (B, Lk, H Dh), (B, Lk, H Dv)");
        int batch = q.Shape[0], lq = q.Shape[1], lk = k.Shape[1], width = q.Shape[2], widthV = v.Shape[2], dh = width / heads, dv = widthV / heads;
        float scale = 1f / MathF.Sqrt(dh);

        bool record = Tape.IsRecording && (q.NeedsGrad || k.NeedsGrad || v.NeedsGrad);
        Tensor y = Tensor.Empty(batch, lq, widthV);
        // For the backward pass all scores stay; otherwise one head's at a time.
        Tensor? kept = record ? Tensor.Empty(batch, heads, lq, lk) : null;
        using (Scratch scores = new((nint)lq * lk))
        {
            for (int b = 0; b < batch; b++)
                for (int h = 0; h < heads; h++)
                {
                    float* p = kept is null ? scores.Pointer : kept.Pointer + ((nint)b * heads + h) * lq * lk;
                    Gemm.Run(lq, lk, dh, Head(q, b, h, lq, width, dh), Head(k, b, h, lk, width, dh).Transposed, p, lk);
                    Launch.Run(new SoftmaxForward { X = p, Y = p, Columns = lk, Scale = scale }, lq, Math.Max(1, SoftmaxElementsPerChunk / Math.Max(1, lk)));
                    Gemm.Run(lq, dv, lk, new Matrix(p, lk), Head(v, b, h, lk, widthV, dv), Head(y, b, h, lq, widthV, dv).Pointer, widthV);
                }
        }
        MultiplyAdds.Add((long)batch * heads * lq * lk * (dh + dv));

        if (Tape.Needs(q, k, v))
            Tape.Push(y, dy =>
            {
                // Opened in the order in which the loop writes: q, k and v may be one tensor.
                GradSlot? dvalue = v.NeedsGrad ? v.OpenGrad() : null, dq = q.NeedsGrad ? q.OpenGrad() : null, dk = k.NeedsGrad ? k.OpenGrad() : null;
                using Scratch ds = new((nint)lq * lk);
                for (int b = 0; b < batch; b++)
                    for (int h = 0; h < heads; h++)
                    {
                        float* p = kept!.Pointer + ((nint)b * heads + h) * lq * lk;
                        Matrix g = Head(dy, b, h, lq, widthV, dv), s = new(ds.Pointer, lk);
                        if (dvalue is { } gv)
                            Gemm.Run(lk, dv, lq, new Matrix(p, lk).Transposed, g, Head(gv.Tensor, b, h, lk, widthV, dv).Pointer, widthV, add: gv.Accumulate);
                        if (dq is null && dk is null) continue;
                        Gemm.Run(lq, lk, dv, g, Head(v, b, h, lk, widthV, dv).Transposed, ds.Pointer, lk);
                        Launch.Run(
                            new SoftmaxBackward { Y = p, Dy = ds.Pointer, Dx = ds.Pointer, Columns = lk, Scale = scale }, lq,
                            Math.Max(1, SoftmaxElementsPerChunk / Math.Max(1, lk)));
                        if (dq is { } gq) Gemm.Run(lq, dh, lk, s, Head(k, b, h, lk, width, dh), Head(gq.Tensor, b, h, lq, width, dh).Pointer, width, add: gq.Accumulate);
                        if (dk is { } gk) Gemm.Run(lk, dh, lq, s.Transposed, Head(q, b, h, lq, width, dh), Head(gk.Tensor, b, h, lk, width, dh).Pointer, width, add: gk.Accumulate);
                    }
            }, q, k, v, kept);
        return y;

        static Matrix Head(Tensor x, int b, int h, int length, int width, int dh) => new(x.Pointer + ((nint)b * length * width) + (nint)h * dh, width);
    }

    private static Tensor SoftmaxOf(Tensor x, bool logarithm)
    {
        Check.That(x.Shape.Rank >= 1 && x.Shape[-1] > 0, logarithm ? "LogSoftmax" : "Softmax", $"input {x.Shape}; expected (..., C) with C > 0");
        int columns = x.Shape[-1];
        nint rows = x.Count / columns, grain = Math.Max(1, SoftmaxElementsPerChunk / columns);
        Tensor y = Tensor.Empty(x.Shape);
        Launch.Run(new SoftmaxForward { X = x.Pointer, Y = y.Pointer, Columns = columns, Scale = 1f, Logarithm = logarithm }, rows, grain);
        if (Tape.Needs(x))
            Tape.Push(y, dy =>
            {
                GradSlot dx = x.OpenGrad();
                Launch.Run(
                    new SoftmaxBackward
                    {
                        Y = y.Pointer,
                        Dy = dy.Pointer,
                        Dx = dx.Pointer,
                        Columns = columns,
                        Scale = 1f,
                        Logarithm = logarithm,
                        Accumulate = dx.Accumulate,
                    },
                    rows, grain);
            }, y);
        return y;
    }
}
