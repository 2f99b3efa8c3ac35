namespace Mamba.Core;

/// <summary>
/// The options of a pool, with PyTorch's names and defaults. Sequences use the column parts alone: widths, <see cref="Padding2d.Left"/> and
/// <see cref="Padding2d.Right"/>. Keep the record where the operator runs often: then a step allocates nothing.
/// </summary>
public sealed record PoolOptions
{
    /// <summary>The kernel as stride, no padding, dilation 1.</summary>
    public static PoolOptions Default { get; } = new();

    /// <summary>Step of the window; the kernel if null.</summary>
    public Size2d? Stride { get; init; }

    /// <summary>Border that windows may reach into, at most half the window on each side; or <see cref="Padding2d.Same"/> with stride
    /// 1.</summary>
    public Padding2d Padding { get; init; } = 0;

    /// <summary>Distance of the window's pixels; maxima only.</summary>
    public Size2d Dilation { get; init; } = 1;

    /// <summary>Whether a last window that reaches beyond the padded image counts, as long as it starts inside.</summary>
    public bool CeilMode { get; init; }

    /// <summary>Averages only: whether the zeros of the padding are counted.</summary>
    public bool CountIncludePad { get; init; } = true;
}
