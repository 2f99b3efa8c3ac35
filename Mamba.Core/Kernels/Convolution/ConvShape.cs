namespace Mamba.Core.Kernels.Convolution;

/// <summary>
/// The sizes of a two-dimensional convolution over channels-last images. Output pixel (y, x) meets tap (ky, kx) at input row y StrideY + ky
/// DilationY - PaddingY, and likewise for the column. Group g maps CinGroup input channels to CoutGroup output channels. Padding is that of
/// the first row and column; how far windows reach beyond the last ones follows from the sizes of the output.
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
    /// Whether each output pixel depends on one input pixel, the one in its place. Such a convolution is a matrix product already.
    /// </summary>
    public bool IsPointwise =>
        KernelHeight == 1 && KernelWidth == 1 && StrideY == 1 && StrideX == 1 && PaddingY == 0 && PaddingX == 0 && Groups == 1;

    /// <summary>Whether every input channel has kernels of its own.</summary>
    public bool IsDepthwise => Groups == Cin && Groups > 1;

    /// <summary>Rows below the image that windows reach into; negative where they do not reach its last row.</summary>
    public int PaddingBottom => (OutHeight - 1) * StrideY + (KernelHeight - 1) * DilationY + 1 - Height - PaddingY;

    /// <summary>Columns to the right of the image that windows reach into; negative where they do not reach its last column.</summary>
    public int PaddingRight => (OutWidth - 1) * StrideX + (KernelWidth - 1) * DilationX + 1 - Width - PaddingX;

    public override string ToString() => $"{Batch}x{Height}x{Width}x{Cin} -> {Cout}, {KernelHeight}x{KernelWidth}";

    public long MultiplyAdds => (long)Batch * OutHeight * OutWidth * Cout * Depth;

    /// <summary>The stride-1 convolution that turns the gradient of the output into that of the input (stride 1 only).</summary>
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
