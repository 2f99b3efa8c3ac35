using Mamba.Core.Kernels.Layout;
using Mamba.Core.Kernels.Pooling;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Bilinear resize (PyTorch's interpolate without antialiasing).</summary>
    /// <param name="x">(B, H, W, C); B may be 0.</param>
    /// <param name="size">Rows and columns of the result.</param>
    /// <param name="alignCorners">Whether the centres of the corner pixels coincide, rather than the corners of the images.</param>
    /// <returns>(B, height, width, C).</returns>
    /// <exception cref="ShapeException">The image is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The size is not positive.</exception>
    public static Tensor ResizeBilinear(Tensor x, Size2d size, bool alignCorners)
    {
        CheckResize("ResizeBilinear", x, size);
        Tensor y = Tensor.Empty(Shape.Of("ResizeBilinear", x.Shape[0], size.Height, size.Width, x.Shape[3]));
        if (x.Shape[0] == 0) return Independent(y, x);
        BilinearStep step = new(x, size, alignCorners);
        step.Forward(y);
        if (Tape.Needs(x)) Tape.Record(y, step, static (step, dy) => step.Values.Backward(dy));
        return y;
    }

    /// <summary>A recorded bilinear resize. The backward pass recomputes the positions and weights of both axes.</summary>
    private readonly record struct BilinearStep(Tensor X, Size2d Size, bool AlignCorners)
    {
        private ResizeAxis Vertical => new(X.Shape[1], Size.Height, AlignCorners);

        private ResizeAxis Horizontal => new(X.Shape[2], Size.Width, AlignCorners);

        public void Forward(Tensor y)
        {
            Shape x = X.Shape;
            using ResizeAxis vertical = Vertical, horizontal = Horizontal;
            Launch.Run(
                new ResizeForward
                {
                    X = X.Pointer,
                    Y = y.Pointer,
                    LowY = vertical.Low,
                    HighY = vertical.High,
                    WeightY = vertical.Weight,
                    LowX = horizontal.Low,
                    HighX = horizontal.High,
                    WeightX = horizontal.Weight,
                    Height = x[1],
                    Width = x[2],
                    Channels = x[3],
                    OutHeight = Size.Height,
                    OutWidth = Size.Width,
                },
                (nint)x[0] * Size.Height, PoolGrain(Size.Width, x[3]), Isa.For(x[3]));
        }

        public void Backward(Tensor dy)
        {
            Shape x = X.Shape;
            GradSlot dx = X.OpenGrad();
            using ResizeAxis vertical = Vertical, horizontal = Horizontal;
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
                    Height = x[1],
                    Width = x[2],
                    Channels = x[3],
                    OutHeight = Size.Height,
                    OutWidth = Size.Width,
                },
                (nint)x[0] * x[1], PoolGrain(Size.Width, x[3]), Isa.For(x[3]));
        }
    }

    /// <summary>
    /// Nearest-neighbour resize (PyTorch's interpolate). Row i of the result is row floor(i H / height) of the image; columns likewise.
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
            Tape.Record(y, (x, s), static (context, dy) =>
            {
                (Tensor x, MapShape s) = context.Values;
                using PixelMap map = NearestMap(s);
                RunMapBackward(s, map, x, dy);
            });
        return y;
    }

    /// <summary>Bicubic resize (PyTorch's interpolate without antialiasing).</summary>
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
            Tape.Record(y, (x, size, alignCorners), static (context, dy) =>
            {
                (Tensor x, Size2d size, bool alignCorners) = context.Values;
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
