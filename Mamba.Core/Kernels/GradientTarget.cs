using System.Runtime.CompilerServices;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels;

/// <summary>
/// Where a kernel writes a gradient. The first contribution overwrites what is there, later ones add to it. The default value is a gradient
/// that is not wanted. A kernel copies it to a local before its loops, so that both fields are registers.
/// </summary>
internal readonly unsafe struct GradientTarget(float* pointer, bool accumulate)
{
    public readonly float* Pointer = pointer;
    public readonly bool Accumulate = accumulate;

    public bool IsWanted => Pointer != null;

    /// <summary>Memory that is overwritten.</summary>
    public static implicit operator GradientTarget(float* pointer) => new(pointer, accumulate: false);

    /// <summary>The part of this that begins at an offset.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public GradientTarget At(nint offset) => new(Pointer + offset, Accumulate);

    /// <summary>Contributes a number at an address inside of this.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void StoreOne(float value, float* at) => *at = Accumulate ? *at + value : value;

    /// <summary>Contributes a vector at an address inside of this.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store<V>(V v, float* at) where V : unmanaged => Vec.Store(Accumulate ? v + Vec.Load<V>(at) : v, at);

    /// <summary>Contributes two vectors, neighbours: one instruction stores both on ARM64.</summary>
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

    /// <summary>Contributes the first lanes of a vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store<V>(V v, float* at, nint lanes) where V : unmanaged =>
        Vec.Store(Accumulate ? v + Vec.Load<V>(at, lanes) : v, at, lanes);

    /// <summary>What a sum that goes to this address begins with.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Start<V>(float* at, nint lanes) where V : unmanaged => Accumulate ? Vec.Load<V>(at, lanes) : default;

    /// <summary>Makes ready for additions: writes zeros unless earlier contributions are there.</summary>
    public void Prepare(float* at, nint count)
    {
        if (!Accumulate) new Span<float>(at, checked((int)count)).Clear();
    }
}
