using Mamba.Core.Kernels.Optimizers;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Optim;

/// <summary>The global Euclidean norm of gradients.</summary>
public static unsafe class GradientNorm
{
    /// <summary>
    /// Scales the gradients of all parameters by max / (norm + 1e-6), at most 1: PyTorch's clip_grad_norm_.
    /// <see cref="Optimizer.MaxGradientNorm"/> does the same within a step, without an extra pass.
    /// </summary>
    /// <param name="parameters">Leaves; those without a gradient are ignored.</param>
    /// <param name="maxNorm">The largest norm allowed.</param>
    /// <returns>The norm before clipping. If it is NaN or infinite, the gradients stay unchanged.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The bound is negative or NaN.</exception>
    public static double Clip(ReadOnlySpan<Tensor> parameters, double maxNorm)
    {
        if (!(maxNorm >= 0))
            throw new ArgumentOutOfRangeException(nameof(maxNorm), maxNorm, "GradientNorm.Clip: expected a bound of at least 0.");
        double squares = 0;
        foreach (Tensor parameter in parameters)
            if (parameter.Grad is { } gradient) squares += SumOfSquares(gradient);
        double norm = Math.Sqrt(squares);
        float factor = Factor(norm, maxNorm);
        if (!double.IsFinite(norm) || factor == 1f) return norm;
        foreach (Tensor parameter in parameters)
            if (parameter.Grad is { } gradient) System.Numerics.Tensors.TensorPrimitives.Multiply(gradient.Span, factor, gradient.Span);
        return norm;
    }

    /// <summary>The clipping factor for gradients of this norm.</summary>
    internal static float Factor(double norm, double bound) => norm > bound ? (float)(bound / (norm + 1e-6)) : 1f; // 1e-6 as in PyTorch

    /// <summary>The sum over chunks of fixed size; NaN or infinite only if an element is, or if the sum overflows even in double.</summary>
    internal static double SumOfSquares(Tensor gradient)
    {
        nint chunks = Launch.CeilDiv(gradient.Count, Launch.ElementGrain);
        using Scratch sums = new((int)chunks);
        Launch.Run(new SquareSums { Values = gradient.Pointer, Sums = sums.Pointer }, gradient.Count, Launch.ElementGrain);
        double total = 0;
        for (nint i = 0; i < chunks; i++) total += float.IsFinite(sums.Pointer[i]) ? sums.Pointer[i]
            : InDouble(gradient, (int)(i * Launch.ElementGrain));
        return total;
    }

    /// <summary>A chunk in double precision: squares of large finite numbers overflow in float only.</summary>
    private static double InDouble(Tensor gradient, int begin)
    {
        double sum = 0;
        foreach (float g in gradient.Span.Slice(begin, Math.Min((int)Launch.ElementGrain, gradient.Count - begin))) sum += (double)g * g;
        return sum;
    }
}
