using System.Runtime.CompilerServices;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels;

/// <summary>
/// The destination of a gradient. The first contribution overwrites it, later ones add. The default value means that the gradient is not
/// needed. Kernels copy it to a local before their loops, so that both fields stay in registers.
/// </summary>
internal readonly unsafe struct GradientTarget(float* pointer, bool accumulate)
{
    public readonly float* Pointer = pointer;
    public readonly bool Accumulate = accumulate;

    public bool IsWanted => Pointer != null;

    /// <summary>A target that is overwritten.</summary>
    public static implicit operator GradientTarget(float* pointer) => new(pointer, accumulate: false);

    /// <summary>This target from an offset on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public GradientTarget At(nint offset) => new(Pointer + offset, Accumulate);

    /// <summary>Writes or adds a number at an address inside this target.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void StoreOne(float value, float* at) => *at = Accumulate ? *at + value : value;

    /// <summary>Writes or adds a vector at an address inside this target.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store<V>(V v, float* at) where V : unmanaged => Vec.Store(Accumulate ? v + Vec.Load<V>(at) : v, at);

    /// <summary>Writes or adds two adjacent vectors: one instruction stores both on ARM64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void StorePair<V>(V first, V second, float* at) where V : unmanaged
    {
        float* next = at + Vec.Count<V>();
        if (Accumulate)
        {
            V a = Vec.Load<V>(at), b = Vec.Load<V>(next);
            a = first + a;
            b = second + b;
            Vec.Store(a, at);
            Vec.Store(b, next);
        }
        else
        {
            Vec.Store(first, at);
            Vec.Store(second, next);
        }
    }

    /// <summary>Writes or adds the first lanes of a vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store<V>(V v, float* at, nint lanes) where V : unmanaged =>
        Vec.Store(Accumulate ? v + Vec.Load<V>(at, lanes) : v, at, lanes);

    /// <summary>The initial value of a sum that is stored at this address.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Start<V>(float* at, nint lanes) where V : unmanaged => Accumulate ? Vec.Load<V>(at, lanes) : default;

    /// <summary>Zeroes the range unless earlier contributions are there, so that a kernel can add.</summary>
    public void Prepare(float* at, nint count)
    {
        if (!Accumulate) new Span<float>(at, checked((int)count)).Clear();
    }
}
