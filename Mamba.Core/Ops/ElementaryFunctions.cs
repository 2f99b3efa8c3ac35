using Mamba.Core.Kernels.Elementwise;

namespace Mamba.Core;

// Elementwise functions without parameters; each keeps what its derivative reads. Special values follow IEEE 754.
public static unsafe partial class Ops
{
    /// <summary>|x|, elementwise; the derivative at 0 is 0 (torch.abs).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Abs(Tensor x) => Activate<AbsoluteValue>(x);

    /// <summary>x squared, elementwise (torch.square).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Square(Tensor x) => Activate<Squared>(x);

    /// <summary>The square root, elementwise; NaN below 0 (torch.sqrt).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Sqrt(Tensor x) => Activate<SquareRoot>(x);

    /// <summary>1 / sqrt(x), elementwise (torch.rsqrt).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Rsqrt(Tensor x) => Activate<InverseSquareRoot>(x);

    /// <summary>1 / x, elementwise (torch.reciprocal).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Reciprocal(Tensor x) => Activate<Inverse>(x);

    /// <summary>The sine of x in radians, elementwise (torch.sin).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Sin(Tensor x) => Activate<Sine>(x);

    /// <summary>The cosine of x in radians, elementwise (torch.cos).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Cos(Tensor x) => Activate<Cosine>(x);

    /// <summary>The error function, elementwise (torch.erf).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Erf(Tensor x) => Activate<ErrorFunction>(x);

    /// <summary>e^x - 1, elementwise, accurate near 0 (torch.expm1).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor ExpM1(Tensor x) => Activate<ExponentialLessOne>(x);

    /// <summary>The natural logarithm, elementwise: -infinity at 0, NaN below 0 (torch.log).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Log(Tensor x) => Activate<NaturalLogarithm>(x);

    /// <summary>log(1 + x), elementwise, accurate near 0 (torch.log1p).</summary>
    /// <inheritdoc cref="Exp"/>
    public static Tensor Log1P(Tensor x) => Activate<LogarithmOfOnePlus>(x);

    /// <summary>
    /// x^exponent, elementwise (torch.pow). Exponents -1, 2 and 3 are fast; others are computed per element in double precision.
    /// </summary>
    /// <param name="x">Any shape.</param>
    /// <param name="exponent">A constant.</param>
    /// <returns>The shape of x; 1 for exponent 0, NaN where x is negative and the exponent is not an integer.</returns>
    public static Tensor Pow(Tensor x, float exponent) => exponent switch
    {
        -1f => Reciprocal(x),
        2f => Square(x),
        3f => Activate<Cubed>(x),
        _ => Map(x, new Power(exponent)),
    };
}
