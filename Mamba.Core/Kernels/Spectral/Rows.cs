using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Spectral;

/// <summary>
/// The source of a transform for a group of channels: rows of real numbers. Complex element e is rows 2 e and 2 e + 1, so that two adjacent
/// real points are one point of the half-length transform, without a copy. Rows from <see cref="Count"/> on are zeros.
/// </summary>
internal readonly unsafe struct RowSource(float* pointer, nint stride, nint count, nint lanes)
{
    public readonly float* Pointer = pointer;
    public readonly nint Stride = stride, Count = count, Lanes = lanes;

    /// <summary>Whether imaginary parts come first: the swapped parts of an inverse transform.</summary>
    public bool Exchanged { get; init; }

    /// <summary>Whether an element is a single row, its real part.</summary>
    public bool RealOnly { get; init; }

    /// <summary>Elements with at least one row below <see cref="Count"/>.</summary>
    public nint Elements => RealOnly ? Count : (Count + 1) / 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Row<V>(nint row) where V : unmanaged => row < Count ? Load<V>(Pointer + row * Stride, Lanes) : default;

    /// <summary>Prefetches an element that will be read soon.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(nint e)
    {
        float* p = Pointer + (RealOnly ? e : 2 * e) * Stride;
        Vec.Prefetch(p);
        Vec.Prefetch(p + Stride);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Element<V>(nint e, out V re, out V im) where V : unmanaged
    {
        if (RealOnly) (re, im) = (Row<V>(e), default);
        else if (Exchanged) (im, re) = (Row<V>(2 * e), Row<V>(2 * e + 1));
        else (re, im) = (Row<V>(2 * e), Row<V>(2 * e + 1));
    }
}

/// <summary>
/// The target of a transform for a group of channels, as <see cref="RowSource"/>. Rows from <see cref="Count"/> on are dropped.
/// </summary>
internal readonly unsafe struct RowTarget(GradientTarget target, nint stride, nint count, nint lanes)
{
    public readonly GradientTarget Target = target;
    public readonly nint Stride = stride, Count = count, Lanes = lanes;

    public bool Exchanged { get; init; }

    public bool RealOnly { get; init; }

    /// <summary>The factor of the results.</summary>
    public float Scale { get; init; } = 1f;

    public nint Elements => RealOnly ? Count : (Count + 1) / 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Row<V>(V value, nint row) where V : unmanaged
    {
        if (row < Count) Target.Store(value, Target.Pointer + row * Stride, Lanes);
    }

    /// <summary>Prefetches an element that will be written soon.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(nint e)
    {
        float* p = Target.Pointer + (RealOnly ? e : 2 * e) * Stride;
        Vec.Prefetch(p);
        Vec.Prefetch(p + Stride);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Element<V>(V re, V im, nint e) where V : unmanaged
    {
        V scale = Broadcast<V>(Scale);
        (re, im) = (re * scale, im * scale);
        if (RealOnly)
        {
            Row(Exchanged ? im : re, e);
            return;
        }
        Row(Exchanged ? im : re, 2 * e);
        Row(Exchanged ? re : im, 2 * e + 1);
    }
}
