using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Reductions;

/// <summary>The mean of each row, and the maximum of each row.</summary>
internal unsafe struct RowReduce : IKernel
{
    public float* X, Y;
    public nint Columns;
    public bool Maximum;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), columns = Columns;
        for (nint row = begin; row < end; row++)
        {
            float* x = X + row * columns;
            nint i = 0;
            if (Maximum)
            {
                float max = float.NegativeInfinity;
                if (columns >= n)
                {
                    V v = Load<V>(x);
                    for (i = n; i <= columns - n; i += n) v = MaxOrNaN(Load<V>(x + i), v);
                    max = MaxLaneOrNaN(v);
                }
                for (; i < columns; i++) max = MathF.Max(max, x[i]);
                Y[row] = max;
            }
            else
            {
                V sum = default;
                for (; i < columns; i += n) sum += Load<V>(x + i, Math.Min(n, columns - i));
                Y[row] = Sum(sum) / columns;
            }
        }
    }
}

/// <summary>dx (+)= dy / columns for a mean; dx (+)= dy at the first element that equals the maximum y, or is NaN as it is.</summary>
internal unsafe struct RowReduceBackward : IKernel
{
    public float* X, Y, Dy;
    public GradientTarget Dx;
    public nint Columns;
    public bool Maximum;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), columns = Columns;
        for (nint row = begin; row < end; row++)
        {
            float* dx = Dx.Pointer + row * columns;
            if (Maximum)
            {
                Dx.Prepare(dx, columns);
                float max = Y[row];
                float* x = X + row * columns;
                nint winner = 0;
                while (winner < columns && x[winner] != max && !(float.IsNaN(max) && float.IsNaN(x[winner]))) winner++;
                if (winner < columns) dx[winner] += Dy[row];
                continue;
            }
            V g = Broadcast<V>(Dy[row] / columns);
            for (nint i = 0; i < columns; i += n)
            {
                nint lanes = Math.Min(n, columns - i);
                Dx.Store(g, dx + i, lanes);
            }
        }
    }
}
