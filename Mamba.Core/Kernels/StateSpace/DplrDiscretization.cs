using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>
/// The bilinear systems of S4. Real ones are Abar (H, 2N, 2N), Bbar and C (H, 2N) over (Re z, Im z); complex ones, over (z, conj z), are
/// Abar (H, 2N, 2N, 2) = [[E, F], [conj F, conj E]] and Bbar (H, 2N, 2). One item is a channel.
/// </summary>
internal unsafe struct DplrDiscretization : IKernel
{
    public DplrInputs Inputs;
    public bool IsComplex;
    public float* ABar, BBar, C;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Inputs.States, size = n * n;
        using DplrSystem system = new(Inputs);
        for (nint h = begin; h < end; h++)
        {
            system.Compute(h);
            if (IsComplex)
            {
                ToComplex(system.ABar, Inputs.Pairs, ABar + 2 * h * size);
                VectorToComplex(system.BBar, Inputs.Pairs, BBar + 2 * h * n);
                continue;
            }
            DenseDiscretization.Narrow(system.ABar, ABar + h * size, size);
            DenseDiscretization.Narrow(system.BBar, BBar + h * n, n);
            DenseDiscretization.Narrow(system.C, C + h * n, n);
        }
    }

    /// <summary>
    /// Converts the real form of z' = E z + F conj(z): E = (R11 + R22 + i (R21 - R12)) / 2, F = (R11 - R22 + i (R21 + R12)) / 2 with the
    /// blocks of the real matrix.
    /// </summary>
    private static void ToComplex(double* real, nint pairs, float* complex)
    {
        nint n = 2 * pairs;
        for (nint i = 0; i < pairs; i++)
            for (nint j = 0; j < pairs; j++)
            {
                double r11 = real[i * n + j], r12 = real[i * n + pairs + j];
                double r21 = real[(pairs + i) * n + j], r22 = real[(pairs + i) * n + pairs + j];
                float* e = complex + 2 * (i * n + j), f = e + n, conjF = complex + 2 * ((pairs + i) * n + j), conjE = conjF + n;
                e[0] = conjE[0] = (float)((r11 + r22) / 2);
                f[0] = conjF[0] = (float)((r11 - r22) / 2);
                e[1] = (float)((r21 - r12) / 2);
                f[1] = (float)((r21 + r12) / 2);
                (conjE[1], conjF[1]) = (-e[1], -f[1]);
            }
    }

    private static void VectorToComplex(double* real, nint pairs, float* complex)
    {
        for (nint i = 0; i < pairs; i++)
        {
            float* b = complex + 2 * i, conjB = b + 2 * pairs;
            (b[0], b[1]) = ((float)real[i], (float)real[pairs + i]);
            (conjB[0], conjB[1]) = (b[0], -b[1]);
        }
    }
}

/// <summary>Replaces C of S4's systems by C (I - Abar^Length), the form of its checkpoints. One item is a channel.</summary>
internal unsafe struct DplrStoredC : IKernel
{
    public DplrInputs Inputs;
    public nint Length;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        using DplrSystem system = new(Inputs);
        for (nint h = begin; h < end; h++)
        {
            system.Compute(h);
            system.Store(h, Length);
        }
    }
}

/// <summary>The gradients of <see cref="DplrDiscretization"/>.</summary>
internal unsafe struct DplrDiscretizationBackward : IKernel
{
    public DplrInputs Inputs;
    public bool IsComplex;

    /// <summary>The gradients of the results; null for zeros.</summary>
    public float* ABar, BBar, C;
    public DplrGradients Gradients;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Inputs.States, size = n * n;
        using DplrSystem system = new(Inputs);
        using Scratch memory = Scratch.OfDoubles(size + 2 * n);
        double* dAbar = memory.Doubles, dBbar = dAbar + size, dC = dBbar + n;
        for (nint h = begin; h < end; h++)
        {
            system.Compute(h);
            new Span<double>(memory.Doubles, (int)(size + 2 * n)).Clear();
            if (IsComplex)
            {
                if (ABar != null) FromComplex(ABar + 2 * h * size, Inputs.Pairs, dAbar);
                if (BBar != null) VectorFromComplex(BBar + 2 * h * n, Inputs.Pairs, dBbar);
            }
            else
            {
                DenseDiscretization.Widen(ABar == null ? null : ABar + h * size, dAbar, size);
                DenseDiscretization.Widen(BBar == null ? null : BBar + h * n, dBbar, n);
                DenseDiscretization.Widen(C == null ? null : C + h * n, dC, n);
            }
            system.Backward(h, dAbar, dBbar, dC, Gradients);
        }
    }

    private static void FromComplex(float* complex, nint pairs, double* real)
    {
        nint n = 2 * pairs;
        for (nint i = 0; i < pairs; i++)
            for (nint j = 0; j < pairs; j++)
            {
                float* e = complex + 2 * (i * n + j), f = e + n, conjF = complex + 2 * ((pairs + i) * n + j), conjE = conjF + n;
                double er = (double)e[0] + conjE[0], ei = (double)e[1] - conjE[1];
                double fr = (double)f[0] + conjF[0], fi = (double)f[1] - conjF[1];
                real[i * n + j] = (er + fr) / 2;
                real[i * n + pairs + j] = (fi - ei) / 2;
                real[(pairs + i) * n + j] = (fi + ei) / 2;
                real[(pairs + i) * n + pairs + j] = (er - fr) / 2;
            }
    }

    private static void VectorFromComplex(float* complex, nint pairs, double* real)
    {
        for (nint i = 0; i < pairs; i++)
        {
            float* b = complex + 2 * i, conjB = b + 2 * pairs;
            real[i] = (double)b[0] + conjB[0];
            real[pairs + i] = (double)b[1] - conjB[1];
        }
    }
}
