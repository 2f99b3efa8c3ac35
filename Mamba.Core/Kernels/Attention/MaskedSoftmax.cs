using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Attention;

/// <summary>
/// The mask added to the scores, (B, Heads, Queries, Keys) or broadcast along some of these; fields are strides in floats.
/// </summary>
internal readonly unsafe struct AttentionMask(float* pointer, nint image, nint head, nint query, nint key)
{
    public readonly float* Pointer = pointer;

    /// <summary>Key stride: 1, or 0 where one value applies to all keys.</summary>
    public readonly nint Key = key;

    public float* Row(nint b, nint h, nint q) => Pointer + b * image + h * head + q * query;
}

/// <summary>The softmax of a block of masked or causal scores, and its gradient.</summary>
internal static unsafe class MaskedSoftmax
{
    /// <summary>softmax(scale p + mask) over the visible keys of each query, in place; 0 for the other keys of the block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Forward<V>(in AttentionShape s, AttentionMask mask, float* p, nint image, nint head, nint first,
        nint queries) where V : unmanaged
    {
        // The softmax takes the maximum before scaling, which is valid only for a positive factor.
        bool scaled = mask.Pointer != null || !(s.Scale > 0f);
        SoftmaxForward softmax = new() { X = p, Y = p, RowStride = s.ScoreRowStride, Columns = s.Keys, Scale = scaled ? 1f : s.Scale };
        if (!scaled && !s.Causal)
        {
            softmax.Run<V>(0, queries);
            return;
        }
        nint all = s.KeysBefore(first + queries);
        for (nint row = 0; row < queries; row++)
        {
            float* scores = p + row * s.ScoreRowStride, added = mask.Pointer == null ? null : mask.Row(image, head, first + row);
            nint keys = s.KeysBefore(first + row + 1);
            softmax.X = softmax.Y = scores;
            softmax.Columns = keys;
            if (!scaled) softmax.Run<V>(0, 1);
            // All keys are masked: NaN, as in PyTorch.
            else if (!Add<V>(scores, added, mask.Key, keys, s.Scale)) new Span<float>(scores, (int)keys).Fill(float.NaN);
            else
            {
                softmax.Run<V>(0, 1);
                if (added != null) ClearMasked<V>(scores, added, mask.Key, keys);
            }
            new Span<float>(scores + keys, (int)(all - keys)).Clear();
        }
    }

    /// <summary>
    /// Turns dP, in place, into the gradient of the unscaled scores; that of the mask goes to <paramref name="dmask"/>, with row stride
    /// Keys.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Backward<V>(in AttentionShape s, float* p, float* ds, float* dmask, nint first, nint queries) where V : unmanaged
    {
        float scale = dmask == null ? s.Scale : 1f;
        SoftmaxBackward softmax = new() { Y = p, Dy = ds, Dx = ds, RowStride = s.ScoreRowStride, Columns = s.Keys, Scale = scale };
        if (dmask == null && !s.Causal)
        {
            softmax.Run<V>(0, queries);
            return;
        }
        nint all = s.KeysBefore(first + queries);
        for (nint row = 0; row < queries; row++)
        {
            float* d = ds + row * s.ScoreRowStride;
            nint keys = s.KeysBefore(first + row + 1);
            softmax.Y = p + row * s.ScoreRowStride;
            softmax.Dy = d;
            softmax.Dx = d;
            softmax.Columns = keys;
            softmax.Run<V>(0, 1);
            new Span<float>(d + keys, (int)(all - keys)).Clear();
            if (dmask == null) continue;
            Span<float> to = new(dmask + row * s.Keys, (int)s.Keys);
            new Span<float>(d, (int)all).CopyTo(to);
            to[(int)all..].Clear();
            for (nint i = 0; i < all; i += Count<V>())
            {
                nint lanes = Math.Min(Count<V>(), all - i);
                Store(Load<V>(d + i, lanes) * Broadcast<V>(s.Scale), d + i, lanes);
            }
        }
    }

    /// <summary>scores = scale scores + added; false if all of them are -infinity.</summary>
    private static bool Add<V>(float* scores, float* added, nint step, nint keys, float scale) where V : unmanaged
    {
        nint n = Count<V>();
        V factor = Broadcast<V>(scale), lowest = Broadcast<V>(float.NegativeInfinity), largest = lowest;
        for (nint i = 0; i < keys; i += n)
        {
            nint lanes = Math.Min(n, keys - i);
            V sum = Fma(factor, Load<V>(scores + i, lanes), Added<V>(added, step, i, lanes));
            Store(sum, scores + i, lanes);
            largest = Max(largest, Load(scores + i, lanes, lowest));
        }
        return !float.IsNegativeInfinity(MaxLane(largest));
    }

    /// <summary>Exp2 may saturate above 0, so the weights of masked keys are set to exactly 0.</summary>
    private static void ClearMasked<V>(float* weights, float* added, nint step, nint keys) where V : unmanaged
    {
        V shut = Broadcast<V>(float.NegativeInfinity);
        for (nint i = 0; i < keys; i += Count<V>())
        {
            nint lanes = Math.Min(Count<V>(), keys - i);
            Store(Select(Equal(Added<V>(added, step, i, lanes), shut), default, Load<V>(weights + i, lanes)), weights + i, lanes);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Added<V>(float* added, nint step, nint i, nint lanes) where V : unmanaged =>
        added == null ? default : step == 0 ? Broadcast<V>(*added) : Load<V>(added + i, lanes);
}
