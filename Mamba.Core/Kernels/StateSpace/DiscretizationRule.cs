using System.Numerics;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>The kind of a discretization rule.</summary>
internal enum RuleKind
{
    /// <summary>The generalized bilinear transform: Abar = (1 + (1 - alpha) z) / (1 - alpha z), Bbar = dt B / (1 - alpha z).</summary>
    Bilinear,

    /// <summary>Exact for a constant input: Abar = e^z, Bbar = dt phi(z) B with phi(z) = (e^z - 1) / z.</summary>
    ZeroOrderHold,

    /// <summary>Mamba's: Abar = e^z, Bbar = dt B.</summary>
    Mamba,
}

/// <summary>
/// Converts x' = A x + B u to x_l = Abar x_(l-1) + Bbar u_l, in double precision. With z = dt A, every rule is Abar = a(z), Bbar = dt b(z)
/// B for two analytic functions, applied elementwise to a complex diagonal A.
/// </summary>
/// <param name="Kind">Selects the functions.</param>
/// <param name="Alpha">For the bilinear transform: 0 is forward Euler, 1 backward Euler, 1/2 the trapezoidal rule.</param>
internal readonly record struct DiscretizationRule(RuleKind Kind, double Alpha = 0.5)
{
    // Below this |z| the series of phi is exact to double precision. Above it, e^z - 1 loses at most two bits.
    private const double SmallZ = 0.5;
    private const int Terms = 18;

    /// <summary>a(z), b(z) and their derivatives.</summary>
    public RuleValues At(Complex z)
    {
        if (Kind == RuleKind.Bilinear)
        {
            Complex inverse = Complex.One / (1 - Alpha * z), square = inverse * inverse;
            return new((1 + (1 - Alpha) * z) * inverse, square, inverse, Alpha * square);
        }
        Complex exponential = Complex.Exp(z);
        if (Kind == RuleKind.Mamba) return new(exponential, exponential, Complex.One, Complex.Zero);
        Complex phi, slope;
        if (Complex.Abs(z) < SmallZ)
        {
            // phi(z) = sum z^k / (k + 1)!, by Horner's scheme with its derivative.
            (phi, slope) = (Complex.Zero, Complex.Zero);
            double coefficient = 1;
            for (int k = 2; k <= Terms; k++) coefficient /= k;
            for (int k = Terms; k >= 1; k--)
            {
                slope = slope * z + phi;
                phi = phi * z + coefficient;
                coefficient *= k;
            }
        }
        else
        {
            phi = (exponential - 1) / z;
            slope = (exponential - phi) / z;
        }
        return new(exponential, exponential, phi, slope);
    }
}

/// <summary>The functions of a rule at a point.</summary>
/// <param name="A">a(z).</param>
/// <param name="ASlope">a'(z).</param>
/// <param name="B">b(z).</param>
/// <param name="BSlope">b'(z).</param>
internal readonly record struct RuleValues(Complex A, Complex ASlope, Complex B, Complex BSlope);
