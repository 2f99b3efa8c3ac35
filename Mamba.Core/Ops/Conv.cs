namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Two-dimensional convolution: x (B, H, W, Cin), weight (Cout, Cin / groups, Kh, Kw), bias (Cout).</summary>
    public static Tensor Conv2d(Tensor x, Tensor weight, Tensor? bias = null, int stride = 1, int padding = 0, int dilation = 1, int groups = 1) =>
        throw new NotImplementedException();

    /// <summary>One-dimensional convolution: x (B, L, Cin), weight (Cout, Cin / groups, K), bias (Cout).</summary>
    public static Tensor Conv1d(Tensor x, Tensor weight, Tensor? bias = null, int stride = 1, int padding = 0, int dilation = 1, int groups = 1) =>
        throw new NotImplementedException();

    /// <summary>Two-dimensional transposed convolution: x (B, H, W, Cin), weight (Cin, Cout, Kh, Kw), bias (Cout).</summary>
    public static Tensor ConvTranspose2d(Tensor x, Tensor weight, Tensor? bias = null, int stride = 1, int padding = 0) =>
        throw new NotImplementedException();
}
