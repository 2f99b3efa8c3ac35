using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Mamba.Core.Simd;

/// <summary>
/// A kernel: a struct with pointers and sizes as fields, and one method that processes the work items [begin, end) over the vector type V.
/// Chunks run in parallel, so they write to disjoint memory. A sum across chunks has one partial sum per chunk (begin / grain); these are
/// added afterwards, in order.
/// </summary>
internal interface IKernel
{
    /// <summary>Processes work items [begin, end). Implementations carry AggressiveOptimization and copy hot fields to locals.</summary>
    void Run<V>(nint begin, nint end) where V : unmanaged;
}

/// <summary>The only place where a kernel is combined with a vector width and threads.</summary>
internal static unsafe class Launch
{
    /// <summary>A grain that keeps a chunk of cheap elementwise work near 16 KiB to 64 KiB per stream.</summary>
    public const nint ElementGrain = 8192;

    /// <summary>If set, receives each launch: the kernel's name and its <see cref="Stopwatch"/> ticks. For profiling.</summary>
    public static Action<string, long>? Observer { get; set; }

    /// <summary>
    /// Runs work items [0, count) at the current width, in chunks of <paramref name="grain"/> distributed over <see cref="ThreadTeam"/>.
    /// </summary>
    /// <remarks>
    /// The split depends only on count and grain. Callers must derive the grain from shapes, never from the thread count.
    /// </remarks>
    public static void Run<K>(in K kernel, nint count, nint grain) where K : unmanaged, IKernel => Run(kernel, count, grain, Isa.Current);

    /// <inheritdoc cref="Run{K}(in K, nint, nint)"/>
    public static void Run<K>(in K kernel, nint count, nint grain, VectorWidth width) where K : unmanaged, IKernel
    {
        if (count <= 0) return;
        // Unsupported widths are compiled away. Vector<float> of four lanes is Vector128<float>, which has fast paths.
        delegate*<void*, nint, nint, void> body;
        if (Vector512.IsHardwareAccelerated && width == VectorWidth.V512) body = &Invoke<K, Vector512<float>>;
        else if (Vector256.IsHardwareAccelerated && width == VectorWidth.V256) body = &Invoke<K, Vector256<float>>;
        else if (width == VectorWidth.V128) body = &Invoke<K, Vector128<float>>;
        else if (width == VectorWidth.Portable)
        {
            if (Vector<float>.Count == Vector128<float>.Count) body = &Invoke<K, Vector128<float>>;
            // Native code knows the lane count and omits the portable form: this saves 0.4 MB.
            else if (!RuntimeFeature.IsDynamicCodeSupported && Vector<float>.Count == Vector256<float>.Count)
                body = &Invoke<K, Vector256<float>>;
            else body = &Invoke<K, Vector<float>>;
        }
        else body = Isa.HasScalarKernels ? &Invoke<K, float> : throw Isa.NotSupported(width);
        K copy = kernel; // a local lives on this stack frame, so its address holds until For returns
        if (Observer is not { } observer)
        {
            ThreadTeam.For(count, grain, body, &copy);
            return;
        }
        long start = Stopwatch.GetTimestamp();
        ThreadTeam.For(count, grain, body, &copy);
        observer(copy.ToString()!, Stopwatch.GetTimestamp() - start);
    }

    /// <summary>Runs work items [0, count) on the calling thread, at half the width of V if V has 512 bits, otherwise at V.</summary>
    public static void RunAtHalfWidth<K, V>(in K kernel, nint count) where K : unmanaged, IKernel where V : unmanaged
    {
        if (typeof(V) == typeof(Vector512<float>)) kernel.Run<Vector256<float>>(0, count);
        else kernel.Run<V>(0, count);
    }

    /// <summary>ceil(count / grain): the number of chunks of a launch.</summary>
    public static nint CeilDiv(nint count, nint grain) => (count + grain - 1) / grain;

    /// <summary>The balanced size of the fewest parts of at most <paramref name="largest"/> items.</summary>
    public static nint BalancedSize(nint count, nint largest) => CeilDiv(count, CeilDiv(count, Math.Max(1, Math.Min(count, largest))));

    private static void Invoke<K, V>(void* kernel, nint begin, nint end) where K : unmanaged, IKernel where V : unmanaged =>
        Unsafe.AsRef<K>(kernel).Run<V>(begin, end);
}
