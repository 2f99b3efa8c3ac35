using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;
using static Mamba.Core.Simd.VecMath;

namespace Mamba.Core.Kernels.Scan;

/// <summary>
/// The selective scan of Mamba (Gu and Dao 2023): h_t = e^(dt_t A) h_(t-1) + dt_t u_t B_t, y_t = (C_t h_t + D u_t) silu(z_t), with dt =
/// softplus(delta + bias). Lanes are channels, and the N states of a channel block stay in L1. States are (Blocks, N, Lanes) in memory,
/// padded. <see cref="PackStates"/> and <see cref="UnpackStates"/> convert from and to (D, N).
/// </summary>
/// <remarks>
/// The chunked schedule cuts the sequence into segments. The recurrence is linear in h, so a segment maps h_in to h_out = e^(A sum dt) h_in
/// + h_local, where h_local is the result from a zero state. A first pass computes all h_local in parallel, and a short loop over segments
/// propagates the states. The main pass then scans all segments in parallel. The adjoint state of the backward pass is propagated in the
/// same way.
/// </remarks>
internal static unsafe class SelectiveScan
{
    /// <summary>Runs the scan.</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="inputs">The inputs.</param>
    /// <param name="starts">(B, Segments, state): the initial state in segment 0; receives the states before the other segments.</param>
    /// <param name="y">(B, L, D).</param>
    /// <param name="last">(B, state): receives the last state.</param>
    /// <param name="kept">(B, Chunks, state): receives the state before each chunk, or null.</param>
    public static void Forward(in ScanShape s, in ScanInputs inputs, float* starts, float* y, float* last, float* kept)
    {
        if (s.Segments > 1)
        {
            using Scratch decays = new(s.Batch * s.Segments * s.Blocks * s.StateSize);
            // h_local of segment i is stored as the start of segment i + 1.
            Launch.Run(
                new ScanCarry { Shape = s, Inputs = inputs, Carries = starts, Decays = decays.Pointer },
                s.Batch * (s.Segments - 1) * s.Blocks, 1, s.Width);
            for (nint b = 0; b < s.Batch; b++)
                for (nint segment = 1; segment < s.Segments; segment++)
                    MultiplyAdd(s, decays.Pointer + s.StateOffset(b * s.Segments + segment - 1, 0),
                        starts + s.StateOffset(b * s.Segments + segment - 1, 0), starts + s.StateOffset(b * s.Segments + segment, 0));
        }
        Launch.Run(
            new ScanForward { Shape = s, Inputs = inputs, Starts = starts, Y = y, Last = last, Kept = kept }, s.Items, s.Grain, s.Width);
    }

    /// <summary>
    /// Runs the backward pass. Gradients summed over batch or time are written as partial sums, see <see cref="ScanGradients"/>.
    /// </summary>
    /// <param name="s">Sizes.</param>
    /// <param name="inputs">The inputs of the forward pass.</param>
    /// <param name="kept">(B, Chunks, state): the state before each chunk.</param>
    /// <param name="dy">(B, L, D).</param>
    /// <param name="carries">
    /// (B, Segments, state): the gradient of the last state in the last segment. Entry i receives the gradient of the state before segment
    /// i + 1; finally, entry 0 of each sequence holds the gradient of the initial state.
    /// </param>
    /// <param name="gradients">The outputs.</param>
    public static void Backward(in ScanShape s, in ScanInputs inputs, float* kept, float* dy, float* carries, in ScanGradients gradients)
    {
        if (s.Segments > 1)
        {
            using Scratch decays = new(s.Batch * s.Segments * s.Blocks * s.StateSize);
            Launch.Run(
                new ScanCarry { Shape = s, Inputs = inputs, Dy = dy, Carries = carries, Decays = decays.Pointer },
                s.Batch * (s.Segments - 1) * s.Blocks, 1, s.Width);
            for (nint b = 0; b < s.Batch; b++)
                for (nint segment = s.Segments - 1; segment > 0; segment--)
                    MultiplyAdd(s, decays.Pointer + s.StateOffset(b * s.Segments + segment, 0),
                        carries + s.StateOffset(b * s.Segments + segment, 0), carries + s.StateOffset(b * s.Segments + segment - 1, 0));
        }
        Launch.Run(
            new ScanBackward { Shape = s, Inputs = inputs, Kept = kept, Dy = dy, Carries = carries, Gradients = gradients },
            s.Items, 1, s.Width);
    }

    /// <summary>
    /// (items, D, N) to (items, Blocks, N, Lanes) times a factor. Lanes beyond the channels and rows beyond the states are zero.
    /// </summary>
    public static void PackStates(in ScanShape s, float* states, nint items, float factor, float* packed)
    {
        nint size = s.StateSize, blocks = s.Blocks, vector = s.Lanes;
        Span<float> all = new(packed, checked((int)(items * blocks * size)));
        if (s.BlocksPerGroup * vector > s.GroupChannels || s.FullStates > s.States) all.Clear();
        for (nint block = 0; block < items * blocks; block++)
        {
            nint channel = s.ChannelOf(block % blocks, out nint lanes) + block / blocks * s.Channels;
            Transpose.Run(states + channel * s.States, s.States, lanes, s.States, packed + block * size, vector);
        }
        if (factor != 1f) TensorPrimitives.Multiply(all, factor, all);
    }

    public static void UnpackStates(in ScanShape s, float* packed, nint itemStep, nint items, GradientTarget states)
    {
        nint blocks = s.Blocks, size = s.StateSize, vector = s.Lanes;
        for (nint item = 0; item < items; item++)
            for (nint block = 0; block < blocks; block++)
            {
                nint channel = s.ChannelOf(block, out nint lanes) + item * s.Channels;
                float* from = packed + item * itemStep + block * size, to = states.Pointer + channel * s.States;
                Transpose.Run(from, vector, s.States, lanes, to, states.Accumulate);
            }
    }

    /// <summary>
    /// B or C of a group from a token on, with a row stride between tokens in scan order. If N is a multiple of four it is read in place;
    /// otherwise it is copied to (count, FullStates), zero-padded.
    /// </summary>
    public static float* PaddedFactors(in ScanShape s, float* all, nint token, nint group, nint count, float* room, out nint row)
    {
        nint states = s.States, full = s.FullStates, step = s.Step * s.Groups * states;
        float* from = all + (token * s.Groups + group) * states;
        row = states == full ? step : full;
        if (states == full) return from;
        for (nint i = 0; i < count; i++)
            for (nint k = 0; k < full; k++) room[i * full + k] = k < states ? from[i * step + k] : 0f;
        return room;
    }

    /// <summary>
    /// Advances four states through all tokens of a chunk, in registers, and adds their part of C h to y. With 32 registers the
    /// exponentials are in the same loop, where they fill the latency of the recurrence. With 16 registers they are computed first and
    /// stored.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scan<V>(in ScanChunk chunk) where V : unmanaged
    {
        if (!Isa.HasManyRegisters) Decays<V>(chunk);
        nint n = Count<V>(), row = chunk.RowStride;
        float* dt = chunk.Dt, dtu = chunk.DtU, y = chunk.Y, a = chunk.A, b = chunk.B, c = chunk.C, decays = chunk.Decays, kept = chunk.Kept;
        V h0 = Load<V>(chunk.State), h1 = Load<V>(chunk.State + n), h2 = Load<V>(chunk.State + 2 * n), h3 = Load<V>(chunk.State + 3 * n);
        for (nint i = chunk.Count; i > 0; i--, dt += n, dtu += n, y += n, b += row, c += row)
        {
            V e0, e1, e2, e3;
            if (Isa.HasManyRegisters)
            {
                V d = Load<V>(dt);
                e0 = d * Load<V>(a);
                e1 = d * Load<V>(a + n);
                e2 = d * Load<V>(a + 2 * n);
                e3 = d * Load<V>(a + 3 * n);
                Exp2(ref e0, ref e1, ref e2, ref e3);
            }
            else
            {
                e0 = Load<V>(decays);
                e1 = Load<V>(decays + n);
                e2 = Load<V>(decays + 2 * n);
                e3 = Load<V>(decays + 3 * n);
                decays += 4 * n;
            }
            if (kept != null)
            {
                if (Isa.HasManyRegisters)
                {
                    Store4(e0, e1, e2, e3, decays);
                    decays += 4 * n;
                }
                Store4(h0, h1, h2, h3, kept);
                kept += 4 * n;
            }
            V x = Load<V>(dtu);
            FourFactors<V> bt = new(b), ct = new(c);
            h0 = Fma(e0, h0, bt.Multiply(x, 0));
            h1 = Fma(e1, h1, bt.Multiply(x, 1));
            h2 = Fma(e2, h2, bt.Multiply(x, 2));
            h3 = Fma(e3, h3, bt.Multiply(x, 3));
            V even = ct.Fma(h0, 0, Load<V>(y)), odd = ct.Multiply(h1, 1);
            Store(ct.Fma(h2, 2, even) + ct.Fma(h3, 3, odd), y);
        }
        Store4(h0, h1, h2, h3, kept != null ? kept : chunk.State);
    }

    /// <summary>e^(dt A) of four states for each token of a chunk.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Decays<V>(in ScanChunk chunk) where V : unmanaged
    {
        nint n = Count<V>();
        float* dt = chunk.Dt, a = chunk.A, decays = chunk.Decays;
        for (nint i = chunk.Count; i > 0; i--, dt += n, decays += 4 * n)
        {
            V d = Load<V>(dt), e0 = d * Load<V>(a), e1 = d * Load<V>(a + n), e2 = d * Load<V>(a + 2 * n), e3 = d * Load<V>(a + 3 * n);
            Exp2(ref e0, ref e1, ref e2, ref e3);
            Store4(e0, e1, e2, e3, decays);
        }
    }

    /// <summary>Stores four vectors contiguously.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store4<V>(V a, V b, V c, V d, float* to) where V : unmanaged
    {
        nint n = Count<V>();
        Store(a, to);
        Store(b, to + n);
        Store(c, to + 2 * n);
        Store(d, to + 3 * n);
    }

    /// <summary>Adds decay * from to the states of all blocks.</summary>
    private static void MultiplyAdd(in ScanShape s, float* decay, float* from, float* to)
    {
        for (nint i = 0; i < s.Blocks * s.StateSize; i++) to[i] += decay[i] * from[i];
    }
}

/// <summary>A (D, N) as <see cref="ScanInputs.A"/>.</summary>
internal readonly record struct StateMatrixPacking(nint Channels, nint States, nint Groups, VectorWidth Width) : IWeightPacking
{
    public nint Size => Shape.Blocks * Shape.StateSize;

    private ScanShape Shape => new(1, 1, Channels, States, Groups, 1, Width, Reverse: false);

    public unsafe void Pack(float* weight, float* packed) => SelectiveScan.PackStates(Shape, weight, 1, Log2E, packed);
}

/// <summary>Four states of a block of channels over a chunk. Token arrays are (Count, Lanes); B and C have a row stride.</summary>
internal unsafe struct ScanChunk
{
    public nint Count, RowStride;
    public float* Dt, DtU, Y, A, B, C;

    /// <summary>(4, Lanes): the state before the chunk; receives the state after it, unless <see cref="Kept"/> is given.</summary>
    public float* State;

    /// <summary>(Count, 4, Lanes): scratch for the decays e^(dt A); stored if Kept is given.</summary>
    public float* Decays;

    /// <summary>(Count + 1, 4, Lanes): receives the state before each token and after the last, or null.</summary>
    public float* Kept;
}

/// <summary>One item: some blocks of channels over one segment of one sequence, chunk by chunk.</summary>
internal unsafe struct ScanForward : IKernel
{
    public ScanShape Shape;
    public ScanInputs Inputs;
    public float* Starts, Y, Last, Kept;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ScanShape s = Shape;
        nint n = Count<V>(), size = s.StateSize, full = s.FullStates, length = s.ChunkLength;
        using Scratch states = new(s.BlocksPerItem * size), tokens = new(3 * length * n), factors = new(2 * length * full);
        using Scratch decays = new(length * ScanShape.StatesAtOnce * n);
        float* dt = tokens.Pointer, dtu = dt + length * n, y = dtu + length * n;
        ScanChunk chunk = new() { Dt = dt, DtU = dtu, Y = y, Decays = decays.Pointer };
        for (nint index = begin; index < end; index++)
        {
            ScanItem item = s.Item(index);
            nint allStates = (item.EndBlock - item.FirstBlock) * size;
            Copy(Starts + s.StateOffset(item.Sequence, item.FirstBlock), states.Pointer, allStates);
            (nint first, nint stop) = s.Tokens(item.Segment);
            for (nint t = first; t < stop; t += length)
            {
                nint token = s.Token(item.Batch, t);
                chunk.Count = Math.Min(stop - t, length);
                if (Kept != null)
                    Copy(states.Pointer, Kept + s.StateOffset(item.Batch * s.Chunks + t / length, item.FirstBlock), allStates);
                float* b = SelectiveScan.PaddedFactors(s, Inputs.B, token, item.Group, chunk.Count, factors.Pointer, out chunk.RowStride);
                float* c = SelectiveScan.PaddedFactors(
                    s, Inputs.C, token, item.Group, chunk.Count, factors.Pointer + length * full, out chunk.RowStride);
                for (nint block = item.FirstBlock; block < item.EndBlock; block++)
                {
                    nint channel = s.ChannelOf(block, out nint lanes);
                    Prepare<V>(token, chunk.Count, channel, lanes, dt, dtu, y);
                    for (nint k = 0; k < full; k += ScanShape.StatesAtOnce)
                    {
                        chunk.A = Inputs.A + block * size + k * n;
                        chunk.State = states.Pointer + (block - item.FirstBlock) * size + k * n;
                        chunk.B = b + k;
                        chunk.C = c + k;
                        SelectiveScan.Scan<V>(chunk);
                    }
                    Gate<V>(token, chunk.Count, channel, lanes, y);
                }
            }
            if (item.Segment == s.Segments - 1) Copy(states.Pointer, Last + s.StateOffset(item.Batch, item.FirstBlock), allStates);
        }
    }

    internal static void Copy(float* from, float* to, nint count) =>
        new ReadOnlySpan<float>(from, (int)count).CopyTo(new Span<float>(to, (int)count));

    /// <summary>Computes the values of a token that all its states share: dt, dt u and D u. Chains of several tokens overlap.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void Prepare<V>(nint token, nint count, nint channel, nint lanes, float* dt, float* dtu, float* y) where V : unmanaged
    {
        // Two copies: the one for full vectors has no partial loads.
        if (lanes == Count<V>()) PrepareLanes<V>(token, count, channel, Count<V>(), dt, dtu, y);
        else PrepareLanes<V>(token, count, channel, lanes, dt, dtu, y);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void PrepareLanes<V>(nint token, nint count, nint channel, nint lanes, float* dt, float* dtu, float* y)
        where V : unmanaged
    {
        nint n = Count<V>(), step = Shape.Step * Shape.Channels, offset = token * Shape.Channels + channel;
        V skip = Inputs.D == null ? default : Load<V>(Inputs.D + channel, lanes);
        for (nint i = 0; i < count; i++, offset += step)
        {
            // Prefetch the next block's input and this block's gate. Tokens are a row apart: more streams than a hardware prefetcher
            // follows.
            Prefetch(Inputs.Delta + offset + n);
            Prefetch(Inputs.U + offset + n);
            if (Inputs.Z != null) Prefetch(Inputs.Z + offset);
            if (Inputs.Residual != null) Prefetch(Inputs.Residual + offset);
            Prefetch(Y + offset);
            V d = Inputs.StepSize<V>(offset, channel, lanes, out _), u = Load<V>(Inputs.U + offset, lanes);
            Store(d, dt + i * n);
            Store(d * u, dtu + i * n);
            Store(u * skip, y + i * n);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void Gate<V>(nint token, nint count, nint channel, nint lanes, float* y) where V : unmanaged
    {
        if (lanes == Count<V>()) GateLanes<V>(token, count, channel, Count<V>(), y);
        else GateLanes<V>(token, count, channel, lanes, y);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void GateLanes<V>(nint token, nint count, nint channel, nint lanes, float* y) where V : unmanaged
    {
        nint n = Count<V>(), step = Shape.Step * Shape.Channels, offset = token * Shape.Channels + channel;
        for (nint i = 0; i < count; i++, offset += step)
        {
            V v = Load<V>(y + i * n);
            if (Inputs.Z != null) v *= Silu.Apply(Load<V>(Inputs.Z + offset, lanes));
            if (Inputs.Residual != null) v += Load<V>(Inputs.Residual + offset, lanes);
            Store(v, Y + offset, lanes);
        }
    }
}

/// <summary>
/// The first pass of the chunked schedule. Forwards: the last state of each segment but the last, from a zero state, stored in the next
/// segment's entry. Backwards (with Dy): the adjoint state before each segment but the first, from a zero one, stored in the previous
/// segment's entry. Both store the decay e^(A sum dt) of each segment in its own entry.
/// </summary>
internal unsafe struct ScanCarry : IKernel
{
    public ScanShape Shape;
    public ScanInputs Inputs;
    public float* Dy, Carries, Decays;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ScanShape s = Shape;
        ScanInputs inputs = Inputs;
        nint n = Count<V>(), states = s.States;
        bool backward = Dy != null;
        for (nint item = begin; item < end; item++)
        {
            nint block = item % s.Blocks, other = s.Segments - 1, b = item / s.Blocks / other;
            nint segment = item / s.Blocks % other + (backward ? 1 : 0);
            nint channel = s.ChannelOf(block, out nint lanes), group = block / s.BlocksPerGroup;
            (nint first, nint stop) = s.Tokens(segment);
            float* a = inputs.A + block * s.StateSize, h = Carries + s.StateOffset(b * s.Segments + segment + (backward ? -1 : 1), block);
            new Span<float>(h, (int)s.StateSize).Clear();
            V total = default;
            for (nint i = 0; i < stop - first; i++)
            {
                nint token = s.Token(b, backward ? stop - 1 - i : first + i), offset = token * s.Channels + channel;
                V dt = inputs.StepSize<V>(offset, channel, lanes, out _);
                total += dt;
                if (backward)
                {
                    V gy = Load<V>(Dy + offset, lanes);
                    if (inputs.Z != null) gy *= Silu.Apply(Load<V>(inputs.Z + offset, lanes));
                    float* ct = inputs.C + (token * s.Groups + group) * states;
                    for (nint k = 0; k < states; k++)
                        Store(Exp2(dt * Load<V>(a + k * n)) * Fma(gy, Broadcast<V>(ct[k]), Load<V>(h + k * n)), h + k * n);
                }
                else
                {
                    V dtu = dt * Load<V>(inputs.U + offset, lanes);
                    float* bt = inputs.B + (token * s.Groups + group) * states;
                    for (nint k = 0; k < states; k++)
                        Store(Fma(Exp2(dt * Load<V>(a + k * n)), Load<V>(h + k * n), dtu * Broadcast<V>(bt[k])), h + k * n);
                }
            }
            float* decay = Decays + s.StateOffset(b * s.Segments + segment, block);
            for (nint k = 0; k * n < s.StateSize; k++) Store(Exp2(total * Load<V>(a + k * n)), decay + k * n);
        }
    }
}
