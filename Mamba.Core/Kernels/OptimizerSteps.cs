using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels;

/// <summary>One step of Adam over a parameter, with weight decay either in the gradient (Adam) or on the weights (AdamW).</summary>
internal unsafe struct AdamStep : IKernel
{
    public float* Weight, Gradient, Mean, Square;
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
            Store(Fma(step, m / Fma(Sqrt(v), correction, eps), w * shrink), Weight + i, lanes);
        }
    }
}

/// <summary>One step of stochastic gradient descent with momentum: v = momentum v + g + decay w, w -= rate v.</summary>
internal unsafe struct SgdStep : IKernel
{
    public float* Weight, Gradient, Velocity;
    public float Rate, Momentum, Decay, GradientScale;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>();
        V rate = Broadcast<V>(-Rate), momentum = Broadcast<V>(Momentum), decay = Broadcast<V>(Decay), scale = Broadcast<V>(GradientScale);
        for (nint i = begin; i < end; i += n)
        {
            nint lanes = Math.Min(n, end - i);
            V w = Load<V>(Weight + i, lanes), v = Fma(momentum, Load<V>(Velocity + i, lanes), Fma(decay, w, Load<V>(Gradient + i, lanes) * scale));
            Store(v, Velocity + i, lanes);
            Store(Fma(rate, v, w), Weight + i, lanes);
        }
    }
}
