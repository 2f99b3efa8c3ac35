using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Duality;

/// <summary>
/// The products that the heads of a group share in a chunk: C^T (N rows), and below it B C^T (one row per token of B). Lanes are the tokens
/// of C. Columns beyond the chunk are zero. One item is a chunk of a group of a sequence.
/// </summary>
internal unsafe struct ChunkPairs : IKernel
{
    public DualityShape Shape;
    public float* B, C;

    /// <summary>(B, G, Chunks, N + ChunkLength, RowStride).</summary>
    public float* Pairs;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        DualityShape s = Shape;
        nint states = s.States, stride = s.RowStride, step = s.FactorStride;
        using Scratch panel = new(Gemm.PanelSize<V>(states));
        for (nint item = begin; item < end; item++)
        {
            nint chunk = item % s.Chunks, group = item / s.Chunks % s.Groups, batch = item / s.Chunks / s.Groups;
            nint count = s.TokensOf(chunk), at = ((batch * s.Length + chunk * s.ChunkLength) * s.Groups + group) * states;
            float* to = Pairs + item * s.PairsSize;
            if (count < stride) new Span<float>(to, (int)s.PairsSize).Clear();
            Transpose.Run(C + at, step, count, states, to, stride);
            Matrix pairs = new(to + states * stride, stride);
            Gemm.Serial<V>(count, count, states, new Matrix(B + at, step), new Matrix(to, stride), pairs, panel.Pointer, add: false);
        }
    }
}

/// <summary>The matrix of a chunk: L C B^T, where L_ts is the decay from token s to token t for s &lt;= t, otherwise 0.</summary>
internal static unsafe class DecayedPairs
{
    /// <summary>0, 1, 2, ...: token indices for the causal masks.</summary>
    public static void Indices(float* to, nint count)
    {
        for (nint i = 0; i < count; i++) to[i] = i;
    }

    /// <summary>The decay from token s to the tokens of a vector, 0 to earlier ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Decay<V>(in StepRows steps, V high, V low, float* indices, nint s, nint t) where V : unmanaged
    {
        V decay = VecMath.Exp2(Load<V>(steps.High + t) - high + (Load<V>(steps.Low + t) - low));
        return t >= s ? decay : Select(Greater(Load<V>(indices + t), Broadcast<V>(s - 0.5f)), decay, default);
    }

    /// <summary>The first lane of row s that a product reads: the start of its row block, or an earlier lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nint FirstLane<V>(nint s) where V : unmanaged =>
        s / DualityShape.RowBlock * DualityShape.RowBlock / Count<V>() * Count<V>();

    /// <summary>
    /// (N + count, RowStride) of <see cref="ChunkPairs"/> times the decays of one head: from the chunk's start, and between tokens.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scale<V>(
        in DualityShape shape, in StepRows steps, nint count, float* pairs, float* fromStart, float* indices, float* to) where V : unmanaged
    {
        nint n = Count<V>(), stride = shape.RowStride;
        for (nint k = 0; k < shape.States; k++, pairs += stride, to += stride)
            for (nint t = 0; t < count; t += n) Store(Load<V>(pairs + t) * Load<V>(fromStart + t), to + t);
        for (nint s = 0; s < count; s++, pairs += stride, to += stride)
        {
            V high = Broadcast<V>(steps.High[s]), low = Broadcast<V>(steps.Low[s]);
            for (nint t = FirstLane<V>(s); t < count; t += n)
                Store(Decay(steps, high, low, indices, s, t) * Load<V>(pairs + t), to + t);
        }
    }
}
