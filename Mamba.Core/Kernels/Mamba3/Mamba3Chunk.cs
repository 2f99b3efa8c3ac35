using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;
using static Mamba.Core.Simd.VecMath;

namespace Mamba.Core.Kernels.Mamba3;

/// <summary>
/// The tokens of a chunk as both passes use them: token weights, and rotated keys and queries. With Gamma_t = lambda_t dt_t + (1 -
/// lambda_(t+1)) dt_(t+1) and S'_t = S_t + (1 - lambda_(t+1)) dt_(t+1) v_t k_t^T, the trapezoidal rule has one new term per token: S'_t =
/// alpha_t S'_(t-1) + Gamma_t v_t k_t^T, y_t = alpha_t S'_(t-1) q_t + lambda_t dt_t (q_t . k_t) v_t + D v_t.
/// </summary>
internal unsafe struct Mamba3Chunk
{
    // Decays are accumulated and applied to the state only before they leave this range. Most tokens then do not multiply the state, and no
    // term underflows.
    private const double SmallestDecay = 1e-6, LargestDecay = 1e6;

    private const double TwoPi = 2 * Math.PI;

    public Mamba3Shape Shape;
    public Mamba3Pointers Inputs;

    /// <summary>The tokens [First, First + Count) of a sequence.</summary>
    public nint Batch, First, Count;

    /// <summary>(ChunkLength, KeyStride): Q and K of a group in the kernels' order; those of a head, with bias, rotated.</summary>
    public float* RawQ, RawK, Q, K;

    /// <summary>(ChunkLength, AngleStride).</summary>
    public float* Sin, Cos, Tanh;

    /// <summary>(ChunkLength + 1, rounded up to full vectors): includes the token after the chunk.</summary>
    public float* Alpha, Dt, Lambda;

    /// <summary>(ChunkLength): lambda dt, Gamma, q . k.</summary>
    public float* Gamma, Total, Dots;

    /// <summary>
    /// (ChunkLength): the decay applied before a token, the decay of outputs since then, and the weight of the token's update.
    /// </summary>
    public float* Decays, Scales, Weights;

    /// <summary>Floats of the arrays.</summary>
    public static nint Size(in Mamba3Shape s) =>
        4 * Arena.Rounded(s.ChunkLength * s.KeyStride) + 3 * Arena.Rounded(s.ChunkLength * s.AngleStride)
        + 9 * Arena.Rounded(s.ChunkLength + 1 + s.Lanes);

    /// <summary>Allocates the arrays and zeroes the padding of their rows.</summary>
    public void Allocate(ref Arena arena)
    {
        nint length = Shape.ChunkLength, tokens = length + 1 + Shape.Lanes;
        nint keys = length * Shape.KeyStride, angles = length * Shape.AngleStride;
        RawQ = arena.Take(keys);
        RawK = arena.Take(keys);
        Q = arena.Take(keys);
        K = arena.Take(keys);
        Sin = arena.Take(angles);
        Cos = arena.Take(angles);
        Tanh = arena.Take(angles);
        Alpha = arena.Take(tokens);
        Dt = arena.Take(tokens);
        Lambda = arena.Take(tokens);
        Gamma = arena.Take(tokens);
        Total = arena.Take(tokens);
        Dots = arena.Take(tokens);
        Decays = arena.Take(tokens);
        Scales = arena.Take(tokens);
        Weights = arena.Take(tokens);
        Clear(Q, keys);
        Clear(K, keys);
    }

    public static void Clear(float* p, nint count) => new Span<float>(p, checked((int)count)).Clear();

    public static void Copy(float* from, float* to, nint count) =>
        new ReadOnlySpan<float>(from, (int)count).CopyTo(new Span<float>(to, (int)count));

    /// <summary>The index of a token of the chunk in arrays (B, L).</summary>
    public readonly nint Token(nint i) => Batch * Shape.Length + First + i;

    /// <summary>Reads Q and K of a group in the kernels' order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void LoadGroup(nint group)
    {
        nint states = Shape.States, stride = Shape.KeyStride, step = Shape.Groups * states;
        float* q = Inputs.Q + (Token(0) * Shape.Groups + group) * states, k = Inputs.K + (Token(0) * Shape.Groups + group) * states;
        for (nint i = 0; i < Count; i++)
        {
            ComponentOrder.Separate(Shape, q + i * step, RawQ + i * stride);
            ComponentOrder.Separate(Shape, k + i * step, RawK + i * stride);
        }
    }

    /// <summary>Computes alpha, dt, lambda, lambda dt and Gamma of the tokens of a head.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Weigh<V>(nint head) where V : unmanaged
    {
        nint heads = Shape.Heads, offset = Token(0) * heads + head, n = Count<V>();
        nint known = Math.Min(Count + 1, Shape.Length - First);
        for (nint i = 0; i < known; i++)
        {
            nint at = offset + i * heads;
            (Alpha[i], Dt[i], Lambda[i]) = (Inputs.Adt[at], Inputs.Dt[at], Inputs.Trap[at]);
        }
        for (nint i = known; i < Count + n; i++) (Alpha[i], Dt[i], Lambda[i]) = (0f, 0f, 0f); // zero terms past the last token
        for (nint i = 0; i < known; i += n)
        {
            Store(Exp(Load<V>(Alpha + i)), Alpha + i);
            Store(Sigmoid(Load<V>(Lambda + i)), Lambda + i);
        }
        for (nint i = 0; i < Count; i++)
        {
            Gamma[i] = Lambda[i] * Dt[i];
            Total[i] = Gamma[i] + (1f - Lambda[i + 1]) * Dt[i + 1];
        }
    }

    /// <summary>The weight (1 - lambda) dt of the value and key before the first token of the chunk.</summary>
    public readonly float WeightOfPrevious => (1f - Lambda[0]) * Dt[0];

    /// <summary>Decides where a forward walk applies its decays.</summary>
    /// <returns>The decay to apply after the last token.</returns>
    public readonly float DecayForwards()
    {
        double decay = 1;
        for (nint i = 0; i < Count; i++)
        {
            decay *= Alpha[i];
            Decays[i] = 1f;
            if (i == 0 || !(decay is > SmallestDecay and < LargestDecay)) (Decays[i], decay) = ((float)decay, 1);
            Scales[i] = (float)decay;
            Weights[i] = (float)(Total[i] / decay);
        }
        return (float)decay;
    }

    /// <summary>The same for the backward walk of G_(t-1) = alpha_t (G_t + dy_t q_t^T).</summary>
    /// <returns>The decay to apply after the first token.</returns>
    public readonly float DecayBackwards()
    {
        double decay = 1;
        for (nint i = Count - 1; i >= 0; i--)
        {
            Decays[i] = 1f;
            if (!(decay is > SmallestDecay and < LargestDecay)) (Decays[i], decay) = ((float)decay, 1);
            Scales[i] = (float)decay;
            Weights[i] = (float)(1 / decay);
            decay *= Alpha[i];
        }
        return (float)decay;
    }

    /// <summary>Converts angles in radians, (S), to turns in [-1/2, 1/2] plus the float32 rounding error.</summary>
    public static void ToTurns(float* angles, float* rests, nint count, float* turns, float* rest)
    {
        for (nint j = 0; j < count; j++)
        {
            double turn = (angles[j] + (rests == null ? 0.0 : rests[j])) / TwoPi;
            turn -= Math.Round(turn);
            turns[j] = (float)turn;
            rest[j] = (float)(turn - turns[j]);
        }
    }

    /// <summary>Converts back to angles in [0, 2 pi) plus the float32 rounding error.</summary>
    public static void ToAngles(float* turns, float* rest, nint count, float* angles, float* rests)
    {
        for (nint j = 0; j < count; j++)
        {
            double turn = (double)turns[j] + rest[j], angle = (turn - Math.Floor(turn)) * TwoPi;
            float rounded = (float)angle;
            if (rounded >= TwoPi) rounded = MathF.BitDecrement(rounded);
            angles[j] = rounded;
            rests[j] = (float)(angle - rounded);
        }
    }

    /// <summary>
    /// Accumulates theta_t = theta_(t-1) + pi dt_t tanh(a_t), in turns. Each sum is two floats: the first is wrapped, the second is its
    /// rounding error (Knuth's sum, Dekker's product). So a million tokens lose no precision.
    /// </summary>
    /// <param name="head">The head.</param>
    /// <param name="turns">(S): the angles before the chunk; then after it.</param>
    /// <param name="rest">(S): their rounding errors.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void AddAngles<V>(nint head, float* turns, float* rest) where V : unmanaged
    {
        nint n = Count<V>(), stride = Shape.AngleStride, turned = Shape.Turned, heads = Shape.SharedAngles ? 1 : Shape.Heads;
        nint count = Count, step = heads * turned;
        float* angles = Inputs.Angles + (Token(0) * heads + (Shape.SharedAngles ? 0 : head)) * turned;
        float* dt = Dt, sines = Sin, cosines = Cos, tangents = Tanh;
        for (nint j = 0; j < turned; j += n)
        {
            nint lanes = Math.Min(n, turned - j);
            V sum = Load<V>(turns + j), low = Load<V>(rest + j);
            for (nint i = 0; i < count; i++)
            {
                V half = Broadcast<V>(0.5f * dt[i]), tanh = Tanh(Load<V>(angles + i * step + j, lanes));
                V added = half * tanh, error = Fma(half, tanh, -added);
                V next = sum + added, part = next - sum;
                low += error + (sum - (next - part)) + (added - part);
                sum = next - Round(next);
                VecFunctions.SinCosOfTurns(sum, low, out V sin, out V cos);
                Store(sin, sines + i * stride + j);
                Store(cos, cosines + i * stride + j);
                Store(tanh, tangents + i * stride + j);
            }
            Store(sum, turns + j);
            Store(low, rest + j);
        }
    }

    /// <summary>q = R(theta) (Q + bias), k likewise, and q . k, which is invariant under rotation.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Turn<V>(float* qBias, float* kBias) where V : unmanaged
    {
        nint n = Count<V>(), turned = Shape.Turned, states = Shape.States, count = Count, stride = Shape.KeyStride;
        float* rawQ = RawQ, rawK = RawK, q = Q, k = K, sines = Sin, cosines = Cos, dots = Dots;
        for (nint i = 0; i < count; i++, rawQ += stride, rawK += stride, q += stride, k += stride)
        {
            V dot = default;
            for (nint j = 0; j < turned; j += n)
            {
                nint lanes = Math.Min(n, turned - j), odd = turned + j;
                V sin = Load<V>(sines + j), cos = Load<V>(cosines + j);
                V q0 = Load<V>(rawQ + j, lanes) + Load<V>(qBias + j, lanes), q1 = Load<V>(rawQ + odd, lanes) + Load<V>(qBias + odd, lanes);
                V k0 = Load<V>(rawK + j, lanes) + Load<V>(kBias + j, lanes), k1 = Load<V>(rawK + odd, lanes) + Load<V>(kBias + odd, lanes);
                dot = Fma(q0, k0, Fma(q1, k1, dot));
                Store(cos * q0 - sin * q1, q + j, lanes);
                Store(Fma(sin, q0, cos * q1), q + odd, lanes);
                Store(cos * k0 - sin * k1, k + j, lanes);
                Store(Fma(sin, k0, cos * k1), k + odd, lanes);
            }
            for (nint j = 2 * turned; j < states; j += n)
            {
                nint lanes = Math.Min(n, states - j);
                V q0 = Load<V>(rawQ + j, lanes) + Load<V>(qBias + j, lanes), k0 = Load<V>(rawK + j, lanes) + Load<V>(kBias + j, lanes);
                dot = Fma(q0, k0, dot);
                Store(q0, q + j, lanes);
                Store(k0, k + j, lanes);
            }
            dots[i] = Sum(dot);
            sines += Shape.AngleStride;
            cosines += Shape.AngleStride;
        }
    }
}
