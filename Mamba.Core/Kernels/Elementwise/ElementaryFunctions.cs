using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Elementwise;

/// <summary>|x|; the derivative at 0 is 0.</summary>
internal readonly struct AbsoluteValue : IActivation
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => Abs(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged
    {
        V one = Broadcast<V>(1f);
        return Select(Greater(x, default), one, Select(Greater(default, x), -one, default));
    }
}

internal readonly struct Squared : IActivation
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => x * x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged => x + x;
}

internal readonly struct Cubed : IActivation
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => x * x * x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged => Broadcast<V>(3f) * (x * x);
}

internal readonly struct SquareRoot : IActivation
{
    public static bool DerivativeFromOutput => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => Sqrt(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V y) where V : unmanaged => Broadcast<V>(0.5f) / y;
}

/// <summary>1 / sqrt(x).</summary>
internal readonly struct InverseSquareRoot : IActivation
{
    public static bool DerivativeFromOutput => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => Broadcast<V>(1f) / Sqrt(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V y) where V : unmanaged => Broadcast<V>(-0.5f) * y * y * y;
}

/// <summary>1 / x.</summary>
internal readonly struct Inverse : IActivation
{
    public static bool DerivativeFromOutput => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => Broadcast<V>(1f) / x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V y) where V : unmanaged => -y * y;
}

internal readonly struct Sine : IActivation
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => VecFunctions.Sin(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged => VecFunctions.Cos(x);
}

internal readonly struct Cosine : IActivation
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => VecFunctions.Cos(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged => -VecFunctions.Sin(x);
}

/// <summary>The error function, 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x.</summary>
internal readonly struct ErrorFunction : IActivation
{
    public static bool TakesExponential => true;

    private const float TwoOverSqrtPi = 1.1283791670955126f;

    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged =>
        // Near 0 the quotient would be denormal and lose bits.
        Select(Greater(Broadcast<V>(1e-4f), Abs(x)), x * Broadcast<V>(TwoOverSqrtPi), VecMath.Erf(x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged => Broadcast<V>(TwoOverSqrtPi) * VecMath.Exp(-(x * x));
}

/// <summary>e^x - 1.</summary>
internal readonly struct ExponentialLessOne : IActivation
{
    public static bool TakesExponential => true;

    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => VecFunctions.ExpM1(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged => VecMath.Exp(x);
}

internal readonly struct NaturalLogarithm : IActivation
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => VecMath.Log(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged => Broadcast<V>(1f) / x;
}

/// <summary>log(1 + x).</summary>
internal readonly struct LogarithmOfOnePlus : IActivation
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => VecFunctions.Log1P(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged
    {
        V one = Broadcast<V>(1f);
        return one / (one + x);
    }
}

/// <summary>x^exponent per lane in double precision: exponent log(x) needs more bits than float32 has.</summary>
internal readonly struct Power(float exponent) : IFunction
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V x) where V : unmanaged => VecFunctions.EachLane(x, new OfLane(exponent, 1));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Derivative<V>(V x) where V : unmanaged => VecFunctions.EachLane(x, new OfLane(exponent - 1.0, exponent));

    private readonly struct OfLane(double exponent, double factor) : IScalarFunction
    {
        public float Apply(float x) => factor == 0 ? 0f : (float)(factor * Math.Pow(x, exponent));
    }
}
