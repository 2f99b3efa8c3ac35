namespace Mamba.Core;

/// <summary>
/// The rows and columns that an operator adds on each side of an image. One number sets all four sides, a pair sets (top and bottom, left
/// and right). Note the order: PyTorch's <c>pad</c> lists left, right, top, bottom.
/// </summary>
/// <param name="Top">Rows above.</param>
/// <param name="Left">Columns to the left; for an operator over sequences, tokens before.</param>
/// <param name="Bottom">Rows below.</param>
/// <param name="Right">Columns to the right; for an operator over sequences, tokens after.</param>
public readonly record struct Padding2d(int Top, int Left, int Bottom, int Right)
{
    // No valid padding has this extent.
    private const int SameExtent = int.MinValue;

    /// <summary>
    /// PyTorch's <c>padding='same'</c>: with stride 1 the result is as large as the input. Where an odd number of rows is needed, the extra
    /// one is below.
    /// </summary>
    public static Padding2d Same { get; } = SameExtent;

    /// <summary>Whether this is <see cref="Same"/>, whose extents depend on the window.</summary>
    public bool IsSame => this == Same;

    /// <summary>The same padding on all four sides.</summary>
    /// <param name="all">Rows or columns on each side.</param>
    public static implicit operator Padding2d(int all) => new(all, all, all, all);

    /// <summary>The same padding on opposite sides.</summary>
    /// <param name="padding">PyTorch's order: rows, then columns.</param>
    public static implicit operator Padding2d((int Vertical, int Horizontal) padding) =>
        new(padding.Vertical, padding.Horizontal, padding.Vertical, padding.Horizontal);

    /// <summary>The extents by name, or "same".</summary>
    /// <returns>The text.</returns>
    public override string ToString() => IsSame ? "same" : $"(top {Top}, left {Left}, bottom {Bottom}, right {Right})";

    /// <summary>The extents of <see cref="Same"/> for a window; other paddings are unchanged.</summary>
    internal Padding2d For(Size2d kernel, Size2d dilation)
    {
        if (!IsSame) return this;
        long rows = dilation.Height * (kernel.Height - 1L), columns = dilation.Width * (kernel.Width - 1L);
        return new Padding2d(Clamp(rows / 2), Clamp(columns / 2), Clamp(rows - rows / 2), Clamp(columns - columns / 2));

        // The next check refuses a window that large.
        static int Clamp(long extent) => (int)Math.Clamp(extent, 0, int.MaxValue);
    }
}
