using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;
using static Mamba.Core.Simd.VecMath;

namespace Mamba.Core.Kernels;

/// <summary>What a selective scan reads; absent inputs are null.</summary>
internal unsafe struct ScanInputs
{
    /// <summary>u, delta, z: (B, L, D). B, C: (B, L, G, N). D, delta bias: (D).</summary>
    public float* U, Delta, Z, B, C, D, DeltaBias;

    /// <summary>A by blocks (Blocks, N, Lanes), times log2 e: e^(dt A) is then one Exp2.</summary>
    public float* A;

    public bool Softplus;

    /// <summary>dt of one token, and its derivative by the number before softplus, which is undefined where there is no softplus.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V StepSize<V>(nint offset, nint channel, nint lanes, out V slope) where V : unmanaged
    {
        V raw = Load<V>(Delta + offset, lanes);
        if (DeltaBias != null) raw += Load<V>(DeltaBias + channel, lanes);
        slope = default;
        return Softplus ? VecMath.Softplus(raw, out slope) : raw;
    }
}

/// <summary>
/// The selective scan of Mamba (Gu and Dao 2023): h_t = e^(dt_t A) h_(t-1) + dt_t u_t B_t, y_t = (C_t h_t + D u_t) silu(z_t), with
/// dt = softplus(delta + bias). Lanes are channels, and a block of channels keeps its N states in the first-level cache. States stand in memory
/// as (Blocks, N, Lanes), padded; <see cref="PackStates"/> and <see cref="UnpackStates"/> convert from and to (D, N).
/// </summary>
/// <remarks>
/// The chunked schedule cuts the sequence into segments. The recurrence is linear in h, so a segment maps the state before it to
/// h_out = e^(A sum dt) h_in + h_local, where h_local is what it makes of a zero state: a first pass finds all h_local at once, a short loop over
/// segments carries the states across, and the main pass then scans all segments at once. Backwards the same holds for the adjoint state.
/// </remarks>
internal static unsafe class SelectiveScan
{
    /// <summary>Runs the scan.</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="inputs">What it reads.</param>
    /// <param name="starts">(B, Segments, state): holds the initial state in segment 0; gets the states before the other segments.</param>
    /// <param name="y">(B, L, D).</param>
    /// <param name="last">(B, state): gets the last state.</param>
    /// <param name="kept">(B, Chunks, state): gets the state before each chunk, or null.</param>
    public static void Forward(in ScanShape s, in ScanInputs inputs, float* starts, float* y, float* last, float* kept)
    {
        if (s.Segments > 1)
        {
            using Scratch decays = new(s.Batch * s.Segments * s.Blocks * s.StateSize);
            // h_local of segment i goes where the start of segment i + 1 will stand.
            Launch.Run(new ScanCarry { Shape = s, Inputs = inputs, Carries = starts, Decays = decays.Pointer }, s.Batch * (s.Segments - 1) * s.Blocks, 1, s.Width);
            for (nint b = 0; b < s.Batch; b++)
                for (nint segment = 1; segment < s.Segments; segment++)
                    MultiplyAdd(s, decays.Pointer + s.StateOffset(b * s.Segments + segment - 1, 0), starts + s.StateOffset(b * s.Segments + segment - 1, 0), starts + s.StateOffset(b * s.Segments + segment, 0));
        }
        Launch.Run(
            new ScanForward { Shape = s, Inputs = inputs, Starts = starts, Y = y, Last = last, Kept = kept }, s.Batch * s.Segments * s.Blocks, s.Grain, s.Width);
    }

    /// <summary>Runs the scan backwards. Gradients that are summed over batch or time come out in parts, see <see cref="ScanGradients"/>.</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="inputs">What the forward pass read.</param>
    /// <param name="kept">(B, Chunks, state): the state before each chunk.</param>
    /// <param name="dy">(B, L, D).</param>
    /// <param name="carries">(B, Segments, state): holds the gradient of the last state in the last segment; gets that of the state before segment i + 1
    /// in place i. After the call place 0 of each sequence holds the gradient of the initial state.</param>
    /// <param name="gradients">Where they go.</param>
    public static void Backward(in ScanShape s, in ScanInputs inputs, float* kept, float* dy, float* carries, in ScanGradients gradients)
    {
        if (s.Segments > 1)
        {
            using Scratch decays = new(s.Batch * s.Segments * s.Blocks * s.StateSize);
            Launch.Run(
                new ScanCarry { Shape = s, Inputs = inputs, Dy = dy, Carries = carries, Decays = decays.Pointer }, s.Batch * (s.Segments - 1) * s.Blocks, 1, s.Width);
            for (nint b = 0; b < s.Batch; b++)
                for (nint segment = s.Segments - 1; segment > 0; segment--)
                    MultiplyAdd(s, decays.Pointer + s.StateOffset(b * s.Segments + segment, 0), carries + s.StateOffset(b * s.Segments + segment, 0), carries + s.StateOffset(b * s.Segments + segment - 1, 0));
        }
        Launch.Run(
            new ScanBackward { Shape = s, Inputs = inputs, Kept = kept, Dy = dy, Carries = carries, Gradients = gradients },
            s.Batch * s.Segments * s.Groups * s.ItemsPerGroup, 1, s.Width);
    }

    /// <summary>(items, D, N) to (items, Blocks, N, Lanes) times a factor; lanes beyond the channels and rows beyond the states are zero.</summary>
    public static void PackStates(in ScanShape s, float* states, nint items, float factor, float* packed)
    {
        nint size = s.StateSize, blocks = s.Blocks, vector = s.Lanes;
        for (nint block = 0; block < items * blocks; block++)
        {
            nint channel = s.ChannelOf(block % blocks, out nint lanes) + block / blocks * s.Channels;
            for (nint k = 0; k * vector < size; k++)
                for (nint lane = 0; lane < vector; lane++)
                    packed[block * size + k * vector + lane] = lane < lanes && k < s.States ? states[(channel + lane) * s.States + k] * factor : 0f;
        }
    }

    /// <summary>states (+)= (items, Blocks, N, Lanes) as (items, D, N); items of the packed array may lie further apart.</summary>
    public static void UnpackStates(in ScanShape s, float* packed, nint itemStep, nint items, float* states, bool add)
    {
        for (nint item = 0; item < items; item++)
            for (nint block = 0; block < s.Blocks; block++)
            {
                nint channel = s.ChannelOf(block, out nint lanes) + item * s.Channels;
                float* source = packed + item * itemStep + block * s.StateSize;
                for (nint lane = 0; lane < lanes; lane++)
                    for (nint k = 0; k < s.States; k++)
                    {
                        float* target = states + (channel + lane) * s.States + k;
                        *target = (add ? *target : 0f) + source[k * s.Lanes + lane];
                    }
            }
    }

    /// <summary>e^(dt A) of four states for each token of a chunk: (count, 4, Lanes).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Decays<V>(nint count, float* dt, float* a, float* decays) where V : unmanaged
    {
        nint n = Count<V>();
        for (; count > 0; count--, dt += n, decays += 4 * n)
        {
            V d = Load<V>(dt), e0 = d * Load<V>(a), e1 = d * Load<V>(a + n), e2 = d * Load<V>(a + 2 * n), e3 = d * Load<V>(a + 3 * n);
            Exp2(ref e0, ref e1, ref e2, ref e3);
            Store(e0, decays);
            Store(e1, decays + n);
            Store(e2, decays + 2 * n);
            Store(e3, decays + 3 * n);
        }
    }

    /// <summary>Columns that are fewer than <see cref="ScanShape.StatesAtOnce"/>, filled up with zeros.</summary>
    public static void CopyTail(float* from, nint row, nint count, nint columns, float* to)
    {
        for (nint i = 0; i < count; i++, from += row, to += ScanShape.StatesAtOnce)
            for (nint k = 0; k < ScanShape.StatesAtOnce; k++) to[k] = k < columns ? from[k] : 0f;
    }

    /// <summary>Adds decay * from to the states of all blocks.</summary>
    private static void MultiplyAdd(in ScanShape s, float* decay, float* from, float* to)
    {
        for (nint i = 0; i < s.Blocks * s.StateSize; i++) to[i] += decay[i] * from[i];
    }
}

/// <summary>One item: a block of channels over one segment of one sequence.</summary>
internal unsafe struct ScanForward : IKernel
{
    public ScanShape Shape;
    public ScanInputs Inputs;
    public float* Starts, Y, Last, Kept;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        ScanShape s = Shape;
        nint n = Count<V>(), states = s.States, size = s.StateSize, blocks = s.Blocks, chunkLength = s.ChunkLength, row = s.Step * s.Groups * states;
        using Scratch state = new(size), tokens = new(3 * chunkLength * n), tails = new(2 * chunkLength * ScanShape.StatesAtOnce);
        using Scratch decays = new(chunkLength * ScanShape.StatesAtOnce * n);
        float* h = state.Pointer, dt = tokens.Pointer, dtu = dt + chunkLength * n, y = dtu + chunkLength * n;
        for (nint item = begin; item < end; item++)
        {
            nint block = item % blocks, sequence = item / blocks, segment = sequence % s.Segments, b = sequence / s.Segments;
            nint channel = s.ChannelOf(block, out nint lanes), group = block / s.BlocksPerGroup;
            (nint first, nint stop) = s.Tokens(segment);
            float* a = Inputs.A + block * size;
            Copy(Starts + (sequence * blocks + block) * size, h, size);
            for (nint t = first, count; t < stop; t += count)
            {
                count = Math.Min(stop - t, chunkLength);
                if (Kept != null) Copy(h, Kept + s.StateOffset(b * s.Chunks + t / chunkLength, block), size);
                nint token = s.Token(b, t);
                Prepare<V>(token, count, channel, lanes, dt, dtu, y);
                for (nint k = 0; k < states; k += ScanShape.StatesAtOnce)
                {
                    nint bc = (token * s.Groups + group) * states + k, left = states - k;
                    SelectiveScan.Decays<V>(count, dt, a + k * n, decays.Pointer);
                    if (left >= ScanShape.StatesAtOnce) Scan<V>(count, dtu, y, decays.Pointer, h + k * n, Inputs.B + bc, Inputs.C + bc, row);
                    else
                    {
                        float* tailB = tails.Pointer, tailC = tailB + chunkLength * ScanShape.StatesAtOnce;
                        SelectiveScan.CopyTail(Inputs.B + bc, row, count, left, tailB);
                        SelectiveScan.CopyTail(Inputs.C + bc, row, count, left, tailC);
                        Scan<V>(count, dtu, y, decays.Pointer, h + k * n, tailB, tailC, ScanShape.StatesAtOnce);
                    }
                }
                Gate<V>(token, count, channel, lanes, y);
            }
            if (segment == s.Segments - 1) Copy(h, Last + s.StateOffset(b, block), size);
        }
    }

    internal static void Copy(float* from, float* to, nint count) => new ReadOnlySpan<float>(from, (int)count).CopyTo(new Span<float>(to, (int)count));

    /// <summary>What a token takes once for all states: dt, dt u and D u. Chains of several tokens overlap.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Prepare<V>(nint token, nint count, nint channel, nint lanes, float* dt, float* dtu, float* y) where V : unmanaged
    {
        nint n = Count<V>(), step = Shape.Step * Shape.Channels, offset = token * Shape.Channels + channel;
        V skip = Inputs.D == null ? default : Load<V>(Inputs.D + channel, lanes);
        for (nint i = 0; i < count; i++, offset += step)
        {
            V d = Inputs.StepSize<V>(offset, channel, lanes, out _), u = Load<V>(Inputs.U + offset, lanes);
            Store(d, dt + i * n);
            Store(d * u, dtu + i * n);
            Store(u * skip, y + i * n);
        }
    }

    /// <summary>Four states through all tokens of a chunk, in registers; y gets their part of C h.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scan<V>(nint count, float* dtu, float* y, float* decays, float* h, float* b, float* c, nint row) where V : unmanaged
    {
        nint n = Count<V>();
        V h0 = Load<V>(h), h1 = Load<V>(h + n), h2 = Load<V>(h + 2 * n), h3 = Load<V>(h + 3 * n);
        for (; count > 0; count--, dtu += n, y += n, decays += 4 * n, b += row, c += row)
        {
            V x = Load<V>(dtu);
            h0 = Fma(Load<V>(decays), h0, x * Broadcast<V>(b[0]));
            h1 = Fma(Load<V>(decays + n), h1, x * Broadcast<V>(b[1]));
            h2 = Fma(Load<V>(decays + 2 * n), h2, x * Broadcast<V>(b[2]));
            h3 = Fma(Load<V>(decays + 3 * n), h3, x * Broadcast<V>(b[3]));
            V even = Fma(h0, Broadcast<V>(c[0]), Load<V>(y)), odd = h1 * Broadcast<V>(c[1]);
            Store(Fma(h2, Broadcast<V>(c[2]), even) + Fma(h3, Broadcast<V>(c[3]), odd), y);
        }
        Store(h0, h);
        Store(h1, h + n);
        Store(h2, h + 2 * n);
        Store(h3, h + 3 * n);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Gate<V>(nint token, nint count, nint channel, nint lanes, float* y) where V : unmanaged
    {
        nint n = Count<V>(), step = Shape.Step * Shape.Channels, offset = token * Shape.Channels + channel;
        for (nint i = 0; i < count; i++, offset += step)
        {
            V v = Load<V>(y + i * n);
            Store(Inputs.Z == null ? v : v * Silu.Apply(Load<V>(Inputs.Z + offset, lanes)), Y + offset, lanes);
        }
    }
}

/// <summary>
/// The first pass of the chunked schedule. Forwards: the last state of each segment but the last from a zero state, stored at the next segment's
/// place. Backwards (with Dy): the adjoint state before each segment but the first from a zero one, stored at the previous segment's place. Both
/// with the decay e^(A sum dt) of the segment, stored at its own place.
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
            nint block = item % s.Blocks, other = s.Segments - 1, b = item / s.Blocks / other, segment = item / s.Blocks % other + (backward ? 1 : 0);
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
                    for (nint k = 0; k < states; k++) Store(Exp2(dt * Load<V>(a + k * n)) * Fma(gy, Broadcast<V>(ct[k]), Load<V>(h + k * n)), h + k * n);
                }
                else
                {
                    V dtu = dt * Load<V>(inputs.U + offset, lanes);
                    float* bt = inputs.B + (token * s.Groups + group) * states;
                    for (nint k = 0; k < states; k++) Store(Fma(Exp2(dt * Load<V>(a + k * n)), Load<V>(h + k * n), dtu * Broadcast<V>(bt[k])), h + k * n);
                }
            }
            float* decay = Decays + s.StateOffset(b * s.Segments + segment, block);
            for (nint k = 0; k * n < s.StateSize; k++) Store(Exp2(total * Load<V>(a + k * n)), decay + k * n);
        }
    }
}
