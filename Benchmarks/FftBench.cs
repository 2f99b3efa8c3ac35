using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Benchmarks;

/// <summary>
/// Fourier transforms of 64 channels, and their inverses. Counted as usual in the field: 5/2 n log2 n operations for n real points.
/// </summary>
public class FftBench : KernelBench
{
    /// <summary>Channels that are transformed at once.</summary>
    public const int Channels = 64;

    [Params(1024, 4096, 16384, 65536)]
    public int Length { get; set; }

    [Params(false, true)]
    public bool Inverse { get; set; }

    internal override string Label => $"{Length} x {Channels}{(Inverse ? ", inverse" : "")}";

    /// <summary>Operations of the transforms of all channels.</summary>
    internal static double Operations(int length) => 2.5 * length * Math.Log2(length) * Channels;

    /// <summary>The least bytes that are read and written.</summary>
    internal static double Bytes(int length) => sizeof(float) * (2.0 * length + 2) * Channels;

    protected override Work Prepare()
    {
        Tensor x = Tensor.Empty(1, Length, Channels);
        Random random = new(1);
        foreach (ref float value in x.Span) value = random.NextSingle() - 0.5f;
        Tensor input = Inverse ? Ops.Rfft(x) : x;
        return new Work(Call, Operations(Length), Bytes(Length));

        void Call()
        {
            using MemoryScope scope = new();
            if (Inverse) Ops.Irfft(input, Length);
            else Ops.Rfft(input);
        }
    }
}

/// <summary>
/// FFTW 3 (FFTW_MEASURE, single precision, one thread whatever the row says) as a judge of <see cref="FftBench"/>: each channel contiguous,
/// which suits it best. Debian's package is libfftw3-single3.
/// </summary>
public unsafe class FftwBench : KernelBench
{
    private const string Library = "libfftw3f.so.3";
    private const uint Measure = 0;

    private void* _plan, _real, _complex;

    /// <summary>FFTW chooses its own.</summary>
    public override IEnumerable<VectorWidth> Widths => [Isa.Current];

    [Params(1024, 4096, 16384, 65536)]
    public int Length { get; set; }

    [Params(false, true)]
    public bool Inverse { get; set; }

    internal override string Label => $"{Length} x {FftBench.Channels}{(Inverse ? ", inverse" : "")}";

    protected override Work Prepare()
    {
        const int Channels = FftBench.Channels;
        int length = Length, bins = Length / 2 + 1;
        _real = Allocate((nint)sizeof(float) * length * Channels);
        _complex = Allocate((nint)2 * sizeof(float) * bins * Channels);
        _plan = Inverse
            ? PlanC2R(1, &length, Channels, _complex, null, 1, bins, _real, null, 1, length, Measure)
            : PlanR2C(1, &length, Channels, _real, null, 1, length, _complex, null, 1, bins, Measure);
        // Measuring plans overwrites the arrays.
        new Span<float>(_real, length * Channels).Fill(0.25f);
        new Span<float>(_complex, 2 * bins * Channels).Fill(0.25f);
        return new Work(() => Execute(_plan), FftBench.Operations(Length), FftBench.Bytes(Length));
    }

    protected override void Release()
    {
        DestroyPlan(_plan);
        Free(_real);
        Free(_complex);
    }

    [DllImport(Library, EntryPoint = "fftwf_malloc")]
    private static extern void* Allocate(nint bytes);

    [DllImport(Library, EntryPoint = "fftwf_free")]
    private static extern void Free(void* memory);

    [DllImport(Library, EntryPoint = "fftwf_plan_many_dft_r2c")]
    private static extern void* PlanR2C(int rank, int* n, int count, void* from, int* fromExtents, int fromStride, int fromDistance,
        void* to, int* toExtents, int toStride, int toDistance, uint flags);

    [DllImport(Library, EntryPoint = "fftwf_plan_many_dft_c2r")]
    private static extern void* PlanC2R(int rank, int* n, int count, void* from, int* fromExtents, int fromStride, int fromDistance,
        void* to, int* toExtents, int toStride, int toDistance, uint flags);

    [DllImport(Library, EntryPoint = "fftwf_execute")]
    private static extern void Execute(void* plan);

    [DllImport(Library, EntryPoint = "fftwf_destroy_plan")]
    private static extern void DestroyPlan(void* plan);
}

/// <summary>The convolutions of S4D layers: by transforms, and by sums where the kernel is short.</summary>
public class LongConvBench : OperatorBench
{
    public override IEnumerable<OperatorCase> Cases =>
        from sizes in new[] { (8, 1024, 256, 1024), (8, 16384, 256, 16384), (8, 1024, 256, 64), (8, 1024, 256, 65), (1, 65536, 64, 65536) }
        select Convolution(sizes.Item1, sizes.Item2, sizes.Item3, sizes.Item4);

    private static OperatorCase Convolution(int batch, int length, int channels, int taps) => new(
        $"{batch} x {length} x {channels}, {taps} taps", x => Ops.LongConv(x[0], x[1], new() { D = x[2] }),
        [batch, length, channels], [channels, taps], [channels]);
}
