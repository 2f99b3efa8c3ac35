using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Mamba3;

/// <summary>
/// The scan of Mamba-3 (Lahoti et al. 2026), one input and one output per head. One item is some heads of a group over one sequence, chunk
/// by chunk: <see cref="Mamba3Chunk"/> rotates keys and queries, <see cref="RankOneWalk"/> advances the state.
/// </summary>
internal unsafe struct Mamba3Forward : IKernel
{
    // Prefetch distance of values, in tokens; a token of a head is a few cache lines.
    private const nint PrefetchedTokens = 8;

    public Mamba3Shape Shape;
    public Mamba3Pointers Inputs;

    /// <summary>(B, L, H, P); Ungated receives y before the gate, or is null.</summary>
    public float* Y, Ungated;

    /// <summary>The state after the last token, in the layout of the initial one in <see cref="Mamba3Pointers"/>.</summary>
    public float* Angles, AngleRests, Ssm, Key, Value;

    /// <summary>(B, H, Chunks, KeptSize): receives the state before each chunk, or null.</summary>
    public float* Kept;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        Mamba3Shape s = Shape;
        nint length = s.ChunkLength, values = length * s.ValueStride;
        using Scratch heads = new(s.HeadsPerItem * Arena.Rounded(HeadState.Size(s)));
        using Scratch arrays = new(Mamba3Chunk.Size(s) + 2 * Arena.Rounded(values));
        Arena arena = new(arrays.Pointer);
        Mamba3Chunk chunk = new() { Shape = s, Inputs = Inputs };
        chunk.Allocate(ref arena);
        float* x = arena.Take(values), y = arena.Take(values);
        Mamba3Chunk.Clear(x, values);
        for (nint index = begin; index < end; index++)
        {
            Mamba3Item item = s.Item(index);
            for (nint head = item.FirstHead; head < item.EndHead; head++) State(heads, item, head).Start(s, Inputs, item.Batch, head);
            chunk.Batch = item.Batch;
            for (chunk.First = 0; chunk.First < s.Length; chunk.First += length)
            {
                chunk.Count = Math.Min(length, s.Length - chunk.First);
                chunk.LoadGroup(item.Group);
                for (nint head = item.FirstHead; head < item.EndHead; head++)
                    Scan<V>(chunk, head, State(heads, item, head), x, y);
            }
            for (nint head = item.FirstHead; head < item.EndHead; head++)
                Finish(item.Batch, head, State(heads, item, head));
        }
    }

    private readonly HeadState State(in Scratch heads, in Mamba3Item item, nint head) =>
        new(Shape, heads.Pointer + (head - item.FirstHead) * Arena.Rounded(HeadState.Size(Shape)));

    /// <summary>Runs one head through a chunk.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void Scan<V>(in Mamba3Chunk chunk, nint head, in HeadState state, float* x, float* y) where V : unmanaged
    {
        Mamba3Shape s = Shape;
        chunk.Weigh<V>(head);
        if (chunk.First == 0 && Inputs.KeyStart != null) AddPrevious<V>(chunk, head, state);
        if (Kept != null)
            Mamba3Chunk.Copy(state.Ssm, Kept + ((chunk.Batch * s.Heads + head) * s.Chunks + chunk.First / s.ChunkLength) * s.KeptSize,
                s.KeptSize);
        chunk.AddAngles<V>(head, state.Turns, state.Rests);
        chunk.Turn<V>(state.QBias, state.KBias);
        float last = chunk.DecayForwards();
        Prepare<V>(chunk, head, x);
        RankOneWalk walk = new()
        {
            Count = chunk.Count,
            Rows = s.StateRows,
            Columns = s.StateColumns,
            State = state.Ssm,
            Decays = chunk.Decays,
            Step = 1,
            Outputs = chunk.Q,
            Updates = chunk.K,
            RowStride = s.KeyStride,
            Inputs = x,
            Results = y,
            ColumnStride = s.ValueStride,
        };
        walk.Run<V>();
        if (last != 1f)
            for (nint i = 0; i < s.StateSize; i += Count<V>()) Store(Load<V>(state.Ssm + i) * Broadcast<V>(last), state.Ssm + i);
        Write<V>(chunk, head, y);
        if (chunk.First + chunk.Count < s.Length) return;
        nint place = chunk.Batch * s.Heads + head;
        ComponentOrder.Join(s, chunk.K + (chunk.Count - 1) * s.KeyStride, Key + place * s.States);
        Mamba3Chunk.Copy(
            Inputs.V + (chunk.Token(chunk.Count - 1) * s.Heads + head) * s.Values, Value + place * s.Values, s.Values);
    }

    /// <summary>S' = S + (1 - lambda) dt v k^T with the value and key before the first token.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void AddPrevious<V>(in Mamba3Chunk chunk, nint head, in HeadState state) where V : unmanaged
    {
        Mamba3Shape s = Shape;
        nint place = chunk.Batch * s.Heads + head, columns = s.StateColumns;
        float* key = Inputs.KeyStart + place * s.States, value = Inputs.ValueStart + place * s.Values, row = state.Ssm;
        float weight = chunk.WeightOfPrevious;
        for (nint i = 0; i < s.States; i++, row += columns)
        {
            V factor = Broadcast<V>(weight * key[s.Component(i)]);
            for (nint p = 0; p < columns; p += Count<V>())
                Store(Fma(factor, Load<V>(value + p, Math.Min(Count<V>(), s.Values - p)), Load<V>(row + p)), row + p);
        }
    }

    /// <summary>x = v times its weight. Tokens are one row of all heads apart: more streams than a hardware prefetcher follows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Prepare<V>(in Mamba3Chunk chunk, nint head, float* x) where V : unmanaged
    {
        nint n = Count<V>(), stride = Shape.ValueStride, values = Shape.Values, count = chunk.Count, step = Shape.Heads * values;
        nint offset = (chunk.Token(0) * Shape.Heads + head) * values;
        float* v = Inputs.V + offset, z = Inputs.Z, result = Y, weights = chunk.Weights;
        for (nint i = 0; i < count; i++, offset += step, v += step, x += stride)
        {
            Prefetch(v + PrefetchedTokens * step, values);
            Prefetch(result + offset, values);
            if (z != null) Prefetch(z + offset, values);
            V weight = Broadcast<V>(weights[i]);
            for (nint p = 0; p < values; p += n) Store(weight * Load<V>(v + p, Math.Min(n, values - p)), x + p);
        }
    }

    /// <summary>y = (S q + (lambda dt q . k + D) v) silu(z).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Write<V>(in Mamba3Chunk chunk, nint head, float* y) where V : unmanaged
    {
        nint n = Count<V>(), values = Shape.Values, stride = Shape.ValueStride, count = chunk.Count, step = Shape.Heads * values;
        nint offset = (chunk.Token(0) * Shape.Heads + head) * values;
        float* v = Inputs.V, z = Inputs.Z, result = Y, ungated = Ungated, scales = chunk.Scales, gamma = chunk.Gamma, dots = chunk.Dots;
        float skip = Inputs.D == null ? 0f : Inputs.D[head];
        for (nint i = 0; i < count; i++, offset += step, y += stride)
        {
            V scale = Broadcast<V>(scales[i]), own = Broadcast<V>(gamma[i] * dots[i] + skip);
            for (nint p = 0; p < values; p += n)
            {
                nint lanes = Math.Min(n, values - p), at = offset + p;
                V sum = Fma(scale, Load<V>(y + p), own * Load<V>(v + at, lanes));
                if (ungated != null) Store(sum, ungated + at, lanes);
                if (z != null) sum *= Silu.Apply(Load<V>(z + at, lanes));
                Store(sum, result + at, lanes);
            }
        }
    }

    private readonly void Finish(nint batch, nint head, in HeadState state)
    {
        nint place = batch * Shape.Heads + head;
        state.Write(Shape, Ssm + place * Shape.States * Shape.Values);
        Mamba3Chunk.ToAngles(state.Turns, state.Rests, Shape.Turned, Angles + place * Shape.Turned, AngleRests + place * Shape.Turned);
    }
}

/// <summary>The state of a walk for one head: S, the angles and the biases in the kernels' order.</summary>
internal readonly unsafe struct HeadState
{
    /// <summary>(StateRows, StateColumns), then (AngleStride) twice, as kept.</summary>
    public readonly float* Ssm, Turns, Rests;

    /// <summary>(KeyStride).</summary>
    public readonly float* QBias, KBias;

    public HeadState(in Mamba3Shape s, float* place)
    {
        Ssm = place;
        Turns = Ssm + s.StateSize;
        Rests = Turns + s.AngleStride;
        QBias = Rests + s.AngleStride;
        KBias = QBias + s.KeyStride;
    }

    public static nint Size(in Mamba3Shape s) => s.KeptSize + 2 * s.KeyStride;

    /// <summary>The state before the first token.</summary>
    public void Start(in Mamba3Shape s, in Mamba3Pointers inputs, nint batch, nint head)
    {
        nint place = batch * s.Heads + head;
        Mamba3Chunk.Clear(Ssm, Size(s));
        LoadBiases(s, inputs, head);
        if (inputs.SsmStart == null) return;
        Read(s, inputs.SsmStart + place * s.States * s.Values);
        nint angles = place * s.Turned;
        Mamba3Chunk.ToTurns(
            inputs.AngleStart + angles, inputs.AngleRest == null ? null : inputs.AngleRest + angles, s.Turned, Turns, Rests);
    }

    public void LoadBiases(in Mamba3Shape s, in Mamba3Pointers inputs, nint head)
    {
        ComponentOrder.Separate(s, inputs.QBias + head * s.States, QBias);
        ComponentOrder.Separate(s, inputs.KBias + head * s.States, KBias);
    }

    /// <summary>Reads S from (N, P).</summary>
    public void Read(in Mamba3Shape s, float* from)
    {
        for (nint i = 0; i < s.States; i++) Mamba3Chunk.Copy(from + s.Component(i) * s.Values, Ssm + i * s.StateColumns, s.Values);
    }

    /// <summary>Writes S as (N, P).</summary>
    public void Write(in Mamba3Shape s, float* to)
    {
        for (nint i = 0; i < s.States; i++) Mamba3Chunk.Copy(Ssm + i * s.StateColumns, to + s.Component(i) * s.Values, s.Values);
    }
}
