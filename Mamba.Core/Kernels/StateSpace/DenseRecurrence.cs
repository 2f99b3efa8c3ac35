using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>Sizes of a dense recurrence: B sequences of L tokens, for G systems of N states each.</summary>
internal readonly record struct RecurrenceShape(nint Batch, nint Length, nint Groups, nint States)
{
    /// <summary>Token stride in floats.</summary>
    public nint Token => Groups * States;
}

/// <summary>
/// x_l = M^T x_(l-1) + v_l for each system, M (G, N, N). Lanes are states: each element of x_(l-1) multiplies a row of M. The forward pass
/// uses M = A^T; the backward pass uses A and reversed time: g_l = dL/dx_l + A^T g_(l+1). One item is a system of one sequence.
/// </summary>
internal unsafe struct DenseRecurrence : IKernel
{
    public RecurrenceShape Shape;
    public bool Reverse;

    /// <summary>M (G, N, N), v (B, L, G, N) or null, x (B, L, G, N).</summary>
    public float* Matrices, Inputs, States;

    /// <summary>(B, G, N): the state before the first token, or null for zeros.</summary>
    public float* Start;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        RecurrenceShape s = Shape;
        nint n = s.States, step = Reverse ? -s.Token : s.Token;
        for (nint item = begin; item < end; item++)
        {
            nint first = Reverse ? s.Length - 1 : 0, offset = (item / s.Groups * s.Length + first) * s.Token + item % s.Groups * n;
            float* matrix = Matrices + item % s.Groups * n * n, before = Start == null ? null : Start + item * n;
            for (nint l = 0; l < s.Length; l++, offset += step)
            {
                float* v = Inputs == null ? null : Inputs + offset;
                Step<V>(matrix, before, v, States + offset, n);
                before = States + offset;
            }
        }
    }

    /// <summary>x = M^T before + v.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Step<V>(float* matrix, float* before, float* v, float* x, nint n) where V : unmanaged
    {
        for (nint i = 0; i < n; i += Count<V>())
        {
            nint lanes = Math.Min(Count<V>(), n - i);
            V even = v == null ? default : Load<V>(v + i, lanes), odd = default;
            nint k = 0;
            for (; k + 1 < n && before != null; k += 2)
            {
                even = Fma(Broadcast<V>(before[k]), Load<V>(matrix + k * n + i, lanes), even);
                odd = Fma(Broadcast<V>(before[k + 1]), Load<V>(matrix + (k + 1) * n + i, lanes), odd);
            }
            if (k < n && before != null) even = Fma(Broadcast<V>(before[k]), Load<V>(matrix + k * n + i, lanes), even);
            Store(even + odd, x + i, lanes);
        }
    }
}

/// <summary>
/// dA = sum over sequences and tokens of g_l x_(l-1)^T, and the gradient of the first state, A^T g_0. One item is a system.
/// </summary>
internal unsafe struct DenseRecurrenceGradients : IKernel
{
    public RecurrenceShape Shape;

    /// <summary>A (G, N, N), x and g (B, L, G, N), the first state (B, G, N) or null.</summary>
    public float* Matrices, States, Gradients, Start;

    /// <summary>(G, N, N), and (B, G, N) or null; both overwritten.</summary>
    public float* DMatrices, DStart;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        RecurrenceShape s = Shape;
        nint n = s.States;
        using Scratch panel = new(Gemm.PanelSize<V>(Math.Max(s.Length, 1)));
        for (nint group = begin; group < end; group++)
        {
            Matrix da = new(DMatrices + group * n * n, n);
            new Span<float>(da.Pointer, (int)(n * n)).Clear();
            for (nint b = 0; b < s.Batch; b++)
            {
                nint offset = b * s.Length * s.Token + group * n, ofStart = (b * s.Groups + group) * n;
                Matrix g = new(Gradients + offset, s.Token), x = new(States + offset, s.Token);
                if (s.Length > 1)
                    Gemm.Serial<V>(n, n, s.Length - 1, g.Offset(s.Token).Transposed, x, da, panel.Pointer, add: true);
                if (Start != null) Gemm.Serial<V>(n, n, 1, g.Transposed, new Matrix(Start + ofStart, n), da, panel.Pointer, add: true);
                if (DStart != null) DenseRecurrence.Step<V>(Matrices + group * n * n, g.Pointer, null, DStart + ofStart, n);
            }
        }
    }
}

/// <summary>Matrices (G, N, N), each transposed.</summary>
internal readonly record struct TransposedMatrices(nint Groups, nint States) : IWeightPacking
{
    public nint Size => Groups * States * States;

    public unsafe void Pack(float* weight, float* packed)
    {
        for (nint g = 0, size = States * States; g < Groups; g++)
            Transpose.Run(weight + g * size, States, States, States, packed + g * size, States);
    }
}
