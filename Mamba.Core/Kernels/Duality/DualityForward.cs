using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Duality;

/// <summary>
/// The chunked form (Dao and Gu 2024, section 6). With u = dt x, e_t the decay from the chunk's start to token t, and S (N, P) the state
/// before the chunk: y = [e C, L C B^T] [S; u], a single product, and S' = e_last S + B^T (u decayed to the chunk's end). One item is a
/// head of a sequence, chunk by chunk.
/// </summary>
internal unsafe struct DualityForward : IKernel
{
    public DualityShape Shape;
    public DualityInputs Inputs;

    /// <summary>The results of <see cref="ChunkSteps"/> and <see cref="ChunkPairs"/>.</summary>
    public float* Steps, Pairs;

    /// <summary>(B, H, P, N), or null for zeros. May alias <see cref="Last"/>.</summary>
    public float* Initial;

    /// <summary>Results: (B, L, H, P), and (B, H, P, N).</summary>
    public float* Y, Last;

    /// <summary>(B, H, Chunks, N, P): receives the state before each chunk; or null.</summary>
    public float* Kept;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        DualityShape s = Shape;
        nint width = s.HeadWidth, states = s.States, length = s.ChunkLength, stride = s.RowStride, size = s.StateSize;
        using Scratch factors = new((states + length) * stride), values = new((states + 3 * length) * width);
        using Scratch rows = new(3 * stride + width), panel = new(Gemm.PanelSize<V>(states + length));
        ForwardChunk chunk = new()
        {
            State = values.Pointer,
            Values = values.Pointer + size,
            Weighted = values.Pointer + size + length * width,
            Y = values.Pointer + size + 2 * length * width,
            FromStart = rows.Pointer,
            ToEnd = rows.Pointer + stride,
            Skip = rows.Pointer + 3 * stride,
        };
        float* indices = rows.Pointer + 2 * stride;
        DecayedPairs.Indices(indices, stride);
        for (nint item = begin; item < end; item++)
        {
            nint head = item % s.Heads, batch = item / s.Heads, group = head / s.HeadsPerGroup;
            if (Initial == null) new Span<float>(chunk.State, (int)size).Clear();
            else Transpose.Run(Initial + item * size, states, width, states, chunk.State, width);
            Inputs.Skip(head, width, chunk.Skip);
            for (nint i = 0; i < s.Chunks; i++)
            {
                nint token = batch * s.Length + i * length;
                chunk.Count = s.TokensOf(i);
                chunk.Steps = StepRows.Of(s, Steps, batch * s.Chunks + i, head);
                chunk.Offset = token * s.ValueStride + head * width;
                if (Kept != null) Copy(chunk.State, Kept + (item * s.Chunks + i) * size, size);
                chunk.Steps.Decays<V>(chunk.Count, chunk.FromStart, chunk.ToEnd);
                float* pairs = Pairs + ((batch * s.Groups + group) * s.Chunks + i) * s.PairsSize;
                DecayedPairs.Scale<V>(s, chunk.Steps, chunk.Count, pairs, chunk.FromStart, indices, factors.Pointer);
                LoadValues<V>(chunk);
                nint after = chunk.Offset + chunk.Count * s.ValueStride, next = i + 1 < s.Chunks ? s.TokensOf(i + 1) : 0;
                for (nint row = 0; row < chunk.Count; row += DualityShape.RowBlock)
                {
                    nint count = Math.Min(DualityShape.RowBlock, chunk.Count - row);
                    Gemm.Serial<V>(
                        count, width, states + row + count, new Matrix(factors.Pointer + row, 1, stride), new Matrix(chunk.State, width),
                        new Matrix(chunk.Y + row * width, width), panel.Pointer, add: true, s.Lines(Inputs.X, after, next, row));
                }
                StoreResults<V>(chunk);
                Scale<V>(chunk.State, size, chunk.FromStart[chunk.Count - 1]);
                Matrix b = new(Inputs.B + (token * s.Groups + group) * states, s.FactorStride);
                for (nint row = 0; row < states; row += DualityShape.RowBlock)
                    Gemm.Serial<V>(
                        Math.Min(DualityShape.RowBlock, states - row), width, chunk.Count, b.Transposed.Offset(row * b.ColumnStride),
                        new Matrix(chunk.Weighted, width), new Matrix(chunk.State + row * width, width), panel.Pointer, add: true,
                        s.Lines(Y, after, next, row));
            }
            Transpose.Run(chunk.State, width, states, width, Last + item * size, states);
        }
    }

    private static void Copy(float* from, float* to, nint count) =>
        new ReadOnlySpan<float>(from, (int)count).CopyTo(new Span<float>(to, (int)count));

    /// <summary>u = dt x; u decayed to the chunk's end; and D x, to which the products are added.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void LoadValues<V>(in ForwardChunk c) where V : unmanaged
    {
        nint n = Count<V>(), width = Shape.HeadWidth, step = Shape.ValueStride, count = c.Count;
        float* x = Inputs.X + c.Offset, steps = c.Steps.Dt, toEnd = c.ToEnd, skip = c.Skip;
        float* values = c.Values, weighted = c.Weighted, y = c.Y;
        for (nint t = 0; t < count; t++, x += step, values += width, weighted += width, y += width)
        {
            V dt = Broadcast<V>(steps[t]), decay = Broadcast<V>(toEnd[t]);
            for (nint p = 0; p < width; p += n)
            {
                nint lanes = Math.Min(n, width - p);
                V v = Load<V>(x + p, lanes), u = dt * v;
                Store(u, values + p, lanes);
                Store(u * decay, weighted + p, lanes);
                Store(v * Load<V>(skip + p, lanes), y + p, lanes);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void StoreResults<V>(in ForwardChunk c) where V : unmanaged
    {
        nint n = Count<V>(), width = Shape.HeadWidth, step = Shape.ValueStride, count = c.Count;
        float* from = c.Y, to = Y + c.Offset, z = Inputs.Z == null ? null : Inputs.Z + c.Offset;
        for (nint t = 0; t < count; t++, from += width, to += step, z += step)
            for (nint p = 0; p < width; p += n)
            {
                nint lanes = Math.Min(n, width - p);
                V v = Load<V>(from + p, lanes);
                if (Inputs.Z != null) v *= Silu.Apply(Load<V>(z + p, lanes));
                Store(v, to + p, lanes);
            }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scale<V>(float* x, nint count, float factor) where V : unmanaged
    {
        V f = Broadcast<V>(factor);
        for (nint i = 0; i < count; i += Count<V>())
        {
            nint lanes = Math.Min(Count<V>(), count - i);
            Store(f * Load<V>(x + i, lanes), x + i, lanes);
        }
    }
}

/// <summary>A chunk of one head. Value arrays are (Count, P); the state is (N, P), followed by the values in memory.</summary>
internal unsafe struct ForwardChunk
{
    public nint Count, Offset;
    public StepRows Steps;
    public float* State, Values, Weighted, Y, FromStart, ToEnd, Skip;
}
