using Mamba.Core.Memory;

namespace Mamba.Core.Kernels.Pooling;

/// <summary>The windows of a pool along one axis: output i covers the pixels [First[i], End[i]), and counts Size[i] of them.</summary>
internal readonly unsafe ref struct PoolAxis
{
    private readonly Scratch _scratch;

    public readonly int* First, End, Size;

    private PoolAxis(int outputs)
    {
        _scratch = new Scratch(3 * (nint)outputs);
        First = (int*)_scratch.Pointer;
        End = First + outputs;
        Size = End + outputs;
    }

    /// <summary>
    /// Adaptive windows: [floor(i input / outputs), ceil((i + 1) input / outputs)). They may overlap and, if outputs exceed input, repeat.
    /// </summary>
    public static PoolAxis Adaptive(int input, int outputs)
    {
        PoolAxis axis = new(outputs);
        for (int i = 0; i < outputs; i++)
        {
            axis.First[i] = (int)((long)i * input / outputs);
            axis.End[i] = (int)(((i + 1L) * input + outputs - 1) / outputs);
            axis.Size[i] = axis.End[i] - axis.First[i];
        }
        return axis;
    }

    /// <summary>Windows of a fixed size. Pixels beyond the padding are never counted, the padding only if requested.</summary>
    public static PoolAxis Sliding(int input, int outputs, int kernel, int stride, (int Before, int After) padding, bool countPadding)
    {
        PoolAxis axis = new(outputs);
        for (int i = 0; i < outputs; i++)
        {
            long start = (long)i * stride - padding.Before, end = Math.Min(start + kernel, (long)input + padding.After);
            axis.First[i] = (int)Math.Max(0, start);
            axis.End[i] = (int)Math.Min(input, end);
            axis.Size[i] = countPadding ? (int)(end - start) : axis.End[i] - axis.First[i];
        }
        return axis;
    }

    public void Dispose() => _scratch.Dispose();
}
