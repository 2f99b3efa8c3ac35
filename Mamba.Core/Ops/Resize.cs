using Mamba.Core.Kernels.Layout;
using Mamba.Core.Kernels.Pooling;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Bilinear resize, as PyTorch's interpolate does it (no antialias).</summary>
    /// <param name="x">(B, H, W, C); B may be 0.</param>
    /// <param name="size">Rows and columns of the result.</param>
    /// <param name="alignCorners">Whether the centres of the corner pixels coincide, rather than the corners of the images.</param>
    /// <returns>(B, height, width, C).</returns>
    /// <exception cref="ShapeException">The image is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The size is not positive.</exception>
    public static Tensor ResizeBilinear(Tensor x, Size2d size, bool alignCorners)
    {
        CheckResize("ResizeBilinear", x, size);
        (int height, int width) = size;
        int batch = x.Shape[0], inHeight = x.Shape[1], inWidth = x.Shape[2], channels = x.Shape[3];
        Tensor y = Tensor.Empty(Shape.Of("ResizeBilinear", batch, height, width, channels));
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

    /// <summary>
    /// Resize to the nearest pixel, as PyTorch's interpolate does it. Row i of the result is row floor(i H / height) of the image, and
    /// columns likewise.
    /// </summary>
    /// <param name="x">(B, H, W, C); B may be 0.</param>
    /// <param name="size">Rows and columns of the result.</param>
    /// <returns>(B, height, width, C).</returns>
    /// <exception cref="ShapeException">The image is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The size is not positive.</exception>
    public static Tensor ResizeNearest(Tensor x, Size2d size)
    {
        CheckResize("ResizeNearest", x, size);
        MapShape s = new(x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3], size.Height, size.Width);
        Tensor y = Tensor.Empty(Shape.Of("ResizeNearest", s.Batch, s.OutHeight, s.OutWidth, s.Channels));
        using (PixelMap map = NearestMap(s)) RunMap(s, map, x, y);
        if (Tape.Needs(x))
            Tape.Push(y, (x, s), static (context, dy) =>
            {
                (Tensor x, MapShape s) = context;
                using PixelMap map = NearestMap(s);
                RunMapBackward(s, map, x, dy);
            });
        return y;
    }

    /// <summary>Bicubic resize, as PyTorch's interpolate does it (no antialias).</summary>
    /// <param name="x">(B, H, W, C); B may be 0.</param>
    /// <param name="size">Rows and columns of the result.</param>
    /// <param name="alignCorners">Whether the centres of the corner pixels coincide, rather than the corners of the images.</param>
    /// <returns>(B, height, width, C).</returns>
    /// <exception cref="ShapeException">The image is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The size is not positive.</exception>
    public static Tensor ResizeBicubic(Tensor x, Size2d size, bool alignCorners)
    {
        CheckResize("ResizeBicubic", x, size);
        Shape shape = x.Shape;
        Tensor y = Tensor.Empty(Shape.Of("ResizeBicubic", shape[0], size.Height, size.Width, shape[3]));
        using (CubicAxis vertical = new(shape[1], size.Height, alignCorners), horizontal = new(shape[2], size.Width, alignCorners))
            Launch.Run(
                new CubicForward { Tables = new CubicTables(shape, size, vertical, horizontal), X = x.Pointer, Y = y.Pointer },
                (nint)shape[0] * size.Height, PoolGrain(size.Width, shape[3]));
        if (Tape.Needs(x))
            Tape.Push(y, (x, size, alignCorners), static (context, dy) =>
            {
                (Tensor x, Size2d size, bool alignCorners) = context;
                Shape shape = x.Shape;
                GradSlot dx = x.OpenGrad();
                using CubicAxis vertical = new(shape[1], size.Height, alignCorners), horizontal = new(shape[2], size.Width, alignCorners);
                CubicTables tables = new(shape, size, vertical, horizontal);
                Launch.Run(
                    new CubicBackward { Tables = tables, Dy = dy.Pointer, Dx = dx.Target }, (nint)shape[0] * shape[1],
                    PoolGrain(size.Width, shape[3]));
            });
        return y;
    }

    private static PixelMap NearestMap(in MapShape s)
    {
        PixelMap map = new(s.OutHeight, s.OutWidth);
        for (int y = 0; y < s.OutHeight; y++) map.Rows[y] = (int)((long)y * s.Height / s.OutHeight);
        for (int x = 0; x < s.OutWidth; x++) map.Columns[x] = (int)((long)x * s.Width / s.OutWidth);
        return map;
    }
}
