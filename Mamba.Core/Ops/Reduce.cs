using Mamba.Core.Kernels.Reductions;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>The mean over the last dimension, which stays with extent 1.</summary>
    /// <param name="x">(..., C).</param>
    /// <returns>(..., 1).</returns>
    /// <exception cref="ShapeException">The tensor is empty or a scalar.</exception>
    public static Tensor MeanLast(Tensor x) => ReduceLast("MeanLast", x, maximum: false);

    /// <summary>The maximum over the last dimension, which stays with extent 1. The gradient goes to the first of equals.</summary>
    /// <param name="x">(..., C).</param>
    /// <returns>(..., 1).</returns>
    /// <exception cref="ShapeException">The tensor is empty or a scalar.</exception>
    public static Tensor MaxLast(Tensor x) => ReduceLast("MaxLast", x, maximum: true);

    /// <summary>The mean over the tokens of sequences.</summary>
    /// <param name="x">(B, L, C).</param>
    /// <returns>(B, C).</returns>
    /// <exception cref="ShapeException">The tensor is empty or of another rank.</exception>
    public static Tensor MeanTokens(Tensor x)
    {
        Check.Rank(x, 3, "MeanTokens", "(B, L, C)");
        return AdaptiveAvgPool2d(x.Reshape(x.Shape[0], x.Shape[1], 1, x.Shape[2]), 1).Reshape(x.Shape[0], x.Shape[2]);
    }

    private static Tensor ReduceLast(string name, Tensor x, bool maximum)
    {
        Check.That(x.Shape.Rank >= 1 && x.Count > 0, name, $"input {x.Shape}; expected (..., C), not empty");
        int columns = x.Shape[-1];
        nint rows = x.Count / columns, grain = Math.Max(1, Launch.ElementGrain / columns);
        Tensor y = Tensor.Empty(x.Shape.With(-1, 1));
        Launch.Run(new RowReduce { X = x.Pointer, Y = y.Pointer, Columns = columns, Maximum = maximum }, rows, grain, Isa.For(columns));
        if (Tape.Needs(x))
            Tape.Push(y, (x, y, columns, rows, grain, maximum), static (context, dy) =>
            {
                (Tensor x, Tensor y, int columns, nint rows, nint grain, bool maximum) = context;
                GradSlot dx = x.OpenGrad();
                Launch.Run(
                    new RowReduceBackward
                    {
                        X = maximum ? x.Pointer : null,
                        Y = maximum ? y.Pointer : null,
                        Dy = dy.Pointer,
                        Dx = dx.Pointer,
                        Columns = columns,
                        Maximum = maximum,
                        Add = dx.Accumulate,
                    },
                    rows, grain, Isa.For(columns));
            }, maximum ? x : null, maximum ? y : null);
        return y;
    }
}
