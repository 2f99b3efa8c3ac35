using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Reductions;

/// <summary>The operations of a reduction: blocks in float32, combined in double precision.</summary>
internal interface IReduction
{
    /// <summary>The result for no elements.</summary>
    double Initial { get; }

    /// <summary>The neutral element, used in the lanes past the end of a row.</summary>
    V Neutral<V>(V shift) where V : unmanaged;

    /// <summary>The initial value of a block.</summary>
    V Start<V>() where V : unmanaged;

    /// <summary>Adds an element to a block; the shift is the result of an earlier pass, such as the mean.</summary>
    V Step<V>(V block, V x, V shift) where V : unmanaged;

    /// <summary>Reduces the lanes of a block.</summary>
    float Lanes<V>(V block) where V : unmanaged;

    /// <summary>Adds a block's result to the total.</summary>
    double Join(double total, double block);

    /// <summary>The value to store.</summary>
    float Finish(double total, float shift);
}

/// <summary>The term that is summed, and the function of the sum.</summary>
internal interface ITerm
{
    V Neutral<V>(V shift) where V : unmanaged;

    V Of<V>(V x, V shift) where V : unmanaged;

    float Finish(double sum, float shift);
}

/// <summary>A sum of terms.</summary>
internal readonly struct SumOf<TTerm>(TTerm term) : IReduction where TTerm : unmanaged, ITerm
{
    public double Initial => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Neutral<V>(V shift) where V : unmanaged => term.Neutral(shift);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Start<V>() where V : unmanaged => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Step<V>(V block, V x, V shift) where V : unmanaged => block + term.Of(x, shift);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Lanes<V>(V block) where V : unmanaged => Sum(block);

    public double Join(double total, double block) => total + block;

    public float Finish(double total, float shift) => term.Finish(total, shift);
}

/// <summary>
/// x itself: the sum / divisor times factor. For a mean one of them is 1: over the last dimension it divides, otherwise it multiplies by
/// the reciprocal.
/// </summary>
internal readonly struct Itself(float divisor, float factor) : ITerm
{
    public V Neutral<V>(V shift) where V : unmanaged => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Of<V>(V x, V shift) where V : unmanaged => x;

    public float Finish(double sum, float shift) => (float)(sum / divisor) * factor;
}

/// <summary>(x - shift)^2, summed and divided: a variance, or its square root.</summary>
internal readonly struct SquaredDeviation(double divisor, bool root) : ITerm
{
    public V Neutral<V>(V shift) where V : unmanaged => shift;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Of<V>(V x, V shift) where V : unmanaged
    {
        V d = x - shift;
        return d * d;
    }

    public float Finish(double sum, float shift) => (float)(root ? Math.Sqrt(sum / divisor) : sum / divisor);
}

/// <summary>e^(x - shift); the logarithm of the sum, plus the shift.</summary>
internal readonly struct ShiftedExponential : ITerm
{
    public V Neutral<V>(V shift) where V : unmanaged => Broadcast<V>(float.NegativeInfinity);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Of<V>(V x, V shift) where V : unmanaged => VecMath.Exp(x - shift);

    public float Finish(double sum, float shift) => (float)(Math.Log(sum) + shift);
}

/// <summary>|x|, or x^2 and the square root of the sum.</summary>
internal readonly struct Magnitude(bool squared) : ITerm
{
    public V Neutral<V>(V shift) where V : unmanaged => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Of<V>(V x, V shift) where V : unmanaged => squared ? x * x : Abs(x);

    public float Finish(double sum, float shift) => (float)(squared ? Math.Sqrt(sum) : sum);
}

/// <summary>|x|^p, and the p-th root of the sum.</summary>
internal readonly struct PowerOfMagnitude(float p) : ITerm
{
    public V Neutral<V>(V shift) where V : unmanaged => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Of<V>(V x, V shift) where V : unmanaged => VecFunctions.EachLane(x, new OfLane(p));

    public float Finish(double sum, float shift) => (float)Math.Pow(sum, 1.0 / p);

    private readonly struct OfLane(double p) : IScalarFunction
    {
        public float Apply(float x) => (float)Math.Pow(Math.Abs(x), p);
    }
}

/// <summary>The maximum or minimum; NaN if any element is.</summary>
internal readonly struct Extreme<TOrder> : IReduction where TOrder : unmanaged, IOrder
{
    public double Initial => -TOrder.Sign * double.PositiveInfinity;

    public V Neutral<V>(V shift) where V : unmanaged => Start<V>();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Start<V>() where V : unmanaged => Broadcast<V>(-TOrder.Sign * float.PositiveInfinity);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Step<V>(V block, V x, V shift) where V : unmanaged
    {
        // Max and Min propagate a NaN in the second operand; the Select keeps a NaN that is already in the block.
        V next = TOrder.Sign > 0 ? Max(block, x) : Min(block, x);
        return Select(Equal(block, block), next, block);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Lanes<V>(V block) where V : unmanaged
    {
        if (AnyNaN(block)) return float.NaN;
        return TOrder.Sign > 0 ? MaxLane(block) : -MaxLane(-block);
    }

    public double Join(double total, double block) => TOrder.Sign > 0 ? Math.Max(total, block) : Math.Min(total, block);

    public float Finish(double total, float shift) => (float)total;
}

/// <summary>An order of numbers: larger or smaller first.</summary>
internal interface IOrder
{
    /// <summary>1 if the larger comes first, -1 if the smaller does.</summary>
    static abstract float Sign { get; }
}

internal readonly struct LargestFirst : IOrder
{
    public static float Sign => 1f;
}

internal readonly struct SmallestFirst : IOrder
{
    public static float Sign => -1f;
}

/// <summary>The product.</summary>
internal readonly unsafe struct ProductOfAll : IReduction
{
    public double Initial => 1;

    public V Neutral<V>(V shift) where V : unmanaged => Broadcast<V>(1f);

    public V Start<V>() where V : unmanaged => Broadcast<V>(1f);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Step<V>(V block, V x, V shift) where V : unmanaged => block * x;

    public float Lanes<V>(V block) where V : unmanaged
    {
        float* lanes = (float*)&block;
        float product = 1f;
        for (nint i = 0; i < Count<V>(); i++) product *= lanes[i];
        return product;
    }

    public double Join(double total, double block) => total * block;

    public float Finish(double total, float shift) => (float)total;
}
