namespace Mamba.Core.Kernels.Convolution;

/// <summary>
/// The sizes of a two-dimensional convolution over channels-last images. Output pixel (y, x) and tap (ky, kx) read input row y StrideY + ky
/// DilationY - PaddingY, and likewise for columns. Group g maps CinGroup input channels to CoutGroup output channels. Padding is that of
/// the first row and column; the padding after the last ones follows from the output size.
/// </summary>
internal readonly record struct ConvShape(
    int Batch, int Height, int Width, int Cin, int OutHeight, int OutWidth, int Cout, int KernelHeight, int KernelWidth,
    int StrideY, int StrideX, int PaddingY, int PaddingX, int DilationY, int DilationX, int Groups)
{
    public int CinGroup => Cin / Groups;

    public int CoutGroup => Cout / Groups;

    /// <summary>Taps times input channels of one output channel.</summary>
    public int Depth => KernelHeight * KernelWidth * CinGroup;

    /// <summary>
    /// Whether each output pixel depends only on the input pixel at the same position: the convolution is a matrix product.
    /// </summary>
    public bool IsPointwise =>
        KernelHeight == 1 && KernelWidth == 1 && StrideY == 1 && StrideX == 1 && PaddingY == 0 && PaddingX == 0 && Groups == 1;

    /// <summary>Whether every input channel has its own kernels.</summary>
    public bool IsDepthwise => Groups == Cin && Groups > 1;

    /// <summary>Rows below the image that windows cover; negative if they do not reach the last row.</summary>
    public int PaddingBottom => (OutHeight - 1) * StrideY + (KernelHeight - 1) * DilationY + 1 - Height - PaddingY;

    /// <summary>Columns to the right of the image that windows cover; negative if they do not reach the last column.</summary>
    public int PaddingRight => (OutWidth - 1) * StrideX + (KernelWidth - 1) * DilationX + 1 - Width - PaddingX;

    public override string ToString() => $"{Batch}x{Height}x{Width}x{Cin} -> {Cout}, {KernelHeight}x{KernelWidth}";

    public long MultiplyAdds => (long)Batch * OutHeight * OutWidth * Cout * Depth;

    /// <summary>The convolution that computes the input gradient from the output gradient (stride 1 only).</summary>
    public ConvShape InputGradient => this with
    {
        Height = OutHeight,
        Width = OutWidth,
        Cin = Cout,
        OutHeight = Height,
        OutWidth = Width,
        Cout = Cin,
        PaddingY = DilationY * (KernelHeight - 1) - PaddingY,
        PaddingX = DilationX * (KernelWidth - 1) - PaddingX,
    };
}
