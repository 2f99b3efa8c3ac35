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
            new ScanForward { Shape = s, Inputs = inputs, Starts = starts, Y = y, Last = last, Kept = kept }, s.Batch * s.Segments * s.Blocks, 1, s.Width);
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

    /// <summary>(items, D, N) to (items, Blocks, N, Lanes) times a factor; lanes beyond the channels are zero.</summary>
    public static void PackStates(in ScanShape s, float* states, nint items, float factor, float* packed)
    {
        for (nint block = 0; block < items * s.Blocks; block++)
        {
            nint channel = s.ChannelOf(block % s.Blocks, out nint lanes) + block / s.Blocks * s.Channels;
            for (nint k = 0; k < s.States; k++)
                for (nint lane = 0; lane < s.Lanes; lane++)
                    packed[block * s.StateSize + k * s.Lanes + lane] = lane < lanes ? states[(channel + lane) * s.States + k] * factor : 0f;
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
        ScanInputs inputs = Inputs;
        nint n = Count<V>(), states = s.States, chunkLength = s.ChunkLength;
        using Scratch state = new(s.StateSize), steps = new(chunkLength * n);
        float* h = state.Pointer;
        for (nint item = begin; item < end; item++)
        {
            nint block = item % s.Blocks, sequence = item / s.Blocks, segment = sequence % s.Segments, b = sequence / s.Segments;
            nint channel = s.ChannelOf(block, out nint lanes), group = block / s.BlocksPerGroup;
            (nint first, nint stop) = s.Tokens(segment);
            float* a = inputs.A + block * s.StateSize;
            V skip = inputs.D == null ? default : Load<V>(inputs.D + channel, lanes);
            Copy(Starts + s.StateOffset(sequence, block), h, s.StateSize);
            for (nint t = first, count; t < stop; t += count)
            {
                // Chunk by chunk, all dt first and all gates last: each is a long chain of its own, and chains of several tokens overlap.
                count = Math.Min(stop - t, chunkLength);
                if (Kept != null) Copy(h, Kept + s.StateOffset(b * s.Chunks + t / chunkLength, block), s.StateSize);
                nint start = b * s.Length + t;
                for (nint i = 0; i < count; i++) Store(inputs.StepSize<V>((start + i) * s.Channels + channel, channel, lanes, out _), steps.Pointer + i * n);
                for (nint i = 0; i < count; i++)
                {
                    nint token = start + i, offset = token * s.Channels + channel;
                    float* bt = inputs.B + (token * s.Groups + group) * states, ct = inputs.C + (token * s.Groups + group) * states;
                    V dt = Load<V>(steps.Pointer + i * n), u = Load<V>(inputs.U + offset, lanes), dtu = dt * u;
                    V y = u * skip, y2 = default;
                    nint k = 0;
                    for (; k < states - 1; k += 2)
                    {
                        // Two chains of sums, so that the products with C do not wait for each other.
                        float* hk = h + k * n;
                        V h0 = Fma(Exp2(dt * Load<V>(a + k * n)), Load<V>(hk), dtu * Broadcast<V>(bt[k]));
                        V h1 = Fma(Exp2(dt * Load<V>(a + k * n + n)), Load<V>(hk + n), dtu * Broadcast<V>(bt[k + 1]));
                        Store(h0, hk);
                        Store(h1, hk + n);
                        y = Fma(h0, Broadcast<V>(ct[k]), y);
                        y2 = Fma(h1, Broadcast<V>(ct[k + 1]), y2);
                    }
                    if (k < states)
                    {
                        V h0 = Fma(Exp2(dt * Load<V>(a + k * n)), Load<V>(h + k * n), dtu * Broadcast<V>(bt[k]));
                        Store(h0, h + k * n);
                        y = Fma(h0, Broadcast<V>(ct[k]), y);
                    }
                    Store(y + y2, Y + offset, lanes);
                }
                for (nint i = 0; inputs.Z != null && i < count; i++)
                {
                    nint offset = (start + i) * s.Channels + channel;
                    Store(Load<V>(Y + offset, lanes) * Silu.Apply(Load<V>(inputs.Z + offset, lanes)), Y + offset, lanes);
                }
            }
            if (segment == s.Segments - 1) Copy(h, Last + s.StateOffset(b, block), s.StateSize);
        }
    }

    internal static void Copy(float* from, float* to, nint count) => new ReadOnlySpan<float>(from, (int)count).CopyTo(new Span<float>(to, (int)count));
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
                nint token = b * s.Length + (backward ? stop - 1 - i : first + i), offset = token * s.Channels + channel;
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
            for (nint k = 0; k < states; k++) Store(Exp2(total * Load<V>(a + k * n)), decay + k * n);
        }
    }
}
