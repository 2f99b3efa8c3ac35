using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;
using static Mamba.Core.Simd.VecMath;

namespace Mamba.Core.Kernels.Mamba3;

/// <summary>The outputs of the backward pass of a Mamba-3 scan. A null gradient is not computed.</summary>
internal unsafe struct Mamba3Gradients
{
    /// <summary>In the layouts of the inputs; Angles only where each head has its own.</summary>
    public GradientTarget V, Z, Adt, Dt, Trap, Angles;

    /// <summary>(ItemsPerGroup, B, L, G, N): sums over the heads of an item.</summary>
    public float* Q, K;

    /// <summary>(ItemsPerSequence, B, L, S): sums for angles shared by all heads; otherwise null.</summary>
    public float* SharedAngles;

    /// <summary>(B, H, N), (B, H, N), (B, H): sums over the tokens; never null.</summary>
    public float* QBias, KBias, D;

    /// <summary>The gradient of the state before the first token; null where none was given.</summary>
    public float* AngleStart, SsmStart, KeyStart, ValueStart;
}

/// <summary>
/// One item, as in the forward pass, from the last chunk to the first. With g = dL/dy before the gate and G_t = dL/dS'_t, G_(t-1) = alpha_t
/// (G_t + g_t q_t^T): dq_t = alpha_t S'_(t-1)^T g_t, dv_t = Gamma_t G_t k_t, dk_t = Gamma_t G_t^T v_t, each plus its share of lambda_t dt_t
/// (q_t . k_t) v_t. This takes three walks: one forwards over S'^T for dq, two backwards over G and G^T for dv and dk. The gradient of A dt
/// is h_(t-1) = &lt;S'_(t-1), G_(t-1)&gt;: computed at the start of a chunk, then by h_t = h_(t-1) + Gamma_t v_t . G_t k_t - g_t . alpha_t
/// S'_(t-1) q_t.
/// </summary>
internal unsafe partial struct Mamba3Backward : IKernel
{
    private const nint PrefetchedTokens = 8;

    public Mamba3Shape Shape;
    public Mamba3Pointers Inputs;
    public Mamba3Gradients Gradients;

    /// <summary>(B, L, H, P): y before the gate where there is one; the gradient of y.</summary>
    public float* Ungated, Dy;

    /// <summary>The gradients of the state after the last token, each zero if null.</summary>
    public float* Angles, Ssm, Key, Value;

    /// <summary>(B, H, Chunks, KeptSize).</summary>
    public float* Kept;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        Mamba3Shape s = Shape;
        nint length = s.ChunkLength;
        using Scratch heads = new(s.HeadsPerItem * Arena.Rounded(HeadGradient.Size(s)));
        using Scratch arrays = new(Mamba3Chunk.Size(s) + Work.Size(s));
        Arena arena = new(arrays.Pointer);
        Mamba3Chunk chunk = new() { Shape = s, Inputs = Inputs };
        chunk.Allocate(ref arena);
        Work work = new(s, ref arena);
        for (nint index = begin; index < end; index++)
        {
            Mamba3Item item = s.Item(index);
            for (nint head = item.FirstHead; head < item.EndHead; head++) Start(item.Batch, head, Of(heads, item, head));
            chunk.Batch = item.Batch;
            for (chunk.First = (s.Chunks - 1) * length; chunk.First >= 0; chunk.First -= length)
            {
                chunk.Count = Math.Min(length, s.Length - chunk.First);
                chunk.LoadGroup(item.Group);
                work.ClearSums(s);
                for (nint head = item.FirstHead; head < item.EndHead; head++) Head<V>(chunk, head, Of(heads, item, head), work);
                WriteSums(chunk, item, work);
            }
            for (nint head = item.FirstHead; head < item.EndHead; head++) Finish(item.Batch, head, Of(heads, item, head));
        }
    }

    private readonly HeadGradient Of(in Scratch heads, in Mamba3Item item, nint head) =>
        new(Shape, heads.Pointer + (head - item.FirstHead) * Arena.Rounded(HeadGradient.Size(Shape)));

    /// <summary>Starts from the gradient of the state after the last token.</summary>
    private readonly void Start(nint batch, nint head, in HeadGradient g)
    {
        Mamba3Shape s = Shape;
        nint place = batch * s.Heads + head;
        Mamba3Chunk.Clear(g.Head.Ssm, HeadGradient.Size(s));
        g.Head.LoadBiases(s, Inputs, head);
        if (Ssm != null) g.Head.Read(s, Ssm + place * s.States * s.Values);
        Transpose.Run(g.Head.Ssm, s.StateColumns, s.States, s.Values, g.Transposed, s.KeyColumns);
        if (Angles != null) Mamba3Chunk.Copy(Angles + place * s.Turned, g.Head.Turns, s.Turned);
    }

    /// <summary>Runs one head backwards through a chunk.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void Head<V>(in Mamba3Chunk chunk, nint head, in HeadGradient g, in Work w) where V : unmanaged
    {
        Mamba3Shape s = Shape;
        float* kept = Kept + ((chunk.Batch * s.Heads + head) * s.Chunks + chunk.First / s.ChunkLength) * s.KeptSize;
        Mamba3Chunk.Copy(kept + s.StateSize, w.Turns, 2 * s.AngleStride);
        chunk.Weigh<V>(head);
        chunk.AddAngles<V>(head, w.Turns, w.Turns + s.AngleStride);
        chunk.Turn<V>(g.Head.QBias, g.Head.KBias);
        Ungate<V>(chunk, head, w);

        chunk.DecayForwards();
        Weight<V>(chunk, w.V, w);
        Transpose.Run(kept, s.StateColumns, s.States, s.Values, w.State, s.KeyColumns);
        Walk<V>(chunk, w.State, w.Dy, w.Weighted, chunk.K, w.Dq, transposed: true, backwards: false);
        ScaleRows<V>(chunk, w.Dq, s.KeyStride, s.KeyColumns);

        float last = chunk.DecayBackwards();
        Weight<V>(chunk, w.Dy, w);
        Walk<V>(chunk, g.Head.Ssm, chunk.K, chunk.Q, w.Weighted, w.Dv, transposed: false, backwards: true);
        Walk<V>(chunk, g.Transposed, w.V, w.Weighted, chunk.Q, w.Dk, transposed: true, backwards: true);
        ScaleRows<V>(chunk, w.Dv, s.ValueStride, s.StateColumns);
        ScaleRows<V>(chunk, w.Dk, s.KeyStride, s.KeyColumns);
        Multiply<V>(g.Head.Ssm, s.StateSize, last);
        Multiply<V>(g.Transposed, s.TransposedSize, last);

        Decays<V>(chunk, head, g, kept, w);
        Values<V>(chunk, head, g, w);
        Keys<V>(chunk, head, g, w);
        Turns<V>(chunk, head, g, w);
        Steps(chunk, head, g, w);
        if (chunk.First == 0 && Gradients.SsmStart != null) StartOfSequence(chunk, head, g);
    }

    /// <summary>v in zero-padded rows; dy back through the gate. Prefetches as the forward pass does.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Ungate<V>(in Mamba3Chunk chunk, nint head, in Work w) where V : unmanaged
    {
        nint n = Count<V>(), values = Shape.Values, stride = Shape.ValueStride, step = Shape.Heads * values, row = 0;
        nint offset = (chunk.Token(0) * Shape.Heads + head) * values, ahead = PrefetchedTokens * step, count = chunk.Count;
        float* allV = Inputs.V, allZ = Inputs.Z, allDy = Dy, ungated = Ungated, toV = w.V, toDy = w.Dy, toDz = w.Dz, dots = w.DyV;
        V one = Broadcast<V>(1f);
        for (nint i = 0; i < count; i++, offset += step, row += stride)
        {
            Prefetch(allV + offset + ahead, values);
            Prefetch(allDy + offset + ahead, values);
            if (allZ != null) Prefetch(allZ + offset + ahead, values);
            if (allZ != null) Prefetch(ungated + offset + ahead, values);
            V dot = default;
            for (nint p = 0; p < values; p += n)
            {
                nint lanes = Math.Min(n, values - p), at = offset + p;
                V v = Load<V>(allV + at, lanes), dy = Load<V>(allDy + at, lanes);
                if (allZ != null)
                {
                    V z = Load<V>(allZ + at, lanes), gate = Sigmoid(z);
                    V slope = gate * Fma(z, one - gate, one);
                    Store(dy * Load<V>(ungated + at, lanes) * slope, toDz + row + p);
                    dy *= z * gate;
                }
                dot = Fma(dy, v, dot);
                Store(v, toV + row + p);
                Store(dy, toDy + row + p);
            }
            dots[i] = Sum(dot);
            if (Gradients.V.IsWanted) Prefetch(Gradients.V.Pointer + offset, values);
            if (Gradients.Z.IsWanted) Prefetch(Gradients.Z.Pointer + offset, values);
        }
    }

    /// <summary>Rows (tokens, P) times the weights of their tokens.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Weight<V>(in Mamba3Chunk chunk, float* rows, in Work w) where V : unmanaged
    {
        nint stride = Shape.ValueStride, count = chunk.Count, columns = Shape.StateColumns;
        float* to = w.Weighted, weights = chunk.Weights;
        for (nint i = 0; i < count; i++, rows += stride, to += stride)
        {
            V weight = Broadcast<V>(weights[i]);
            for (nint p = 0; p < columns; p += Count<V>()) Store(weight * Load<V>(rows + p), to + p);
        }
    }

    /// <summary>A walk over a state (N, P), or over a transposed one (P, N).</summary>
    private readonly void Walk<V>(
        in Mamba3Chunk chunk, float* state, float* outputs, float* updates, float* inputs, float* results, bool transposed, bool backwards)
        where V : unmanaged
    {
        RankOneWalk walk = new()
        {
            Count = chunk.Count,
            Rows = transposed ? Shape.ValueRows : Shape.StateRows,
            Columns = transposed ? Shape.KeyColumns : Shape.StateColumns,
            State = state,
            Decays = chunk.Decays,
            Step = 1,
            Outputs = outputs,
            Updates = updates,
            RowStride = transposed ? Shape.ValueStride : Shape.KeyStride,
            Inputs = inputs,
            Results = results,
            ColumnStride = transposed ? Shape.KeyStride : Shape.ValueStride,
        };
        (backwards ? walk.Backwards() : walk).Run<V>();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScaleRows<V>(in Mamba3Chunk chunk, float* rows, nint stride, nint columns) where V : unmanaged
    {
        for (nint i = 0; i < chunk.Count; i++) Multiply<V>(rows + i * stride, columns, chunk.Scales[i]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Multiply<V>(float* p, nint count, float factor) where V : unmanaged
    {
        if (factor == 1f) return;
        V all = Broadcast<V>(factor);
        for (nint i = 0; i < count; i += Count<V>()) Store(Load<V>(p + i) * all, p + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Dot<V>(float* a, float* b, nint count) where V : unmanaged
    {
        V even = default, odd = default;
        nint n = Count<V>(), i = 0;
        for (; i + 2 * n <= count; i += 2 * n)
        {
            even = Fma(Load<V>(a + i), Load<V>(b + i), even);
            odd = Fma(Load<V>(a + i + n), Load<V>(b + i + n), odd);
        }
        if (i < count) even = Fma(Load<V>(a + i), Load<V>(b + i), even);
        return Sum(even + odd);
    }

    /// <summary>The gradients of the state before the first token, and of the weight of its value and key.</summary>
    private readonly void StartOfSequence(in Mamba3Chunk chunk, nint head, in HeadGradient g)
    {
        Mamba3Shape s = Shape;
        nint place = chunk.Batch * s.Heads + head;
        float* key = Inputs.KeyStart + place * s.States, value = Inputs.ValueStart + place * s.Values;
        float* dKey = Gradients.KeyStart + place * s.States, dValue = Gradients.ValueStart + place * s.Values;
        float weight = chunk.WeightOfPrevious, ofWeight = 0f;
        g.Head.Write(s, Gradients.SsmStart + place * s.States * s.Values);
        Mamba3Chunk.Clear(dValue, s.Values);
        for (nint i = 0; i < s.States; i++)
        {
            float* row = g.Head.Ssm + i * s.StateColumns;
            float k = key[s.Component(i)], sum = 0f;
            for (nint p = 0; p < s.Values; p++)
            {
                sum += row[p] * value[p];
                dValue[p] += weight * k * row[p];
            }
            dKey[s.Component(i)] = weight * sum;
            ofWeight += k * sum;
        }
        AddToStep(chunk, 0, head, ofWeight);
    }

    /// <summary>Writes the sums for the biases, and the gradient of the first angles.</summary>
    private readonly void Finish(nint batch, nint head, in HeadGradient g)
    {
        Mamba3Shape s = Shape;
        nint place = batch * s.Heads + head;
        ComponentOrder.Join(s, g.QBias, Gradients.QBias + place * s.States);
        ComponentOrder.Join(s, g.KBias, Gradients.KBias + place * s.States);
        Gradients.D[place] = *g.D;
        if (Gradients.AngleStart == null) return;
        for (nint j = 0; j < s.Turned; j++) Gradients.AngleStart[place * s.Turned + j] = g.Head.Turns[j] + g.Head.Rests[j];
    }

    /// <summary>Writes the sums over the heads of an item.</summary>
    private readonly void WriteSums(in Mamba3Chunk chunk, in Mamba3Item item, in Work w)
    {
        Mamba3Shape s = Shape;
        nint tokens = s.Batch * s.Length;
        for (nint i = 0; i < chunk.Count; i++)
        {
            nint row = ((item.Part * tokens + chunk.Token(i)) * s.Groups + item.Group) * s.States;
            if (Gradients.Q != null) ComponentOrder.Join(s, w.SumQ + i * s.KeyStride, Gradients.Q + row);
            if (Gradients.K != null) ComponentOrder.Join(s, w.SumK + i * s.KeyStride, Gradients.K + row);
            if (Gradients.SharedAngles != null)
                Mamba3Chunk.Copy(w.SumAngles + i * s.AngleStride,
                    Gradients.SharedAngles + ((item.Group * s.ItemsPerGroup + item.Part) * tokens + chunk.Token(i)) * s.Turned, s.Turned);
        }
    }
}
