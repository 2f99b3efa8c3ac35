using Mamba.Core.Kernels.Attention;
using Mamba.Core.Kernels.Reductions;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    private const nint SoftmaxElementsPerChunk = 16384;

    /// <summary>e^(x / temperature), normalized to sum 1 along a dimension (torch.nn.functional.softmax).</summary>
    /// <param name="x">Any shape; a scalar counts as a vector of one element.</param>
    /// <param name="axis">The dimension; -1 is the last.</param>
    /// <param name="temperature">Above 0, finite; a high temperature flattens the distribution.</param>
    /// <returns>The shape of x; along the dimension it sums to 1.</returns>
    /// <exception cref="ShapeException">There is no such dimension.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The temperature is out of range.</exception>
    public static Tensor Softmax(Tensor x, int axis = -1, float temperature = 1f) =>
        SoftmaxOf("Softmax", x, axis, temperature, logarithm: false);

    /// <summary>The logarithm of <see cref="Softmax"/> (torch.nn.functional.log_softmax).</summary>
    /// <inheritdoc cref="Softmax" path="/param"/>
    /// <returns>The shape of x.</returns>
    /// <inheritdoc cref="Softmax" path="/exception"/>
    public static Tensor LogSoftmax(Tensor x, int axis = -1, float temperature = 1f) =>
        SoftmaxOf("LogSoftmax", x, axis, temperature, logarithm: true);

    private static Tensor SoftmaxOf(string name, Tensor x, int axis, float temperature, bool logarithm)
    {
        if (!(temperature > 0f && float.IsFinite(1f / temperature) && float.IsFinite(temperature)))
            throw new ArgumentOutOfRangeException(nameof(temperature), temperature, $"{name}: expected a finite number above 0.");
        SoftmaxStep step = new(Along(x.Shape, axis, name), 1f / temperature, logarithm);
        Tensor y = Tensor.Empty(x.Shape);
        if (x.Count == 0) return Independent(y, x);
        step.Forward(x, y);
        MultiplyAdds.Add(0, x.Count);
        if (Tape.Needs(x))
            Tape.Record(y, (x, y, step), static (context, dy) =>
            {
                (Tensor x, Tensor y, SoftmaxStep step) = context.Values;
                step.Backward(y, dy, x.OpenGrad());
            }, y);
        return y;
    }

    /// <summary>Softmax along the middle of three dimensions: row by row where it is the last, otherwise one column per lane.</summary>
    private readonly record struct SoftmaxStep(ReduceShape Sizes, float Scale, bool Logarithm)
    {
        private bool IsLast => Sizes.Inner == 1;

        private nint Items => IsLast ? Sizes.Outer : Sizes.Outer * Sizes.ColumnBlocks;

        private nint Grain => Math.Max(1, SoftmaxElementsPerChunk / (Sizes.Count * Math.Min(Sizes.Inner, ReduceShape.Columns)));

        public void Forward(Tensor x, Tensor y)
        {
            if (IsLast)
            {
                SoftmaxForward rows = new()
                {
                    X = x.Pointer,
                    Y = y.Pointer,
                    RowStride = Sizes.Count,
                    Columns = Sizes.Count,
                    Scale = Scale,
                    Logarithm = Logarithm,
                };
                Launch.Run(rows, Items, Grain);
            }
            else
            {
                AxisSoftmaxForward columns = new() { Shape = Sizes, X = x.Pointer, Y = y.Pointer, Scale = Scale, Logarithm = Logarithm };
                Launch.Run(columns, Items, Grain, Isa.For(Sizes.Inner));
            }
        }

        public void Backward(Tensor y, Tensor dy, GradSlot dx)
        {
            if (IsLast)
                Launch.Run(
                    new SoftmaxBackward
                    {
                        Y = y.Pointer,
                        Dy = dy.Pointer,
                        Dx = dx.Target,
                        RowStride = Sizes.Count,
                        Columns = Sizes.Count,
                        Scale = Scale,
                        Logarithm = Logarithm,
                    },
                    Items, Grain);
            else
                Launch.Run(
                    new AxisSoftmaxBackward
                    {
                        Shape = Sizes,
                        Y = y.Pointer,
                        Dy = dy.Pointer,
                        Dx = dx.Target,
                        Scale = Scale,
                        Logarithm = Logarithm,
                    },
                    Items, Grain, Isa.For(Sizes.Inner));
        }
    }
}
