using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Attention;

/// <summary>Softmax, or its logarithm, of scaled rows (scale &gt; 0), with the row maximum subtracted to avoid overflow.</summary>
internal unsafe struct SoftmaxForward : IKernel
{
    public float* X, Y;

    /// <summary>The row stride in floats, and the number of columns.</summary>
    public nint RowStride, Columns;
    public float Scale;
    public bool Logarithm;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), columns = Columns;
        V lowest = Broadcast<V>(float.NegativeInfinity), scale = Broadcast<V>(Scale * VecMath.Log2E);
        for (nint row = begin; row < end; row++)
        {
            float* x = X + row * RowStride, y = Y + row * RowStride;
            V largest = lowest;
            nint k = 0;
            for (; k <= columns - n; k += n) largest = Max(largest, Load<V>(x + k));
            if (k < columns) largest = Max(largest, Load(x + k, columns - k, lowest));
            V shift = Broadcast<V>(MaxLane(largest)), sum = default, sum2 = default;

            for (k = 0; k <= columns - 4 * n; k += 4 * n)
            {
                V a = Load<V>(x + k) - shift, b = Load<V>(x + k + n) - shift, c = Load<V>(x + k + 2 * n) - shift;
                V d = Load<V>(x + k + 3 * n) - shift;
                if (Logarithm) Store4(a, b, c, d, y + k);
                a *= scale;
                b *= scale;
                c *= scale;
                d *= scale;
                VecMath.Exp2(ref a, ref b, ref c, ref d);
                a = VecMath.WithoutFloor(a);
                b = VecMath.WithoutFloor(b);
                c = VecMath.WithoutFloor(c);
                d = VecMath.WithoutFloor(d);
                if (!Logarithm) Store4(a, b, c, d, y + k);
                sum += a + b;
                sum2 += c + d;
            }
            for (; k < columns; k += n)
            {
                nint lanes = Math.Min(n, columns - k);
                V d = Load(x + k, lanes, lowest) - shift;
                V e = VecMath.WithoutFloor(VecMath.Exp2(d * scale)); // lanes past the end add nothing
                Store(Logarithm ? d : e, y + k, lanes);
                sum += e;
            }
            float total = Sum(sum + sum2);
            if (Logarithm) Rescale(y, columns, Broadcast<V>(Scale), Broadcast<V>(-MathF.Log(total)));
            else Rescale(y, columns, Broadcast<V>(1f / total), default);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store4<V>(V a, V b, V c, V d, float* to) where V : unmanaged
    {
        Store(a, to);
        Store(b, to + Count<V>());
        Store(c, to + 2 * Count<V>());
        Store(d, to + 3 * Count<V>());
    }

    /// <summary>y factor + term, in place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Rescale<V>(float* y, nint columns, V factor, V term) where V : unmanaged
    {
        nint n = Count<V>(), i = 0;
        for (; i <= columns - n; i += n) Store(Fma(Load<V>(y + i), factor, term), y + i);
        if (i < columns) Store(Fma(Load<V>(y + i, columns - i), factor, term), y + i, columns - i);
    }
}

/// <summary>Softmax: dx = scale y (dy - sum(y dy)). Its logarithm: dx = scale (dy - e^y sum(dy)).</summary>
internal unsafe struct SoftmaxBackward : IKernel
{
    public float* Y, Dy;
    public GradientTarget Dx;

    /// <inheritdoc cref="SoftmaxForward.RowStride"/>
    public nint RowStride, Columns;
    public float Scale;
    public bool Logarithm;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), columns = Columns;
        V scale = Broadcast<V>(Scale);
        for (nint row = begin; row < end; row++)
        {
            float* y = Y + row * RowStride, dy = Dy + row * RowStride, dx = Dx.Pointer + row * RowStride;
            V partial = default;
            for (nint i = 0; i < columns; i += n)
            {
                nint lanes = Math.Min(n, columns - i);
                V g = Load<V>(dy + i, lanes);
                partial = Logarithm ? partial + g : Fma(Load<V>(y + i, lanes), g, partial);
            }
            V sum = Broadcast<V>(Sum(partial));
            for (nint i = 0; i < columns; i += n)
            {
                nint lanes = Math.Min(n, columns - i);
                V v = Load<V>(y + i, lanes), g = Load<V>(dy + i, lanes);
                V d = (Logarithm ? g - VecMath.Exp(v) * sum : v * (g - sum)) * scale;
                Dx.Store(d, dx + i, lanes);
            }
        }
    }
}
