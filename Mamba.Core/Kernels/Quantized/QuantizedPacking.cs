using Mamba.Core.Kernels.Convolution;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Quantized;

/// <summary>
/// PyTorch's weight (Cout, Cin / groups, Kh, Kw) as codes, and the factors that turn sums of products of codes into values.
/// <code>
/// s_c = max |w_c| / 127     q = round(w / s_c)     y_c = (s_x s_c) sum(q_x q) + bias_c
/// </code>
/// A channel's largest weight has code 127, so weights that are already on this grid, even after scaling by a batch norm, get the same
/// codes again. A panel holds the initial sums of its columns, which cancel the offset of the input codes, then the codes, [lane of the
/// sum][column]. The factors of all columns come last. Codes past the end of a run are zero.
/// </summary>
internal readonly record struct QuantizedPacking(
    int Cout, int Cin, int KernelHeight, int KernelWidth, int Groups, bool Adjacent, float InputScale, VectorWidth Width) : IWeightPacking
{
    public QuantizedPacking(in ConvShape s, float inputScale)
        : this(s.Cout, s.Cin, s.KernelHeight, s.KernelWidth, s.Groups, s.DilationX == 1, inputScale, Vec.CodeWidth(Isa.For(s.CoutGroup)))
    {
    }

    /// <summary>Columns of a panel: two vectors, or one that holds all of a group.</summary>
    public nint PanelWidth => Outputs <= Isa.Lanes(Width) ? Isa.Lanes(Width) : 2 * Isa.Lanes(Width);

    /// <summary>Columns of a group, rounded up to full panels.</summary>
    public nint Columns => Launch.CeilDiv(Outputs, PanelWidth) * PanelWidth;

    /// <summary>Codes per run: adjacent taps of a row are one run, dilated taps one each.</summary>
    public int Run => Adjacent ? KernelWidth * Inputs : Inputs;

    /// <summary>Runs per row of the kernel.</summary>
    public int RunsPerRow => Adjacent ? 1 : KernelWidth;

    /// <summary>Lanes per run.</summary>
    public int RunLanes => (Run + Vec.CodesPerLane - 1) / Vec.CodesPerLane;

    /// <summary>Lanes of all factors of an output.</summary>
    public nint Lanes => (nint)KernelHeight * RunsPerRow * RunLanes;

    /// <summary>Vectors of a panel's column: the initial sums, then the lanes.</summary>
    public nint PanelLanes => 1 + Lanes;

    /// <summary>Floats of a group's panels.</summary>
    public nint GroupSize => PanelLanes * Columns;

    /// <inheritdoc/>
    public nint Size => Groups * (GroupSize + Columns);

    private int Inputs => Cin / Groups;

    private int Outputs => Cout / Groups;

    /// <summary>The factors of a group's columns.</summary>
    public unsafe float* Factors(float* packed, nint group) => packed + Groups * GroupSize + group * Columns;

    /// <inheritdoc/>
    public unsafe void Pack(float* weight, float* packed)
    {
        new Span<float>(packed, checked((int)Size)).Clear();
        nint depth = (nint)KernelHeight * KernelWidth * Inputs;
        for (nint g = 0; g < Groups; g++)
            for (nint c = 0; c < Outputs; c++)
            {
                float* channel = weight + (g * Outputs + c) * depth;
                float largest = 0;
                for (nint i = 0; i < depth; i++) largest = MathF.Max(largest, MathF.Abs(channel[i])); // propagates NaN
                Factors(packed, g)[c] = InputScale * (largest / Vec.LargestCode);
                float* panel = packed + g * GroupSize + c / PanelWidth * PanelWidth * PanelLanes + c % PanelWidth;
                *(int*)panel = -Vec.InputOffset * PackChannel(channel, largest > 0 ? Vec.LargestCode / largest : 0, panel + PanelWidth);
            }
    }

    /// <summary>Writes the codes of one output channel, lane by lane, to a column of its panel.</summary>
    /// <returns>Their sum.</returns>
    private unsafe int PackChannel(float* channel, float inverse, float* column)
    {
        nint taps = (nint)KernelHeight * KernelWidth, step = PanelWidth;
        int sum = 0;
        for (int ky = 0; ky < KernelHeight; ky++)
            for (int run = 0; run < RunsPerRow; run++, column += RunLanes * step)
                for (int i = 0; i < Run; i++)
                {
                    (int kx, int input) = Adjacent ? (i / Inputs, i % Inputs) : (run, i);
                    float value = channel[input * taps + ky * KernelWidth + kx];
                    byte* lane = (byte*)(column + i / Vec.CodesPerLane * step);
                    sum += Vec.EncodeWeight(value, inverse, lane + i % Vec.CodesPerLane * Vec.CodeBytes);
                }
        return sum;
    }
}
