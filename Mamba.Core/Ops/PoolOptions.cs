namespace Mamba.Core;

/// <summary>
/// Options of pooling, with PyTorch's names and defaults. Sequences use the column values only: widths, <see cref="Padding2d.Left"/> and
/// <see cref="Padding2d.Right"/>. Reuse the record in hot paths: then a step allocates nothing.
/// </summary>
public sealed record PoolOptions
{
    /// <summary>Stride equal to the kernel, no padding, dilation 1.</summary>
    public static PoolOptions Default { get; } = new();

    /// <summary>Step of the window; the kernel if null.</summary>
    public Size2d? Stride { get; init; }

    /// <summary>Padding, at most half the window on each side; or <see cref="Padding2d.Same"/> with stride 1.</summary>
    public Padding2d Padding { get; init; } = 0;

    /// <summary>Spacing of the window's pixels; max pooling only.</summary>
    public Size2d Dilation { get; init; } = 1;

    /// <summary>Whether to keep a last window that reaches beyond the padded image but starts inside it.</summary>
    public bool CeilMode { get; init; }

    /// <summary>Average pooling only: whether zeros of the padding are counted.</summary>
    public bool CountIncludePad { get; init; } = true;
}
