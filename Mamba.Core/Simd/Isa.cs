using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Mamba.Core.Simd;

/// <summary>The vector width of kernels.</summary>
public enum VectorWidth
{
    /// <summary>One float at a time.</summary>
    Scalar,

    /// <summary>128 bits: SSE, AdvSimd.</summary>
    V128,

    /// <summary>256 bits: AVX2.</summary>
    V256,

    /// <summary>512 bits: AVX-512.</summary>
    V512,

    /// <summary>The runtime's <see cref="Vector{T}"/>, for hardware without a fixed width.</summary>
    Portable,
}

/// <summary>
/// Selects the vector width. The default is the widest that the hardware supports. The environment variable <c>MAMBA_ISA</c> (scalar, v128,
/// v256, v512 or portable) overrides it for the process. <see cref="Use"/> overrides it for the calling thread and for the bodies that
/// <see cref="Workers"/> run for it.
/// </summary>
public static class Isa
{
    [ThreadStatic]
    private static VectorWidth? s_forced;

    private static readonly VectorWidth s_default = FromEnvironment() ?? Widest;

    /// <summary>The width of the next kernel that this thread starts.</summary>
    public static VectorWidth Current => s_forced ?? s_default;

    /// <summary>The widths that the hardware supports, narrowest first.</summary>
    public static IEnumerable<VectorWidth> Supported => Enum.GetValues<VectorWidth>().Where(IsSupported);

    /// <summary>
    /// The width chosen by <see cref="Use"/> on this thread; null for none. <see cref="Workers"/> pass it on to helper threads.
    /// </summary>
    internal static VectorWidth? Forced
    {
        get => s_forced;
        set => s_forced = value;
    }

    /// <summary>
    /// Whether there are 32 vector registers (AVX-512 at all widths, AdvSimd) rather than 16. Always inlined: kernels query it in inner
    /// loops, where a call would spill registers.
    /// </summary>
    internal static bool HasManyRegisters
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Avx512F.VL.IsSupported || AdvSimd.IsSupported;
    }

    /// <summary>
    /// Whether scalar kernels are available. Native programs target processors with vectors: eng/aot/Substitutions.xml makes this false,
    /// which saves 0.4 MB.
    /// </summary>
    internal static bool HasScalarKernels => true;

    /// <summary>Floats in a vector of this width.</summary>
    internal static nint Lanes(VectorWidth width) => width switch
    {
        VectorWidth.V512 => 16,
        VectorWidth.V256 => 8,
        VectorWidth.V128 => 4,
        VectorWidth.Portable => Vector<float>.Count,
        _ => 1,
    };

    private static VectorWidth Widest => Vector512.IsHardwareAccelerated ? VectorWidth.V512
        : Vector256.IsHardwareAccelerated ? VectorWidth.V256
        : Vector128.IsHardwareAccelerated ? VectorWidth.V128
        : VectorWidth.Scalar;

    /// <summary>Whether the hardware supports this width; an unsupported one would be emulated, thousands of times slower.</summary>
    /// <param name="width">The width.</param>
    /// <returns>True if kernels can run at it.</returns>
    public static bool IsSupported(VectorWidth width) => width switch
    {
        VectorWidth.Scalar => HasScalarKernels,
        VectorWidth.V128 => Vector128.IsHardwareAccelerated,
        VectorWidth.V256 => Vector256.IsHardwareAccelerated,
        VectorWidth.V512 => Vector512.IsHardwareAccelerated,
        VectorWidth.Portable => Vector.IsHardwareAccelerated,
        _ => false,
    };

    /// <summary>Makes this thread's kernels run at <paramref name="width"/> until the result is disposed.</summary>
    /// <param name="width">The width to use.</param>
    /// <returns>Disposing it restores the previous width.</returns>
    /// <exception cref="PlatformNotSupportedException">The hardware has no such width.</exception>
    public static IDisposable Use(VectorWidth width)
    {
        if (!IsSupported(width)) throw NotSupported(width);
        Restore restore = new(s_forced);
        s_forced = width;
        return restore;
    }

    /// <summary>
    /// The narrowest width that holds <paramref name="lanes"/> floats, at most the current one: with few channels, a narrow vector wastes
    /// fewer lanes.
    /// </summary>
    internal static VectorWidth For(nint lanes) => Current switch
    {
        VectorWidth.V512 or VectorWidth.V256 or VectorWidth.V128 when lanes <= 4 => VectorWidth.V128,
        VectorWidth.V512 or VectorWidth.V256 when lanes <= 8 => VectorWidth.V256,
        VectorWidth current => current,
    };

    /// <summary>
    /// The number of rows of this many columns that together fill vectors of the current width: a power of two up to 16, or 1 if there is
    /// none.
    /// </summary>
    internal static nint RowsOfWholeVectors(nint columns)
    {
        nint lanes = Lanes(Current);
        for (nint rows = 1; rows <= 16; rows *= 2)
            if (rows * columns % lanes == 0) return rows;
        return 1;
    }

    internal static PlatformNotSupportedException NotSupported(VectorWidth width) =>
        new($"Isa.Use: this hardware has no vector width {width}; expected one of {string.Join(", ", Supported)}.");

    private static VectorWidth? FromEnvironment()
    {
        string? name = Environment.GetEnvironmentVariable("MAMBA_ISA");
        if (string.IsNullOrEmpty(name)) return null;
        if (Enum.TryParse(name, ignoreCase: true, out VectorWidth width) && IsSupported(width)) return width;
        throw new PlatformNotSupportedException($"MAMBA_ISA={name}: expected one of {string.Join(", ", Supported)}.");
    }

    private sealed class Restore(VectorWidth? previous) : IDisposable
    {
        public void Dispose() => s_forced = previous;
    }
}
