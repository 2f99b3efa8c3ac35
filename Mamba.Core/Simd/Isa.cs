using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Mamba.Core.Simd;

/// <summary>The vector type that kernels run over.</summary>
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

    /// <summary>The runtime's own <see cref="Vector{T}"/>, for hardware whose width is not fixed.</summary>
    Portable,
}

/// <summary>
/// The choice of vector width. The default is the widest that the hardware has. The environment variable <c>MAMBA_ISA</c> (scalar, v128,
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

    /// <summary>The widths in hardware here, narrowest first.</summary>
    public static IEnumerable<VectorWidth> Supported => Enum.GetValues<VectorWidth>().Where(IsSupported);

    /// <summary>
    /// The width that <see cref="Use"/> has chosen for this thread; null where it has not. <see cref="Workers"/> pass it on to helping
    /// threads.
    /// </summary>
    internal static VectorWidth? Forced
    {
        get => s_forced;
        set => s_forced = value;
    }

    /// <summary>
    /// Whether there are 32 vector registers (AVX-512 at all its widths, AdvSimd), not 16. Inlined by force: kernels ask in inner loops,
    /// and a call would spill what they hold.
    /// </summary>
    internal static bool HasManyRegisters
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Avx512F.VL.IsSupported || AdvSimd.IsSupported;
    }

    /// <summary>
    /// Whether kernels may run one float at a time. Native programs are compiled for processors with vectors, and are without:
    /// eng/aot/Substitutions.xml makes this false, which takes 0.4 MB away.
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

    /// <summary>Whether the hardware has this width; one it has not would be emulated, thousands of times slower.</summary>
    /// <param name="width">The width asked about.</param>
    /// <returns>True if kernels may run at it.</returns>
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
    /// The narrowest width that holds <paramref name="lanes"/> floats, at most the current one: a kernel whose lanes are few channels
    /// wastes less of a narrow vector.
    /// </summary>
    internal static VectorWidth For(nint lanes) => Current switch
    {
        VectorWidth.V512 or VectorWidth.V256 or VectorWidth.V128 when lanes <= 4 => VectorWidth.V128,
        VectorWidth.V512 or VectorWidth.V256 when lanes <= 8 => VectorWidth.V256,
        VectorWidth current => current,
    };

    /// <summary>
    /// How many rows of so many columns are whole vectors of the current width together, a power of two up to 16; 1 where none is.
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
