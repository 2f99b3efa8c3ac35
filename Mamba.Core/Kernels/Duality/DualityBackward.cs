using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Duality;

/// <summary>The outputs of the backward pass of a state-space duality layer.</summary>
internal unsafe struct DualityGradients
{
    /// <summary>(B, L, H, P).</summary>
    public GradientTarget X, Z;

    /// <summary>(Parts, B, L, G, N): sums over the heads of each item.</summary>
    public float* B, C;

    /// <summary>(B, H), and (B, H, P): sums over the tokens.</summary>
    public float* A, D;

    /// <summary>(B, Chunks, H, RowStride): the gradients of dt after the clamp.</summary>
    public float* Dt;
}

/// <summary>
/// Gradients of the chunked form, from the last chunk to the first. One item is some heads of one group of one sequence. Let G = u dy^T, g
/// the gradient of the state after the chunk, and e, w the decays from its start and to its end. With M = L C B^T and F = L G: du = M^T dy
/// + w B g, dB = F^T C + w u g^T, dC = F B + e dy S^T, and dS = e_last g + C^T (e dy).
/// </summary>
/// <remarks>
/// A token's log decay enters every pair that spans it. Its gradient is the sum of M G over these pairs, plus e C S dy over the tokens from
/// it on, plus w B g u over those before it, plus e_last g S. No sum is a difference of large sums in float32.
/// </remarks>
internal unsafe struct DualityBackward : IKernel
{
    public DualityShape Shape;
    public DualityInputs Inputs;
    public DualityGradients Gradients;

    /// <summary>Heads per item, and items per group.</summary>
    public nint HeadsPerItem, Parts;

    /// <summary>The results of <see cref="ChunkSteps"/> and <see cref="ChunkPairs"/>, and the states before the chunks.</summary>
    public float* Steps, Pairs, Kept;

    /// <summary>(B, L, H, P).</summary>
    public float* Dy;

    /// <summary>(B, H, N, P): the gradients of the last states; overwritten by those of the first states.</summary>
    public float* Carries;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        DualityShape s = Shape;
        nint width = s.HeadWidth, states = s.States, length = s.ChunkLength, stride = s.RowStride;
        using Scratch values = new(6 * length * width), pairs = new(2 * length * stride), products = new(length * states);
        using Scratch rows = new(4 * stride + 3 * length + 2 * width);
        using Scratch panel = new(Gemm.PanelSize<V>(Math.Max(Math.Max(states, width), length)));
        BackwardChunk chunk = BackwardChunk.In(s, values.Pointer, pairs.Pointer, rows.Pointer);
        chunk.Products = products.Pointer;
        chunk.Panel = panel.Pointer;
        DecayedPairs.Indices(chunk.Indices, stride);
        for (nint item = begin; item < end; item++)
        {
            nint part = item % Parts, group = item / Parts % s.Groups, batch = item / Parts / s.Groups;
            nint first = part * HeadsPerItem, last = Math.Min(s.HeadsPerGroup, first + HeadsPerItem);
            for (nint i = s.Chunks - 1; i >= 0; i--)
            {
                nint token = batch * s.Length + i * length, factor = (token * s.Groups + group) * states;
                nint sums = part * s.Batch * s.Length * s.FactorStride + factor;
                chunk.Count = s.TokensOf(i);
                chunk.B = Inputs.B + factor;
                chunk.C = Inputs.C + factor;
                chunk.Db = Gradients.B + sums;
                chunk.Dc = Gradients.C + sums;
                chunk.SharedPairs = Pairs + ((batch * s.Groups + group) * s.Chunks + i) * s.PairsSize;
                for (nint h = first; h < last; h++)
                {
                    nint head = group * s.HeadsPerGroup + h, ofBatch = batch * s.Heads + head;
                    chunk.Steps = StepRows.Of(s, Steps, batch * s.Chunks + i, head);
                    chunk.Offset = token * s.ValueStride + head * width;
                    chunk.State = Kept + (ofBatch * s.Chunks + i) * s.StateSize;
                    chunk.Carry = Carries + ofBatch * s.StateSize;
                    chunk.Dt = Gradients.Dt + (batch * s.Chunks + i) * s.HeadRows + head * stride;
                    chunk.Da = Gradients.A + ofBatch;
                    chunk.Dd = Gradients.D + ofBatch * width;
                    (chunk.Rate, chunk.IsFirstHead, chunk.IsLast) = (Inputs.A[head], h == first, i == s.Chunks - 1);
                    chunk.Next = h + 1 < last ? chunk.Offset + width
                        : i > 0 ? chunk.Offset - length * s.ValueStride - (h - first) * width : chunk.Offset;
                    Inputs.Skip(head, width, chunk.Skip);
                    Walk<V>(chunk);
                }
            }
        }
    }

    /// <summary>One chunk of one head.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Walk<V>(in BackwardChunk c) where V : unmanaged
    {
        const nint Block = DualityShape.RowBlock;
        DualityShape s = Shape;
        nint width = s.HeadWidth, states = s.States, stride = s.RowStride, step = s.FactorStride, count = c.Count;
        Matrix b = new(c.B, step), matrixC = new(c.C, step), u = new(c.U, width), dy = new(c.Dy, width), du = new(c.Du, width);
        Matrix state = new(c.State, width), carry = new(c.Carry, width), products = new(c.Products, states);
        Matrix db = new(c.Db, step), dc = new(c.Dc, step), pairs = new(c.Pairs, stride), cross = new(c.Cross, stride);

        c.Steps.Decays<V>(count, c.FromStart, c.ToEnd);
        LoadValues<V>(c);
        if (count < stride) new Span<float>(c.Cross, (int)(s.ChunkLength * stride)).Clear();
        Gemm.Serial<V>(count, count, width, u, dy.Transposed, cross, c.Panel, add: false);
        Decay<V>(c);

        Gemm.Serial<V>(count, width, states, b, carry, du, c.Panel, add: false);
        DecayToEnd<V>(c);
        for (nint row = 0; row < count; row += Block)
        {
            Gemm.Serial<V>(Math.Min(Block, count - row), width, count - row, pairs.Offset(row * stride + row), dy.Offset(row * width),
                du.Offset(row * width), c.Panel, add: true, s.Lines(Gradients.X.Pointer, c.Offset, count, row));
        }
        if (Inputs.Z != null)
        {
            Gemm.Serial<V>(count, width, states, matrixC, state, new Matrix(c.Y, width), c.Panel, add: false);
            StartResults<V>(c);
            for (nint row = 0, rows; row < count; row += rows)
            {
                rows = Math.Min(Block, count - row);
                Gemm.Serial<V>(rows, width, row + rows, pairs.Transposed.Offset(row), u, new Matrix(c.Y + row * width, width), c.Panel,
                    add: true);
            }
        }

        Gemm.Serial<V>(count, states, width, new Matrix(c.DyFromStart, width), state.Transposed, products, c.Panel, add: false);
        AddFromStart<V>(c);
        Gemm.Serial<V>(count, states, width, new Matrix(c.Weighted, width), carry.Transposed, db, c.Panel, add: !c.IsFirstHead);
        for (nint row = 0, rows; row < count; row += rows)
        {
            rows = Math.Min(Block, count - row);
            Gemm.Serial<V>(rows, states, row + rows, cross.Transposed.Offset(row), b, dc.Offset(row * step), c.Panel, add: true,
                s.Lines(Inputs.X, c.Next, s.ChunkLength, row));
            Gemm.Serial<V>(rows, states, count - row, cross.Offset(row * stride + row), matrixC.Offset(row * step), db.Offset(row * step),
                c.Panel, add: true, s.Lines(Dy, c.Next, s.ChunkLength, row));
        }

        float decay = c.FromStart[count - 1];
        double ofState = decay * DotAndScale<V>(c.Carry, c.State, s.StateSize, decay);
        Gemm.Serial<V>(
            states, width, count, new Matrix(c.SharedPairs, stride), new Matrix(c.DyFromStart, width), carry, c.Panel, add: true);
        Finish<V>(c, ofState);
    }

    /// <summary>u = dt x, dy before the gate, both times their decays, and the sums for D.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void LoadValues<V>(in BackwardChunk c) where V : unmanaged
    {
        nint n = Count<V>(), width = Shape.HeadWidth, offset = c.Offset;
        new Span<float>(c.SkipSums, (int)width).Clear();
        for (nint t = 0; t < c.Count; t++, offset += Shape.ValueStride)
        {
            V dt = Broadcast<V>(c.Steps.Dt[t]), start = Broadcast<V>(c.FromStart[t]), end = Broadcast<V>(c.ToEnd[t]);
            for (nint p = 0; p < width; p += n)
            {
                nint lanes = Math.Min(n, width - p), at = t * width + p;
                V x = Load<V>(Inputs.X + offset + p, lanes), dy = Load<V>(Dy + offset + p, lanes), u = dt * x;
                if (Inputs.Z != null) dy *= Silu.Apply(Load<V>(Inputs.Z + offset + p, lanes));
                Store(u, c.U + at, lanes);
                Store(u * end, c.Weighted + at, lanes);
                Store(dy, c.Dy + at, lanes);
                Store(dy * start, c.DyFromStart + at, lanes);
                Store(Fma(dy, x, Load<V>(c.SkipSums + p, lanes)), c.SkipSums + p, lanes);
            }
        }
        for (nint p = 0; p < width; p++) c.Dd[p] = c.IsLast ? c.SkipSums[p] : c.Dd[p] + c.SkipSums[p];
    }

    /// <summary>
    /// M^T and F^T, rows s with lanes t; F^T overwrites G^T. Between[t] gets the sum of M G over the pairs s &lt; t &lt;= r: each row is
    /// added to a running sum for each r, and these are added over r before the next row.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void Decay<V>(in BackwardChunk c) where V : unmanaged
    {
        nint n = Count<V>(), stride = Shape.RowStride;
        float* shared = c.SharedPairs + Shape.States * stride, pairs = c.Pairs, cross = c.Cross, sums = c.PairSums;
        new Span<float>(sums, (int)stride).Clear();
        c.Between[0] = 0f;
        for (nint s = 0; s < c.Count; s++, shared += stride, pairs += stride, cross += stride)
        {
            V high = Broadcast<V>(c.Steps.High[s]), low = Broadcast<V>(c.Steps.Low[s]), after = Broadcast<V>(s + 0.5f), sum = default;
            for (nint t = DecayedPairs.FirstLane<V>(s); t < c.Count; t += n)
            {
                V decay = DecayedPairs.Decay(c.Steps, high, low, c.Indices, s, t), g = Load<V>(cross + t);
                V m = decay * Load<V>(shared + t);
                Store(m, pairs + t);
                Store(decay * g, cross + t);
                V later = Greater(Load<V>(c.Indices + t), after), pair = Select(later, Fma(m, g, Load<V>(sums + t)), default);
                Store(pair, sums + t);
                sum += pair;
            }
            if (s + 1 < c.Count) c.Between[s + 1] = Sum(sum);
        }
    }

    /// <summary>Multiplies du = B g of each token by its decay to the chunk's end, and computes its dot product with u.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void DecayToEnd<V>(in BackwardChunk c) where V : unmanaged
    {
        nint n = Count<V>(), width = Shape.HeadWidth;
        for (nint s = 0; s < c.Count; s++)
        {
            V decay = Broadcast<V>(c.ToEnd[s]), dot = default;
            for (nint p = 0; p < width; p += n)
            {
                nint lanes = Math.Min(n, width - p), at = s * width + p;
                V du = decay * Load<V>(c.Du + at, lanes);
                Store(du, c.Du + at, lanes);
                dot = Fma(du, Load<V>(c.U + at, lanes), dot);
            }
            c.BeforeEnd[s] = Sum(dot);
        }
    }

    /// <summary>The part of each token's y that comes from the state before the chunk, and D x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void StartResults<V>(in BackwardChunk c) where V : unmanaged
    {
        nint n = Count<V>(), width = Shape.HeadWidth, offset = c.Offset;
        for (nint t = 0; t < c.Count; t++, offset += Shape.ValueStride)
            for (nint p = 0; p < width; p += n)
            {
                nint lanes = Math.Min(n, width - p), at = t * width + p;
                V skip = Load<V>(c.Skip + p, lanes) * Load<V>(Inputs.X + offset + p, lanes);
                Store(Fma(Broadcast<V>(c.FromStart[t]), Load<V>(c.Y + at, lanes), skip), c.Y + at, lanes);
            }
    }

    /// <summary>Adds e dy S^T to dC, and computes its dot product with C.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void AddFromStart<V>(in BackwardChunk c) where V : unmanaged
    {
        nint n = Count<V>(), states = Shape.States, step = Shape.FactorStride;
        for (nint t = 0; t < c.Count; t++)
        {
            V dot = default;
            for (nint k = 0; k < states; k += n)
            {
                nint lanes = Math.Min(n, states - k);
                V product = Load<V>(c.Products + t * states + k, lanes);
                dot = Fma(product, Load<V>(c.C + t * step + k, lanes), dot);
                if (!c.IsFirstHead) product += Load<V>(c.Dc + t * step + k, lanes);
                Store(product, c.Dc + t * step + k, lanes);
            }
            c.AfterStart[t] = Sum(dot);
        }
    }

    /// <summary>The dot product of two states; then the first one is scaled.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static float DotAndScale<V>(float* carry, float* state, nint size, float factor) where V : unmanaged
    {
        V dot = default, f = Broadcast<V>(factor);
        for (nint i = 0; i < size; i += Count<V>())
        {
            nint lanes = Math.Min(Count<V>(), size - i);
            V g = Load<V>(carry + i, lanes);
            dot = Fma(g, Load<V>(state + i, lanes), dot);
            Store(f * g, carry + i, lanes);
        }
        return Sum(dot);
    }

    /// <summary>The gradients of x, z, dt and A from those of u and of the decays.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void Finish<V>(in BackwardChunk c, double ofState) where V : unmanaged
    {
        nint n = Count<V>(), width = Shape.HeadWidth;
        GradientTarget dx = Gradients.X, dz = Gradients.Z;
        double ofRate = 0, before = 0, after = 0;
        for (nint t = 0; t < c.Count; t++) before += c.BeforeEnd[t];
        for (nint t = c.Count - 1; t >= 0; t--)
        {
            nint offset = c.Offset + t * Shape.ValueStride;
            float dt = c.Steps.Dt[t];
            V step = Broadcast<V>(dt), dot = default;
            for (nint p = 0; p < width; p += n)
            {
                nint lanes = Math.Min(n, width - p), at = t * width + p;
                V x = Load<V>(Inputs.X + offset + p, lanes), du = Load<V>(c.Du + at, lanes), dy = Load<V>(c.Dy + at, lanes);
                dot = Fma(x, du, dot);
                if (dx.IsWanted) dx.Store(Fma(step, du, Load<V>(c.Skip + p, lanes) * dy), dx.Pointer + offset + p, lanes);
                if (!dz.IsWanted) continue;
                V z = Load<V>(Inputs.Z + offset + p, lanes), y = Load<V>(c.Y + at, lanes);
                dz.Store(Load<V>(Dy + offset + p, lanes) * y * Silu.Derivative(z), dz.Pointer + offset + p, lanes);
            }
            after += c.AfterStart[t];
            before = t == 0 ? 0 : before - c.BeforeEnd[t];
            double decay = c.Between[t] + after + before + ofState;
            ofRate += dt * decay;
            c.Dt[t] = (float)(c.Rate * decay + Sum(dot));
        }
        *c.Da = c.IsLast ? (float)ofRate : (float)(*c.Da + ofRate);
    }
}

/// <summary>
/// A chunk of one head in the backward pass. Value arrays are (Count, P) and pair arrays (Count, RowStride), rows s with lanes t.
/// </summary>
internal unsafe struct BackwardChunk
{
    public nint Count, Offset;

    /// <summary>The offset of the next array.</summary>
    public nint Next;

    public bool IsFirstHead, IsLast;
    public float Rate;
    public StepRows Steps;

    /// <summary>Inputs and gradients of this chunk and head.</summary>
    public float* B, C, Db, Dc, Dt, Da, Dd, State, Carry, SharedPairs;

    /// <summary>Scratch: values, pairs, (Count, N), one number per token, one number per channel.</summary>
    public float* U, Weighted, Dy, DyFromStart, Du, Y, Pairs, Cross, Products, FromStart, ToEnd, Indices, PairSums, BeforeEnd, AfterStart;

    /// <inheritdoc cref="U"/>
    public float* Between, Skip, SkipSums, Panel;

    public static BackwardChunk In(in DualityShape s, float* values, float* pairs, float* rows)
    {
        nint size = s.ChunkLength * s.HeadWidth, stride = s.RowStride;
        return new()
        {
            U = values,
            Weighted = values + size,
            Dy = values + 2 * size,
            DyFromStart = values + 3 * size,
            Du = values + 4 * size,
            Y = values + 5 * size,
            Pairs = pairs,
            Cross = pairs + s.ChunkLength * stride,
            FromStart = rows,
            ToEnd = rows + stride,
            Indices = rows + 2 * stride,
            PairSums = rows + 3 * stride,
            BeforeEnd = rows + 4 * stride,
            AfterStart = rows + 4 * stride + s.ChunkLength,
            Between = rows + 4 * stride + 2 * s.ChunkLength,
            Skip = rows + 4 * stride + 3 * s.ChunkLength,
            SkipSums = rows + 4 * stride + 3 * s.ChunkLength + s.HeadWidth,
        };
    }
}
