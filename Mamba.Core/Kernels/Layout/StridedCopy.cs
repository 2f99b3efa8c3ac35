using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Layout;

/// <summary>
/// Copies or adds rows of Length contiguous floats, with separate row strides for source and target. A negative stride runs backwards.
/// </summary>
internal unsafe struct StridedCopy : IKernel
{
    public float* Source, Target;
    public nint SourceRowStride, TargetRowStride, Length;
    public bool Add;

    public static void Run(
        float* source, nint sourceRowStride, float* target, nint targetRowStride, nint length, nint rows, bool add = false) =>
        Launch.Run(
            new StridedCopy
            {
                Source = source,
                Target = target,
                SourceRowStride = sourceRowStride,
                TargetRowStride = targetRowStride,
                Length = length,
                Add = add,
            },
            rows,
            Math.Max(1, Launch.ElementGrain / Math.Max(1, length)));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), length = Length;
        if (length == 1)
        {
            nint sourceStep = SourceRowStride, targetStep = TargetRowStride;
            float* from = Source + begin * sourceStep, to = Target + begin * targetStep;
            for (nint row = begin; row < end; row++, from += sourceStep, to += targetStep) *to = Add ? *to + *from : *from;
            return;
        }
        for (nint row = begin; row < end; row++)
        {
            float* source = Source + row * SourceRowStride, target = Target + row * TargetRowStride;
            nint i = 0;
            if (Add)
            {
                for (; i <= length - n; i += n) Store(Load<V>(target + i) + Load<V>(source + i), target + i);
                if (i < length) Store(Load<V>(target + i, length - i) + Load<V>(source + i, length - i), target + i, length - i);
            }
            else
            {
                for (; i <= length - n; i += n) Store(Load<V>(source + i), target + i);
                if (i < length) Store(Load<V>(source + i, length - i), target + i, length - i);
            }
        }
    }
}

/// <summary>y[i] (+)= x[permuted i]. Items are rows of y, whose last dimension is strided in x.</summary>
internal unsafe struct PermuteCopy : IKernel
{
    public float* X, Y;
    public int Rank;
    public fixed int Extent[Core.Shape.MaxRank];
    public fixed int Stride[Core.Shape.MaxRank];
    public bool Add;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), inner = Extent[Rank - 1], stride = Stride[Rank - 1], offset = 0;
        // The indices of the first row are computed, then incremented: this saves a division per dimension and row.
        nint* index = stackalloc nint[Core.Shape.MaxRank];
        for (nint d = Rank - 2, rest = begin; d >= 0; rest /= Extent[d], d--)
        {
            index[d] = rest % Extent[d];
            offset += index[d] * Stride[d];
        }
        for (nint row = begin; row < end; row++)
        {
            float* x = X + offset, y = Y + row * inner;
            if (stride == 1)
                for (nint i = 0; i < inner; i += n)
                {
                    nint lanes = Math.Min(n, inner - i);
                    V v = Load<V>(x + i, lanes);
                    Store(Add ? Load<V>(y + i, lanes) + v : v, y + i, lanes);
                }
            else
                for (nint i = 0; i < inner; i++) y[i] = Add ? y[i] + x[i * stride] : x[i * stride];
            for (nint d = Rank - 2; d >= 0; d--)
            {
                offset += Stride[d];
                if (++index[d] < Extent[d]) break;
                offset -= index[d] * Stride[d];
                index[d] = 0;
            }
        }
    }
}
