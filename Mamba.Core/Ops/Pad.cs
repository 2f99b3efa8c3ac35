using Mamba.Core.Kernels.Layout;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>How <see cref="Ops.Pad"/> fills the border.</summary>
public enum PadMode
{
    /// <summary>With one value.</summary>
    Constant,

    /// <summary>The image mirrored at its edge pixels, which are not repeated: c b | a b c | b a.</summary>
    Reflect,

    /// <summary>The edge pixels repeated: a a | a b c | c c.</summary>
    Replicate,

    /// <summary>The image wrapped around: b c | a b c | a b.</summary>
    Circular,
}

public static unsafe partial class Ops
{
    /// <summary>Adds a border (PyTorch's functional.pad); a negative side crops.</summary>
    /// <param name="x">(B, H, W, C), or (B, L, C), which uses left and right only.</param>
    /// <param name="padding">Rows and columns to add on each side.</param>
    /// <param name="mode">How the border is filled.</param>
    /// <param name="value">The constant of <see cref="PadMode.Constant"/>.</param>
    /// <returns>(B, H + top + bottom, W + left + right, C), or (B, L + left + right, C).</returns>
    /// <exception cref="ShapeException">
    /// The result would have a negative size. A reflected border is not smaller than the image, or a circular one is larger. The image is
    /// empty and the mode reads its pixels.
    /// </exception>
    /// <exception cref="ArgumentException">Padding is 'same'.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The mode is none of the four.</exception>
    public static Tensor Pad(Tensor x, Padding2d padding, PadMode mode = PadMode.Constant, float value = 0f)
    {
        if (padding.IsSame) throw new ArgumentException("Pad: padding 'same' is for operators with a window.", nameof(padding));
        if (!Enum.IsDefined(mode)) throw new ArgumentOutOfRangeException(nameof(mode), mode, "Pad: unknown mode.");
        if (x.Shape.Rank == 3) return Sequence(Pad(OneRow(x), padding with { Top = 0, Bottom = 0 }, mode, value));
        Check.Rank(x, 4, "Pad", "(B, H, W, C) or (B, L, C)");
        Shape shape = x.Shape;
        long height = shape[1] + (long)padding.Top + padding.Bottom, width = shape[2] + (long)padding.Left + padding.Right;
        Check.That(
            height is >= 0 and <= int.MaxValue && width is >= 0 and <= int.MaxValue && FitsBorder(shape[1], padding.Top, padding.Bottom,
                mode)
            && FitsBorder(shape[2], padding.Left, padding.Right, mode)
            && (shape[3] > 0 || mode is PadMode.Constant or PadMode.Circular), "Pad",
            $"{shape} with padding {padding}, {mode}; expected no negative size and, unless constant, borders that the image can fill");
        Tensor y = Tensor.Empty(Shape.Of("Pad", shape[0], (int)height, (int)width, shape[3]));
        PadStep step = new(x, padding, mode, new MapShape(shape[0], shape[1], shape[2], shape[3], (int)height, (int)width));
        step.Forward(y, value);
        if (Tape.Needs(x)) Tape.Record(y, step, static (step, dy) => step.Values.Backward(dy));
        return y;
    }

    /// <summary>A recorded padding.</summary>
    private readonly record struct PadStep(Tensor X, Padding2d Padding, PadMode Mode, MapShape Shape)
    {
        public void Forward(Tensor y, float value)
        {
            using PixelMap map = Map();
            RunMap(Shape, map, X, y, value);
        }

        public void Backward(Tensor dy)
        {
            using PixelMap map = Map();
            RunMapBackward(Shape, map, X, dy);
        }

        private PixelMap Map()
        {
            PixelMap map = new(Shape.OutHeight, Shape.OutWidth);
            for (int y = 0; y < Shape.OutHeight; y++) map.Rows[y] = Source((long)y - Padding.Top, Shape.Height);
            for (int x = 0; x < Shape.OutWidth; x++) map.Columns[x] = Source((long)x - Padding.Left, Shape.Width);
            return map;
        }

        /// <summary>The source pixel of position i, which may lie before or after the image.</summary>
        private int Source(long i, int extent)
        {
            if (i >= 0 && i < extent) return (int)i;
            return Mode switch
            {
                PadMode.Reflect => (int)(i < 0 ? -i : 2L * (extent - 1) - i),
                PadMode.Replicate => i < 0 ? 0 : extent - 1,
                PadMode.Circular => (int)(i < 0 ? i + extent : i - extent),
                _ => -1,
            };
        }
    }

    private static void RunMap(in MapShape s, in PixelMap map, Tensor x, Tensor y, float value = 0f)
    {
        if (y.Count == 0) return;
        Launch.Run(
            new MapPixels { Shape = s, X = x.Pointer, Y = y.Pointer, Rows = map.Rows, Columns = map.Columns, Value = value },
                (nint)s.Batch * s.OutHeight,
            PoolGrain(s.OutWidth, s.Channels));
    }

    private static void RunMapBackward(in MapShape s, in PixelMap map, Tensor x, Tensor dy)
    {
        GradSlot dx = x.OpenGrad();
        if (x.Count == 0) return;
        Launch.Run(
            new MapPixelsBackward { Shape = s, Dy = dy.Pointer, Dx = dx.Target, Rows = map.Rows, Columns = map.Columns },
            (nint)s.Batch * s.Height, PoolGrain(s.Width, s.Channels));
    }

    private static bool FitsBorder(int extent, int before, int after, PadMode mode)
    {
        int most = Math.Max(before, after);
        return mode switch
        {
            PadMode.Constant => true,
            PadMode.Reflect => extent > 0 && most < extent,
            PadMode.Circular => extent > 0 && most <= extent,
            _ => extent > 0,
        };
    }
}
