using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Optimizers;

/// <summary>One step of Adam over a parameter, with weight decay either in the gradient (Adam) or on the weights (AdamW).</summary>
internal unsafe struct AdamStep : IKernel
{
    public float* Weight, Gradient, Mean, Square;

    /// <summary>The largest second moment so far (AMSGrad), or null.</summary>
    public float* Largest;
    public float Beta1, Beta2, Eps, Shrink, GradientDecay, GradientScale, StepSize, InverseRootCorrection2;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>();
        V beta1 = Broadcast<V>(Beta1), beta2 = Broadcast<V>(Beta2), rest1 = Broadcast<V>(1f - Beta1), rest2 = Broadcast<V>(1f - Beta2);
        V eps = Broadcast<V>(Eps), shrink = Broadcast<V>(Shrink), decay = Broadcast<V>(GradientDecay), scale = Broadcast<V>(GradientScale);
        V step = Broadcast<V>(-StepSize), correction = Broadcast<V>(InverseRootCorrection2);
        for (nint i = begin; i < end; i += n)
        {
            nint lanes = Math.Min(n, end - i);
            V w = Load<V>(Weight + i, lanes), g = Fma(decay, w, Load<V>(Gradient + i, lanes) * scale);
            V m = Fma(beta1, Load<V>(Mean + i, lanes), rest1 * g), v = Fma(beta2, Load<V>(Square + i, lanes), rest2 * g * g);
            Store(m, Mean + i, lanes);
            Store(v, Square + i, lanes);
            if (Largest != null)
            {
                v = Max(v, Load<V>(Largest + i, lanes));
                Store(v, Largest + i, lanes);
            }
            Store(Fma(step, m / Fma(Sqrt(v), correction, eps), w * shrink), Weight + i, lanes);
        }
    }
}

/// <summary>
/// One step of stochastic gradient descent with momentum: g += decay w, v = momentum v + g, w -= rate v; with Nesterov momentum, w -= rate
/// (g + momentum v).
/// </summary>
internal unsafe struct SgdStep : IKernel
{
    public float* Weight, Gradient, Velocity;
    public float Rate, Momentum, Decay, GradientScale;
    public bool Nesterov;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>();
        V rate = Broadcast<V>(-Rate), momentum = Broadcast<V>(Momentum), decay = Broadcast<V>(Decay), scale = Broadcast<V>(GradientScale);
        for (nint i = begin; i < end; i += n)
        {
            nint lanes = Math.Min(n, end - i);
            V w = Load<V>(Weight + i, lanes), g = Fma(decay, w, Load<V>(Gradient + i, lanes) * scale),
                v = Fma(momentum, Load<V>(Velocity + i, lanes), g);
            Store(v, Velocity + i, lanes);
            Store(Fma(rate, Nesterov ? Fma(momentum, v, g) : v, w), Weight + i, lanes);
        }
    }
}

/// <summary>
/// One step of RMSprop: s = a s + (1 - a) g^2 and, if centered, m = a m + (1 - a) g; d = g / (sqrt(s - m^2) + eps); v = momentum v + d; w
/// -= rate v.
/// </summary>
internal unsafe struct RmsPropStep : IKernel
{
    public float* Weight, Gradient, Square;

    /// <summary>The running mean of gradients, and the velocity; null if not used.</summary>
    public float* Mean, Velocity;
    public float Rate, Smoothing, Eps, Momentum, Decay, GradientScale;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>();
        V rate = Broadcast<V>(-Rate), old = Broadcast<V>(Smoothing), rest = Broadcast<V>(1f - Smoothing), eps = Broadcast<V>(Eps);
        V momentum = Broadcast<V>(Momentum), decay = Broadcast<V>(Decay), scale = Broadcast<V>(GradientScale);
        for (nint i = begin; i < end; i += n)
        {
            nint lanes = Math.Min(n, end - i);
            V w = Load<V>(Weight + i, lanes), g = Fma(decay, w, Load<V>(Gradient + i, lanes) * scale);
            V s = Fma(old, Load<V>(Square + i, lanes), rest * g * g), variance = s;
            Store(s, Square + i, lanes);
            if (Mean != null)
            {
                V m = Fma(old, Load<V>(Mean + i, lanes), rest * g);
                Store(m, Mean + i, lanes);
                variance = NonNegative(s - m * m); // rounding may make it negative
            }
            V d = g / (Sqrt(variance) + eps);
            if (Velocity != null)
            {
                d = Fma(momentum, Load<V>(Velocity + i, lanes), d);
                Store(d, Velocity + i, lanes);
            }
            Store(Fma(rate, d, w), Weight + i, lanes);
        }
    }
}

/// <summary>One step of Adagrad: s += g^2, w -= rate g / (sqrt(s) + eps).</summary>
internal unsafe struct AdagradStep : IKernel
{
    public float* Weight, Gradient, Squares;
    public float Rate, Eps, Decay, GradientScale;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>();
        V rate = Broadcast<V>(-Rate), eps = Broadcast<V>(Eps), decay = Broadcast<V>(Decay), scale = Broadcast<V>(GradientScale);
        for (nint i = begin; i < end; i += n)
        {
            nint lanes = Math.Min(n, end - i);
            V w = Load<V>(Weight + i, lanes), g = Fma(decay, w, Load<V>(Gradient + i, lanes) * scale),
                s = Fma(g, g, Load<V>(Squares + i, lanes));
            Store(s, Squares + i, lanes);
            Store(Fma(rate, g / (Sqrt(s) + eps), w), Weight + i, lanes);
        }
    }
}

/// <summary>
/// The sum of squares of each chunk. It is finite only if all elements are; the converse holds unless a square overflows.
/// </summary>
internal unsafe struct SquareSums : IKernel
{
    public float* Values, Sums;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), i = begin;
        float* values = Values;
        V s0 = default, s1 = default, s2 = default, s3 = default; // four sums hide the latency of the FMA
        for (; i <= end - 4 * n; i += 4 * n)
        {
            V a = Load<V>(values + i), b = Load<V>(values + i + n), c = Load<V>(values + i + 2 * n), d = Load<V>(values + i + 3 * n);
            (s0, s1, s2, s3) = (Fma(a, a, s0), Fma(b, b, s1), Fma(c, c, s2), Fma(d, d, s3));
        }
        for (; i < end; i += n)
        {
            V a = Load<V>(values + i, Math.Min(n, end - i));
            s0 = Fma(a, a, s0);
        }
        Sums[begin / Launch.ElementGrain] = Sum(s0 + s1 + (s2 + s3));
    }
}
