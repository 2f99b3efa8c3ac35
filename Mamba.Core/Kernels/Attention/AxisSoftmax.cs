using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Reductions;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Attention;

/// <summary>
/// Softmax, or its logarithm, along the middle of three dimensions, one column per lane; <see cref="SoftmaxForward"/> handles rows. Items
/// are blocks of columns.
/// </summary>
internal unsafe struct AxisSoftmaxForward : IKernel
{
    public ReduceShape Shape;
    public float* X, Y;
    public float Scale;
    public bool Logarithm;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), inner = Shape.Inner, rows = Shape.Count;
        V scale = Broadcast<V>(Scale);
        for (nint item = begin; item < end; item++)
        {
            (nint start, nint width) = Shape.ColumnBlock(item);
            for (nint c = 0; c < width; c += n)
            {
                nint lanes = Math.Min(n, width - c);
                float* x = X + start + c, y = Y + start + c;
                V largest = Broadcast<V>(float.NegativeInfinity), sum = default;
                for (nint r = 0; r < rows; r++) largest = Max(largest, Load<V>(x + r * inner, lanes));
                for (nint r = 0; r < rows; r++)
                {
                    V d = (Load<V>(x + r * inner, lanes) - largest) * scale, e = VecMath.Exp(d);
                    Store(Logarithm ? d : e, y + r * inner, lanes);
                    sum += e;
                }
                V log = Logarithm ? VecMath.Log(sum) : default;
                for (nint r = 0; r < rows; r++)
                {
                    V v = Load<V>(y + r * inner, lanes);
                    Store(Logarithm ? v - log : v / sum, y + r * inner, lanes);
                }
            }
        }
    }
}

/// <summary>Softmax: dx = scale y (dy - sum(y dy)). Its logarithm: dx = scale (dy - e^y sum(dy)). Items are blocks of columns.</summary>
internal unsafe struct AxisSoftmaxBackward : IKernel
{
    public ReduceShape Shape;
    public float* Y, Dy;
    public GradientTarget Dx;
    public float Scale;
    public bool Logarithm;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), inner = Shape.Inner, rows = Shape.Count;
        V scale = Broadcast<V>(Scale);
        for (nint item = begin; item < end; item++)
        {
            (nint start, nint width) = Shape.ColumnBlock(item);
            for (nint c = 0; c < width; c += n)
            {
                nint lanes = Math.Min(n, width - c);
                float* y = Y + start + c, dy = Dy + start + c, dx = Dx.Pointer + start + c;
                V sum = default;
                for (nint at = 0; at < rows * inner; at += inner)
                {
                    V g = Load<V>(dy + at, lanes);
                    sum = Logarithm ? sum + g : Fma(Load<V>(y + at, lanes), g, sum);
                }
                for (nint at = 0; at < rows * inner; at += inner)
                {
                    V v = Load<V>(y + at, lanes), g = Load<V>(dy + at, lanes);
                    V d = (Logarithm ? g - VecMath.Exp(v) * sum : v * (g - sum)) * scale;
                    Dx.Store(d, dx + at, lanes);
                }
            }
        }
    }
}
