using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Scan;

/// <summary>The inputs of a selective scan; absent ones are null.</summary>
internal unsafe struct ScanInputs
{
    /// <summary>u, delta, z, and the residual of y: (B, L, D). B, C: (B, L, G, N). D, delta bias: (D).</summary>
    public float* U, Delta, Z, Residual, B, C, D, DeltaBias;

    /// <summary>A in blocks (Blocks, N, Lanes), times log2 e, so that e^(dt A) is a single Exp2.</summary>
    public float* A;

    public bool Softplus;

    /// <summary>dt of one token, and its derivative with respect to softplus's input; undefined without softplus.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V StepSize<V>(nint offset, nint channel, nint lanes, out V slope) where V : unmanaged
    {
        V raw = Load<V>(Delta + offset, lanes);
        if (DeltaBias != null) raw += Load<V>(DeltaBias + channel, lanes);
        slope = default;
        return Softplus ? VecMath.Softplus(raw, out slope) : raw;
    }
}
