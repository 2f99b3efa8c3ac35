using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;
using static Mamba.Core.Simd.VecMath;

namespace Mamba.Core.Kernels.Elementwise;

/// <summary>
/// A function of one variable: a stateless struct, passed to kernels as a type argument, so that any kernel can fuse any activation.
/// </summary>
internal interface IActivation
{
    /// <summary>Whether the derivative is computed from the output, so that the input need not be kept.</summary>
    static abstract bool DerivativeFromOutput { get; }

    /// <summary>Whether f computes an exponential or costs as much, see <see cref="MultiplyAdds.Exponentials"/>.</summary>
    static virtual bool TakesExponential => false;

    /// <summary>f(x).</summary>
    static abstract V Apply<V>(V x) where V : unmanaged;

    /// <summary>f'(x), given x, or y = f(x) if <see cref="DerivativeFromOutput"/>.</summary>
    static abstract V Derivative<V>(V xOrY) where V : unmanaged;
}

/// <summary>Extensions of <see cref="IActivation"/>.</summary>
internal static class Activations
{
    /// <summary>f'(x), given x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Slope<TActivation, V>(V x) where TActivation : struct, IActivation where V : unmanaged =>
        TActivation.Derivative(TActivation.DerivativeFromOutput ? TActivation.Apply(x) : x);
}

/// <summary>y = x: for kernels that may or may not fuse an activation.</summary>
internal readonly struct Identity : IActivation
{
    public static bool DerivativeFromOutput => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V y) where V : unmanaged => Broadcast<V>(1f);
}

internal readonly struct Exponential : IActivation
{
    public static bool TakesExponential => true;

    public static bool DerivativeFromOutput => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => Exp(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V y) where V : unmanaged => y;
}

/// <summary>max(x, 0).</summary>
internal readonly struct Relu : IActivation
{
    public static bool DerivativeFromOutput => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => NonNegative(x);

    // NaN gives 1, as in PyTorch.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V y) where V : unmanaged => Select(Equal(y, default), default, Broadcast<V>(1f));
}

/// <summary>x for x &gt; 0, 0.01 x elsewhere (PyTorch's default slope).</summary>
internal readonly struct LeakyRelu : IActivation
{
    private const float Slope = 0.01f;

    public static bool DerivativeFromOutput => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => Max(x * Broadcast<V>(Slope), x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V y) where V : unmanaged => Select(Greater(y, default), Broadcast<V>(1f), Broadcast<V>(Slope));
}

/// <summary>1 / (1 + e^-x).</summary>
internal readonly struct Logistic : IActivation
{
    public static bool TakesExponential => true;

    public static bool DerivativeFromOutput => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => Sigmoid(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V y) where V : unmanaged => y - y * y;
}

internal readonly struct HyperbolicTangent : IActivation
{
    public static bool TakesExponential => true;

    public static bool DerivativeFromOutput => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => Tanh(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V y) where V : unmanaged => Broadcast<V>(1f) - y * y;
}

/// <summary>x sigmoid(x), also called swish.</summary>
internal readonly struct Silu : IActivation
{
    public static bool TakesExponential => true;

    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => x / (Broadcast<V>(1f) + Exp(-x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged
    {
        V one = Broadcast<V>(1f);
        V s = Sigmoid(x);
        return s * Fma(x, one - s, one);
    }
}

/// <summary>log(1 + e^x).</summary>
internal readonly struct SoftplusActivation : IActivation
{
    public static bool TakesExponential => true;

    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => Softplus(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged
    {
        Softplus(x, out V derivative); // e^x / (1 + e^x) where x < 0: denormal, not 0, down to x = -104
        return derivative;
    }
}

/// <summary>x Phi(x) with the exact normal distribution function (Hendrycks and Gimpel 2016).</summary>
internal readonly struct Gelu : IActivation
{
    public static bool TakesExponential => true;

    private const float InverseSqrt2 = 0.70710678118654752f;
    private const float InverseSqrt2Pi = 0.39894228040143268f;

    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => x * NormalCdf(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged =>
        Fma(x * Broadcast<V>(InverseSqrt2Pi), Exp(x * x * Broadcast<V>(-0.5f)), NormalCdf(x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V NormalCdf<V>(V x) where V : unmanaged
    {
        V half = Broadcast<V>(0.5f);
        return Fma(Erf(x * Broadcast<V>(InverseSqrt2)), half, half);
    }
}

/// <summary>x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, the approximation of <see cref="Gelu"/>.</summary>
internal readonly struct GeluTanh : IActivation
{
    public static bool TakesExponential => true;

    private const float Sqrt2OverPi = 0.79788456080286536f;
    private const float Cubic = 0.044715f;

    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged
    {
        V half = Broadcast<V>(0.5f);
        return x * Fma(Tanh(Inner(x)), half, half);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged
    {
        // Beyond these bounds the result is 0 or 1; unclamped, x^2 would overflow and give 0 times infinity.
        x = Clamp(x, -16f, 16f);
        V one = Broadcast<V>(1f), half = Broadcast<V>(0.5f);
        V t = Tanh(Inner(x));
        V innerSlope = Broadcast<V>(Sqrt2OverPi) * Fma(x * x, Broadcast<V>(3f * Cubic), one);
        return Fma(half * x * (one - t * t), innerSlope, Fma(t, half, half));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Inner<V>(V x) where V : unmanaged => Broadcast<V>(Sqrt2OverPi) * x * Fma(x * x, Broadcast<V>(Cubic), Broadcast<V>(1f));
}

/// <summary>y = f(x).</summary>
internal unsafe struct ActivationForward<TActivation> : IKernel where TActivation : unmanaged, IActivation
{
    public float* X, Y;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged =>
        new MapForward<Plain<TActivation>> { X = X, Y = Y }.Run<V>(begin, end);
}

/// <summary>dx (+)= f'(x) dy.</summary>
internal unsafe struct ActivationBackward<TActivation> : IKernel where TActivation : unmanaged, IActivation
{
    public float* XOrY, Dy;
    public GradientTarget Dx;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged =>
        new MapBackward<Plain<TActivation>> { XOrY = XOrY, Dy = Dy, Dx = Dx }.Run<V>(begin, end);
}
