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
/// One item: some blocks of channels, in turn, over one segment of one sequence. Each chunk is scanned again from its kept state, this time writing
/// down e^(dt A) and h of every token, and then walked backwards. With g = dL/dh_t, which takes C_t dL/dy_t and e^(dt_(t+1) A) dL/dh_(t+1):
/// dA = g e^(dt A) h_(t-1) dt, dB = g dt u, dC = h dy, ddt = g (e^(dt A) h_(t-1) A + u B), du = g dt B + D dy.
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
        ScanShape s = Shape;
        // States of a chunk with the one before it in front, decays of a chunk, dt of a chunk, outputs of the recurrence.
        nint n = Count<V>();
        using Scratch states = new((s.ChunkLength + 1) * s.StateSize), decays = new(s.ChunkLength * s.StateSize), steps = new(3 * s.ChunkLength * n);
        using Scratch sums = new(s.StateSize), products = new(2 * s.StateSize);
        for (nint item = begin; item < end; item++)
        {
            nint part = item % s.ItemsPerGroup, rest = item / s.ItemsPerGroup, group = rest % s.Groups, sequence = rest / s.Groups;
            nint segment = sequence % s.Segments, b = sequence / s.Segments;
            (nint first, nint stop) = s.Tokens(segment);
            nint firstBlock = group * s.BlocksPerGroup + part * s.BlocksPerItem;
            nint lastBlock = Math.Min(firstBlock + s.BlocksPerItem, (group + 1) * s.BlocksPerGroup);
            for (nint block = firstBlock; block < lastBlock; block++)
            {
                Chunk<V> chunk = new()
                {
                    Block = block,
                    Batch = b,
                    Group = group,
                    Part = part,
                    FirstOfItem = block == firstBlock,
                    H = states.Pointer,
                    Decays = decays.Pointer,
                    Dt = steps.Pointer,
                    Slope = steps.Pointer + s.ChunkLength * n,
                    Y = steps.Pointer + 2 * s.ChunkLength * n,
                    SumA = sums.Pointer,
                    Products = products.Pointer,
                    Carry = Carries + s.StateOffset(sequence, block),
                };
                chunk.Channel = s.ChannelOf(block, out chunk.Lanes);
                new Span<float>(sums.Pointer, (int)s.StateSize).Clear();
                for (nint t = stop; t > first;)
                {
                    nint start = (t - 1) / s.ChunkLength * s.ChunkLength;
                    Recompute(ref chunk, start, t);
                    WalkBack(ref chunk, start, t);
                    t = start;
                }
                if (Gradients.A != null) ScanForward.Copy(sums.Pointer, Gradients.A + s.StateOffset(sequence, block), s.StateSize);
                if (Gradients.D != null) Store(chunk.SumD, Gradients.D + (sequence * s.Blocks + block) * n);
                if (Gradients.DeltaBias != null) Store(chunk.SumBias, Gradients.DeltaBias + (sequence * s.Blocks + block) * n);
            }
        }
    }

    /// <summary>Scans tokens [start, stop) again and writes down what the walk back needs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Recompute<V>(ref Chunk<V> chunk, nint start, nint stop) where V : unmanaged
    {
        ScanShape s = Shape;
        ScanInputs inputs = Inputs;
        nint n = Count<V>(), states = s.States, size = s.StateSize, channel = chunk.Channel, lanes = chunk.Lanes;
        float* a = inputs.A + chunk.Block * size, h = chunk.H, decay = chunk.Decays;
        ScanForward.Copy(Kept + s.StateOffset(chunk.Batch * s.Chunks + start / s.ChunkLength, chunk.Block), h, size);
        // The dt of all tokens first: each is a long chain of its own, and chains of several tokens overlap.
        for (nint i = 0; i < stop - start; i++)
        {
            Store(inputs.StepSize<V>((chunk.Batch * s.Length + start + i) * s.Channels + channel, channel, lanes, out V slope), chunk.Dt + i * n);
            Store(slope, chunk.Slope + i * n);
        }
        for (nint i = 0; i < stop - start; i++, h += size, decay += size)
        {
            nint token = chunk.Batch * s.Length + start + i, offset = token * s.Channels + channel;
            float* bt = inputs.B + (token * s.Groups + chunk.Group) * states, ct = inputs.C + (token * s.Groups + chunk.Group) * states;
            V dt = Load<V>(chunk.Dt + i * n), dtu = dt * Load<V>(inputs.U + offset, lanes), y = default;
            for (nint k = 0; k < states; k++)
            {
                V e = Exp2(dt * Load<V>(a + k * n)), next = Fma(e, Load<V>(h + k * n), dtu * Broadcast<V>(bt[k]));
                Store(e, decay + k * n);
                Store(next, h + size + k * n);
                y = Fma(next, Broadcast<V>(ct[k]), y);
            }
            Store(y, chunk.Y + i * n);
        }
    }

    /// <summary>Walks tokens [start, stop) backwards.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void WalkBack<V>(ref Chunk<V> chunk, nint start, nint stop) where V : unmanaged
    {
        ScanShape s = Shape;
        ScanInputs inputs = Inputs;
        ScanGradients gradients = Gradients;
        nint n = Count<V>(), states = s.States, size = s.StateSize, channel = chunk.Channel, lanes = chunk.Lanes;
        float* a = inputs.A + chunk.Block * size, carry = chunk.Carry, sumA = chunk.SumA, productsB = chunk.Products, productsC = productsB + size;
        V skip = inputs.D == null ? default : Load<V>(inputs.D + channel, lanes), sumD = chunk.SumD, sumBias = chunk.SumBias;
        bool add = !chunk.FirstOfItem;
        // The gates, likewise: dy before the gate takes the place of y.
        for (nint i = 0; i < stop - start; i++)
        {
            nint offset = (chunk.Batch * s.Length + start + i) * s.Channels + channel;
            V gy = Load<V>(Dy + offset, lanes);
            if (inputs.Z != null)
            {
                V z = Load<V>(inputs.Z + offset, lanes), u = Load<V>(inputs.U + offset, lanes);
                if (gradients.Z != null) Write(gy * Fma(u, skip, Load<V>(chunk.Y + i * n)) * Silu.Derivative(z), gradients.Z + offset, lanes, gradients.AddZ);
                gy *= Silu.Apply(z);
            }
            Store(gy, chunk.Y + i * n);
        }
        for (nint i = stop - start - 1; i >= 0; i--)
        {
            nint token = chunk.Batch * s.Length + start + i, offset = token * s.Channels + channel;
            nint bc = (token * s.Groups + chunk.Group) * states, bcOfPart = bc + chunk.Part * s.Batch * s.Length * s.Groups * states;
            float* bt = inputs.B + bc, ct = inputs.C + bc, h = chunk.H + (i + 1) * size, decay = chunk.Decays + i * size;
            V u = Load<V>(inputs.U + offset, lanes), dt = Load<V>(chunk.Dt + i * n), gy = Load<V>(chunk.Y + i * n);
            sumD = Fma(gy, u, sumD);
            V dtu = dt * u, throughB = default, throughA = default;
            for (nint k = 0; k < states; k++)
            {
                V g = Fma(gy, Broadcast<V>(ct[k]), Load<V>(carry + k * n)), e = Load<V>(decay + k * n);
                V ge = g * e, gA = ge * Load<V>(h - size + k * n);
                Store(ge, carry + k * n);
                Store(Fma(gA, dt, Load<V>(sumA + k * n)), sumA + k * n);
                throughA = Fma(gA, Load<V>(a + k * n), throughA);
                throughB = Fma(g, Broadcast<V>(bt[k]), throughB);
                Store(g * dtu, productsB + k * n);
                Store(gy * Load<V>(h + k * n), productsC + k * n);
            }
            if (gradients.B != null) RowSums.Run<V>(productsB, states, gradients.B + bcOfPart, add);
            if (gradients.C != null) RowSums.Run<V>(productsC, states, gradients.C + bcOfPart, add);
            if (gradients.U != null) Write(Fma(dt, throughB, gy * skip), gradients.U + offset, lanes, gradients.AddU);
            // A stands here times log2 e.
            V ddt = Fma(throughA, Broadcast<V>(Ln2), throughB * u);
            if (inputs.Softplus) ddt *= Load<V>(chunk.Slope + i * n);
            sumBias += ddt;
            if (gradients.Delta != null) Write(ddt, gradients.Delta + offset, lanes, gradients.AddDelta);
        }
        chunk.SumD = sumD;
        chunk.SumBias = sumBias;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<V>(V value, float* target, nint lanes, bool add) where V : unmanaged =>
        Store(add ? value + Load<V>(target, lanes) : value, target, lanes);

    /// <summary>What the chunks of one block share.</summary>
    private struct Chunk<V> where V : unmanaged
    {
        public nint Block, Batch, Group, Part, Channel, Lanes;
        public bool FirstOfItem;
        public float* H, Decays, Dt, Slope, Y, SumA, Products, Carry;
        public V SumD, SumBias;
    }
}
