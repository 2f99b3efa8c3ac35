using Mamba.Core.Kernels.Optimizers;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Optim;

/// <summary>The Euclidean norm of gradients, taken together.</summary>
public static unsafe class GradientNorm
{
    /// <summary>
    /// Scales the gradients of all parameters by max / (norm + 1e-6), at most 1: PyTorch's clip_grad_norm_.
    /// <see cref="Optimizer.MaxGradientNorm"/> does the same within a step, without a pass of its own.
    /// </summary>
    /// <param name="parameters">Leaves; those without a gradient do not count.</param>
    /// <param name="maxNorm">The largest norm allowed.</param>
    /// <returns>The norm before. Where it is NaN or infinite, the gradients stay as they are.</returns>
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

    /// <summary>What gradients of this norm are multiplied by.</summary>
    internal static float Factor(double norm, double bound) => norm > bound ? (float)(bound / (norm + 1e-6)) : 1f; // 1e-6 as in PyTorch

    /// <summary>
    /// The sum over chunks of fixed size; NaN or infinite only where an element is, or where even the sum in double overflows.
    /// </summary>
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

    /// <summary>A chunk in double: the squares of large numbers overflow in float, those of infinities everywhere.</summary>
    private static double InDouble(Tensor gradient, int begin)
    {
        double sum = 0;
        foreach (float g in gradient.Span.Slice(begin, Math.Min((int)Launch.ElementGrain, gradient.Count - begin))) sum += (double)g * g;
        return sum;
    }
}
