using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>
/// Sizes of a time-invariant scan. Channels form blocks of one vector. Time is cut into chunks; the states before each are kept for the
/// backward pass. A complex state is two vector rows, re and im.
/// </summary>
/// <param name="Batch">B.</param>
/// <param name="Length">L.</param>
/// <param name="Channels">H.</param>
/// <param name="States">N, the complex states per channel.</param>
/// <param name="Width">The vector width, the same in both passes.</param>
internal readonly record struct LtiShape(nint Batch, nint Length, nint Channels, nint States, VectorWidth Width)
{
    // Tokens per chunk: its arrays stay in L1.
    private const nint TokensOfChunk = 64;
    private const nint UpdatesPerGrain = 1 << 14;

    public nint Lanes => Isa.Lanes(Width);

    public nint Blocks => Launch.CeilDiv(Channels, Lanes);

    /// <summary>Rows of a block's states, real and imaginary, padded to full pairs of states.</summary>
    public nint Rows => Launch.CeilDiv(States, 2) * 4;

    /// <summary>Floats of the states of a block.</summary>
    public nint StateSize => Rows * Lanes;

    /// <summary>At least 2 N tokens, so that the kept states take no more memory than the input.</summary>
    public nint ChunkLength => Launch.BalancedSize(Length, Math.Max(TokensOfChunk, 2 * States));

    public nint Chunks => Launch.CeilDiv(Length, ChunkLength);

    public nint Items => Batch * Blocks;

    public nint Grain => Math.Max(1, UpdatesPerGrain / (Length * StateSize));

    /// <summary>The channels of a block.</summary>
    public nint LanesOf(nint block) => Math.Min(Lanes, Channels - block * Lanes);

    /// <summary>
    /// (items, H, N, 2) to (items, Blocks, Rows, Lanes) times a factor; zeros beyond the channels and the states.
    /// </summary>
    public unsafe void Pack(float* numbers, nint items, float factor, float* packed)
    {
        nint row = 2 * States;
        Span<float> all = new(packed, checked((int)(items * Blocks * StateSize)));
        if (Blocks * Lanes > Channels || Rows > row) all.Clear();
        for (nint i = 0; i < items * Blocks; i++)
        {
            nint block = i % Blocks, channel = i / Blocks * Channels + block * Lanes;
            Transpose.Run(numbers + channel * row, row, LanesOf(block), row, packed + i * StateSize, Lanes);
        }
        if (factor != 1f) System.Numerics.Tensors.TensorPrimitives.Multiply(all, factor, all);
    }

    /// <summary>The inverse of <see cref="Pack"/>.</summary>
    public unsafe void Unpack(float* packed, nint items, GradientTarget numbers)
    {
        nint row = 2 * States;
        for (nint i = 0; i < items * Blocks; i++)
        {
            nint block = i % Blocks, channel = i / Blocks * Channels + block * Lanes;
            Transpose.Run(packed + i * StateSize, Lanes, row, LanesOf(block), numbers.Pointer + channel * row, numbers.Accumulate);
        }
    }
}

/// <summary>A, B or C of a scan in the kernels' layout, times a factor.</summary>
internal readonly record struct LtiPacking(nint Channels, nint States, VectorWidth Width, float Factor) : IWeightPacking
{
    private LtiShape Shape => new(1, 1, Channels, States, Width);

    public nint Size => Shape.Blocks * Shape.StateSize;

    public unsafe void Pack(float* weight, float* packed) => Shape.Pack(weight, 1, Factor, packed);
}

/// <summary>The inputs of a scan: packed A, B, C (times the factor), u (B, L, H) and the skip D (H) or null.</summary>
internal unsafe struct LtiInputs
{
    public float* A, B, C, U, D;
}

/// <summary>
/// x_l = A x_(l-1) + B u_l, y_l = Re(C x_l) + D u_l with constant complex A, B, C. Lanes are channels. Two states advance through a chunk
/// together, in registers: their four chains of multiply-adds hide the latency. One item is a block of one sequence.
/// </summary>
internal unsafe struct LtiForward : IKernel
{
    public LtiShape Shape;
    public LtiInputs Inputs;

    /// <summary>(B, Blocks, Rows, Lanes): holds the first state; receives the last.</summary>
    public float* States;

    /// <summary>(B, L, H), and (B, Chunks, Blocks, Rows, Lanes) for the states before each chunk, or null.</summary>
    public float* Y, Kept;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        LtiShape s = Shape;
        nint n = Count<V>(), size = s.StateSize, length = s.ChunkLength;
        using Scratch tokens = new(2 * length * n);
        float* u = tokens.Pointer, y = u + length * n;
        for (nint item = begin; item < end; item++)
        {
            nint batch = item / s.Blocks, block = item % s.Blocks, lanes = s.LanesOf(block), channel = block * n;
            V skip = Inputs.D == null ? default : Load<V>(Inputs.D + channel, lanes);
            for (nint first = 0; first < s.Length; first += length)
            {
                nint count = Math.Min(length, s.Length - first), offset = (batch * s.Length + first) * s.Channels + channel;
                if (Kept != null)
                    new ReadOnlySpan<float>(States + item * size, (int)size).CopyTo(
                        new Span<float>(Kept + ((batch * s.Chunks + first / length) * s.Blocks + block) * size, (int)size));
                for (nint i = 0; i < count; i++)
                {
                    V x = Load<V>(Inputs.U + offset + i * s.Channels, lanes);
                    Store(x, u + i * n);
                    Store(x * skip, y + i * n);
                }
                LtiChunk chunk = new() { Count = count, U = u, Y = y };
                for (nint row = 0; row < s.Rows; row += 4)
                    chunk.At(Inputs, block * size + row * n, States + item * size + row * n).Scan<V>();
                for (nint i = 0; i < count; i++) Store(Load<V>(y + i * n), Y + offset + i * s.Channels, lanes);
            }
        }
    }
}

/// <summary>Two states of a block of channels over a chunk. Arrays of tokens are (Count, Lanes).</summary>
internal unsafe struct LtiChunk
{
    public nint Count;
    public float* U, Y, A, B, C;

    /// <summary>(4, Lanes): the states before the chunk; receives those after it.</summary>
    public float* State;

    /// <summary>(Count + 1, 4, Lanes): receives the states before the chunk and after each token, and Y is not written; or null.</summary>
    public float* Kept;

    /// <summary>The same chunk with the parameters at an offset, and another state.</summary>
    public readonly LtiChunk At(in LtiInputs inputs, nint offset, float* state) =>
        this with { A = inputs.A + offset, B = inputs.B + offset, C = inputs.C + offset, State = state };

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Scan<V>() where V : unmanaged
    {
        nint n = Count<V>();
        float* u = U, y = Y, kept = Kept;
        V ar = Load<V>(A), ai = Load<V>(A + n), br = Load<V>(B), bi = Load<V>(B + n), cr = Load<V>(C), ci = -Load<V>(C + n);
        V dr = Load<V>(A + 2 * n), di = Load<V>(A + 3 * n), er = Load<V>(B + 2 * n), ei = Load<V>(B + 3 * n);
        V fr = Load<V>(C + 2 * n), fi = -Load<V>(C + 3 * n);
        V x = Load<V>(State), xi = Load<V>(State + n), z = Load<V>(State + 2 * n), zi = Load<V>(State + 3 * n);
        for (nint i = 0; i < Count; i++, u += n, y += n)
        {
            if (kept != null)
            {
                Store4(x, xi, z, zi, kept);
                kept += 4 * n;
            }
            V input = Load<V>(u);
            V re = Fma(ar, x, Fma(-ai, xi, br * input)), im = Fma(ar, xi, Fma(ai, x, bi * input));
            V re2 = Fma(dr, z, Fma(-di, zi, er * input)), im2 = Fma(dr, zi, Fma(di, z, ei * input));
            (x, xi, z, zi) = (re, im, re2, im2);
            if (kept == null) Store(Fma(cr, x, Fma(ci, xi, Load<V>(y))) + Fma(fr, z, fi * zi), y);
        }
        Store4(x, xi, z, zi, kept != null ? kept : State);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store4<V>(V a, V b, V c, V d, float* p) where V : unmanaged
    {
        nint n = Count<V>();
        Store(a, p);
        Store(b, p + n);
        Store(c, p + 2 * n);
        Store(d, p + 3 * n);
    }
}
