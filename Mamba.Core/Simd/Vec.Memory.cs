using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using F32x16 = System.Runtime.Intrinsics.Vector512<float>;
using F32x4 = System.Runtime.Intrinsics.Vector128<float>;
using F32x8 = System.Runtime.Intrinsics.Vector256<float>;

namespace Mamba.Core.Simd;

// Full and partial loads and stores.
internal static unsafe partial class Vec
{
    /// <summary>The number of lanes of V.</summary>
    [MethodImpl(Inline)]
    public static nint Count<V>() where V : unmanaged => sizeof(V) / sizeof(float);

    /// <summary>Floats per cache line.</summary>
    public const nint CacheLine = 16;

    /// <summary>Loads all lanes from p; p need not be aligned.</summary>
    [MethodImpl(Inline)]
    public static V Load<V>(float* p) where V : unmanaged => Unsafe.ReadUnaligned<V>(p);

    /// <summary>Stores all lanes to p; p need not be aligned.</summary>
    [MethodImpl(Inline)]
    public static void Store<V>(V v, float* p) where V : unmanaged => Unsafe.WriteUnaligned(p, v);

    [MethodImpl(Inline)]
    public static V Load<V>(float* p, nint n) where V : unmanaged
    {
        if (n == Count<V>()) return Load<V>(p); // the common case, and well predicted
        if (typeof(V) == typeof(F32x16) && Avx512F.IsSupported)
            return Cast<F32x16, V>(Avx512F.MaskLoad(p, FirstLanes512(n), F32x16.Zero));
        if (typeof(V) == typeof(F32x8) && Avx.IsSupported) return Cast<F32x8, V>(Avx.MaskLoad(p, FirstLanes256(n)));
        if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(Avx.IsSupported ? Avx.MaskLoad(p, FirstLanes128(n)) : LoadBelow4(p, n));
        if (typeof(V) == typeof(float)) return n > 0 ? Load<V>(p) : default;
        return LoadLanes<V>(p, n, default);
    }

    /// <summary>The same, with the lanes of <paramref name="rest"/> in place of the zeros.</summary>
    [MethodImpl(Inline)]
    public static V Load<V>(float* p, nint n, V rest) where V : unmanaged
    {
        if (n == Count<V>()) return Load<V>(p);
        if (typeof(V) == typeof(F32x16) && Avx512F.IsSupported)
            return Cast<F32x16, V>(Avx512F.MaskLoad(p, FirstLanes512(n), Cast<V, F32x16>(rest)));
        if (typeof(V) == typeof(F32x8) && Avx.IsSupported) return Select(Cast<F32x8, V>(FirstLanes256(n)), Load<V>(p, n), rest);
        if (typeof(V) == typeof(F32x4)) return Select(Cast<F32x4, V>(FirstLanes128(n)), Load<V>(p, n), rest);
        if (typeof(V) == typeof(float)) return n > 0 ? Load<V>(p) : rest;
        return LoadLanes(p, n, rest);
    }

    /// <summary>Stores the first <paramref name="n"/> lanes (0 &lt; n &lt;= Count) to p; nothing past them is written.</summary>
    [MethodImpl(Inline)]
    public static void Store<V>(V v, float* p, nint n) where V : unmanaged
    {
        if (n == Count<V>()) Store(v, p);
        else if (typeof(V) == typeof(F32x16) && Avx512F.IsSupported) Avx512F.MaskStore(p, FirstLanes512(n), Cast<V, F32x16>(v));
        else if (typeof(V) == typeof(F32x8))
        {
            // In halves: AVX's masked store takes tens of micro-operations on AMD processors.
            F32x4 part = Cast<V, F32x8>(v).GetLower();
            if (n >= 4)
            {
                part.Store(p);
                p += 4;
                part = Cast<V, F32x8>(v).GetUpper();
            }
            StoreBelow4(part, p, n & 3);
        }
        else if (typeof(V) == typeof(F32x4)) StoreBelow4(Cast<V, F32x4>(v), p, n);
        else if (typeof(V) == typeof(float))
        {
            if (n > 0) Store(v, p);
        }
        else StoreLanes(v, p, n);
    }

    /// <summary>Loads the first n &lt; 4 lanes in registers, with two tests; the others are zero.</summary>
    [MethodImpl(Inline)]
    private static F32x4 LoadBelow4(float* p, nint n)
    {
        F32x4 v = (n & 1) != 0 ? Vector128.CreateScalar(p[n - 1]) : default;
        return (n & 2) != 0 ? Vector128.Create(Vector64.Load(p), v.GetLower()) : v;
    }

    [MethodImpl(Inline)]
    private static void StoreBelow4(F32x4 v, float* p, nint n)
    {
        if ((n & 2) != 0)
        {
            Unsafe.WriteUnaligned(p, v.AsDouble().ToScalar());
            p += 2;
            v = Vector128.Shuffle(v, Vector128.Create(2, 3, 2, 3));
        }
        if ((n & 1) != 0) *p = v.ToScalar();
    }

    [MethodImpl(Inline)]
    private static F32x16 FirstLanes512(nint n) => Vector512.LessThan(Vector512<int>.Indices, Vector512.Create((int)n)).AsSingle();

    [MethodImpl(Inline)]
    private static F32x8 FirstLanes256(nint n) => Vector256.LessThan(Vector256<int>.Indices, Vector256.Create((int)n)).AsSingle();

    [MethodImpl(Inline)]
    private static F32x4 FirstLanes128(nint n) => Vector128.LessThan(Vector128<int>.Indices, Vector128.Create((int)n)).AsSingle();

    // Not inlined, so that the spilled vector below costs nothing in the loops that call the masked forms above.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static V LoadLanes<V>(float* p, nint n, V rest) where V : unmanaged
    {
        for (nint i = 0; i < n; i++) ((float*)&rest)[i] = p[i];
        return rest;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void StoreLanes<V>(V v, float* p, nint n) where V : unmanaged
    {
        for (nint i = 0; i < n; i++) p[i] = ((float*)&v)[i];
    }

    /// <summary>Whether the processor has a prefetch hint; if not, loops over lines should be skipped.</summary>
    public static bool CanPrefetch
    {
        [MethodImpl(Inline)]
        get => Sse.IsSupported;
    }

    /// <summary>Prefetches the cache line at an address, where the processor has such a hint.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(float* address)
    {
        if (Sse.IsSupported) Sse.Prefetch0(address);
    }

    /// <summary>Prefetches the cache lines of a range of floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(float* from, nint floats)
    {
        if (!CanPrefetch) return;
        for (nint i = 0; i < floats; i += CacheLine) Prefetch(from + i);
    }

    /// <summary>
    /// Prefetches one of several shares of a strided matrix. The caller processes one matrix while it prefetches the next, share by share.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void PrefetchShare(float* from, nint rowStride, nint rows, nint floats, nint share, nint shares)
    {
        if (!CanPrefetch) return;
        for (nint row = rows * share / shares; row < rows * (share + 1) / shares; row++) Prefetch(from + row * rowStride, floats);
    }

    /// <summary>Copies twelve floats.</summary>
    [MethodImpl(Inline)]
    public static void CopyTwelve(float* from, float* to)
    {
        F32x4 first = Vector128.Load(from), second = Vector128.Load(from + 4), third = Vector128.Load(from + 8);
        first.Store(to);
        second.Store(to + 4);
        third.Store(to + 8);
    }
}
