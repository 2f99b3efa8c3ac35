using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>
/// The backward scan, from the last chunk to the first. A chunk is rescanned from its kept state, storing x of every token. With g =
/// dL/dx_l = dy_l conj(C) + conj(A) dL/dx_(l+1): dA = sum g conj(x_(l-1)), dB = sum g u, dC = sum dy conj(x), du = Re(conj(g) B) + D dy.
/// </summary>
internal unsafe struct LtiBackward : IKernel
{
    public LtiShape Shape;
    public LtiInputs Inputs;

    /// <summary>(B, Chunks, Blocks, Rows, Lanes), and (B, L, H).</summary>
    public float* Kept, Dy;

    /// <summary>(B, L, H).</summary>
    public GradientTarget Du;

    /// <summary>(B, Blocks, Rows, Lanes): the gradient of the last state; overwritten by that of the first.</summary>
    public float* Carries;

    /// <summary>(B, Blocks, Rows, Lanes) each, and (B, Blocks, Lanes): sums over the tokens of a sequence, overwritten.</summary>
    public float* Da, Db, Dc, Dd;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        LtiShape s = Shape;
        nint n = Count<V>(), size = s.StateSize, length = s.ChunkLength;
        using Scratch tokens = new(3 * length * n), states = new((length + 1) * 4 * n);
        float* u = tokens.Pointer, dy = u + length * n, du = dy + length * n;
        for (nint item = begin; item < end; item++)
        {
            nint batch = item / s.Blocks, block = item % s.Blocks, lanes = s.LanesOf(block), channel = block * n;
            V skip = Inputs.D == null ? default : Load<V>(Inputs.D + channel, lanes), ofSkip = default;
            foreach (nint sums in (ReadOnlySpan<nint>)[(nint)Da, (nint)Db, (nint)Dc])
                new Span<float>((float*)sums + item * size, (int)size).Clear();
            for (nint first = (s.Chunks - 1) * length; first >= 0; first -= length)
            {
                nint count = Math.Min(length, s.Length - first), offset = (batch * s.Length + first) * s.Channels + channel;
                for (nint i = 0; i < count; i++)
                {
                    V x = Load<V>(Inputs.U + offset + i * s.Channels, lanes), g = Load<V>(Dy + offset + i * s.Channels, lanes);
                    Store(x, u + i * n);
                    Store(g, dy + i * n);
                    Store(g * skip, du + i * n);
                    ofSkip = Fma(g, x, ofSkip);
                }
                float* kept = Kept + ((batch * s.Chunks + first / length) * s.Blocks + block) * size;
                LtiChunk chunk = new() { Count = count, U = u, Kept = states.Pointer };
                for (nint row = 0; row < s.Rows; row += 4)
                {
                    nint ofParameter = block * size + row * n, ofSum = item * size + row * n;
                    chunk = chunk.At(Inputs, ofParameter, kept + row * n);
                    chunk.Scan<V>();
                    for (nint state = 0; state < 4 * n; state += 2 * n)
                    {
                        nint at = ofSum + state;
                        WalkBack<V>(chunk, state, dy, du, Carries + at, Da + at, Db + at, Dc + at);
                    }
                }
                if (Du.IsWanted)
                    for (nint i = 0; i < count; i++) Du.Store(Load<V>(du + i * n), Du.Pointer + offset + i * s.Channels, lanes);
            }
            Store(ofSkip, Dd + item * n);
        }
    }

    /// <summary>
    /// Walks one complex state backwards: its gradient, three sums and three parameters take 14 registers. The sums of each chunk are added
    /// to those of the sequence, so that the error does not grow with L.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void WalkBack<V>(
        in LtiChunk chunk, nint state, float* allDy, float* allDu, float* carry, float* da, float* db, float* dc) where V : unmanaged
    {
        nint n = Count<V>();
        V ar = Load<V>(chunk.A + state), ai = Load<V>(chunk.A + state + n);
        V br = Load<V>(chunk.B + state), bi = Load<V>(chunk.B + state + n);
        V cr = Load<V>(chunk.C + state), ci = Load<V>(chunk.C + state + n), g = Load<V>(carry), gi = Load<V>(carry + n);
        V sa = default, sai = default, sb = default, sbi = default, sc = default, sci = default;
        float* x = chunk.Kept + chunk.Count * 4 * n + state;
        V re = Load<V>(x), im = Load<V>(x + n);
        for (nint i = (chunk.Count - 1) * n; i >= 0; i -= n)
        {
            V dy = Load<V>(allDy + i), u = Load<V>(chunk.U + i);
            sc = Fma(dy, re, sc);
            sci = Fma(-dy, im, sci);
            g = Fma(dy, cr, g);
            gi = Fma(-dy, ci, gi);
            sb = Fma(g, u, sb);
            sbi = Fma(gi, u, sbi);
            Store(Fma(g, br, Fma(gi, bi, Load<V>(allDu + i))), allDu + i);
            x -= 4 * n;
            re = Load<V>(x);
            im = Load<V>(x + n);
            sa = Fma(g, re, Fma(gi, im, sa));
            sai = Fma(gi, re, Fma(-g, im, sai));
            V before = Fma(g, ar, gi * ai);
            gi = Fma(gi, ar, -(g * ai));
            g = before;
        }
        Store(g, carry);
        Store(gi, carry + n);
        Add(sa, sai, da);
        Add(sb, sbi, db);
        Add(sc, sci, dc);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<V>(V re, V im, float* sums) where V : unmanaged
    {
        nint n = Count<V>();
        Store(Load<V>(sums) + re, sums);
        Store(Load<V>(sums + n) + im, sums + n);
    }
}
