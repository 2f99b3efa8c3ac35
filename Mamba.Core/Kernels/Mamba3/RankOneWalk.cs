using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Mamba3;

/// <summary>
/// Advances a matrix S (Rows, Columns) through the tokens of a chunk, with two multiply-adds per element. At each token: S = decay S
/// (mostly the decay is 1), then y += S^T o with the output factors o, then S = S + u x^T with the update factors u and the input x.
/// </summary>
internal unsafe struct RankOneWalk
{
    /// <summary>Rows whose vectors stay in registers for all tokens.</summary>
    public const int RowsAtOnce = 8;

    /// <summary>Tokens; S is Rows x Columns, multiples of <see cref="RowsAtOnce"/> and of the lanes.</summary>
    public nint Count, Rows, Columns;

    /// <summary>(Rows, Columns): before the first token, then after the last.</summary>
    public float* State;

    /// <summary>The decay of the first token, and the step to the next one: 1 or -1.</summary>
    public float* Decays;
    public nint Step;

    /// <summary>o and u of the first token; the stride to the next token has the sign of Step.</summary>
    public float* Outputs, Updates;
    public nint RowStride;

    /// <summary>x and y of the first token, likewise. y is overwritten.</summary>
    public float* Inputs, Results;
    public nint ColumnStride;

    /// <summary>The walk in the other direction, given the pointers of the first token in memory.</summary>
    public readonly RankOneWalk Backwards()
    {
        RankOneWalk w = this;
        nint last = Count - 1;
        w.Decays += last;
        w.Outputs += last * RowStride;
        w.Updates += last * RowStride;
        w.Inputs += last * ColumnStride;
        w.Results += last * ColumnStride;
        (w.Step, w.RowStride, w.ColumnStride) = (-1, -RowStride, -ColumnStride);
        return w;
    }

    /// <summary>Walks through all tokens. The factors of eight rows, some kilobytes, stay in L1 over all columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>() where V : unmanaged
    {
        for (nint row = 0; row < Rows; row += RowsAtOnce)
            for (nint column = 0; column < Columns; column += Count<V>()) EightRows<V>(this, row, column);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EightRows<V>(in RankOneWalk w, nint firstRow, nint firstColumn) where V : unmanaged
    {
        nint row = w.RowStride, column = w.ColumnStride, step = w.Step, width = w.Columns;
        float* state = w.State + firstRow * width + firstColumn, decay = w.Decays, o = w.Outputs + firstRow, u = w.Updates + firstRow;
        float* x = w.Inputs + firstColumn, y = w.Results + firstColumn;
        bool add = firstRow > 0;
        V s0 = Load<V>(state), s1 = Load<V>(state + width), s2 = Load<V>(state + 2 * width), s3 = Load<V>(state + 3 * width);
        V s4 = Load<V>(state + 4 * width), s5 = Load<V>(state + 5 * width), s6 = Load<V>(state + 6 * width);
        V s7 = Load<V>(state + 7 * width);
        for (nint i = w.Count; i > 0; i--, decay += step, o += row, u += row, x += column, y += column)
        {
            if (*decay != 1f)
            {
                V d = Broadcast<V>(*decay);
                s0 *= d;
                s1 *= d;
                s2 *= d;
                s3 *= d;
                s4 *= d;
                s5 *= d;
                s6 *= d;
                s7 *= d;
            }
            FourFactors<V> first = new(o), second = new(o + 4), low = new(u), high = new(u + 4);
            V even = first.Fma(s0, 0, add ? Load<V>(y) : default), odd = first.Multiply(s1, 1), input = Load<V>(x);
            even = first.Fma(s2, 2, even);
            odd = first.Fma(s3, 3, odd);
            even = second.Fma(s4, 0, even);
            odd = second.Fma(s5, 1, odd);
            even = second.Fma(s6, 2, even);
            odd = second.Fma(s7, 3, odd);
            Store(even + odd, y);
            s0 = low.Fma(input, 0, s0);
            s1 = low.Fma(input, 1, s1);
            s2 = low.Fma(input, 2, s2);
            s3 = low.Fma(input, 3, s3);
            s4 = high.Fma(input, 0, s4);
            s5 = high.Fma(input, 1, s5);
            s6 = high.Fma(input, 2, s6);
            s7 = high.Fma(input, 3, s7);
        }
        Store(s0, state);
        Store(s1, state + width);
        Store(s2, state + 2 * width);
        Store(s3, state + 3 * width);
        Store(s4, state + 4 * width);
        Store(s5, state + 5 * width);
        Store(s6, state + 6 * width);
        Store(s7, state + 7 * width);
    }
}
