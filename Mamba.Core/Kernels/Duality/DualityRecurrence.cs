using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Duality;

/// <summary>
/// The recurrent form, for short sequences: S = e^(dt A) S + (dt x) B^T and y = S C + D x, times silu(z). The state stays (P, N) with lanes
/// over N, so that a token is one pass over it. One item is a head of a sequence.
/// </summary>
internal unsafe struct DualityRecurrence : IKernel
{
    private const int RowsAtOnce = 4;

    public DualityShape Shape;
    public DualityInputs Inputs;

    /// <summary>(B, H, P, N), or null for zeros. May alias <see cref="Last"/>.</summary>
    public float* Initial;

    /// <summary>Results: (B, L, H, P), and (B, H, P, N).</summary>
    public float* Y, Last;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        DualityShape s = Shape;
        DualityInputs inputs = Inputs;
        nint width = s.HeadWidth, states = s.States;
        using Scratch rows = new(2 * width);
        float* y = rows.Pointer, skip = y + width;
        for (nint item = begin; item < end; item++)
        {
            nint head = item % s.Heads, batch = item / s.Heads, group = head / s.HeadsPerGroup;
            float* state = Last + item * s.StateSize, from = Initial == null ? null : Initial + item * s.StateSize;
            inputs.Skip(head, width, skip);
            for (nint t = 0; t < s.Length; t++, from = state)
            {
                nint token = batch * s.Length + t, at = token * s.ValueStride + head * width, bc = (token * s.Groups + group) * states;
                float dt = inputs.Bounded(inputs.Unbounded<float>(token * s.Heads + head, head, 1, out _));
                Update<V>(from, state, VecMath.Exp(dt * inputs.A[head]), dt, inputs.X + at, inputs.B + bc, inputs.C + bc, y);
                for (nint p = 0; p < width; p += Count<V>())
                {
                    nint lanes = Math.Min(Count<V>(), width - p);
                    V v = Load<V>(y + p, lanes);
                    if (inputs.D != null) v = Fma(Load<V>(skip + p, lanes), Load<V>(inputs.X + at + p, lanes), v);
                    if (inputs.Z != null) v *= Silu.Apply(Load<V>(inputs.Z + at + p, lanes));
                    Store(v, Y + at + p, lanes);
                }
            }
        }
    }

    /// <summary>One token: the next state, and y = S C.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Update<V>(float* from, float* state, float decay, float dt, float* x, float* b, float* c, float* y)
        where V : unmanaged
    {
        nint n = Count<V>(), width = Shape.HeadWidth, states = Shape.States, row = 0;
        V e = Broadcast<V>(decay);
        for (; row <= width - RowsAtOnce; row += RowsAtOnce)
        {
            V u0 = Broadcast<V>(dt * x[row]), u1 = Broadcast<V>(dt * x[row + 1]), u2 = Broadcast<V>(dt * x[row + 2]);
            V u3 = Broadcast<V>(dt * x[row + 3]), y0 = default, y1 = default, y2 = default, y3 = default;
            for (nint k = 0; k < states; k += n)
            {
                nint lanes = Math.Min(n, states - k), at = row * states + k;
                V bk = Load<V>(b + k, lanes), ck = Load<V>(c + k, lanes);
                y0 = Fma(Next(from, state, at, lanes, e, u0 * bk), ck, y0);
                y1 = Fma(Next(from, state, at + states, lanes, e, u1 * bk), ck, y1);
                y2 = Fma(Next(from, state, at + 2 * states, lanes, e, u2 * bk), ck, y2);
                y3 = Fma(Next(from, state, at + 3 * states, lanes, e, u3 * bk), ck, y3);
            }
            HorizontalSums.Run(y0, y1, y2, y3, y + row, add: false);
        }
        for (; row < width; row++)
        {
            V u = Broadcast<V>(dt * x[row]), sum = default;
            for (nint k = 0; k < states; k += n)
            {
                nint lanes = Math.Min(n, states - k);
                sum = Fma(Next(from, state, row * states + k, lanes, e, u * Load<V>(b + k, lanes)), Load<V>(c + k, lanes), sum);
            }
            y[row] = Sum(sum);
        }
    }

    /// <summary>Computes and stores one vector of the next state.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Next<V>(float* from, float* state, nint at, nint lanes, V decay, V input) where V : unmanaged
    {
        V next = from == null ? input : Fma(decay, Load<V>(from + at, lanes), input);
        Store(next, state + at, lanes);
        return next;
    }
}
