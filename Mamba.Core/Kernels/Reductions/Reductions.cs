using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Reductions;

/// <summary>What a reduction does with its numbers: block by block in float32, the blocks in double precision.</summary>
internal interface IReduction
{
    /// <summary>The result of no numbers.</summary>
    double Initial { get; }

    /// <summary>A number that changes nothing: it stands in the lanes past the end of a row.</summary>
    V Neutral<V>(V shift) where V : unmanaged;

    /// <summary>A block's result of no numbers.</summary>
    V Start<V>() where V : unmanaged;

    /// <summary>Takes one more number in; the shift is the result of an earlier pass, such as the mean.</summary>
    V Step<V>(V block, V x, V shift) where V : unmanaged;

    /// <summary>The result of all lanes.</summary>
    float Lanes<V>(V block) where V : unmanaged;

    /// <summary>Takes a block's result in.</summary>
    double Join(double total, double block);

    /// <summary>The value that is written.</summary>
    float Finish(double total, float shift);
}

/// <summary>What is summed, and what becomes of the sum.</summary>
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
/// x itself: the sum over a divisor, times a factor. Of a mean one of both is 1: over the last dimension it divides, over others it
/// multiplies by the reciprocal.
/// </summary>
internal readonly struct Itself(float divisor, float factor) : ITerm
{
    public V Neutral<V>(V shift) where V : unmanaged => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Of<V>(V x, V shift) where V : unmanaged => x;

    public float Finish(double sum, float shift) => (float)(sum / divisor) * factor;
}

/// <summary>(x - shift)^2, its sum over a divisor: a variance, or its root.</summary>
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

/// <summary>e^(x - shift), the logarithm of its sum plus the shift.</summary>
internal readonly struct ShiftedExponential : ITerm
{
    public V Neutral<V>(V shift) where V : unmanaged => Broadcast<V>(float.NegativeInfinity);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Of<V>(V x, V shift) where V : unmanaged => VecMath.Exp(x - shift);

    public float Finish(double sum, float shift) => (float)(Math.Log(sum) + shift);
}

/// <summary>|x|, or x^2 and the root of its sum.</summary>
internal readonly struct Magnitude(bool squared) : ITerm
{
    public V Neutral<V>(V shift) where V : unmanaged => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Of<V>(V x, V shift) where V : unmanaged => squared ? x * x : Abs(x);

    public float Finish(double sum, float shift) => (float)(squared ? Math.Sqrt(sum) : sum);
}

/// <summary>|x|^p, and the p-th root of its sum.</summary>
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

/// <summary>The largest, or the smallest; NaN if any number is.</summary>
internal readonly struct Extreme<TOrder> : IReduction where TOrder : unmanaged, IOrder
{
    public double Initial => -TOrder.Sign * double.PositiveInfinity;

    public V Neutral<V>(V shift) where V : unmanaged => Start<V>();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Start<V>() where V : unmanaged => Broadcast<V>(-TOrder.Sign * float.PositiveInfinity);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Step<V>(V block, V x, V shift) where V : unmanaged
    {
        // The instruction passes on a NaN in its second operand, and what is there already if that is none.
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

/// <summary>Which of two numbers comes first.</summary>
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
