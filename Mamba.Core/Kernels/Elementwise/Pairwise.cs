using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Elementwise;

/// <summary>A differentiable function of two variables.</summary>
internal interface IDifferentiableBinary : IBinary
{
    /// <summary>dy times the derivative with respect to a.</summary>
    static abstract V GradientA<V>(V a, V b, V dy) where V : unmanaged;

    /// <summary>dy times the derivative with respect to b.</summary>
    static abstract V GradientB<V>(V a, V b, V dy) where V : unmanaged;
}

/// <summary>The gradient of the first operand as a function of both and of dy.</summary>
internal readonly struct TowardsA<TBinary> : ITernary where TBinary : unmanaged, IDifferentiableBinary
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V a, V b, V dy) where V : unmanaged => TBinary.GradientA(a, b, dy);
}

/// <summary>The gradient of the second operand as a function of both and of dy.</summary>
internal readonly struct TowardsB<TBinary> : ITernary where TBinary : unmanaged, IDifferentiableBinary
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V a, V b, V dy) where V : unmanaged => TBinary.GradientB(a, b, dy);
}

/// <summary>a / b.</summary>
internal readonly struct Quotient : IDifferentiableBinary
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V a, V b) where V : unmanaged => a / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V GradientA<V>(V a, V b, V dy) where V : unmanaged => dy / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V GradientB<V>(V a, V b, V dy) where V : unmanaged => -dy * (a / b / b);
}

/// <summary>The larger of two; NaN if either is. Ties split the gradient in half.</summary>
internal readonly struct Larger : IDifferentiableBinary
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V a, V b) where V : unmanaged => Select(Equal(a, a), Max(a, b), a); // Max propagates a NaN in b

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V GradientA<V>(V a, V b, V dy) where V : unmanaged =>
        Select(Greater(b, a), default, Select(Equal(a, b), dy * Broadcast<V>(0.5f), dy));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V GradientB<V>(V a, V b, V dy) where V : unmanaged => GradientA(b, a, dy);
}

/// <summary>The smaller of two; NaN if either is. Ties split the gradient in half.</summary>
internal readonly struct Smaller : IDifferentiableBinary
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V a, V b) where V : unmanaged => Select(Equal(a, a), Min(a, b), a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V GradientA<V>(V a, V b, V dy) where V : unmanaged => Larger.GradientA(-a, -b, dy);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V GradientB<V>(V a, V b, V dy) where V : unmanaged => Larger.GradientA(-b, -a, dy);
}

/// <summary>a for a &gt; 0, b a elsewhere: PReLU with slope b.</summary>
internal readonly struct LearnedSlope : IDifferentiableBinary
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V a, V b) where V : unmanaged => Select(Greater(a, default), a, a * b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V GradientA<V>(V a, V b, V dy) where V : unmanaged => Select(Greater(a, default), dy, dy * b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V GradientB<V>(V a, V b, V dy) where V : unmanaged => Select(Greater(a, default), default, dy * a);
}

/// <summary>a f(b): a gated linear unit with activation f (Dauphin et al. 2017; Shazeer 2020).</summary>
internal readonly struct Gated<TActivation> : IDifferentiableBinary where TActivation : unmanaged, IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V a, V b) where V : unmanaged => a * TActivation.Apply(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V GradientA<V>(V a, V b, V dy) where V : unmanaged => dy * TActivation.Apply(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V GradientB<V>(V a, V b, V dy) where V : unmanaged => dy * a * Activations.Slope<TActivation, V>(b);
}

/// <summary>b in the lanes where a is not 0, c elsewhere.</summary>
internal readonly struct Choice : ITernary
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V a, V b, V c) where V : unmanaged => Select(Equal(a, default), c, b);
}

/// <summary>1 where a comparison is true, 0 elsewhere; with NaN only "not equal" is true.</summary>
internal readonly struct Compared<TComparison> : IBinary where TComparison : unmanaged, IComparison
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V a, V b) where V : unmanaged
    {
        V one = Broadcast<V>(1f);
        V y = TComparison.Greater ? Select(Greater(a, b), one, default) : default;
        if (TComparison.Equal) y = Select(Equal(a, b), one, y);
        return TComparison.Inverted ? one - y : y;
    }
}

/// <summary>What of "greater" and "equal" a comparison takes for true; all three less known ones are made of these.</summary>
internal interface IComparison
{
    static abstract bool Greater { get; }

    static abstract bool Equal { get; }

    static abstract bool Inverted { get; }
}

internal readonly struct IsGreater : IComparison
{
    public static bool Greater => true;

    public static bool Equal => false;

    public static bool Inverted => false;
}

internal readonly struct IsGreaterOrEqual : IComparison
{
    public static bool Greater => true;

    public static bool Equal => true;

    public static bool Inverted => false;
}

internal readonly struct IsEqual : IComparison
{
    public static bool Greater => false;

    public static bool Equal => true;

    public static bool Inverted => false;
}

internal readonly struct IsNotEqual : IComparison
{
    public static bool Greater => false;

    public static bool Equal => true;

    public static bool Inverted => true;
}

/// <summary>Combines the two halves of a dimension: y[row, i] = f(x[row, i], x[row, half + i]). Items are elements of y.</summary>
internal unsafe struct HalvesForward<TBinary> : IKernel where TBinary : unmanaged, IBinary
{
    public float* X, Y;
    public nint Half;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), half = Half;
        for (nint from = begin, to; from < end; from = to)
        {
            nint row = from / half;
            to = Math.Min(end, (row + 1) * half);
            float* a = X + row * half, b = a + half; // element i of y is element i + row half of x
            for (nint i = from; i < to; i += n)
            {
                nint lanes = Math.Min(n, to - i);
                Store(TBinary.Apply(Load<V>(a + i, lanes), Load<V>(b + i, lanes)), Y + i, lanes);
            }
        }
    }
}

/// <summary>The gradients of both halves. Items are elements of y.</summary>
internal unsafe struct HalvesBackward<TBinary> : IKernel where TBinary : unmanaged, IDifferentiableBinary
{
    public float* X, Dy;
    public GradientTarget Dx;
    public nint Half;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), half = Half;
        GradientTarget dx = Dx;
        for (nint from = begin, to; from < end; from = to)
        {
            nint row = from / half, offset = row * half;
            to = Math.Min(end, (row + 1) * half);
            for (nint i = from; i < to; i += n)
            {
                nint lanes = Math.Min(n, to - i), first = offset + i, second = first + half;
                V a = Load<V>(X + first, lanes), b = Load<V>(X + second, lanes), dy = Load<V>(Dy + i, lanes);
                V da = TBinary.GradientA(a, b, dy), db = TBinary.GradientB(a, b, dy);
                dx.Store(da, dx.Pointer + first, lanes);
                dx.Store(db, dx.Pointer + second, lanes);
            }
        }
    }
}
