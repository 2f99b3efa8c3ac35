using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Convolution;

/// <summary>
/// PyTorch's weight (Cout, Cin / groups, Kh, Kw) as panels for <see cref="Conv.Forward"/>, a group after the other. Flipped, it is the weight of the
/// convolution that is the input gradient: taps turned by half a turn, input and output channels exchanged; Cout and Cin are those of that convolution.
/// </summary>
internal readonly record struct ConvPacking(int Cout, int Cin, int KernelHeight, int KernelWidth, int Groups, bool Flipped, VectorWidth Width) : IWeightPacking
{
    public ConvPacking(in ConvShape s, bool flipped)
        : this(s.Cout, s.Cin, s.KernelHeight, s.KernelWidth, s.Groups, flipped, Conv.WidthFor(s))
    {
    }

    public nint Size => Groups * GroupSize;

    private int Taps => KernelHeight * KernelWidth;

    private nint GroupSize => PackPanels.Size(Taps * (Cin / Groups), Cout / Groups, Width);

    public unsafe void Pack(float* weight, float* packed)
    {
        nint taps = Taps, inputs = Cin / Groups, outputs = Cout / Groups;
        for (nint g = 0; g < Groups; g++)
            PackPanels.Run(
                new PanelSource
                {
                    Base = weight + g * outputs * inputs * taps + (Flipped ? taps - 1 : 0),
                    Outer = KernelHeight,
                    OuterStep = Flipped ? -KernelWidth : KernelWidth,
                    Inner = KernelWidth,
                    InnerStep = Flipped ? -1 : 1,
                    Length = inputs,
                    Step = Flipped ? outputs * taps : taps,
                    Columns = outputs,
                    ColumnStep = Flipped ? taps : inputs * taps,
                },
                packed + g * GroupSize, Width);
    }
}

/// <summary>PyTorch's weight (Out, In) of a linear layer as panels of its transpose.</summary>
internal readonly record struct LinearPacking(int Outputs, int Inputs, VectorWidth Width) : IWeightPacking
{
    public nint Size => PackPanels.Size(Inputs, Outputs, Width);

    public unsafe void Pack(float* weight, float* packed) =>
        PackPanels.Run(Gemm.Columns(Inputs, Outputs, new Matrix(weight, Inputs).Transposed), packed, Width);
}

/// <summary>
/// The weight (Cout, Cin, Kh, Kw) of each group of a convolution as panels of (Cout) x (Kh, Kw, Cin): a pixel of the output side times it
/// is the column
/// that the pixel spreads over the input side, as a transposed convolution and the gradient of a strided one need it. Cout and Cin are a
/// group's.
/// </summary>
internal readonly record struct SpreadPacking(int Cout, int Cin, int Taps, int Groups, VectorWidth Width) : IWeightPacking
{
    public nint Size => Groups * GroupSize;

    public nint GroupSize => PackPanels.Size(Cout, (nint)Taps * Cin, Width);

    public unsafe void Pack(float* weight, float* packed)
    {
        for (nint g = 0; g < Groups; g++) PackGroup(weight + g * Cout * Cin * Taps, packed + g * GroupSize);
    }

    private unsafe void PackGroup(float* weight, float* packed)
    {
        if (Cin % PackPanels.Width(Width) == 0 && Taps <= PackPanels.TurnedRows)
        {
            Launch.Run(new PackSpread { Weight = weight, Packed = packed, Cout = Cout, Cin = Cin, Taps = Taps }, Cin / PackPanels.Width(Width), 1, Width);
            return;
        }
        nint columns = (nint)Taps * Cin;
        using Scratch reordered = new(Cout * columns);
        nint grain = Math.Max(1, Launch.ElementGrain / Math.Max(1, columns));
        Launch.Run(new TapsOutermost { Weight = weight, Reordered = reordered.Pointer, Cin = Cin, Taps = Taps }, Cout, grain);
        PackPanels.Run(Gemm.Columns(Cout, columns, new Matrix(reordered.Pointer, columns)), packed, Width);
    }
}

/// <summary>One item: the panels of all taps of as many input channels as a panel has columns.</summary>
internal unsafe struct PackSpread : IKernel
{
    public float* Weight, Packed;
    public nint Cout, Cin, Taps;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint width = 2 * Vec.Count<V>();
        for (nint item = begin; item < end; item++)
            PackPanels.PackColumnsOfTaps<V>(Weight + item * width * Taps, Cin * Taps, Cout, width, Taps, Packed + item * width * Cout, Cin * Cout);
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
        Scratch turned = new(taps * channels);
        Transpose.Run(weight, taps, channels, taps, turned.Pointer, channels);
        return turned;
    }
}
