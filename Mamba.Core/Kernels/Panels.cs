using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels;

/// <summary>
/// A matrix B (K x N) seen through strides: element (k, n) with k = (i, j, l) lies at Base[i OuterStep + j InnerStep + l Step + n ColumnStep].
/// Three levels of k let the weights of a convolution, flipped or not, and a band of pixels be packed without a copy in between.
/// </summary>
internal unsafe struct PanelSource
{
    public float* Base;
    public nint Outer, OuterStep, Inner, InnerStep, Length, Step, Columns, ColumnStep;

    public readonly nint Depth => Outer * Inner * Length;
}

/// <summary>
/// Packs B for <see cref="MatrixTile"/>: panels of two vectors of columns, each panel k-major, the last one filled with zeros.
/// </summary>
internal unsafe struct PackPanels : IKernel
{
    public PanelSource Source;
    public float* Target;

    /// <summary>Columns of a panel at a width.</summary>
    public static nint Width(VectorWidth width) => 2 * Isa.Lanes(width);

    /// <summary>Floats that the packed form takes.</summary>
    public static nint Size(nint depth, nint columns, VectorWidth width) => Launch.Chunks(columns, Width(width)) * Width(width) * depth;

    /// <summary>Packs all panels, in parallel.</summary>
    public static void Run(in PanelSource source, float* target, VectorWidth width) =>
        Launch.Run(new PackPanels { Source = source, Target = target }, Launch.Chunks(source.Columns, Width(width)), 1, width);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint width = 2 * Count<V>();
        for (nint panel = begin; panel < end; panel++)
            Pack<V>(Source, panel * width, Target + panel * width * Source.Depth);
    }

    /// <summary>Packs the panel that starts at a column.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pack<V>(in PanelSource s, nint column, float* target) where V : unmanaged
    {
        nint n = Count<V>(), width = 2 * n, columns = Math.Min(width, s.Columns - column);
        for (nint i = 0; i < s.Outer; i++)
        {
            for (nint j = 0; j < s.Inner; j++)
            {
                float* from = s.Base + i * s.OuterStep + j * s.InnerStep + column * s.ColumnStep;
                if (s.ColumnStep == 1)
                {
                    nint first = Math.Min(n, columns), second = columns - first;
                    for (nint l = 0; l < s.Length; l++, from += s.Step, target += width)
                    {
                        Store(Load<V>(from, first), target);
                        Store(second > 0 ? Load<V>(from + n, second) : default, target + n);
                    }
                    continue;
                }
                for (nint l = 0; l < s.Length; l++, from += s.Step, target += width)
                {
                    nint c = 0;
                    for (; c < columns; c++) target[c] = from[c * s.ColumnStep];
                    for (; c < width; c++) target[c] = 0f;
                }
            }
        }
    }
}
