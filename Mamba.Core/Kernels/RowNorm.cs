using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels;

/// <summary>
/// Normalisation of each row: y = (x - mean) rstd weight + bias. Without centring (root mean square) the mean is 0. Both are kept for the backward pass.
/// </summary>
internal unsafe struct RowNormForward : IKernel
{
    public float* X, Y, Weight, Bias, Mean, Rstd;
    public nint Columns;
    public float Eps;
    public bool Center;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), columns = Columns;
        for (nint row = begin; row < end; row++)
        {
            float* x = X + row * columns, y = Y + row * columns;
            float mean = 0f;
            if (Center)
            {
                V sum = default;
                for (nint i = 0; i < columns; i += n) sum += Load<V>(x + i, Math.Min(n, columns - i));
                mean = Sum(sum) / columns;
            }
            V m = Broadcast<V>(mean), squares = default;
            nint k = 0;
            for (; k <= columns - n; k += n)
            {
                V d = Load<V>(x + k) - m;
                squares = Fma(d, d, squares);
            }
            float total = Sum(squares);
            for (; k < columns; k++) total += (x[k] - mean) * (x[k] - mean);
            float rstd = 1f / MathF.Sqrt(total / columns + Eps);
            V r = Broadcast<V>(rstd);
            for (nint i = 0; i < columns; i += n)
            {
                nint lanes = Math.Min(n, columns - i);
                V v = (Load<V>(x + i, lanes) - m) * r;
                if (Weight != null) v *= Load<V>(Weight + i, lanes);
                if (Bias != null) v += Load<V>(Bias + i, lanes);
                Store(v, y + i, lanes);
            }
            Mean[row] = mean;
            Rstd[row] = rstd;
        }
    }
}

/// <summary>
/// dx = rstd (w dy - mean(w dy) - x^ mean(w dy x^)), the first mean only where rows are centred; per chunk of rows the sums of dy x^ and of dy
/// for the gradients of weight and bias.
/// </summary>
internal unsafe struct RowNormBackward : IKernel
{
    public float* X, Dy, Dx, Weight, Mean, Rstd, Partial;
    public nint Columns, PerChunk;
    public bool Center, Accumulate;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), columns = Columns;
        float* dWeight = Partial + begin / PerChunk * 2 * columns, dBias = dWeight + columns;
        new Span<float>(dWeight, (int)(2 * columns)).Clear();
        for (nint row = begin; row < end; row++)
        {
            float* x = X + row * columns, dy = Dy + row * columns;
            V mean = Broadcast<V>(Mean[row]), rstd = Broadcast<V>(Rstd[row]), sum = default, dot = default;
            for (nint i = 0; i < columns; i += n)
            {
                nint lanes = Math.Min(n, columns - i);
                V g = Load<V>(dy + i, lanes), h = (Load<V>(x + i, lanes) - mean) * rstd;
                Store(Fma(g, h, Load<V>(dWeight + i, lanes)), dWeight + i, lanes);
                Store(g + Load<V>(dBias + i, lanes), dBias + i, lanes);
                if (Weight != null) g *= Load<V>(Weight + i, lanes);
                sum += g;
                dot = Fma(g, h, dot); // past the end g is zero, whatever h is
            }
            if (Dx == null) continue;
            float* dx = Dx + row * columns;
            V a = Broadcast<V>(Center ? Sum(sum) / columns : 0f), b = Broadcast<V>(Sum(dot) / columns);
            for (nint i = 0; i < columns; i += n)
            {
                nint lanes = Math.Min(n, columns - i);
                V g = Load<V>(dy + i, lanes), h = (Load<V>(x + i, lanes) - mean) * rstd;
                if (Weight != null) g *= Load<V>(Weight + i, lanes);
                V d = rstd * (g - a - h * b);
                Store(Accumulate ? d + Load<V>(dx + i, lanes) : d, dx + i, lanes);
            }
        }
    }
}
