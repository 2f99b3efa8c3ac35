using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Parameters;
using BenchmarkDotNet.Running;
using Mamba.Core;
using Mamba.Core.Measurement;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Benchmarks;

/// <summary>One measured call and its work: operations where they are the limit, bytes where memory is.</summary>
/// <param name="Call">The call.</param>
/// <param name="Operations">Floating-point operations, a multiply-add as two; 0 where counting them says nothing.</param>
/// <param name="Bytes">Bytes that must be read and written at least.</param>
public sealed record Work(Action Call, double Operations, double Bytes);

/// <summary>
/// The work of a benchmark and the limits of this machine at its width and threads, measured in its process right after it.
/// </summary>
/// <param name="Operations">As in <see cref="Work"/>.</param>
/// <param name="Bytes">As in <see cref="Work"/>.</param>
/// <param name="FmaPeak">GFLOP/s.</param>
/// <param name="CopyBandwidth">GB/s.</param>
/// <param name="Allocated">Managed bytes that a call allocates, on all threads.</param>
internal sealed record Yardstick(double Operations, double Bytes, double FmaPeak, double CopyBandwidth, long Allocated)
{
    /// <summary>GFLOP/s, or GB/s where no operations are counted.</summary>
    public double Rate(double nanoseconds) => (Operations > 0 ? Operations : Bytes) / nanoseconds;

    /// <summary>The rate over the peak of its kind. What stays in the caches can exceed the bandwidth of memory.</summary>
    public double Share(double nanoseconds) => Rate(nanoseconds) / (Operations > 0 ? FmaPeak : CopyBandwidth);

    public string Unit => Operations > 0 ? "GFLOP/s" : "GB/s";
}

/// <summary>What all benchmarks share: the vector width, the threads, and the yardstick.</summary>
public abstract class KernelBench
{
    private static readonly Dictionary<string, Yardstick> s_yardsticks = [];
    private static readonly Dictionary<int, double> s_copyBandwidths = [];

    private Work? _work;
    private IDisposable? _forced;

    /// <summary>The widths to measure: those in hardware, widest first.</summary>
    public virtual IEnumerable<VectorWidth> Widths => Isa.Supported.Where(w => w != VectorWidth.Portable).Reverse();

    [ParamsSource(nameof(Widths))]
    public VectorWidth Width { get; set; }

    [Params(1, 2)]
    public int Threads { get; set; }

    /// <summary>The name of the case, without width and threads.</summary>
    internal abstract string Label { get; }

    private string Key => $"{GetType().Name}, {Label}, {Width}, {Threads}";

    [GlobalSetup]
    public void Setup()
    {
        // Buffers of other benchmarks would fill the pool, and this one would then allocate on every call.
        MemoryScope.Trim();
        _forced = Isa.Use(Width);
        Workers.Count = Threads;
        _work = Prepare();
    }

    [Benchmark]
    public void Run() => _work!.Call();

    [GlobalCleanup]
    public void Cleanup()
    {
        if (!s_copyBandwidths.TryGetValue(Threads, out double copy)) s_copyBandwidths[Threads] = copy = Roofline.CopyBandwidth();
        s_yardsticks[Key] = new Yardstick(_work!.Operations, _work.Bytes, Roofline.FmaPeak(), copy, Allocated(_work.Call));
        Release();
        _forced!.Dispose();
    }

    /// <summary>
    /// The least of the allocations of a few calls, so that other allocations of the process do not count. BenchmarkDotNet's own memory
    /// column also counts its engine, some 5 KB an iteration, over the few calls of a short one.
    /// </summary>
    private static long Allocated(Action call)
    {
        long least = long.MaxValue;
        for (int i = 0; i < 4; i++)
        {
            long before = GC.GetTotalAllocatedBytes(precise: true);
            call();
            least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - before);
        }
        return least;
    }

    /// <summary>The benchmark of a case and its yardstick; null before it has run.</summary>
    internal static (KernelBench Bench, Yardstick? Yardstick) Of(BenchmarkCase benchmark)
    {
        KernelBench bench = (KernelBench)Activator.CreateInstance(benchmark.Descriptor.Type)!;
        foreach (ParameterInstance parameter in benchmark.Parameters.Items)
            benchmark.Descriptor.Type.GetProperty(parameter.Name)!.SetValue(bench, parameter.Value);
        return (bench, s_yardsticks.GetValueOrDefault(bench.Key));
    }

    /// <summary>Prepares the measured call; width and threads are set.</summary>
    protected abstract Work Prepare();

    /// <summary>Releases the resources of <see cref="Prepare"/>.</summary>
    protected virtual void Release()
    {
    }
}
