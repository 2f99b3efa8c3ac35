using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;
using static Mamba.Core.Simd.VecMath;

namespace Mamba.Core.Kernels.Scan;

/// <summary>The outputs of the backward pass of a scan. A null gradient is not computed.</summary>
internal unsafe struct ScanGradients
{
    /// <summary>(B, L, D).</summary>
    public GradientTarget U, Delta, Z;

    /// <summary>(ItemsPerGroup, B, L, G, N): sums over the channels of each item.</summary>
    public float* B, C;

    /// <summary>(B Segments, Blocks, N, Lanes): sums over the tokens of each segment; never null.</summary>
    public float* A;

    /// <summary>(B Segments, Blocks, Lanes): likewise.</summary>
    public float* D, DeltaBias;
}

/// <summary>
/// One item: some blocks of channels over one segment of one sequence, from the last chunk to the first. A chunk is rescanned from its kept
/// state, four states at a time, storing e^(dt A) and h of every token. Then it is walked backwards. Let g = dL/dh_t = C_t dL/dy_t +
/// e^(dt_(t+1) A) dL/dh_(t+1). Then dA = g e^(dt A) h_(t-1) dt, dB = g dt u, dC = h dy, ddt = g (e^(dt A) h_(t-1) A + u B) and du = g dt B
/// + D dy.
/// </summary>
internal unsafe struct ScanBackward : IKernel
{
    private const float Ln2 = 0.69314718055994531f;

    public ScanShape Shape;
    public ScanInputs Inputs;
    public ScanGradients Gradients;
    public float* Kept, Dy, Carries;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        const int Four = ScanShape.StatesAtOnce;
        ScanShape s = Shape;
        nint n = Count<V>(), size = s.StateSize, full = s.FullStates, length = s.ChunkLength;
        using Scratch tokens = new(Tokens.Arrays * length * n), factors = new(2 * length * full), sums = new(2 * length * full);
        using Scratch decays = new(length * Four * n), states = new((length + 1) * Four * n);
        Tokens arrays = new(tokens.Pointer, length * n);
        float* sumB = sums.Pointer, sumC = sumB + length * full;
        ScanChunk chunk = new() { Dt = arrays.Dt, DtU = arrays.DtU, Y = arrays.Y, Decays = decays.Pointer, Kept = states.Pointer };
        for (nint index = begin; index < end; index++)
        {
            ScanItem item = s.Item(index);
            nint ofItem = s.StateOffset(item.Sequence, item.FirstBlock), blocks = item.EndBlock - item.FirstBlock;
            nint vectors = (item.Sequence * s.Blocks + item.FirstBlock) * n;
            new Span<float>(Gradients.A + ofItem, (int)(blocks * size)).Clear();
            new Span<float>(Gradients.D + vectors, (int)(blocks * n)).Clear();
            new Span<float>(Gradients.DeltaBias + vectors, (int)(blocks * n)).Clear();
            (nint first, nint stop) = s.Tokens(item.Segment);
            for (nint t = stop; t > first; t -= chunk.Count)
            {
                nint start = (t - 1) / length * length, token = s.Token(item.Batch, start);
                chunk.Count = t - start;
                float* b = SelectiveScan.PaddedFactors(s, Inputs.B, token, item.Group, chunk.Count, factors.Pointer, out chunk.RowStride);
                float* c = SelectiveScan.PaddedFactors(
                    s, Inputs.C, token, item.Group, chunk.Count, factors.Pointer + length * full, out chunk.RowStride);
                for (nint block = item.FirstBlock; block < item.EndBlock; block++)
                {
                    nint channel = s.ChannelOf(block, out nint lanes), state = (block - item.FirstBlock) * size;
                    Prepare<V>(token, chunk.Count, channel, lanes, arrays);
                    for (nint k = 0; k < full; k += Four)
                    {
                        chunk.A = Inputs.A + block * size + k * n;
                        chunk.State = Kept + s.StateOffset(item.Batch * s.Chunks + start / length, block) + k * n;
                        chunk.B = b + k;
                        chunk.C = c + k;
                        SelectiveScan.Scan<V>(chunk);
                        WalkBack<V>(chunk, arrays, Carries + ofItem + state + k * n, Gradients.A + ofItem + state + k * n, sumB + k,
                            sumC + k, full, add: block > item.FirstBlock);
                    }
                    nint vector = vectors + (block - item.FirstBlock) * n;
                    Finish<V>(token, chunk.Count, channel, lanes, arrays, Gradients.D + vector, Gradients.DeltaBias + vector);
                }
                nint ofToken = ((item.Part * s.Batch * s.Length + token) * s.Groups + item.Group) * s.States;
                if (Gradients.B != null) CopySums<V>(chunk.Count, sumB, Gradients.B + ofToken);
                if (Gradients.C != null) CopySums<V>(chunk.Count, sumC, Gradients.C + ofToken);
            }
        }
    }

    /// <summary>Computes the values of a token that all its states share, and the gradient of y before the gate.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void Prepare<V>(nint token, nint count, nint channel, nint lanes, in Tokens t) where V : unmanaged
    {
        // Two copies, as in the forward pass: the one for full vectors has no partial loads.
        if (lanes == Count<V>()) PrepareLanes<V>(token, count, channel, Count<V>(), t);
        else PrepareLanes<V>(token, count, channel, lanes, t);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void PrepareLanes<V>(nint token, nint count, nint channel, nint lanes, in Tokens t) where V : unmanaged
    {
        nint n = Count<V>(), step = Shape.Step * Shape.Channels, offset = token * Shape.Channels + channel;
        V skip = Inputs.D == null ? default : Load<V>(Inputs.D + channel, lanes);
        for (nint i = 0; i < count * n; i += n, offset += step)
        {
            // Prefetch the next block's input and this block's output, as in the forward pass.
            Prefetch(Inputs.Delta + offset + n);
            Prefetch(Inputs.U + offset + n);
            Prefetch(Dy + offset + n);
            if (Inputs.Z != null) Prefetch(Inputs.Z + offset + n);
            if (Gradients.U.IsWanted) Prefetch(Gradients.U.Pointer + offset);
            if (Gradients.Delta.IsWanted) Prefetch(Gradients.Delta.Pointer + offset);
            if (Gradients.Z.IsWanted) Prefetch(Gradients.Z.Pointer + offset);
            V dt = Inputs.StepSize<V>(offset, channel, lanes, out V slope), u = Load<V>(Inputs.U + offset, lanes);
            V gy = Load<V>(Dy + offset, lanes);
            if (Inputs.Z != null)
            {
                V z = Load<V>(Inputs.Z + offset, lanes), gate = Sigmoid(z);
                Store(gate, t.Gate + i);
                gy *= z * gate;
            }
            Store(dt, t.Dt + i);
            Store(slope, t.Slope + i);
            Store(dt * u, t.DtU + i);
            Store(u * skip, t.Y + i);
            Store(gy, t.Dy + i);
            Store(default(V), t.ThroughA + i);
            Store(default(V), t.ThroughB + i);
        }
    }

    /// <summary>Walks four states backwards. The sums over lanes, for B and C, have one row per token.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void WalkBack<V>(
        in ScanChunk chunk, in Tokens tokens, float* carry, float* sumA, float* sumB, float* sumC, nint sumRowStride, bool add)
        where V : unmanaged
    {
        nint n = Count<V>(), last = chunk.Count - 1, row = chunk.RowStride;
        float* a = chunk.A, b = chunk.B + last * row, c = chunk.C + last * row, h = chunk.Kept + 4 * last * n;
        float* e = chunk.Decays + 4 * last * n;
        float* allDy = tokens.Dy, allDt = tokens.Dt, allDtU = tokens.DtU, throughA = tokens.ThroughA, throughB = tokens.ThroughB;
        sumB += last * sumRowStride;
        sumC += last * sumRowStride;
        V g0 = Load<V>(carry), g1 = Load<V>(carry + n), g2 = Load<V>(carry + 2 * n), g3 = Load<V>(carry + 3 * n);
        V s0 = Load<V>(sumA), s1 = Load<V>(sumA + n), s2 = Load<V>(sumA + 2 * n), s3 = Load<V>(sumA + 3 * n);
        V h0 = Load<V>(h + 4 * n), h1 = Load<V>(h + 5 * n), h2 = Load<V>(h + 6 * n), h3 = Load<V>(h + 7 * n);
        for (nint i = last * n; i >= 0; i -= n, b -= row, c -= row, sumB -= sumRowStride, sumC -= sumRowStride, h -= 4 * n, e -= 4 * n)
        {
            V dy = Load<V>(allDy + i), dt = Load<V>(allDt + i), dtu = Load<V>(allDtU + i);
            HorizontalSums.Run(dy * h0, dy * h1, dy * h2, dy * h3, sumC, add);
            FourFactors<V> bt = new(b), ct = new(c);
            g0 = ct.Fma(dy, 0, g0);
            g1 = ct.Fma(dy, 1, g1);
            g2 = ct.Fma(dy, 2, g2);
            g3 = ct.Fma(dy, 3, g3);
            HorizontalSums.Run(g0 * dtu, g1 * dtu, g2 * dtu, g3 * dtu, sumB, add);
            V even = bt.Fma(g0, 0, Load<V>(throughB + i)), odd = bt.Multiply(g1, 1);
            Store(bt.Fma(g2, 2, even) + bt.Fma(g3, 3, odd), throughB + i);
            g0 *= Load<V>(e);
            g1 *= Load<V>(e + n);
            g2 *= Load<V>(e + 2 * n);
            g3 *= Load<V>(e + 3 * n);
            h0 = Load<V>(h);
            h1 = Load<V>(h + n);
            h2 = Load<V>(h + 2 * n);
            h3 = Load<V>(h + 3 * n);
            V p0 = g0 * h0, p1 = g1 * h1, p2 = g2 * h2, p3 = g3 * h3;
            s0 = Fma(p0, dt, s0);
            s1 = Fma(p1, dt, s1);
            s2 = Fma(p2, dt, s2);
            s3 = Fma(p3, dt, s3);
            even = Fma(p0, Load<V>(a), Load<V>(throughA + i));
            odd = p1 * Load<V>(a + n);
            Store(Fma(p2, Load<V>(a + 2 * n), even) + Fma(p3, Load<V>(a + 3 * n), odd), throughA + i);
        }
        SelectiveScan.Store4(g0, g1, g2, g3, carry);
        SelectiveScan.Store4(s0, s1, s2, s3, sumA);
    }

    /// <summary>Stores the sums of a chunk over the channels of the item, (Count, FullStates).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void CopySums<V>(nint count, float* sums, float* gradient) where V : unmanaged
    {
        nint n = Count<V>(), states = Shape.States, full = Shape.FullStates, step = Shape.Step * Shape.Groups * states;
        for (; count > 0; count--, sums += full, gradient += step)
            for (nint k = 0; k < states; k += n)
            {
                nint some = Math.Min(n, states - k);
                Store(Load<V>(sums + k, some), gradient + k, some);
            }
    }

    /// <summary>Writes the gradients of a token, after the walk over all states.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void Finish<V>(nint token, nint count, nint channel, nint lanes, in Tokens t, float* sumD, float* sumBias)
        where V : unmanaged
    {
        if (lanes == Count<V>()) FinishLanes<V>(token, count, channel, Count<V>(), t, sumD, sumBias);
        else FinishLanes<V>(token, count, channel, lanes, t, sumD, sumBias);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void FinishLanes<V>(nint token, nint count, nint channel, nint lanes, in Tokens t, float* sumD, float* sumBias)
        where V : unmanaged
    {
        nint n = Count<V>(), step = Shape.Step * Shape.Channels, offset = token * Shape.Channels + channel;
        V skip = Inputs.D == null ? default : Load<V>(Inputs.D + channel, lanes), ofD = Load<V>(sumD), ofBias = Load<V>(sumBias);
        V one = Broadcast<V>(1f);
        for (nint i = 0; i < count * n; i += n, offset += step)
        {
            V u = Load<V>(Inputs.U + offset, lanes), gy = Load<V>(t.Dy + i), throughB = Load<V>(t.ThroughB + i);
            // A was multiplied by log2 e.
            V ddt = Fma(Load<V>(t.ThroughA + i), Broadcast<V>(Ln2), throughB * u);
            if (Inputs.Softplus) ddt *= Load<V>(t.Slope + i);
            ofBias += ddt;
            ofD = Fma(gy, u, ofD);
            if (Gradients.U.IsWanted) Gradients.U.Store(Fma(Load<V>(t.Dt + i), throughB, gy * skip), Gradients.U.Pointer + offset, lanes);
            if (Gradients.Delta.IsWanted) Gradients.Delta.Store(ddt, Gradients.Delta.Pointer + offset, lanes);
            if (!Gradients.Z.IsWanted) continue;
            V gate = Load<V>(t.Gate + i), slope = gate * Fma(Load<V>(Inputs.Z + offset, lanes), one - gate, one);
            Gradients.Z.Store(Load<V>(Dy + offset, lanes) * Load<V>(t.Y + i) * slope, Gradients.Z.Pointer + offset, lanes);
        }
        Store(ofD, sumD);
        Store(ofBias, sumBias);
    }

    /// <summary>Arrays (ChunkLength, Lanes), in scan order; Y is the result before the gate, Dy its gradient.</summary>
    private readonly struct Tokens(float* start, nint size)
    {
        public const int Arrays = 8;
        public readonly float* Dt = start, Slope = start + size, DtU = start + 2 * size, Y = start + 3 * size;
        public readonly float* Dy = start + 4 * size, Gate = start + 5 * size, ThroughA = start + 6 * size, ThroughB = start + 7 * size;
    }
}
