namespace Mamba.Core;

/// <summary>
/// Options of a convolution, with PyTorch's names and defaults. Sequences use the column values only: widths, <see cref="Padding2d.Left"/>
/// and <see cref="Padding2d.Right"/>. Reuse the record in hot paths, as layers do: then a step allocates nothing.
/// </summary>
public sealed record ConvOptions
{
    /// <summary>Stride and dilation 1, no padding, one group, no activation.</summary>
    public static ConvOptions Default { get; } = new();

    /// <summary>Step of the window; for a transposed convolution, the spacing of input pixels in the output.</summary>
    public Size2d Stride { get; init; } = 1;

    /// <summary>
    /// Zeros around the image, or <see cref="Padding2d.Same"/> with stride 1. A transposed convolution crops its output by as many rows and
    /// columns.
    /// </summary>
    public Padding2d Padding { get; init; } = 0;

    /// <summary>Spacing of the taps.</summary>
    public Size2d Dilation { get; init; } = 1;

    /// <summary>Groups of channels that do not mix; Groups = input channels is a depthwise convolution.</summary>
    public int Groups { get; init; } = 1;

    /// <summary>Transposed convolutions only: extra rows below and columns to the right of the output.</summary>
    public Size2d OutputPadding { get; init; } = 0;

    /// <summary>
    /// Whether a recorded forward pass with a 1x1 window sums in short blocks, as other windows do. That cuts rounding error by a third, so
    /// a max pool behind it picks the exact maximum more often. The product takes longer.
    /// </summary>
    public bool ShortSums { get; init; }

    /// <summary>Applied to the result. ReLU is fused into the kernel; any other runs as a separate operator.</summary>
    public Activation Activation { get; init; }
}
