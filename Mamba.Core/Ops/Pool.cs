namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Maximum over windows: x (B, H, W, C).</summary>
    public static Tensor MaxPool2d(Tensor x, int kernel, int stride, int padding = 0) =>
        throw new NotImplementedException();

    /// <summary>Average over height x width windows that cover x (B, H, W, C) as PyTorch's adaptive pooling does.</summary>
    public static Tensor AdaptiveAvgPool2d(Tensor x, int height, int width) =>
        throw new NotImplementedException();
}
