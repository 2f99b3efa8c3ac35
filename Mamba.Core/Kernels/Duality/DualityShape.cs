using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Duality;

/// <summary>
/// Sizes of a state-space duality layer: x (B, L, H, P), B and C (B, L, G, N), a state (P, N) per head. Both passes use the same vector
/// width.
/// </summary>
internal readonly record struct DualityShape(
    nint Batch, nint Length, nint Heads, nint HeadWidth, nint Groups, nint States, VectorWidth Width)
{
    // The work per token grows with the chunk length; each chunk makes one pass over the state. 48 is four tiles of rows.
    private const nint LongestChunk = 48;

    /// <summary>Rows of a diagonal block of a chunk's matrix: the rows of a product's tile.</summary>
    public const nint RowBlock = 12;

    /// <summary>Tokens per chunk.</summary>
    public nint ChunkLength => Launch.BalancedSize(Length, LongestChunk);

    /// <summary>Chunks per sequence.</summary>
    public nint Chunks => Launch.CeilDiv(Length, ChunkLength);

    /// <summary>Stride in floats of rows whose lanes are the tokens of a chunk: full vectors.</summary>
    public nint RowStride
    {
        get
        {
            nint lanes = Math.Max(Isa.Lanes(Width), CacheLine);
            return Launch.CeilDiv(ChunkLength, lanes) * lanes;
        }
    }

    public nint HeadsPerGroup => Heads / Groups;

    /// <summary>Floats of a state.</summary>
    public nint StateSize => States * HeadWidth;

    /// <summary>Floats that <see cref="ChunkPairs"/> writes per chunk and group.</summary>
    public nint PairsSize => (States + ChunkLength) * RowStride;

    /// <summary>Floats of one number per token and head, for a chunk.</summary>
    public nint HeadRows => Heads * RowStride;

    /// <summary>Token stride in floats of x, and of B and C.</summary>
    public nint ValueStride => Heads * HeadWidth;

    /// <inheritdoc cref="ValueStride"/>
    public nint FactorStride => Groups * States;

    /// <summary>
    /// The cache lines of some tokens of a head, prefetched by a block of rows. They are thousands of bytes apart: no hardware prefetcher
    /// follows them, and issued all at once they would queue.
    /// </summary>
    public unsafe PrefetchRange Lines(float* values, nint offset, nint tokens, nint row)
    {
        nint line = row / RowBlock * CacheLine;
        return values == null || line >= HeadWidth ? default : new(values + offset + line, tokens * ValueStride, ValueStride);
    }

    /// <summary>Tokens of a chunk; the last chunk may be shorter.</summary>
    public nint TokensOf(nint chunk) => Math.Min(ChunkLength, Length - chunk * ChunkLength);
}

/// <summary>The inputs of a state-space duality layer; absent ones are null.</summary>
internal unsafe struct DualityInputs
{
    /// <summary>x, z: (B, L, H, P). dt: (B, L, H). A, dt bias: (H). B, C: (B, L, G, N). D: (H), or (H, P).</summary>
    public float* X, Z, Dt, A, DtBias, B, C, D;

    public bool Softplus, SkipPerChannel;

    /// <summary>The bounds of dt.</summary>
    public float Lowest, Highest;

    /// <summary>dt of a token before the clamp, and its derivative with respect to softplus's input.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Unbounded<V>(nint offset, nint head, nint lanes, out V slope) where V : unmanaged
    {
        V raw = Load<V>(Dt + offset, lanes);
        if (DtBias != null) raw += Load<V>(DtBias + head, lanes);
        slope = Broadcast<V>(1f);
        return Softplus ? VecMath.Softplus(raw, out slope) : raw;
    }

    /// <summary>dt clamped to its bounds; NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Bounded<V>(V dt) where V : unmanaged
    {
        V low = Broadcast<V>(Lowest), high = Broadcast<V>(Highest);
        dt = Select(Greater(low, dt), low, dt);
        return Select(Greater(dt, high), high, dt);
    }

    /// <summary>D of a head, broadcast to its channels.</summary>
    public readonly void Skip(nint head, nint width, float* to)
    {
        for (nint p = 0; p < width; p++) to[p] = D == null ? 0f : SkipPerChannel ? D[head * width + p] : D[head];
    }
}

/// <summary>Converts states between two layouts: callers use (P, N) per head, products (N, P).</summary>
internal static unsafe class DualityStates
{
    /// <summary>States (B, H, P, N) as (B, H, N, P); zeros if null.</summary>
    public static void ByState(in DualityShape s, float* from, float* to)
    {
        for (nint i = 0; i < s.Batch * s.Heads; i++)
        {
            if (from == null) new Span<float>(to + i * s.StateSize, (int)s.StateSize).Clear();
            else Transpose.Run(from + i * s.StateSize, s.States, s.HeadWidth, s.States, to + i * s.StateSize, s.HeadWidth);
        }
    }

    /// <summary>States (B, H, N, P) as (B, H, P, N).</summary>
    public static void ByChannel(in DualityShape s, float* from, GradientTarget to)
    {
        for (nint i = 0; i < s.Batch * s.Heads; i++)
            Transpose.Run(from + i * s.StateSize, s.HeadWidth, s.States, s.HeadWidth, to.Pointer + i * s.StateSize, to.Accumulate);
    }
}
