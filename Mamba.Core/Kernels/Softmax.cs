using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels;

/// <summary>Softmax, or its logarithm, of rows: x is scaled first, its maximum subtracted, so that nothing overflows.</summary>
internal unsafe struct SoftmaxForward : IKernel
{
    public float* X, Y;
    public nint Columns;
    public float Scale;
    public bool Logarithm;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), columns = Columns;
        V scale = Broadcast<V>(Scale);
        for (nint row = begin; row < end; row++)
        {
            float* x = X + row * columns, y = Y + row * columns;
            V largest = Broadcast<V>(float.NegativeInfinity);
            nint i = 0;
            for (; i <= columns - n; i += n) largest = Max(largest, Load<V>(x + i) * scale);
            float max = MaxLane(largest);
            for (; i < columns; i++) max = MathF.Max(max, x[i] * Scale);

            V shift = Broadcast<V>(max), sum = default;
            for (i = 0; i <= columns - n; i += n)
            {
                V d = Load<V>(x + i) * scale - shift;
                V e = VecMath.Exp(d);
                sum += e;
                Store(Logarithm ? d : e, y + i);
            }
            float total = Sum(sum);
            for (; i < columns; i++)
            {
                float d = x[i] * Scale - max, e = VecMath.Exp(d);
                total += e;
                y[i] = Logarithm ? d : e;
            }

            if (Logarithm)
            {
                float log = MathF.Log(total);
                for (i = 0; i <= columns - n; i += n) Store(Load<V>(y + i) - Broadcast<V>(log), y + i);
                for (; i < columns; i++) y[i] -= log;
            }
            else
            {
                float inverse = 1f / total;
                for (i = 0; i <= columns - n; i += n) Store(Load<V>(y + i) * Broadcast<V>(inverse), y + i);
                for (; i < columns; i++) y[i] *= inverse;
            }
        }
    }
}

/// <summary>Softmax: dx = scale y (dy - sum(y dy)). Its logarithm: dx = dy - e^y sum(dy).</summary>
internal unsafe struct SoftmaxBackward : IKernel
{
    public float* Y, Dy, Dx;
    public nint Columns;
    public float Scale;
    public bool Logarithm, Accumulate;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), columns = Columns;
        for (nint row = begin; row < end; row++)
        {
            float* y = Y + row * columns, dy = Dy + row * columns, dx = Dx + row * columns;
            V partial = default;
            nint i = 0;
            for (; i < columns; i += n)
            {
                nint lanes = Math.Min(n, columns - i);
                partial += Logarithm ? Load<V>(dy + i, lanes) : Load<V>(y + i, lanes) * Load<V>(dy + i, lanes);
            }
            V sum = Broadcast<V>(Sum(partial)), scale = Broadcast<V>(Scale);
            for (i = 0; i < columns; i += n)
            {
                nint lanes = Math.Min(n, columns - i);
                V v = Load<V>(y + i, lanes), g = Load<V>(dy + i, lanes);
                V d = Logarithm ? g - VecMath.Exp(v) * sum : v * (g - sum) * scale;
                Store(Accumulate ? Load<V>(dx + i, lanes) + d : d, dx + i, lanes);
            }
        }
    }
}
