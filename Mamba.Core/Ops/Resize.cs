namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Bilinear resize of x (B, H, W, C).</summary>
    public static Tensor ResizeBilinear(Tensor x, int height, int width, bool alignCorners) =>
        throw new NotImplementedException();
}
