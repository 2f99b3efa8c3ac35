using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Reductions;

// Gradients as functions of x and of two values per row, which are broadcast (see BroadcastTernary).

/// <summary>b / divisor times factor: the gradient of a sum or mean.</summary>
internal readonly struct SpreadGradient(float divisor, float factor) : ITernary
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V x, V dy, V unused) where V : unmanaged => dy / Broadcast<V>(divisor) * Broadcast<V>(factor);
}

/// <summary>weight (x - mean): the gradient of a variance or standard deviation.</summary>
internal readonly struct DeviationGradient : ITernary
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V x, V weight, V mean) where V : unmanaged => weight * (x - mean);
}

/// <summary>dy e^(x - y): the gradient of log-sum-exp.</summary>
internal readonly struct ExponentialGradient : ITernary
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V x, V dy, V y) where V : unmanaged => dy * VecMath.Exp(x - y);
}

/// <summary>dy x / y: the gradient of a Euclidean norm; 0 where the norm is 0.</summary>
internal readonly struct EuclideanGradient : ITernary
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V x, V dy, V y) where V : unmanaged => Select(Equal(y, default), default, dy * (x / y));
}

/// <summary>dy sign(x) |x / y|^(p - 1): the gradient of any p-norm; 0 where the norm is 0.</summary>
internal readonly struct NormGradient(float p) : ITernary
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V x, V dy, V y) where V : unmanaged
    {
        V slope = AbsoluteValue.Derivative(x);
        if (p != 1f) slope *= VecFunctions.EachLane(x / y, new OfLane(p - 1.0));
        return Select(Equal(y, default), default, Select(Equal(x, default), default, dy * slope));
    }

    private readonly struct OfLane(double exponent) : IScalarFunction
    {
        public float Apply(float ratio) => (float)Math.Pow(Math.Abs(ratio), exponent);
    }
}

/// <summary>dx (+)= dy at the first element equal to the result, 0 elsewhere. Items are rows, or blocks of columns.</summary>
internal unsafe struct ExtremeGradient : IKernel
{
    public ReduceShape Shape;
    public float* X, Y, Dy;
    public GradientTarget Dx;

    public static void Run(ReduceShape shape, float* x, float* y, float* dy, GradientTarget dx)
    {
        nint grain = Math.Max(1, Launch.ElementGrain / Math.Max(1, shape.Count * Math.Min(shape.Inner, ReduceShape.Columns)));
        Launch.Run(
            new ExtremeGradient { Shape = shape, X = x, Y = y, Dy = dy, Dx = dx },
            shape.Outer * shape.ColumnBlocks, grain, shape.Inner == 1 ? Isa.For(shape.Count) : Isa.For(shape.Inner));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint inner = Shape.Inner, rows = Shape.Count, blocks = Shape.ColumnBlocks, n = Count<V>();
        GradientTarget dx = Dx;
        for (nint item = begin; item < end; item++)
        {
            nint outer = item / blocks, first = item % blocks * ReduceShape.Columns, last = Math.Min(inner, first + ReduceShape.Columns);
            if (inner == 1)
            {
                Row(outer);
                continue;
            }
            for (nint c = first; c < last; c += n)
            {
                nint lanes = Math.Min(n, last - c), at = outer * rows * inner + c;
                V y = Load<V>(Y + outer * inner + c, lanes), waiting = Load<V>(Dy + outer * inner + c, lanes);
                for (nint r = 0; r < rows; r++, at += inner)
                {
                    // A NaN among the elements is the result. After dy is assigned, later matches get 0.
                    V x = Load<V>(X + at, lanes), hit = Select(Equal(x, x), Equal(x, y), Equal<V>(default, default));
                    V g = Select(hit, waiting, default);
                    waiting = Select(hit, default, waiting);
                    dx.Store(g, dx.Pointer + at, lanes);
                }
            }
        }
    }

    private readonly void Row(nint row)
    {
        nint count = Shape.Count, winner = 0;
        float* x = X + row * count, dx = Dx.Pointer + row * count;
        Dx.Prepare(dx, count);
        float y = Y[row];
        while (winner < count && x[winner] != y && !float.IsNaN(x[winner])) winner++;
        if (winner < count) dx[winner] += Dy[row];
    }
}

/// <summary>dx (+)= dy times the product of all other elements. Items are results.</summary>
internal unsafe struct ProductGradient : IKernel
{
    public ReduceShape Shape;
    public float* X, Dy;
    public GradientTarget Dx;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint inner = Shape.Inner, rows = Shape.Count;
        for (nint item = begin; item < end; item++)
        {
            nint at = item / inner * rows * inner + item % inner, zeros = 0;
            double product = 1;
            for (nint r = 0; r < rows; r++)
            {
                float x = X[at + r * inner];
                if (x == 0f) zeros++;
                else product *= x;
            }
            // If one element is 0, only its gradient is nonzero; if several are, all gradients are 0.
            for (nint r = 0; r < rows; r++)
            {
                float x = X[at + r * inner];
                double others = zeros == 0 ? product / x : zeros == 1 && x == 0f ? product : 0;
                Dx.StoreOne((float)(Dy[item] * others), Dx.Pointer + at + r * inner);
            }
        }
    }
}
