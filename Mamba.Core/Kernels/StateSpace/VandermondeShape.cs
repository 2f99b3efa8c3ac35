using Mamba.Core.Kernels.Products;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>
/// A kernel of a linear system of N states, K_l = x_0 A^l b, as a matrix product. With l = i T + j it is K_ij = (x_0 A^(iT)) (A^j b): R
/// rows of "giant steps" times T columns of "baby steps". Both factors have O(N sqrt(L)) elements, computed in double. The O(N L) work is a
/// float32 matrix product, which rounds each factor once.
/// </summary>
/// <param name="Channels">H.</param>
/// <param name="States">N, real numbers.</param>
/// <param name="Length">L.</param>
internal readonly record struct VandermondeShape(nint Channels, nint States, nint Length)
{
    private const nint StepGrain = 16; // the widest vector

    /// <summary>T, near sqrt(L): a multiple of the widest vector.</summary>
    public nint Babies => (nint)Math.Ceiling(Math.Sqrt(Length) / StepGrain) * StepGrain;

    /// <summary>R = ceil(L / T).</summary>
    public nint Giants => (Length + Babies - 1) / Babies;

    /// <summary>R T: the kernel length with padding beyond L.</summary>
    public nint Padded => Giants * Babies;

    /// <summary>The longest sum of the products below.</summary>
    public nint PanelDepth => Math.Max(States, Math.Max(Babies, Giants));
}

/// <summary>The products of one channel: K = G^T S with G (N, R) and S (N, T), and the gradients of G and S from dK.</summary>
internal readonly unsafe struct VandermondeProduct(VandermondeShape shape, float* giants, float* babies, float* kernel, float* panel)
{
    /// <summary>(R, T) from (N, R) and (N, T).</summary>
    public void Forward<V>() where V : unmanaged =>
        Gemm.Serial<V>(shape.Giants, shape.Babies, shape.States, new Matrix(giants, shape.Giants).Transposed,
            new Matrix(babies, shape.Babies), new Matrix(kernel, shape.Babies), panel, add: false);

    /// <summary>dG = S dK^T (N, R) and dS = G dK (N, T), with dK in place of the kernel.</summary>
    public void Backward<V>(float* giantGradients, float* babyGradients) where V : unmanaged
    {
        Matrix dk = new(kernel, shape.Babies);
        Gemm.Serial<V>(shape.States, shape.Giants, shape.Babies, new Matrix(babies, shape.Babies), dk.Transposed,
            new Matrix(giantGradients, shape.Giants), panel, add: false);
        Gemm.Serial<V>(shape.States, shape.Babies, shape.Giants, new Matrix(giants, shape.Giants), dk,
            new Matrix(babyGradients, shape.Babies), panel, add: false);
    }

    /// <summary>Copies a row of K's gradient, zero-padded beyond L.</summary>
    public static void Pad(VandermondeShape shape, float* from, float* to)
    {
        new ReadOnlySpan<float>(from, (int)shape.Length).CopyTo(new Span<float>(to, (int)shape.Length));
        new Span<float>(to + shape.Length, (int)(shape.Padded - shape.Length)).Clear();
    }
}
