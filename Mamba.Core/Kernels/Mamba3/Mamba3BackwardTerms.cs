using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Mamba3;

// The gradients of each input, from the results of the walks.
internal unsafe partial struct Mamba3Backward
{
    /// <summary>The gradients of Gamma and of A dt.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Decays<V>(in Mamba3Chunk chunk, nint head, in HeadGradient g, float* kept, in Work w) where V : unmanaged
    {
        nint heads = Shape.Heads, first = chunk.Token(0) * heads + head;
        double held = Dot<V>(kept, g.Head.Ssm, Shape.StateSize);
        for (nint i = 0; i < chunk.Count; i++)
        {
            float ofTotal = w.DTotal[i] = Dot<V>(w.V + i * Shape.ValueStride, w.Dv + i * Shape.ValueStride, Shape.StateColumns);
            float output = Dot<V>(chunk.Q + i * Shape.KeyStride, w.Dq + i * Shape.KeyStride, Shape.KeyColumns);
            if (Gradients.Adt.IsWanted) Gradients.Adt.StoreOne((float)held, Gradients.Adt.Pointer + first + i * heads);
            held += (double)chunk.Total[i] * ofTotal - output;
        }
    }

    /// <summary>dv, dz and the sum for the skip.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Values<V>(in Mamba3Chunk chunk, nint head, in HeadGradient g, in Work w) where V : unmanaged
    {
        nint n = Count<V>(), values = Shape.Values, stride = Shape.ValueStride, step = Shape.Heads * values, count = chunk.Count, row = 0;
        nint first = (chunk.Token(0) * Shape.Heads + head) * values, offset = first;
        GradientTarget dv = Gradients.V, dz = Gradients.Z;
        float* walked = w.Dv, dy = w.Dy, ofGate = w.Dz, totals = chunk.Total, gamma = chunk.Gamma, dots = chunk.Dots, sums = w.DyV;
        float skip = Inputs.D == null ? 0f : Inputs.D[head], ofSkip = *g.D;
        for (nint i = 0; i < count; i++, offset += step, row += stride)
        {
            ofSkip += sums[i];
            V total = Broadcast<V>(totals[i]), own = Broadcast<V>(gamma[i] * dots[i] + skip);
            for (nint p = 0; p < values && dv.IsWanted; p += n)
                dv.Store(
                    Fma(total, Load<V>(walked + row + p), own * Load<V>(dy + row + p)), dv.Pointer + offset + p, Math.Min(n, values - p));
        }
        *g.D = ofSkip;
        if (dv.IsWanted && Value != null && chunk.First + count == Shape.Length)
            for (nint p = 0; p < values; p++)
                dv.Pointer[offset - step + p] += Value[(chunk.Batch * Shape.Heads + head) * values + p];
        for (nint i = 0; i < count && dz.IsWanted; i++)
            for (nint p = 0; p < values; p += n)
                dz.Store(Load<V>(ofGate + i * stride + p), dz.Pointer + first + i * step + p, Math.Min(n, values - p));
    }

    /// <summary>
    /// The gradients of the rotated keys and queries pass back through the rotation: to Q, K, their biases and the angles.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Keys<V>(in Mamba3Chunk chunk, nint head, in HeadGradient g, in Work w) where V : unmanaged
    {
        nint n = Count<V>(), stride = Shape.KeyStride, turned = Shape.Turned, states = Shape.States, angles = Shape.AngleStride;
        float* qBias = g.Head.QBias, kBias = g.Head.KBias, sumQBias = g.QBias, sumKBias = g.KBias;
        for (nint i = 0; i < chunk.Count; i++)
        {
            float* dq = w.Dq + i * stride, dk = w.Dk + i * stride, q = chunk.Q + i * stride, k = chunk.K + i * stride;
            float* sines = chunk.Sin + i * angles, cosines = chunk.Cos + i * angles, ofAngles = w.DTheta + i * angles;
            float* allQ = chunk.RawQ + i * stride, allK = chunk.RawK + i * stride, sumQ = w.SumQ + i * stride, sumK = w.SumK + i * stride;
            Multiply<V>(dk, Shape.KeyColumns, chunk.Total[i]);
            if (Key != null && chunk.First + i == Shape.Length - 1)
                for (nint j = 0; j < states; j++) dk[j] += Key[(chunk.Batch * Shape.Heads + head) * states + Shape.Component(j)];
            V own = Broadcast<V>(chunk.Gamma[i] * w.DyV[i]);
            for (nint j = 0; j < turned; j += n)
            {
                nint lanes = Math.Min(n, turned - j), odd = turned + j;
                V sin = Load<V>(sines + j), cos = Load<V>(cosines + j);
                V q0 = Load<V>(dq + j, lanes), q1 = Load<V>(dq + odd, lanes), k0 = Load<V>(dk + j, lanes), k1 = Load<V>(dk + odd, lanes);
                V ofQ = q1 * Load<V>(q + j, lanes) - q0 * Load<V>(q + odd, lanes);
                V ofK = k1 * Load<V>(k + j, lanes) - k0 * Load<V>(k + odd, lanes);
                Store(ofQ + ofK, ofAngles + j);
                Store(Fma(cos, q0, sin * q1), dq + j, lanes);
                Store(cos * q1 - sin * q0, dq + odd, lanes);
                Store(Fma(cos, k0, sin * k1), dk + j, lanes);
                Store(cos * k1 - sin * k0, dk + odd, lanes);
            }
            // q . k is invariant under rotation, so its gradient is added here.
            for (nint j = 0; j < states; j += n)
            {
                nint lanes = Math.Min(n, states - j);
                V rawQ = Load<V>(allQ + j, lanes) + Load<V>(qBias + j, lanes);
                V rawK = Load<V>(allK + j, lanes) + Load<V>(kBias + j, lanes);
                V ofQ = Fma(own, rawK, Load<V>(dq + j, lanes)), ofK = Fma(own, rawQ, Load<V>(dk + j, lanes));
                Store(Load<V>(sumQBias + j, lanes) + ofQ, sumQBias + j, lanes);
                Store(Load<V>(sumKBias + j, lanes) + ofK, sumKBias + j, lanes);
                Store(Load<V>(sumQ + j, lanes) + ofQ, sumQ + j, lanes);
                Store(Load<V>(sumK + j, lanes) + ofK, sumK + j, lanes);
            }
        }
    }

    /// <summary>
    /// An angle rotates all later tokens: its gradient is a sum from the last token on, held in two floats like the angle itself. It flows
    /// to tanh(a) and to dt.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Turns<V>(in Mamba3Chunk chunk, nint head, in HeadGradient g, in Work w) where V : unmanaged
    {
        nint n = Count<V>(), turned = Shape.Turned, stride = Shape.AngleStride;
        GradientTarget target = Gradients.Angles;
        V one = Broadcast<V>(1f);
        float* turns = g.Head.Turns, rests = g.Head.Rests, ofTheta = w.DTheta, tangents = chunk.Tanh, shared = Gradients.SharedAngles;
        for (nint i = chunk.Count - 1; i >= 0; i--)
        {
            V ofDt = default, scaled = Broadcast<V>(MathF.PI * chunk.Dt[i]);
            nint at = (chunk.Token(i) * Shape.Heads + head) * turned;
            for (nint j = 0; j < turned; j += n)
            {
                V sum = Load<V>(turns + j), low = Load<V>(rests + j), added = Load<V>(ofTheta + i * stride + j);
                V next = sum + added, part = next - sum;
                low += (sum - (next - part)) + (added - part);
                Store(next, turns + j);
                Store(low, rests + j);
                V total = next + low, tanh = Load<V>(tangents + i * stride + j);
                ofDt = Fma(total, tanh, ofDt);
                V ofAngle = total * scaled * (one - tanh * tanh);
                if (target.IsWanted) target.Store(ofAngle, target.Pointer + at + j, Math.Min(n, turned - j));
                if (shared != null) Store(Load<V>(w.SumAngles + i * stride + j) + ofAngle, w.SumAngles + i * stride + j);
            }
            w.DAngleStep[i] = MathF.PI * Sum(ofDt);
        }
    }

    /// <summary>
    /// dt and the logit of lambda. The weight (1 - lambda_(t+1)) dt_(t+1) is a term of Gamma_t, so each token also gets a term from the
    /// previous one. The token after the chunk already has its other terms.
    /// </summary>
    private readonly void Steps(in Mamba3Chunk chunk, nint head, in HeadGradient g, in Work w)
    {
        nint heads = Shape.Heads, at = chunk.Token(0) * heads + head;
        for (nint i = 0; i < chunk.Count; i++, at += heads)
        {
            float lambda = chunk.Lambda[i], ofGamma = chunk.Dots[i] * w.DyV[i] + w.DTotal[i], before = i > 0 ? w.DTotal[i - 1] : 0f;
            float ofDt = lambda * ofGamma + (1f - lambda) * before + w.DAngleStep[i];
            if (Gradients.Dt.IsWanted) Gradients.Dt.StoreOne(ofDt, Gradients.Dt.Pointer + at);
            if (Gradients.Trap.IsWanted)
                Gradients.Trap.StoreOne(chunk.Dt[i] * (ofGamma - before) * lambda * (1f - lambda), Gradients.Trap.Pointer + at);
        }
        if (chunk.First + chunk.Count < Shape.Length) AddToStep(chunk, chunk.Count, head, w.DTotal[chunk.Count - 1]);
    }

    /// <summary>Adds the gradient through (1 - lambda) dt to a token whose other gradients are written.</summary>
    private readonly void AddToStep(in Mamba3Chunk chunk, nint i, nint head, float gradient)
    {
        nint at = chunk.Token(i) * Shape.Heads + head;
        float lambda = chunk.Lambda[i];
        if (Gradients.Dt.IsWanted) Gradients.Dt.Pointer[at] += (1f - lambda) * gradient;
        if (Gradients.Trap.IsWanted) Gradients.Trap.Pointer[at] -= chunk.Dt[i] * gradient * lambda * (1f - lambda);
    }

    /// <summary>Arrays of a chunk. Rows (tokens, P) and (tokens, N) are zero-padded.</summary>
    private readonly struct Work
    {
        private const int ValueArrays = 5, KeyArrays = 4, AngleArrays = 2, TokenArrays = 3;

        /// <summary>(ChunkLength, ValueStride): v, dy before the gate, either times a weight, dv, dz.</summary>
        public readonly float* V, Dy, Weighted, Dv, Dz;

        /// <summary>(ChunkLength, KeyStride): the gradients of a head, and their sums over the heads of the item.</summary>
        public readonly float* Dq, Dk, SumQ, SumK;

        /// <summary>(ChunkLength, AngleStride).</summary>
        public readonly float* DTheta, SumAngles;

        /// <summary>(ChunkLength): dy . v, and the gradients of Gamma and of dt through the angles.</summary>
        public readonly float* DyV, DTotal, DAngleStep;

        /// <summary>(ValueRows, KeyColumns): S'^T. (AngleStride) twice: the angles before the chunk.</summary>
        public readonly float* State, Turns;

        public Work(in Mamba3Shape s, ref Arena arena)
        {
            nint values = s.ChunkLength * s.ValueStride, keys = s.ChunkLength * s.KeyStride, angles = s.ChunkLength * s.AngleStride;
            float* start = V = arena.Take(values);
            Dy = arena.Take(values);
            Weighted = arena.Take(values);
            Dv = arena.Take(values);
            Dz = arena.Take(values);
            Dq = arena.Take(keys);
            Dk = arena.Take(keys);
            SumQ = arena.Take(keys);
            SumK = arena.Take(keys);
            DTheta = arena.Take(angles);
            SumAngles = arena.Take(angles);
            DyV = arena.Take(s.ChunkLength);
            DTotal = arena.Take(s.ChunkLength);
            DAngleStep = arena.Take(s.ChunkLength);
            State = arena.Take(s.TransposedSize);
            Turns = arena.Take(2 * s.AngleStride);
            Mamba3Chunk.Clear(start, Size(s));
        }

        public static nint Size(in Mamba3Shape s) =>
            ValueArrays * Arena.Rounded(s.ChunkLength * s.ValueStride) + KeyArrays * Arena.Rounded(s.ChunkLength * s.KeyStride)
            + AngleArrays * Arena.Rounded(s.ChunkLength * s.AngleStride) + TokenArrays * Arena.Rounded(s.ChunkLength)
            + Arena.Rounded(s.TransposedSize) + Arena.Rounded(2 * s.AngleStride);

        public void ClearSums(in Mamba3Shape s)
        {
            Mamba3Chunk.Clear(SumQ, s.ChunkLength * s.KeyStride);
            Mamba3Chunk.Clear(SumK, s.ChunkLength * s.KeyStride);
            Mamba3Chunk.Clear(SumAngles, s.ChunkLength * s.AngleStride);
        }
    }

    /// <summary>The state of the backward walk for one head.</summary>
    private readonly struct HeadGradient
    {
        /// <summary>G replaces the state, and the sums of the angles' gradients replace the angles; the biases.</summary>
        public readonly HeadState Head;

        /// <summary>(ValueRows, KeyColumns): G^T.</summary>
        public readonly float* Transposed;

        /// <summary>(KeyStride), (KeyStride), (1): sums over the tokens.</summary>
        public readonly float* QBias, KBias, D;

        public HeadGradient(in Mamba3Shape s, float* place)
        {
            Head = new HeadState(s, place);
            Transposed = place + HeadState.Size(s);
            QBias = Transposed + s.TransposedSize;
            KBias = QBias + s.KeyStride;
            D = KBias + s.KeyStride;
        }

        public static nint Size(in Mamba3Shape s) => HeadState.Size(s) + s.TransposedSize + 2 * s.KeyStride + 1;
    }
}
