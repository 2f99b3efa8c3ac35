using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Convolution;

/// <summary>
/// PyTorch's weight (Cout, Cin / groups, Kh, Kw) as panels for <see cref="Conv.Forward"/>, group by group. Flipped, it is the weight of the
/// input gradient: taps rotated by 180 degrees, input and output channels swapped. Cout and Cin are those of that convolution.
/// </summary>
internal readonly record struct ConvPacking(
    int Cout, int Cin, int KernelHeight, int KernelWidth, int Groups, bool Flipped, VectorWidth Width) : IWeightPacking
{
    public ConvPacking(in ConvShape s, bool flipped)
        : this(s.Cout, s.Cin, s.KernelHeight, s.KernelWidth, s.Groups, flipped, Conv.WidthFor(s))
    {
    }

    public nint Size => Groups * GroupSize;

    private int Taps => KernelHeight * KernelWidth;

    private nint GroupSize => PackedPanels.Size(Taps * (Cin / Groups), Cout / Groups, Width);

    public unsafe void Pack(float* weight, float* packed)
    {
        nint taps = Taps, inputs = Cin / Groups, outputs = Cout / Groups;
        for (nint g = 0; g < Groups; g++)
            PackedPanels.Run(
                new PanelSource
                {
                    Base = weight + g * outputs * inputs * taps + (Flipped ? taps - 1 : 0),
                    Outer = KernelHeight,
                    OuterStride = Flipped ? -KernelWidth : KernelWidth,
                    Inner = KernelWidth,
                    InnerStride = Flipped ? -1 : 1,
                    Length = inputs,
                    RowStride = Flipped ? outputs * taps : taps,
                    Columns = outputs,
                    ColumnStride = Flipped ? taps : inputs * taps,
                },
                packed + g * GroupSize, Width);
    }
}

/// <summary>PyTorch's weight (Out, In) of a linear layer as panels of its transpose.</summary>
internal readonly record struct LinearPacking(int Outputs, int Inputs, VectorWidth Width) : IWeightPacking
{
    public nint Size => PackedPanels.Size(Inputs, Outputs, Width);

    public unsafe void Pack(float* weight, float* packed) =>
        PackedPanels.Run(PanelSource.Of(Inputs, Outputs, new Matrix(weight, Inputs).Transposed), packed, Width);
}

/// <summary>
/// The weight (Cout, Cin, Kh, Kw) of each group of a convolution as panels of (Cout) x (Kh, Kw, Cin). Its product with a pixel of the
/// output side is the column that <see cref="Col2Im"/> adds to the input side. Used by transposed convolutions and input gradients of
/// strided ones.
/// </summary>
internal readonly record struct Col2ImPacking(int Cout, int Cin, int Taps, int Groups, VectorWidth Width) : IWeightPacking
{
    public nint Size => Groups * GroupSize;

    /// <summary>Floats per group; Cout and Cin are per group.</summary>
    public nint GroupSize => PackedPanels.Size(Cout, (nint)Taps * Cin, Width);

    public unsafe void Pack(float* weight, float* packed)
    {
        for (nint g = 0; g < Groups; g++) PackGroup(weight + g * Cout * Cin * Taps, packed + g * GroupSize);
    }

    private unsafe void PackGroup(float* weight, float* packed)
    {
        if (Cin % PackedPanels.Width(Width) == 0 && Taps <= PackedPanels.TransposeRows)
        {
            Launch.Run(
                new PackCol2Im { Weight = weight, Packed = packed, Cout = Cout, Cin = Cin, Taps = Taps },
                Cin / PackedPanels.Width(Width), 1, Width);
            return;
        }
        nint columns = (nint)Taps * Cin;
        using Scratch reordered = new(Cout * columns);
        Launch.Run(
            new TapsOutermost { Weight = weight, Reordered = reordered.Pointer, Cin = Cin, Taps = Taps },
            Cout, Math.Max(1, Launch.ElementGrain / Math.Max(1, columns)));
        PackedPanels.Run(PanelSource.Of(Cout, columns, new Matrix(reordered.Pointer, columns)), packed, Width);
    }
}

/// <summary>One item: the panels of all taps for as many input channels as a panel has columns.</summary>
internal unsafe struct PackCol2Im : IKernel
{
    public float* Weight, Packed;
    public nint Cout, Cin, Taps;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint width = 2 * Vec.Count<V>();
        for (nint item = begin; item < end; item++)
            PackedPanels.PackColumnsOfTaps<V>(
                Weight + item * width * Taps, Cin * Taps, Cout, width, Taps, Packed + item * width * Cout, Cin * Cout);
    }
}

/// <summary>(Cin, taps) to (taps, Cin); one item is an output channel.</summary>
internal unsafe struct TapsOutermost : IKernel
{
    public float* Weight, Reordered;
    public nint Cin, Taps;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint size = Cin * Taps;
        for (nint co = begin; co < end; co++) Transpose.Run(Weight + co * size, Taps, Cin, Taps, Reordered + co * size, Cin);
    }
}

/// <summary>The taps of a depthwise convolution.</summary>
internal static unsafe class DepthwiseTaps
{
    /// <summary>The weight (C, 1, K) as (K, C), so that lanes are channels.</summary>
    public static Scratch Of(float* weight, nint channels, nint taps)
    {
        Scratch transposed = new(taps * channels);
        Transpose.Run(weight, taps, channels, taps, transposed.Pointer, channels);
        return transposed;
    }
}
