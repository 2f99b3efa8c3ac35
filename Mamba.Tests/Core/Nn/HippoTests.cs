using System.Numerics;
using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>What the theory says of HiPPO's matrices, in double precision.</summary>
internal sealed class HippoTests
{
    /// <summary>
    /// e^(tA) B of LegS is e^-t sqrt(2n + 1) P_n(2 e^-t - 1): Legendre polynomials in scaled time under the weight e^-t ("How to train your
    /// HiPPO", corollary 3.3).
    /// </summary>
    [Test]
    public void The_basis_functions_of_LegS_are_scaled_Legendre_polynomials()
    {
        const int N = 8;
        (double[] a, double[] b) = Hippo.Matrices(HippoMeasure.LegS, N);
        foreach (double t in new[] { 0, 0.1, 0.7, 3 })
        {
            double[] basis = LtiReference.Multiply(LtiReference.Exponential(Array.ConvertAll(a, x => t * x), N), b, N, N, 1);
            double[] legendre = Array.ConvertAll(Hippo.LegendreBasis([2 * Math.Exp(-t) - 1], N), x => Math.Exp(-t) * x);
            Assert.That(basis, Is.EqualTo(legendre).Within(1e-8), $"t = {t}");
        }
    }

    /// <summary>e^(tA) B of the LMU is close to a polynomial inside its window of length 1, and falls beyond it.</summary>
    [Test]
    public void The_Legendre_memory_forgets_what_lies_beyond_its_window()
    {
        const int N = 32;
        (double[] a, double[] b) = Hippo.Matrices(HippoMeasure.Lmu, N);
        double[] Basis(double t) => LtiReference.Multiply(LtiReference.Exponential(Array.ConvertAll(a, x => t * x), N), b, N, N, 1);
        Assert.That(Math.Abs(Basis(0.5)[0]), Is.EqualTo(1).Within(0.1));
        Assert.That(Math.Abs(Basis(2)[0]), Is.LessThan(0.02));
    }

    /// <summary>
    /// A signal stretched in time has the same coefficients (Gu et al. 2020, proposition 3); the scheme's error falls with its step.
    /// </summary>
    [Test]
    public void LegS_does_not_depend_on_the_scale_of_time()
    {
        double[] errors = [.. new[] { 250, 500, 1000 }.Select(length =>
        {
            float[] once = Memory(length, Wave), stretched = Memory(4 * length, Wave);
            return once.Zip(stretched, (x, y) => Math.Abs(x - y)).Max();
        })];
        Assert.That(errors[2], Is.LessThan(0.01));
        Assert.That(errors[0] / errors[1], Is.InRange(1.6, 5));
        Assert.That(errors[1] / errors[2], Is.InRange(1.6, 5));

        float[] Memory(int length, Func<double, double> signal) => Ops.LegsMemory(Sampled(length, signal), 8).Span.ToArray();
    }

    /// <summary>
    /// Of a signal whose derivative jumps, the approximation's error falls like N^(-3/2); of a smooth one, faster than any power (Gu et al.
    /// 2020, proposition 6, and the theory of Legendre series).
    /// </summary>
    [Test]
    public void The_error_falls_with_the_order_as_the_signal_is_smooth()
    {
        double[] rough = [.. new[] { 8, 32, 128 }.Select(n => Error(n, x => Math.Abs(x - 0.4)))];
        double slope = Math.Log(rough[2] / rough[0]) / Math.Log(16);
        Assert.That(slope, Is.InRange(-1.8, -1.2));
        double[] smooth = [.. new[] { 4, 8, 12 }.Select(n => Error(n, Wave))];
        Assert.That(smooth[1] / smooth[0], Is.LessThan(0.05));
        Assert.That(smooth[2] / smooth[1], Is.LessThan(0.05));

        // The best approximation itself, by Gauss-free quadrature on many points: the memory's own scheme would cover it up.
        static double Error(int n, Func<double, double> signal)
        {
            const int Points = 40_000;
            double[] points = [.. Enumerable.Range(0, Points).Select(i => -1 + (2.0 * i + 1) / Points)];
            double[] basis = Hippo.LegendreBasis(points, n), c = new double[n];
            for (int i = 0; i < Points; i++)
                for (int k = 0; k < n; k++) c[k] += basis[i * n + k] * signal((points[i] + 1) / 2) / Points;
            double[] back = Hippo.Reconstruct(c, points);
            return Math.Sqrt(points.Zip(back, (x, y) => Math.Pow(signal((x + 1) / 2) - y, 2)).Average());
        }
    }

    /// <summary>
    /// The online memory is that best approximation, up to the error of its scheme, which falls with the number of samples.
    /// </summary>
    [Test]
    public void The_memory_reconstructs_a_signal()
    {
        double[] errors = [.. new[] { 500, 2000, 8000 }.Select(length =>
        {
            double[] c = Ops.LegsMemory(Sampled(length, Wave), 16).ToDouble(), points = Hippo.EvenPoints(length);
            double[] back = Hippo.Reconstruct(c, points);
            return Math.Sqrt(points.Zip(back, (x, y) => Math.Pow(Wave((x + 1) / 2) - y, 2)).Average());
        })];
        Assert.That(errors[2], Is.LessThan(2e-3));
        Assert.That(errors, Is.Ordered.Descending);
    }

    [Test]
    public void The_normal_form_of_LegS_is_unitary_and_gives_A_and_B_back([Values(1, 2, 7, 64, 128)] int n)
    {
        NormalPlusLowRank form = Hippo.LegSNormalPlusLowRank(n);
        (double[] a, double[] b) = Hippo.Matrices(HippoMeasure.LegS, n);
        double unitary = 0, matrix = 0, input = 0;
        for (int i = 0; i < n; i++)
        {
            Complex ofB = default;
            for (int k = 0; k < n; k++) ofB += form.V[i * n + k] * form.InputVector[k];
            input = Math.Max(input, Complex.Abs(ofB - b[i]));
            Complex[] row = [.. Enumerable.Range(0, n).Select(k => form.V[i * n + k])];
            Complex projection = row.Zip(form.P, (v, p) => v * p).Aggregate((x, y) => x + y);
            for (int j = 0; j < n; j++)
            {
                Complex product = default, ofA = default, other = default;
                for (int k = 0; k < n; k++)
                {
                    Complex conjugate = Complex.Conjugate(form.V[j * n + k]);
                    product += row[k] * conjugate;
                    ofA += row[k] * form.Lambda[k] * conjugate;
                    other += form.P[k] * conjugate;
                }
                unitary = Math.Max(unitary, Complex.Abs(product - (i == j ? 1 : 0)));
                matrix = Math.Max(matrix, Complex.Abs(ofA - projection * other - a[i * n + j]));
            }
        }
        Assert.That(unitary, Is.LessThan(1e-12));
        Assert.That(matrix, Is.LessThan(1e-12 * n * n));
        Assert.That(input, Is.LessThan(1e-12 * n));
        Assert.That(form.P, Is.All.Positive);
        Assert.That(form.Lambda.Select(x => x.Imaginary), Is.Ordered);
    }

    /// <summary>S4D-Inv is the law of LegS' eigenvalues, S4D-Lin that of its lower ones for large N (Gu et al. 2022, section 4).</summary>
    [Test]
    public void The_laws_of_S4D_are_close_to_the_eigenvalues_of_LegS()
    {
        Complex[] legs = Hippo.Eigenvalues(S4dInitialization.LegS, 64), inverse = Hippo.Eigenvalues(S4dInitialization.Inv, 64);
        for (int i = 0; i < 32; i++) Assert.That(legs[i].Imaginary / inverse[i].Imaginary, Is.EqualTo(1).Within(0.3), $"eigenvalue {i}");
        Assert.That(Hippo.Eigenvalues(S4dInitialization.Real, 8).Select(x => x.Real), Is.EqualTo(new[] { -1.0, -2, -3, -4 }));
    }

    [Test]
    public void Orders_that_do_not_exist_are_refused()
    {
        Assert.That(
            () => Hippo.Matrices(HippoMeasure.LegS, 0), Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("Hippo"));
        Assert.That(() => Hippo.Matrices(HippoMeasure.FouT, 5), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Hippo.Matrices((HippoMeasure)99, 4), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Hippo.Eigenvalues(S4dInitialization.Lin, 3), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Hippo.Eigenvalues((S4dInitialization)99, 4), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Hippo.LegSNormalPlusLowRank(5000), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    private static double Wave(double x) => Math.Sin(7 * x) + 0.5 * Math.Cos(3 * x);

    /// <summary>A signal over [0, 1] in steps.</summary>
    private static Tensor Sampled(int length, Func<double, double> signal) =>
        Tensor.From([.. Enumerable.Range(1, length).Select(k => (float)signal((double)k / length))], 1, length);
}
