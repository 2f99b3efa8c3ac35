namespace Mamba.Core;

/// <summary>Rows and columns: the kernel, stride or dilation of an operator over images. One number sets both.</summary>
/// <param name="Height">Rows.</param>
/// <param name="Width">Columns; for an operator over sequences, tokens.</param>
public readonly record struct Size2d(int Height, int Width)
{
    /// <summary>The same number of rows and columns.</summary>
    /// <param name="both">Rows and columns.</param>
    public static implicit operator Size2d(int both) => new(both, both);

    /// <summary>Rows and columns.</summary>
    /// <param name="size">PyTorch's order: rows, then columns.</param>
    public static implicit operator Size2d((int Height, int Width) size) => new(size.Height, size.Width);

    /// <summary>Height x Width.</summary>
    /// <returns>The text.</returns>
    public override string ToString() => $"{Height} x {Width}";
}
