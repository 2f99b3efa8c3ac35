using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;
using static Mamba.Core.Simd.VecMath;

namespace Mamba.Core.Kernels;

/// <summary>Where the backward pass of a scan writes; null for what is not wanted.</summary>
internal unsafe struct ScanGradients
{
    /// <summary>(B, L, D), added to or overwritten.</summary>
    public float* U, Delta, Z;

    public bool AddU, AddDelta, AddZ;

    /// <summary>(ItemsPerGroup, B, L, G, N): a sum over the channels of each item.</summary>
    public float* B, C;

    /// <summary>(B Segments, Blocks, N, Lanes): a sum over the tokens of each segment.</summary>
    public float* A;

    /// <summary>(B Segments, Blocks, Lanes): likewise.</summary>
    public float* D, DeltaBias;
}

/// <summary>
/// One item: some blocks of channels, in turn, over one segment of one sequence, chunk by chunk from the last. Four states at a time, a chunk is scanned
/// again from its kept state, this time writing down e^(dt A) and h of every token, and then walked backwards. With g = dL/dh_t, which takes C_t dL/dy_t
/// and e^(dt_(t+1) A) dL/dh_(t+1): dA = g e^(dt A) h_(t-1) dt, dB = g dt u, dC = h dy, ddt = g (e^(dt A) h_(t-1) A + u B), du = g dt B + D dy.
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
        nint n = Count<V>(), size = s.StateSize, length = s.ChunkLength;
        using Scratch tokens = new(Tokens.Arrays * length * n), decays = new(length * Four * n), states = new((length + 1) * Four * n), sums = new(size), tails = new(4 * length * Four);
        Tokens arrays = new(tokens.Pointer, length * n);
        for (nint item = begin; item < end; item++)
        {
            nint part = item % s.ItemsPerGroup, rest = item / s.ItemsPerGroup, group = rest % s.Groups, sequence = rest / s.Groups;
            nint segment = sequence % s.Segments, b = sequence / s.Segments;
            (nint first, nint stop) = s.Tokens(segment);
            nint firstBlock = group * s.BlocksPerGroup + part * s.BlocksPerItem;
            nint lastBlock = Math.Min(firstBlock + s.BlocksPerItem, (group + 1) * s.BlocksPerGroup);
            for (nint block = firstBlock; block < lastBlock; block++)
            {
                nint channel = s.ChannelOf(block, out nint lanes);
                V sumD = default, sumBias = default;
                new Span<float>(sums.Pointer, (int)size).Clear();
                for (nint t = stop; t > first;)
                {
                    nint start = (t - 1) / length * length, count = t - start, token = s.Token(b, start);
                    Prepare<V>(token, count, channel, lanes, arrays);
                    for (nint k = 0; k < s.States; k += Four)
                    {
                        nint bc = (token * s.Groups + group) * s.States + k, bcOfPart = bc + part * s.Batch * s.Length * s.Groups * s.States, left = s.States - k;
                        Chunk chunk = new()
                        {
                            Count = count,
                            Row = s.Step * s.Groups * s.States,
                            A = Inputs.A + block * size + k * n,
                            B = Inputs.B + bc,
                            C = Inputs.C + bc,
                            GradientB = Gradients.B == null ? null : Gradients.B + bcOfPart,
                            GradientC = Gradients.C == null ? null : Gradients.C + bcOfPart,
                            Add = block > firstBlock,
                            H = states.Pointer,
                            Decays = decays.Pointer,
                            Carry = Carries + s.StateOffset(sequence, block) + k * n,
                            SumA = sums.Pointer + k * n,
                        };
                        if (left < Four) chunk.MoveToTails(tails.Pointer, length, left);
                        SelectiveScan.Decays<V>(count, arrays.Dt, chunk.A, decays.Pointer);
                        Recompute<V>(chunk, arrays, Kept + s.StateOffset(b * s.Chunks + start / length, block) + k * n);
                        WalkBack<V>(chunk, arrays);
                        if (left >= Four) continue;
                        MoveBack(chunk.GradientB, count, left, Gradients.B + bcOfPart, s.Step * s.Groups * s.States, block > firstBlock);
                        MoveBack(chunk.GradientC, count, left, Gradients.C + bcOfPart, s.Step * s.Groups * s.States, block > firstBlock);
                    }
                    Finish(token, count, channel, lanes, arrays, ref sumD, ref sumBias);
                    t = start;
                }
                if (Gradients.A != null) ScanForward.Copy(sums.Pointer, Gradients.A + s.StateOffset(sequence, block), size);
                if (Gradients.D != null) Store(sumD, Gradients.D + (sequence * s.Blocks + block) * n);
                if (Gradients.DeltaBias != null) Store(sumBias, Gradients.DeltaBias + (sequence * s.Blocks + block) * n);
            }
        }
    }

    /// <summary>What a token takes once for all states; dy goes back through the gate.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Prepare<V>(nint token, nint count, nint channel, nint lanes, in Tokens t) where V : unmanaged
    {
        nint n = Count<V>(), step = Shape.Step * Shape.Channels, offset = token * Shape.Channels + channel;
        V skip = Inputs.D == null ? default : Load<V>(Inputs.D + channel, lanes);
        for (nint i = 0; i < count * n; i += n, offset += step)
        {
            V dt = Inputs.StepSize<V>(offset, channel, lanes, out V slope), u = Load<V>(Inputs.U + offset, lanes), gy = Load<V>(Dy + offset, lanes);
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

    /// <summary>Scans four states again and writes down what the walk back needs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Recompute<V>(in Chunk chunk, in Tokens tokens, float* kept) where V : unmanaged
    {
        nint n = Count<V>(), row = chunk.Row;
        float* b = chunk.B, c = chunk.C, h = chunk.H, e = chunk.Decays, dtu = tokens.DtU, y = tokens.Y;
        V h0 = Load<V>(kept), h1 = Load<V>(kept + n), h2 = Load<V>(kept + 2 * n), h3 = Load<V>(kept + 3 * n);
        for (nint i = chunk.Count; i > 0; i--, dtu += n, y += n, h += 4 * n, e += 4 * n, b += row, c += row)
        {
            Store(h0, h);
            Store(h1, h + n);
            Store(h2, h + 2 * n);
            Store(h3, h + 3 * n);
            V x = Load<V>(dtu);
            h0 = Fma(Load<V>(e), h0, x * Broadcast<V>(b[0]));
            h1 = Fma(Load<V>(e + n), h1, x * Broadcast<V>(b[1]));
            h2 = Fma(Load<V>(e + 2 * n), h2, x * Broadcast<V>(b[2]));
            h3 = Fma(Load<V>(e + 3 * n), h3, x * Broadcast<V>(b[3]));
            V even = Fma(h0, Broadcast<V>(c[0]), Load<V>(y)), odd = h1 * Broadcast<V>(c[1]);
            Store(Fma(h2, Broadcast<V>(c[2]), even) + Fma(h3, Broadcast<V>(c[3]), odd), y);
        }
        Store(h0, h);
        Store(h1, h + n);
        Store(h2, h + 2 * n);
        Store(h3, h + 3 * n);
    }

    /// <summary>Walks four states backwards.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void WalkBack<V>(in Chunk chunk, in Tokens tokens) where V : unmanaged
    {
        nint n = Count<V>(), last = chunk.Count - 1, row = chunk.Row;
        float* a = chunk.A, b = chunk.B + last * row, c = chunk.C + last * row, h = chunk.H + 4 * last * n, e = chunk.Decays + 4 * last * n;
        float* gb = chunk.GradientB + last * row, gc = chunk.GradientC + last * row, sumA = chunk.SumA, carry = chunk.Carry;
        bool add = chunk.Add, wantB = chunk.GradientB != null, wantC = chunk.GradientC != null;
        V g0 = Load<V>(carry), g1 = Load<V>(carry + n), g2 = Load<V>(carry + 2 * n), g3 = Load<V>(carry + 3 * n);
        V s0 = Load<V>(sumA), s1 = Load<V>(sumA + n), s2 = Load<V>(sumA + 2 * n), s3 = Load<V>(sumA + 3 * n);
        // h points to the states before the token; those after it follow.
        for (nint i = last * n; i >= 0; i -= n, b -= row, c -= row, gb -= row, gc -= row, h -= 4 * n, e -= 4 * n)
        {
            V dy = Load<V>(tokens.Dy + i), dt = Load<V>(tokens.Dt + i);
            if (wantC) RowSums.Run(dy * Load<V>(h + 4 * n), dy * Load<V>(h + 5 * n), dy * Load<V>(h + 6 * n), dy * Load<V>(h + 7 * n), gc, add);
            g0 = Fma(dy, Broadcast<V>(c[0]), g0);
            g1 = Fma(dy, Broadcast<V>(c[1]), g1);
            g2 = Fma(dy, Broadcast<V>(c[2]), g2);
            g3 = Fma(dy, Broadcast<V>(c[3]), g3);
            V through = Fma(g0, Broadcast<V>(b[0]), Load<V>(tokens.ThroughB + i));
            through = Fma(g1, Broadcast<V>(b[1]), through);
            through = Fma(g2, Broadcast<V>(b[2]), through);
            Store(Fma(g3, Broadcast<V>(b[3]), through), tokens.ThroughB + i);
            if (wantB)
            {
                V dtu = Load<V>(tokens.DtU + i);
                RowSums.Run(g0 * dtu, g1 * dtu, g2 * dtu, g3 * dtu, gb, add);
            }
            g0 *= Load<V>(e);
            g1 *= Load<V>(e + n);
            g2 *= Load<V>(e + 2 * n);
            g3 *= Load<V>(e + 3 * n);
            V p0 = g0 * Load<V>(h), p1 = g1 * Load<V>(h + n), p2 = g2 * Load<V>(h + 2 * n), p3 = g3 * Load<V>(h + 3 * n);
            s0 = Fma(p0, dt, s0);
            s1 = Fma(p1, dt, s1);
            s2 = Fma(p2, dt, s2);
            s3 = Fma(p3, dt, s3);
            through = Fma(p0, Load<V>(a), Load<V>(tokens.ThroughA + i));
            through = Fma(p1, Load<V>(a + n), through);
            through = Fma(p2, Load<V>(a + 2 * n), through);
            Store(Fma(p3, Load<V>(a + 3 * n), through), tokens.ThroughA + i);
        }
        Store(g0, carry);
        Store(g1, carry + n);
        Store(g2, carry + 2 * n);
        Store(g3, carry + 3 * n);
        Store(s0, sumA);
        Store(s1, sumA + n);
        Store(s2, sumA + 2 * n);
        Store(s3, sumA + 3 * n);
    }

    /// <summary>What a token gives once the walk has been through all states.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Finish<V>(nint token, nint count, nint channel, nint lanes, in Tokens t, ref V sumD, ref V sumBias) where V : unmanaged
    {
        nint n = Count<V>(), step = Shape.Step * Shape.Channels, offset = token * Shape.Channels + channel;
        V skip = Inputs.D == null ? default : Load<V>(Inputs.D + channel, lanes), ofD = sumD, ofBias = sumBias, one = Broadcast<V>(1f);
        for (nint i = 0; i < count * n; i += n, offset += step)
        {
            V u = Load<V>(Inputs.U + offset, lanes), gy = Load<V>(t.Dy + i), throughB = Load<V>(t.ThroughB + i);
            // A stands here times log2 e.
            V ddt = Fma(Load<V>(t.ThroughA + i), Broadcast<V>(Ln2), throughB * u);
            if (Inputs.Softplus) ddt *= Load<V>(t.Slope + i);
            ofBias += ddt;
            ofD = Fma(gy, u, ofD);
            if (Gradients.U != null) Write(Fma(Load<V>(t.Dt + i), throughB, gy * skip), Gradients.U + offset, lanes, Gradients.AddU);
            if (Gradients.Delta != null) Write(ddt, Gradients.Delta + offset, lanes, Gradients.AddDelta);
            if (Gradients.Z == null) continue;
            V gate = Load<V>(t.Gate + i), slope = gate * Fma(Load<V>(Inputs.Z + offset, lanes), one - gate, one);
            Write(Load<V>(Dy + offset, lanes) * Load<V>(t.Y + i) * slope, Gradients.Z + offset, lanes, Gradients.AddZ);
        }
        (sumD, sumBias) = (ofD, ofBias);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<V>(V value, float* target, nint lanes, bool add) where V : unmanaged =>
        Store(add ? value + Load<V>(target, lanes) : value, target, lanes);

    /// <summary>The gradients of the few last states, from where <see cref="Chunk.MoveToTails"/> had them written.</summary>
    private static void MoveBack(float* tail, nint count, nint columns, float* to, nint row, bool add)
    {
        for (nint i = 0; tail != null && i < count; i++, tail += ScanShape.StatesAtOnce, to += row)
            for (nint k = 0; k < columns; k++) to[k] = add ? to[k] + tail[k] : tail[k];
    }

    /// <summary>Arrays (ChunkLength, Lanes), in the order of the scan; Dy is behind the gate, Y before it.</summary>
    private readonly struct Tokens(float* start, nint size)
    {
        public const int Arrays = 8;
        public readonly float* Dt = start, Slope = start + size, DtU = start + 2 * size, Y = start + 3 * size;
        public readonly float* Dy = start + 4 * size, Gate = start + 5 * size, ThroughA = start + 6 * size, ThroughB = start + 7 * size;
    }

    /// <summary>Four states over a chunk. B, C and their gradients lie a row apart from token to token.</summary>
    private struct Chunk
    {
        public nint Count, Row;
        public float* A, B, C, GradientB, GradientC, H, Decays, Carry, SumA;
        public bool Add;

        /// <summary>Lets the few last states look like four: their B and C stand in a buffer with zeros beside them, and their gradients go there.</summary>
        public void MoveToTails(float* tails, nint length, nint columns)
        {
            nint size = length * ScanShape.StatesAtOnce;
            SelectiveScan.CopyTail(B, Row, Count, columns, tails);
            SelectiveScan.CopyTail(C, Row, Count, columns, tails + size);
            (Row, Add) = (ScanShape.StatesAtOnce, false);
            B = tails;
            C = tails + size;
            if (GradientB != null) GradientB = tails + 2 * size;
            if (GradientC != null) GradientC = tails + 3 * size;
        }
    }
}
