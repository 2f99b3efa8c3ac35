namespace Mamba.Core;

/// <summary>
/// The options of a convolution, with PyTorch's names and defaults. Sequences use the column parts alone: widths,
/// <see cref="Padding2d.Left"/> and <see cref="Padding2d.Right"/>. Keep the record where the operator runs often, as layers do: then a step
/// allocates nothing.
/// </summary>
public sealed record ConvOptions
{
    /// <summary>Stride and dilation 1, no padding, one group, no activation.</summary>
    public static ConvOptions Default { get; } = new();

    /// <summary>Step of the window; for a transposed convolution, the distance of the input's pixels in the output.</summary>
    public Size2d Stride { get; init; } = 1;

    /// <summary>
    /// Zeros around the image, or <see cref="Padding2d.Same"/> with stride 1. A transposed convolution crops as many rows and columns from
    /// its output instead.
    /// </summary>
    public Padding2d Padding { get; init; } = 0;

    /// <summary>Distance of the taps.</summary>
    public Size2d Dilation { get; init; } = 1;

    /// <summary>Groups of channels that do not mix; as many as input channels make the convolution depthwise.</summary>
    public int Groups { get; init; } = 1;

    /// <summary>Transposed convolutions only: rows below and columns to the right that the output has more.</summary>
    public Size2d OutputPadding { get; init; } = 0;

    /// <summary>
    /// Whether a 1x1 window cuts the sums of a recorded forward pass into blocks as short as those of other windows. Rounding is then less
    /// by a third, and decides less often which pixel is the maximum of a pool behind it. The product takes longer.
    /// </summary>
    public bool ShortSums { get; init; }

    /// <summary>What is applied to the result. ReLU is part of the kernel that writes it; any other is an operator of its own.</summary>
    public Activation Activation { get; init; }
}
