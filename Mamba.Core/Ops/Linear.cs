using Mamba.Core.Kernels.Convolution;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>y = x weight^T + bias + residual over the last dimension (PyTorch's linear, with a fused residual).</summary>
    /// <param name="x">(..., In).</param>
    /// <param name="weight">(Out, In), as in PyTorch.</param>
    /// <param name="bias">(Out), or null.</param>
    /// <param name="residual">(..., Out), added in the same pass; or null.</param>
    /// <returns>(..., Out).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor Linear(Tensor x, Tensor weight, Tensor? bias = null, Tensor? residual = null)
    {
        Check.That(
            weight.Shape.Rank == 2 && x.Shape.Rank >= 1 && x.Shape[-1] == weight.Shape[1], "Linear",
            $"input {x.Shape} and weight {weight.Shape}; expected (..., In) and (Out, In)");
        int outputs = weight.Shape[0], inputs = weight.Shape[1];
        Check.Extents(bias, "Linear", "bias", outputs);

        Tensor y = Tensor.Empty(x.Shape.With(-1, outputs, "Linear"));
        Check.That((residual?.Shape ?? y.Shape) == y.Shape, "Linear", $"residual {residual?.Shape}; expected {y.Shape}");
        if (y.Count == 0) return Independent(y, x, weight, bias, residual);
        int rows = y.Count / outputs;
        VectorWidth width = Isa.For(outputs);
        nint toResidual = residual is { } addend ? (nint)(addend.Pointer - y.Pointer) : 0;
        Epilogue epilogue = new(bias.Pointer, add: residual is not null, addendOffset: toResidual);
        ConvShape pixels = new(1, rows, 1, inputs, rows, 1, outputs, 1, 1, 1, 1, 0, 0, 1, 1, 1);
        if (weight.Stored is not null && !Tape.Needs(x, weight, bias, residual)) Multiply(x, weight, bias, residual, y);
        else if (!Quantized(pixels, x, weight, bias, y, epilogue))
        {
            using PackedWeight packed = PackedWeight.Of(weight, new LinearPacking(outputs, inputs, width));
            Gemm.RunPacked(rows, outputs, inputs, new Matrix(x.Pointer, inputs), packed.Pointer, y.Pointer, outputs, epilogue, width);
        }
        MultiplyAdds.Add((long)rows * outputs * inputs);

        if (Tape.Needs(x, weight, bias, residual))
            Tape.Record(y, new LinearStep(x, weight, bias, residual), static (step, dy) => step.Values.Backward(dy), x, weight);
        return y;
    }

    /// <summary>A recorded linear layer: dx = dy W, dW = dy^T x.</summary>
    private readonly record struct LinearStep(Tensor X, Tensor Weight, Tensor? Bias, Tensor? Residual)
    {
        public void Backward(Tensor dy)
        {
            int outputs = Weight.Shape[0], inputs = Weight.Shape[1], rows = dy.Count / outputs;
            Matrix g = new(dy.Pointer, outputs);
            if (Open(X) is { } dx)
            {
                Matrix weight = new(Weight.Pointer, inputs);
                Gemm.Run(rows, inputs, outputs, g, weight, dx.Pointer, inputs, new Epilogue(add: dx.Accumulate));
            }
            if (Open(Weight) is { } dw)
            {
                Matrix x = new(X.Pointer, inputs);
                Gemm.Run(outputs, inputs, rows, g.Transposed, x, dw.Pointer, inputs, new Epilogue(add: dw.Accumulate));
            }
            BiasGradient(Bias, dy, outputs);
            if (Residual is { } d) PassOn(d, d.Shape, dy, 1f, mayTake: true);
        }
    }
}
