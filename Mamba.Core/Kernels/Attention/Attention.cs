using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Attention;

/// <summary>Sizes of an attention by heads, and how far apart the tokens of each operand lie.</summary>
internal record struct AttentionShape(nint Batch, nint Queries, nint Keys, nint Heads, nint HeadWidth, nint ValueWidth, nint QRow, nint KRow, nint VRow)
{
    // Queries whose scores are in hand at once, in blocks of one size: they fit the second-level cache for some hundreds of keys, and pay for packing the keys again.
    private const nint LargestBlock = 256;

    // A causal block computes the triangle above its diagonal for nothing, so it is lower.
    private const nint LargestCausalBlock = 64;

    /// <summary>Whether query i sees the keys up to i alone.</summary>
    public bool Causal { readonly get; init; }

    /// <summary>The factor on the scores.</summary>
    public float Scale { readonly get; init; } = 1f / MathF.Sqrt(HeadWidth);

    public readonly nint QueryBlock => Queries == 0 ? 1 : Launch.Even(Queries, Causal ? LargestCausalBlock : LargestBlock);

    public readonly nint QueryBlocks => Launch.Chunks(Queries, QueryBlock);

    /// <summary>Floats from a query's scores to the next one's: rows start where cache lines do.</summary>
    public readonly nint ScoreRow => Launch.Chunks(Keys, Vec.CacheLine) * Vec.CacheLine;

    /// <summary>Keys that the queries up to, not including, this one see.</summary>
    public readonly nint KeysBefore(nint query) => Causal ? Math.Min(Keys, query) : Keys;

    /// <summary>The largest scratch that one of the products below packs its right side into.</summary>
    public readonly nint PanelDepth => Math.Max(Math.Max(QueryBlock, Keys), Math.Max(HeadWidth, ValueWidth));

    /// <summary>
    /// A head's share of the next image's rows of an operand with a row a query: pieces of a row a head wide, thousands of bytes apart, are no stream that
    /// a processor foresees. An image of many blocks of queries would not stay in the cache until then.
    /// </summary>
    public readonly unsafe Lookahead NextImage(float* x, nint row, nint item) =>
        QueryBlocks > 1 || item >= (Batch - 1) * Heads ? default : new(x + Queries * row + item * (Queries * row / Heads), Queries * row / Heads);

    /// <summary>Head h of image b, from a token on, of an operand whose heads are <paramref name="width"/> columns each.</summary>
    public static unsafe Matrix Head(float* x, nint image, nint tokens, nint row, nint token, nint head, nint width) => new(x + (image * tokens + token) * row + head * width, row);
}

/// <summary>softmax(q k^T / sqrt(Dh)) v; one item is a block of queries of one head of one image. Heads are column ranges, read in place.</summary>
internal unsafe struct AttentionForward : IKernel
{
    public AttentionShape Shape;
    public float* Q, K, V, Y;

    /// <summary>Added to the scaled scores; absent where its pointer is null.</summary>
    public AttentionMask Mask;

    /// <summary>(B, Heads, Queries, Keys), rows <see cref="AttentionShape.ScoreRow"/> apart: gets the weights of the values, or null.</summary>
    public float* P;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<TVector>(nint begin, nint end) where TVector : unmanaged
    {
        AttentionShape s = Shape;
        using Scratch panel = new(Gemm.PanelSize<TVector>(s.PanelDepth)), scores = new(P == null ? s.QueryBlock * s.ScoreRow : 0);
        for (nint item = begin; item < end; item++)
        {
            nint first = item % s.QueryBlocks * s.QueryBlock, rest = item / s.QueryBlocks, head = rest % s.Heads, image = rest / s.Heads;
            nint queries = Math.Min(s.QueryBlock, s.Queries - first);
            float* p = P == null ? scores.Pointer : P + (rest * s.Queries + first) * s.ScoreRow;
            nint keys = s.KeysBefore(first + queries);
            Matrix q = AttentionShape.Head(Q, image, s.Queries, s.QRow, first, head, s.HeadWidth), k = AttentionShape.Head(K, image, s.Keys, s.KRow, 0, head, s.HeadWidth);
            Matrix v = AttentionShape.Head(V, image, s.Keys, s.VRow, 0, head, s.ValueWidth);
            Matrix y = AttentionShape.Head(Y, image, s.Queries, s.Heads * s.ValueWidth, first, head, s.ValueWidth);
            Gemm.Serial<TVector>(queries, keys, s.HeadWidth, q, k.Transposed, new Matrix(p, s.ScoreRow), panel.Pointer, add: false,
                s.NextImage(Q, s.QRow, item));
            MaskedSoftmax.Forward<TVector>(s, Mask, p, image, head, first, queries);
            Gemm.Serial<TVector>(queries, s.ValueWidth, keys, new Matrix(p, s.ScoreRow), v, y, panel.Pointer, add: false);
        }
    }
}

/// <summary>
/// With dP = dY V^T and dS its way back through the softmax: dV = P^T dY, dQ = dS K, dK = dS^T Q. One item is a head of an image, its queries block by
/// block. Gradients that are not wanted are null.
/// </summary>
internal unsafe struct AttentionBackward : IKernel
{
    public AttentionShape Shape;
    public float* Q, K, V, P, Dy, Dq, Dk, Dv;

    /// <summary>Gets the gradient of the mask for each head of each image, (B, Heads, Queries, Keys); null where none is wanted.</summary>
    public float* Dmask;

    /// <summary>With a causal shape all true: a key gets its gradient from some of the blocks.</summary>
    public bool AddQ, AddK, AddV;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<TVector>(nint begin, nint end) where TVector : unmanaged
    {
        AttentionShape s = Shape;
        using Scratch panel = new(Gemm.PanelSize<TVector>(s.PanelDepth)), scores = new(s.QueryBlock * s.ScoreRow);
        for (nint item = begin; item < end; item++)
        {
            nint head = item % s.Heads, image = item / s.Heads;
            Matrix k = AttentionShape.Head(K, image, s.Keys, s.KRow, 0, head, s.HeadWidth), v = AttentionShape.Head(V, image, s.Keys, s.VRow, 0, head, s.ValueWidth);
            for (nint first = 0; first < s.Queries; first += s.QueryBlock)
            {
                nint queries = Math.Min(s.QueryBlock, s.Queries - first), keys = s.KeysBefore(first + queries);
                Matrix p = new(P + (item * s.Queries + first) * s.ScoreRow, s.ScoreRow), ds = new(scores.Pointer, s.ScoreRow);
                Matrix dy = AttentionShape.Head(Dy, image, s.Queries, s.Heads * s.ValueWidth, first, head, s.ValueWidth);
                // In this order: q, k and v may be one tensor, and its gradient is then written first where dV goes.
                if (Dv != null)
                    Gemm.Serial<TVector>(
                        keys, s.ValueWidth, queries, p.Transposed, dy, AttentionShape.Head(Dv, image, s.Keys, s.VRow, 0, head,
                            s.ValueWidth), panel.Pointer, AddV || first > 0,
                        s.NextImage(P, s.Heads * s.ScoreRow, item));
                if (Dq == null && Dk == null && Dmask == null) continue;
                Gemm.Serial<TVector>(queries, keys, s.ValueWidth, dy, v.Transposed, ds, panel.Pointer, add: false,
                    s.NextImage(Q, s.QRow, item));
                MaskedSoftmax.Backward<TVector>(s, p.Pointer, ds.Pointer, Dmask == null ? null : Dmask
                    + (item * s.Queries + first) * s.Keys, first, queries);
                if (Dq != null)
                    Gemm.Serial<TVector>(
                        queries, s.HeadWidth, keys, ds, k, AttentionShape.Head(Dq, image, s.Queries, s.QRow, first, head, s.HeadWidth),
                            panel.Pointer, AddQ,
                        s.NextImage(Dy, s.Heads * s.ValueWidth, item));
                if (Dk != null)
                    Gemm.Serial<TVector>(
                        keys, s.HeadWidth, queries, ds.Transposed, AttentionShape.Head(Q, image, s.Queries, s.QRow, first, head,
                            s.HeadWidth),
                        AttentionShape.Head(Dk, image, s.Keys, s.KRow, 0, head, s.HeadWidth), panel.Pointer, AddK || first > 0);
            }
        }
    }
}
