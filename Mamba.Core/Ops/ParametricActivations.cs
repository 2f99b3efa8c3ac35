using Mamba.Core.Kernels.Elementwise;

namespace Mamba.Core;

// More activations: piecewise ones, and smooth ones with parameters. Derivatives at kinks are PyTorch's.
public static unsafe partial class Ops
{
    /// <summary>min(max(x, 0), 6), elementwise (PyTorch's relu6).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Relu6(Tensor x) => Activate<Relu6>(x);

    /// <summary>min(max(x + 3, 0), 6) / 6, elementwise (torch.nn.functional.hardsigmoid).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor HardSigmoid(Tensor x) => Activate<HardLogistic>(x);

    /// <summary>x min(max(x + 3, 0), 6) / 6, elementwise (torch.nn.functional.hardswish; Howard et al. 2019).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor HardSwish(Tensor x) => Activate<HardSwish>(x);

    /// <summary>x tanh(log(1 + e^x)), elementwise (torch.nn.functional.mish; Misra 2019).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Mish(Tensor x) => Activate<Mish>(x);

    /// <summary>
    /// Scaled ELU, elementwise (torch.nn.functional.selu; Klambauer et al. 2017): zero mean and unit variance are its fixed point.
    /// </summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Selu(Tensor x) => Activate<ScaledElu>(x);

    /// <summary>log(1 / (1 + e^-x)), elementwise (torch.nn.functional.logsigmoid).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor LogSigmoid(Tensor x) => Activate<LogOfSigmoid>(x);

    /// <summary>x / (1 + |x|), elementwise (torch.nn.functional.softsign).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor SoftSign(Tensor x) => Activate<SoftSign>(x);

    /// <summary>x - tanh(x), elementwise (torch.nn.functional.tanhshrink).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor TanhShrink(Tensor x) => Activate<TanhShrinkage>(x);

    /// <summary>x / (1 + e^(-1.702 x)), elementwise: the sigmoid approximation of <see cref="Gelu"/>.</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor QuickGelu(Tensor x) => Activate<QuickGelu>(x);

    /// <summary>x for x &gt; 0, slope x elsewhere (torch.nn.functional.leaky_relu).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="slope">The slope below 0; PyTorch's default is 0.01.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor LeakyRelu(Tensor x, float slope) => Map(x, new SlopedRelu(slope));

    /// <summary>x for x &gt; 0, alpha (e^x - 1) elsewhere (torch.nn.functional.elu; Clevert et al. 2016).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="alpha">The limit at -infinity is -alpha.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Elu(Tensor x, float alpha = 1f) => Map(x, new Elu(alpha, 1f));

    /// <summary>x for x &gt; 0, alpha (e^(x / alpha) - 1) elsewhere (torch.nn.functional.celu; Barron 2017).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="alpha">The limit at -infinity is -alpha; not 0.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ArgumentOutOfRangeException">Alpha is 0.</exception>
    public static Tensor Celu(Tensor x, float alpha = 1f)
    {
        if (alpha == 0f) throw new ArgumentOutOfRangeException(nameof(alpha), alpha, "Celu: expected another number than 0.");
        return Map(x, new Elu(alpha, alpha));
    }

    /// <summary>log(1 + e^(beta x)) / beta; x itself where beta x exceeds the threshold, as in PyTorch.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="beta">The steepness; not 0.</param>
    /// <param name="threshold">Above it the function is linear.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ArgumentOutOfRangeException">Beta is 0.</exception>
    public static Tensor Softplus(Tensor x, float beta, float threshold = 20f)
    {
        if (beta == 0f) throw new ArgumentOutOfRangeException(nameof(beta), beta, "Softplus: expected another number than 0.");
        return Map(x, new ScaledSoftplus(beta, threshold));
    }

    /// <summary>min(max(x, min), max); the derivative at the bounds is 0 (PyTorch's hardtanh).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="min">The lower bound.</param>
    /// <param name="max">The upper bound, above it.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The upper bound is not above the lower one.</exception>
    public static Tensor HardTanh(Tensor x, float min = -1f, float max = 1f)
    {
        if (!(max > min)) throw new ArgumentOutOfRangeException(nameof(max), max, $"HardTanh: expected more than the lower bound {min}.");
        return Map(x, new HardTangent(min, max));
    }

    /// <summary>min(max(x, min), max) (torch.clamp). The derivative at the bounds is 1; where max &lt; min, the result is max.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="min">The lower bound; none if null.</param>
    /// <param name="max">The upper bound; none if null.</param>
    /// <returns>The shape of x; NaN where x is NaN.</returns>
    /// <exception cref="ArgumentException">Both bounds are null, or one is NaN.</exception>
    public static Tensor Clamp(Tensor x, float? min = null, float? max = null)
    {
        if (min is null && max is null) throw new ArgumentException("Clamp: expected a lower or an upper bound.");
        float low = min ?? float.NegativeInfinity, high = max ?? float.PositiveInfinity;
        if (float.IsNaN(low) || float.IsNaN(high)) throw new ArgumentException($"Clamp: bounds {low} and {high}; expected numbers.");
        return Map(x, new Clamped(low, high));
    }

    /// <summary>x - lambda above lambda, x + lambda below -lambda, 0 between (torch.nn.functional.softshrink).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="lambda">At least 0.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ArgumentOutOfRangeException">Lambda is negative.</exception>
    public static Tensor SoftShrink(Tensor x, float lambda = 0.5f)
    {
        if (!(lambda >= 0f)) throw new ArgumentOutOfRangeException(nameof(lambda), lambda, "SoftShrink: expected at least 0.");
        return Map(x, new SoftShrinkage(lambda));
    }

    /// <summary>0 for x in [-lambda, lambda], x elsewhere (torch.nn.functional.hardshrink).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="lambda">At least 0.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ArgumentOutOfRangeException">Lambda is negative.</exception>
    public static Tensor HardShrink(Tensor x, float lambda = 0.5f)
    {
        if (!(lambda >= 0f)) throw new ArgumentOutOfRangeException(nameof(lambda), lambda, "HardShrink: expected at least 0.");
        return Map(x, new HardShrinkage(lambda));
    }
}
