using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Attention;

/// <summary>The cosines and sines of position times base^(-2i / Dh): per position, Dh / 2 cosines followed by Dh / 2 sines.</summary>
internal unsafe struct RotaryAngles : IKernel
{
    public float* Table;
    public nint Pairs;
    public int Offset;
    public double Base;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        for (nint t = begin; t < end; t++)
            for (nint i = 0; i < Pairs; i++)
            {
                // In double: in float32 the angle of a late position has few correct digits.
                (double sin, double cos) = Math.SinCos(((double)t + Offset) * Math.Pow(Base, -(double)i / Pairs));
                (Table[t * 2 * Pairs + i], Table[t * 2 * Pairs + Pairs + i]) = ((float)cos, (float)sin);
            }
    }
}

/// <summary>
/// y (+)= (a cos - b sin, b cos + a sin) for each pair (a, b) of each head; the gradient uses the opposite angle. One item is a token.
/// </summary>
internal unsafe struct RotateTokens : IKernel
{
    public float* X, Table;
    public GradientTarget Y;
    public nint Length, Heads, Pairs;

    /// <summary>Whether a pair is (2i, 2i + 1), not (i, i + Dh / 2).</summary>
    public bool Interleaved;
    public bool Backwards;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), width = 2 * Pairs;
        GradientTarget target = Y;
        V sign = Broadcast<V>(Backwards ? -1f : 1f);
        for (nint token = begin; token < end; token++)
        {
            float* cos = Table + token % Length * width, sin = cos + Pairs;
            for (nint head = 0; head < Heads; head++)
            {
                float* x = X + (token * Heads + head) * width, y = target.Pointer + (token * Heads + head) * width;
                if (Interleaved)
                {
                    AdjacentPairs(x, y, cos, sin);
                    continue;
                }
                for (nint i = 0; i < Pairs; i += n)
                {
                    nint lanes = Math.Min(n, Pairs - i);
                    V a = Load<V>(x + i, lanes), b = Load<V>(x + Pairs + i, lanes), c = Load<V>(cos + i, lanes),
                        s = Load<V>(sin + i, lanes) * sign;
                    V first = a * c - b * s, second = b * c + a * s;
                    target.Store(first, y + i, lanes);
                    target.Store(second, y + Pairs + i, lanes);
                }
            }
        }
    }

    private readonly void AdjacentPairs(float* x, float* y, float* cos, float* sin)
    {
        for (nint i = 0; i < Pairs; i++)
        {
            float a = x[2 * i], b = x[2 * i + 1], c = cos[i], s = Backwards ? -sin[i] : sin[i];
            float first = a * c - b * s, second = b * c + a * s;
            Y.StoreOne(first, y + 2 * i);
            Y.StoreOne(second, y + 2 * i + 1);
        }
    }
}
