using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Attention;

/// <summary>Sizes of multi-head attention, and the row strides of its operands.</summary>
internal record struct AttentionShape(
    nint Batch, nint Queries, nint Keys, nint Heads, nint HeadWidth, nint ValueWidth, nint QRowStride, nint KRowStride, nint VRowStride)
{
    // Queries whose scores are in scratch together. The scores of some hundreds of keys fit in L2, and a block amortizes packing the keys.
    private const nint MaxQueryBlock = 256;

    // Lower for causal attention: a block also computes the masked triangle above its diagonal.
    private const nint MaxCausalQueryBlock = 64;

    /// <summary>Whether query i attends to keys 0 to i only.</summary>
    public bool Causal { readonly get; init; }

    /// <summary>The factor on the scores.</summary>
    public float Scale { readonly get; init; } = 1f / MathF.Sqrt(HeadWidth);

    public readonly nint QueryBlock => Queries == 0 ? 1 : Launch.BalancedSize(Queries, Causal ? MaxCausalQueryBlock : MaxQueryBlock);

    public readonly nint QueryBlocks => Launch.CeilDiv(Queries, QueryBlock);

    /// <summary>Row stride of the scores in floats, a multiple of a cache line.</summary>
    public readonly nint ScoreRowStride => Launch.CeilDiv(Keys, Vec.CacheLine) * Vec.CacheLine;

    /// <summary>The number of keys visible to the queries before this one.</summary>
    public readonly nint KeysBefore(nint query) => Causal ? Math.Min(Keys, query) : Keys;

    /// <summary>The deepest packing buffer of the products below.</summary>
    public readonly nint PanelDepth => Math.Max(Math.Max(QueryBlock, Keys), Math.Max(HeadWidth, ValueWidth));

    /// <summary>
    /// The rows of a head in the next image, or a share of them, to prefetch. They are short pieces thousands of bytes apart, which no
    /// hardware prefetcher follows. Images with several query blocks are not prefetched: the rows would be evicted before use.
    /// </summary>
    public readonly unsafe PrefetchRange PrefetchNextImage(float* x, nint row, nint item, nint share = 0, nint shares = 1)
    {
        nint length = Queries * row / (Heads * shares);
        return QueryBlocks > 1 || item >= (Batch - 1) * Heads
            ? default
            : new(x + Queries * row + (item * shares + share) * length, length);
    }

    /// <summary>Head h of image b from a given token on; each head is <paramref name="width"/> columns of the operand.</summary>
    public static unsafe Matrix Head(float* x, nint image, nint tokens, nint row, nint token, nint head, nint width) =>
        new(x + (image * tokens + token) * row + head * width, row);
}

/// <summary>
/// softmax(q k^T / sqrt(Dh)) v. One item is a block of queries of one head of one image. Heads are column ranges, read in place.
/// </summary>
internal unsafe struct AttentionForward : IKernel
{
    public AttentionShape Shape;
    public float* Q, K, V, Y;

    /// <summary>Added to the scaled scores; none if its pointer is null.</summary>
    public AttentionMask Mask;

    /// <summary>
    /// Receives the attention weights (B, Heads, Queries, Keys), with row stride <see cref="AttentionShape.ScoreRowStride"/>; or null.
    /// </summary>
    public float* P;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<TVector>(nint begin, nint end) where TVector : unmanaged
    {
        AttentionShape s = Shape;
        using Scratch panel = new(Gemm.PanelSize<TVector>(s.PanelDepth)), scores = new(P == null ? s.QueryBlock * s.ScoreRowStride : 0);
        for (nint item = begin; item < end; item++)
        {
            nint first = item % s.QueryBlocks * s.QueryBlock, rest = item / s.QueryBlocks, head = rest % s.Heads, image = rest / s.Heads;
            nint queries = Math.Min(s.QueryBlock, s.Queries - first);
            float* p = P == null ? scores.Pointer : P + (rest * s.Queries + first) * s.ScoreRowStride;
            nint keys = s.KeysBefore(first + queries);
            Matrix q = AttentionShape.Head(Q, image, s.Queries, s.QRowStride, first, head, s.HeadWidth);
            Matrix k = AttentionShape.Head(K, image, s.Keys, s.KRowStride, 0, head, s.HeadWidth);
            Matrix v = AttentionShape.Head(V, image, s.Keys, s.VRowStride, 0, head, s.ValueWidth);
            Matrix y = AttentionShape.Head(Y, image, s.Queries, s.Heads * s.ValueWidth, first, head, s.ValueWidth);
            Gemm.Serial<TVector>(queries, keys, s.HeadWidth, q, k.Transposed, new Matrix(p, s.ScoreRowStride), panel.Pointer, add: false,
                s.PrefetchNextImage(Q, s.QRowStride, item, 0, 2));
            MaskedSoftmax.Forward<TVector>(s, Mask, p, image, head, first, queries);
            Gemm.Serial<TVector>(queries, s.ValueWidth, keys, new Matrix(p, s.ScoreRowStride), v, y, panel.Pointer, add: false,
                s.PrefetchNextImage(Q, s.QRowStride, item, 1, 2).Then(s.PrefetchNextImage(Y, s.Heads * s.ValueWidth, item)));
        }
    }
}

/// <summary>
/// Gradients: dP = dY V^T, dS is the softmax gradient of dP, dV = P^T dY, dQ = dS K, dK = dS^T Q. One item is a head of an image, query
/// block by query block.
/// </summary>
internal unsafe struct AttentionBackward : IKernel
{
    public AttentionShape Shape;
    public float* Q, K, V, P, Dy;
    public GradientTarget Dq, Dk, Dv;

    /// <summary>Receives the mask gradient of each head of each image, (B, Heads, Queries, Keys); null if not needed.</summary>
    public float* Dmask;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<TVector>(nint begin, nint end) where TVector : unmanaged
    {
        AttentionShape s = Shape;
        using Scratch panel = new(Gemm.PanelSize<TVector>(s.PanelDepth)), scores = new(s.QueryBlock * s.ScoreRowStride);
        for (nint item = begin; item < end; item++)
        {
            nint head = item % s.Heads, image = item / s.Heads;
            Matrix k = AttentionShape.Head(K, image, s.Keys, s.KRowStride, 0, head, s.HeadWidth);
            Matrix v = AttentionShape.Head(V, image, s.Keys, s.VRowStride, 0, head, s.ValueWidth);
            for (nint first = 0; first < s.Queries; first += s.QueryBlock)
            {
                nint queries = Math.Min(s.QueryBlock, s.Queries - first), keys = s.KeysBefore(first + queries);
                Matrix p = new(P + (item * s.Queries + first) * s.ScoreRowStride, s.ScoreRowStride);
                Matrix ds = new(scores.Pointer, s.ScoreRowStride);
                Matrix dy = AttentionShape.Head(Dy, image, s.Queries, s.Heads * s.ValueWidth, first, head, s.ValueWidth);
                // Each product prefetches about one line per step: operands of the next image, then their gradients.
                // The order matters. If q, k and v are the same tensor, dV writes its gradient first. If only q and k are, the caller has
                // cleared the
                // gradient and sets the add flag, since dK covers all rows and dQ those of this block.
                if (Dv.IsWanted)
                    Gemm.Serial<TVector>(
                        keys, s.ValueWidth, queries, p.Transposed, dy,
                        AttentionShape.Head(Dv.Pointer, image, s.Keys, s.VRowStride, 0, head, s.ValueWidth), panel.Pointer,
                        Dv.Accumulate || first > 0,
                        s.PrefetchNextImage(P, s.Heads * s.ScoreRowStride, item)
                            .Then(s.PrefetchNextImage(Dy, s.Heads * s.ValueWidth, item)));
                if (!Dq.IsWanted && !Dk.IsWanted && Dmask == null) continue;
                Gemm.Serial<TVector>(queries, keys, s.ValueWidth, dy, v.Transposed, ds, panel.Pointer, add: false,
                    s.PrefetchNextImage(Q, s.QRowStride, item, 0, 2));
                float* dmask = Dmask == null ? null : Dmask + (item * s.Queries + first) * s.Keys;
                MaskedSoftmax.Backward<TVector>(s, p.Pointer, ds.Pointer, dmask, first, queries);
                if (Dq.IsWanted)
                    Gemm.Serial<TVector>(
                        queries, s.HeadWidth, keys, ds, k,
                        AttentionShape.Head(Dq.Pointer, image, s.Queries, s.QRowStride, first, head, s.HeadWidth), panel.Pointer,
                        Dq.Accumulate,
                        s.PrefetchNextImage(Dq.Pointer, s.QRowStride, item));
                if (Dk.IsWanted)
                    Gemm.Serial<TVector>(
                        keys, s.HeadWidth, queries, ds.Transposed,
                        AttentionShape.Head(Q, image, s.Queries, s.QRowStride, first, head, s.HeadWidth),
                        AttentionShape.Head(Dk.Pointer, image, s.Keys, s.KRowStride, 0, head, s.HeadWidth), panel.Pointer,
                        Dk.Accumulate || first > 0,
                        s.PrefetchNextImage(Q, s.QRowStride, item, 1, 2));
            }
        }
    }
}
