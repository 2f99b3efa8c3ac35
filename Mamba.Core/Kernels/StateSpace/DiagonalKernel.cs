using System.Numerics;
using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>The parameters of an S4D kernel. Complex numbers are (re, im) pairs; without A_imag all are real.</summary>
internal unsafe struct DiagonalKernelInputs
{
    public VandermondeShape Shape;
    public DiscretizationRule Rule;
    public double Factor;

    /// <summary>(H), (H, N), (H, N) or null, (H, N[, 2]) and (H, N[, 2]) or null.</summary>
    public float* LogDt, LogAReal, AImag, C, B;

    /// <summary>Floats per state: 2 if complex.</summary>
    public readonly nint Parts => AImag == null ? 1 : 2;

    /// <summary>N, the number of states per channel, complex or real.</summary>
    public readonly nint Count => Shape.States / Parts;

    public readonly Complex A(nint index) => new(-Math.Exp(LogAReal[index]), AImag == null ? 0 : AImag[index]);

    public readonly Complex Output(nint index) => Pair(C, index);

    public readonly Complex Input(nint index) => B == null ? Complex.One : Pair(B, index);

    private readonly Complex Pair(float* pairs, nint index) =>
        AImag == null ? pairs[index] : new Complex(pairs[2 * index], pairs[2 * index + 1]);
}

/// <summary>
/// The S4D kernel (Gu et al. 2022, "On the parameterization and initialization of diagonal state space models", equation 6 and listing 1):
/// K_l = factor Re sum_n C_n Bbar_n Abar_n^l. A complex state counts as two real ones: Re(g s) = Re g Re s - Im g Im s for giant steps g
/// and baby steps s. One item is a channel.
/// </summary>
internal unsafe struct DiagonalKernelForward : IKernel
{
    public DiagonalKernelInputs Inputs;

    /// <summary>(H, L).</summary>
    public float* Kernel;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        VandermondeShape s = Inputs.Shape;
        using DiagonalSteps steps = new(s);
        using Scratch kernel = new(s.Padded), panel = new(Gemm.PanelSize<V>(s.PanelDepth));
        for (nint h = begin; h < end; h++)
        {
            steps.Compute(Inputs, h);
            new VandermondeProduct(s, steps.Giants, steps.Babies, kernel.Pointer, panel.Pointer).Forward<V>();
            new ReadOnlySpan<float>(kernel.Pointer, (int)s.Length).CopyTo(new Span<float>(Kernel + h * s.Length, (int)s.Length));
        }
    }
}

/// <summary>
/// The gradients of <see cref="DiagonalKernelForward"/> without storing K's terms. Two products take dK to the steps. Then, in double, w =
/// Abar and c = factor C Bbar get dw = sum_j ds_j conj(j w^(j-1)) + sum_i dg_i conj(c i T w^(iT-1)), dc = sum_i dg_i conj(w^(iT)).
/// </summary>
internal unsafe struct DiagonalKernelBackward : IKernel
{
    public DiagonalKernelInputs Inputs;

    /// <summary>(H, L).</summary>
    public float* Dk;

    /// <summary>(H), (H, N), (H, N), (H, N[, 2]), (H, N[, 2]): overwritten.</summary>
    public double* LogDt, LogAReal, AImag, C, B;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        VandermondeShape s = Inputs.Shape;
        using DiagonalSteps steps = new(s);
        using Scratch dk = new(s.Padded), dGiants = new(s.States * s.Giants), dBabies = new(s.States * s.Babies);
        using Scratch panel = new(Gemm.PanelSize<V>(s.PanelDepth));
        for (nint h = begin; h < end; h++)
        {
            steps.Compute(Inputs, h);
            VandermondeProduct.Pad(s, Dk + h * s.Length, dk.Pointer);
            new VandermondeProduct(s, steps.Giants, steps.Babies, dk.Pointer, panel.Pointer)
                .Backward<V>(dGiants.Pointer, dBabies.Pointer);
            LogDt[h] = 0;
            for (nint n = 0; n < Inputs.Count; n++)
            {
                nint row = n * Inputs.Parts;
                (Complex dw, Complex dc) = steps.Backward(
                    Inputs, h, n, dGiants.Pointer + row * s.Giants, dBabies.Pointer + row * s.Babies);
                Parameters(h, n, dw, dc);
            }
        }
    }

    /// <summary>Converts the gradients of w = a(z) and c = factor C dt b(z) B, with z = dt A, to those of the parameters.</summary>
    private readonly void Parameters(nint h, nint n, Complex dw, Complex dc)
    {
        nint index = h * Inputs.Count + n;
        double dt = Math.Exp(Inputs.LogDt[h]);
        Complex a = Inputs.A(index), c = Inputs.Factor * Inputs.Output(index), b = Inputs.Input(index);
        RuleValues rule = Inputs.Rule.At(dt * a);
        Complex dz = dw * Complex.Conjugate(rule.ASlope) + dc * Complex.Conjugate(dt * c * b * rule.BSlope);
        double ddt = DiagonalDiscretizationBackward.RealProduct(dz, a)
            + DiagonalDiscretizationBackward.RealProduct(dc, c * b * rule.B);
        LogDt[h] += dt * ddt;
        LogAReal[index] = dt * dz.Real * a.Real; // dA/d log(-Re A) = Re A
        if (Inputs.AImag != null) AImag[index] = dt * dz.Imaginary;
        Store(dc * Complex.Conjugate(Inputs.Factor * dt * rule.B * b), C, index);
        if (Inputs.B != null) Store(dc * Complex.Conjugate(dt * rule.B * c), B, index);
    }

    private readonly void Store(Complex value, double* numbers, nint index)
    {
        if (Inputs.AImag == null) numbers[index] = value.Real;
        else (numbers[2 * index], numbers[2 * index + 1]) = (value.Real, value.Imaginary);
    }
}

/// <summary>The baby and giant steps of a channel, and the powers of one of its states in double precision.</summary>
internal readonly unsafe ref struct DiagonalSteps : IDisposable
{
    private readonly VandermondeShape _shape;
    private readonly Scratch _giants, _babies, _powers, _giantPowers;

    public DiagonalSteps(VandermondeShape shape)
    {
        _shape = shape;
        _giants = new Scratch(shape.States * shape.Giants);
        _babies = new Scratch(shape.States * shape.Babies);
        _powers = Scratch.OfDoubles(2 * shape.Babies);
        _giantPowers = Scratch.OfDoubles(2 * shape.Giants);
    }

    /// <summary>(N, R): c w^(iT), real parts followed by imaginary parts.</summary>
    public float* Giants => _giants.Pointer;

    /// <summary>(N, T): w^j, real parts followed by negated imaginary parts.</summary>
    public float* Babies => _babies.Pointer;

    public void Dispose()
    {
        _giants.Dispose();
        _babies.Dispose();
        _powers.Dispose();
        _giantPowers.Dispose();
    }

    /// <summary>Computes the steps of all states of a channel.</summary>
    public void Compute(in DiagonalKernelInputs inputs, nint h)
    {
        nint parts = inputs.Parts, babies = _shape.Babies, giants = _shape.Giants;
        for (nint n = 0; n < inputs.Count; n++)
        {
            Complex c = PowersOf(inputs, h, n, out _);
            Scaled(_powers.Doubles, babies, Complex.One, _babies.Pointer + n * parts * babies, sign: -1, parts);
            Scaled(_giantPowers.Doubles, giants, c, _giants.Pointer + n * parts * giants, sign: 1, parts);
        }
    }

    /// <summary>The gradients of w and c from those of the steps, (1 or 2 rows) each.</summary>
    public (Complex W, Complex C) Backward(in DiagonalKernelInputs inputs, nint h, nint n, float* dGiants, float* dBabies)
    {
        nint babies = _shape.Babies, giants = _shape.Giants;
        bool complex = inputs.Parts == 2;
        Complex c = PowersOf(inputs, h, n, out Complex lastPower), dw = default, dc = default, dg = default;
        Pairs powers = new(_powers.Doubles), giantPowers = new(_giantPowers.Doubles);
        for (nint j = 1; j < babies; j++)
        {
            Complex ds = new(dBabies[j], complex ? -dBabies[babies + j] : 0);
            dw += (double)j * ds * Complex.Conjugate(powers[j - 1]);
        }
        for (nint i = 0; i < giants; i++)
        {
            Complex step = new(dGiants[i], complex ? dGiants[giants + i] : 0);
            dc += step * Complex.Conjugate(giantPowers[i]);
            if (i > 0) dg += (double)(i * babies) * step * Complex.Conjugate(giantPowers[i - 1]);
        }
        dw += dg * Complex.Conjugate(c * lastPower);
        return (dw, dc);
    }

    /// <summary>Powers w^0 ... w^(T-1) and (w^T)^0 ... (w^T)^(R-1) of a state; returns c, and w^(T-1) as lastPower.</summary>
    private Complex PowersOf(in DiagonalKernelInputs inputs, nint h, nint n, out Complex lastPower)
    {
        nint index = h * inputs.Count + n;
        double dt = Math.Exp(inputs.LogDt[h]);
        RuleValues rule = inputs.Rule.At(dt * inputs.A(index));
        Complex next = Powers(rule.A, _shape.Babies, _powers.Doubles);
        Powers(next, _shape.Giants, _giantPowers.Doubles);
        lastPower = new Pairs(_powers.Doubles)[_shape.Babies - 1];
        return inputs.Factor * inputs.Output(index) * dt * rule.B * inputs.Input(index);
    }

    /// <summary>
    /// Writes w^0 ... w^(count - 1) as pairs; returns w^count. Each round doubles their number by a single factor, so no product waits for
    /// the previous one, and errors grow only with the logarithm of the exponent.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Complex Powers(Complex w, nint count, double* powers)
    {
        (powers[0], powers[1]) = (1, 0);
        Complex factor = w;
        for (nint done = 1; done < count; done *= 2)
        {
            double re = factor.Real, im = factor.Imaginary;
            double* to = powers + 2 * done;
            for (nint i = 0, rest = Math.Min(done, count - done); i < rest; i++)
            {
                double x = powers[2 * i], y = powers[2 * i + 1];
                to[2 * i] = x * re - y * im;
                to[2 * i + 1] = x * im + y * re;
            }
            factor *= factor;
        }
        return new Pairs(powers)[count - 1] * w;
    }

    /// <summary>The powers times a factor: a row of real parts, and a row of imaginary parts with a sign.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scaled(double* powers, nint count, Complex factor, float* rows, double sign, nint parts)
    {
        double re = factor.Real, im = factor.Imaginary;
        for (nint i = 0; i < count; i++)
        {
            double x = powers[2 * i], y = powers[2 * i + 1];
            rows[i] = (float)(x * re - y * im);
            if (parts == 2) rows[count + i] = (float)(sign * (x * im + y * re));
        }
    }

    private readonly struct Pairs(double* numbers)
    {
        public Complex this[nint index] => new(numbers[2 * index], numbers[2 * index + 1]);
    }
}
