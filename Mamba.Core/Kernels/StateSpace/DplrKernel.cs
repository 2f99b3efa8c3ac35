using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>
/// The S4 kernel (Gu, Goel and Re 2022, algorithm 1): K_l = C Abar^l Bbar for diagonal plus low rank. The paper uses a Cauchy product,
/// Woodbury's identity and an inverse FFT. Here K is a product of giant steps C Abar^(iT) and baby steps Abar^j Bbar, as in
/// <see cref="VandermondeShape"/>. Abar^T by squaring in double takes O(N^3 log L) per channel, the steps O(N^2 sqrt(L)), the product O(N
/// L) multiply-adds. No sum is singular at a root of unity, and Abar is a contraction, so no power grows. One item is a channel.
/// </summary>
internal unsafe struct DplrKernelForward : IKernel
{
    public DplrInputs Inputs;
    public VandermondeShape Shape;

    /// <summary>(H, L).</summary>
    public float* Kernel;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        VandermondeShape s = Shape;
        using DplrSystem system = new(Inputs);
        using DplrSteps steps = new(s);
        using Scratch kernel = new(s.Padded), panel = new(Gemm.PanelSize<V>(s.PanelDepth));
        for (nint h = begin; h < end; h++)
        {
            system.Compute(h);
            steps.Compute(system);
            new VandermondeProduct(s, steps.Giants, steps.Babies, kernel.Pointer, panel.Pointer).Forward<V>();
            new ReadOnlySpan<float>(kernel.Pointer, (int)s.Length).CopyTo(new Span<float>(Kernel + h * s.Length, (int)s.Length));
        }
    }
}

/// <summary>
/// The gradients of <see cref="DplrKernelForward"/>: two products take dK to the steps, then back along them in double precision.
/// </summary>
internal unsafe struct DplrKernelBackward : IKernel
{
    public DplrInputs Inputs;
    public VandermondeShape Shape;

    /// <summary>(H, L).</summary>
    public float* Dk;
    public DplrGradients Gradients;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        VandermondeShape s = Shape;
        nint n = s.States;
        using DplrSystem system = new(Inputs);
        using DplrSteps steps = new(s);
        using Scratch dk = new(s.Padded), dGiants = new(n * s.Giants), dBabies = new(n * s.Babies);
        using Scratch panel = new(Gemm.PanelSize<V>(s.PanelDepth)), gradients = Scratch.OfDoubles(n * n + 2 * n);
        double* dAbar = gradients.Doubles, dBbar = dAbar + n * n, dC = dBbar + n;
        for (nint h = begin; h < end; h++)
        {
            system.Compute(h);
            steps.Compute(system);
            VandermondeProduct.Pad(s, Dk + h * s.Length, dk.Pointer);
            new VandermondeProduct(s, steps.Giants, steps.Babies, dk.Pointer, panel.Pointer)
                .Backward<V>(dGiants.Pointer, dBabies.Pointer);
            new Span<double>(dAbar, (int)(n * n + 2 * n)).Clear();
            steps.Backward(system, dGiants.Pointer, dBabies.Pointer, dAbar, dBbar, dC);
            system.Backward(h, dAbar, dBbar, dC, Gradients);
        }
    }
}

/// <summary>The steps of a channel: y_(j+1) = Abar y_j from Bbar, and x_(i+1) = (Abar^T)^T x_i from C.</summary>
internal readonly unsafe ref struct DplrSteps : IDisposable
{
    private readonly VandermondeShape _shape;
    private readonly Scratch _floats, _vectors, _gradients, _transposed;
    private readonly MatrixPower _power;

    public DplrSteps(VandermondeShape shape)
    {
        _shape = shape;
        nint steps = shape.Giants + shape.Babies;
        _floats = new Scratch(shape.States * steps);
        _vectors = Scratch.OfDoubles(shape.States * steps);
        _gradients = Scratch.OfDoubles(shape.States * Math.Max(shape.Giants, shape.Babies));
        _transposed = Scratch.OfDoubles(shape.States * shape.States);
        _power = new MatrixPower(shape.States, shape.Babies);
    }

    /// <summary>(N, R).</summary>
    public float* Giants => _floats.Pointer;

    /// <summary>(N, T).</summary>
    public float* Babies => _floats.Pointer + _shape.States * _shape.Giants;

    private double* GiantVectors => _vectors.Doubles; // (R, N)

    private double* BabyVectors => _vectors.Doubles + _shape.States * _shape.Giants; // (T, N)

    public void Dispose()
    {
        _floats.Dispose();
        _vectors.Dispose();
        _gradients.Dispose();
        _transposed.Dispose();
        _power.Dispose();
    }

    public void Compute(in DplrSystem system)
    {
        nint n = _shape.States;
        double* y = BabyVectors, x = GiantVectors, power = _power.Compute(system.ABar);
        new ReadOnlySpan<double>(system.BBar, (int)n).CopyTo(new Span<double>(y, (int)n));
        new ReadOnlySpan<double>(system.C, (int)n).CopyTo(new Span<double>(x, (int)n));
        SquareMatrix.Transpose(system.ABar, _transposed.Doubles, n, n);
        for (nint j = 1; j < _shape.Babies; j++) SquareMatrix.MultiplyTransposed(_transposed.Doubles, y + (j - 1) * n, y + j * n, n);
        for (nint i = 1; i < _shape.Giants; i++) SquareMatrix.MultiplyTransposed(power, x + (i - 1) * n, x + i * n, n);
        TransposeToFloats(x, _shape.Giants, Giants);
        TransposeToFloats(y, _shape.Babies, Babies);
    }

    /// <summary>Adds to the gradients of Abar, Bbar and C from those of the steps, (N, R) and (N, T).</summary>
    public void Backward(in DplrSystem system, float* dGiants, float* dBabies, double* dAbar, double* dBbar, double* dC)
    {
        nint n = _shape.States, size = n * n, babies = _shape.Babies, giants = _shape.Giants;
        double* g = _gradients.Doubles;
        using Scratch memory = Scratch.OfDoubles(size);
        double* dPower = memory.Doubles;

        // dL/dy_j = the term from K + Abar^T dL/dy_(j+1), and dAbar = sum_j dL/dy_j y_(j-1)^T.
        TransposeToDoubles(dBabies, babies, g);
        for (nint j = babies - 1; j > 0; j--) SquareMatrix.AddTransposed(system.ABar, g + j * n, g + (j - 1) * n, n);
        SquareMatrix.AddTransposedProduct(g + n, BabyVectors, dAbar, babies - 1, n, n);
        for (nint k = 0; k < n; k++) dBbar[k] += g[k];

        // dL/dx_i = the term from K + Abar^T dL/dx_(i+1), with Abar to the power T, and its gradient is sum_i x_(i-1) dL/dx_i^T.
        TransposeToDoubles(dGiants, giants, g);
        SquareMatrix.Transpose(_power.Value, _transposed.Doubles, n, n);
        for (nint i = giants - 1; i > 0; i--) SquareMatrix.AddTransposed(_transposed.Doubles, g + i * n, g + (i - 1) * n, n);
        new Span<double>(dPower, (int)size).Clear();
        SquareMatrix.AddTransposedProduct(GiantVectors, g + n, dPower, giants - 1, n, n);
        for (nint k = 0; k < n; k++) dC[k] += g[k];
        if (giants > 1) _power.Backward(dPower, dAbar);
    }

    private void TransposeToFloats(double* vectors, nint count, float* rows)
    {
        for (nint i = 0; i < count; i++)
            for (nint k = 0; k < _shape.States; k++) rows[k * count + i] = (float)vectors[i * _shape.States + k];
    }

    private void TransposeToDoubles(float* rows, nint count, double* vectors)
    {
        for (nint i = 0; i < count; i++)
            for (nint k = 0; k < _shape.States; k++) vectors[i * _shape.States + k] = rows[k * count + i];
    }
}
