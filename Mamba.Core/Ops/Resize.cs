using Mamba.Core.Kernels.Pooling;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Bilinear resize, as PyTorch's interpolate does it.</summary>
    /// <param name="x">(B, H, W, C).</param>
    /// <param name="height">Rows of the result.</param>
    /// <param name="width">Columns of the result.</param>
    /// <param name="alignCorners">Whether the centres of the corner pixels coincide, rather than the corners of the images.</param>
    /// <returns>(B, height, width, C).</returns>
    /// <exception cref="ShapeException">The image is empty, or height or width is not positive.</exception>
    public static Tensor ResizeBilinear(Tensor x, int height, int width, bool alignCorners)
    {
        Check.Rank(x, 4, "ResizeBilinear", "(B, H, W, C)");
        Check.That(
            height > 0 && width > 0 && x.Shape.Product(1, 4) > 0, "ResizeBilinear",
            $"{x.Shape} to {height} x {width}; expected a positive size and images that are not empty");
        int batch = x.Shape[0], inHeight = x.Shape[1], inWidth = x.Shape[2], channels = x.Shape[3];
        Tensor y = Tensor.Empty(batch, height, width, channels);
        if (batch == 0) return Independent(y, x);
        using (ResizeAxis vertical = new(inHeight, height, alignCorners), horizontal = new(inWidth, width, alignCorners))
            Launch.Run(
                new ResizeForward
                {
                    X = x.Pointer,
                    Y = y.Pointer,
                    LowY = vertical.Low,
                    HighY = vertical.High,
                    WeightY = vertical.Weight,
                    LowX = horizontal.Low,
                    HighX = horizontal.High,
                    WeightX = horizontal.Weight,
                    Height = inHeight,
                    Width = inWidth,
                    Channels = channels,
                    OutHeight = height,
                    OutWidth = width,
                },
                (nint)batch * height, PoolGrain(width, channels), Isa.For(channels));

        if (Tape.Needs(x))
            Tape.Push(y, (x, height, width, alignCorners), static (context, dy) =>
            {
                (Tensor x, int height, int width, bool alignCorners) = context;
                int batch = x.Shape[0], inHeight = x.Shape[1], inWidth = x.Shape[2], channels = x.Shape[3];
                GradSlot dx = x.OpenGrad();
                using ResizeAxis vertical = new(inHeight, height, alignCorners), horizontal = new(inWidth, width, alignCorners);
                Launch.Run(
                    new ResizeBackward
                    {
                        Dy = dy.Pointer,
                        Dx = dx.Target,
                        LowY = vertical.Low,
                        HighY = vertical.High,
                        WeightY = vertical.Weight,
                        LowX = horizontal.Low,
                        HighX = horizontal.High,
                        WeightX = horizontal.Weight,
                        FirstY = vertical.First,
                        EndY = vertical.End,
                        Height = inHeight,
                        Width = inWidth,
                        Channels = channels,
                        OutHeight = height,
                        OutWidth = width,
                    },
                    (nint)batch * inHeight, PoolGrain(width, channels), Isa.For(channels));
            });
        return y;
    }
}
