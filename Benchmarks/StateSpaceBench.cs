using BenchmarkDotNet.Attributes;
using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Kernels and scans of linear time-invariant systems: 256 channels of 64 real states.</summary>
public class StateSpaceBench : OperatorBench
{
    private const int Channels = 256, Pairs = 32;

    public override IEnumerable<OperatorCase> Cases =>
    [
        Kernel(1024), Kernel(16_384),
        new("S4 kernel 256 x 64 x 1024", x => Ops.S4Kernel(System(x), 1024), s_complex, s_complex, s_complex, s_complex, [Channels]),
        Scan("scan 1 x 1024 x 256 x 64", 1, 1024), Scan("scan 8 x 1024 x 256 x 64", 8, 1024), Scan("step 1 x 256 x 64", 1, 1),
    ];

    private static readonly int[] s_complex = [Channels, Pairs, 2];

    private static OperatorCase Kernel(int length) => new(
        $"S4D kernel 256 x 64 x {length}",
        x => Ops.S4dKernel(x[0], x[1], x[2], length, new S4dKernelOptions { AImag = x[3], ConjugatePairs = true }),
        [Channels], [Channels, Pairs], s_complex, [Channels, Pairs]);

    private static OperatorCase Scan(string name, int batch, int length) => new(
        name, x => Ops.LtiScan(x[0], x[1], x[2], x[3], new LtiScanOptions { D = x[4], ConjugatePairs = true }).Output,
        [batch, length, Channels], s_complex, s_complex, s_complex, [Channels]);

    private static S4System System(Tensor[] x) => new(Ops.Subtract(x[0], Tensor.From([1f, 0f], 2)), x[1], x[2], x[3], x[4]);
}

/// <summary>A time-invariant system in training, forward and backward: the S4D kernel and its convolution, or the scan.</summary>
public class StateSpaceTrainingBench : KernelBench
{
    private const int Batch = 8, Channels = 256, Pairs = 32;

    [Params(1024, 16_384)]
    public int Length { get; set; }

    [Params(true, false)]
    public bool Convolution { get; set; }

    internal override string Label => $"{(Convolution ? "kernel and convolution" : "scan")}, L {Length}";

    protected override Work Prepare()
    {
        Tensor u = Random(1, Batch, Length, Channels), dy = Random(2, Batch, Length, Channels), c = Random(3, Channels, Pairs, 2);
        Tensor logDt = Random(4, Channels), real = Tensor.Full(MathF.Log(0.5f), Channels, Pairs), imaginary = Tensor.Empty(Channels, Pairs);
        for (int i = 0; i < imaginary.Count; i++) imaginary.Span[i] = MathF.PI * (i % Pairs);
        foreach (ref float x in logDt.Span) x = -4.6f + 4.6f * x; // steps of 0.001 to 0.1
        foreach (Tensor input in new[] { u, c, logDt, real, imaginary }) input.RequiresGrad = true;
        using MultiplyAdds counter = new();
        Train();
        return new Work(Train, 6.0 * counter.Count, 0);

        void Train()
        {
            using Tape tape = new();
            tape.Backward(Convolution ? Convolve() : Scan(), dy);
        }

        Tensor Convolve() => Ops.LongConv(u, Ops.S4dKernel(
            logDt, real, c, Length, new S4dKernelOptions { AImag = imaginary, ConjugatePairs = true }));

        Tensor Scan()
        {
            Tensor a = Ops.Concat(
                [Ops.Scale(Ops.Exp(real), -1f).Reshape(Channels, Pairs, 1), imaginary.Reshape(Channels, Pairs, 1)]);
            (Tensor abar, Tensor bbar) = Ops.DiscretizeDiagonal(a, c, Ops.Exp(logDt));
            return Ops.LtiScan(u, abar, bbar, c, new LtiScanOptions { ConjugatePairs = true }).Output;
        }
    }

    private static Tensor Random(int seed, params int[] shape)
    {
        Tensor tensor = Tensor.Empty(shape);
        Random random = new(seed);
        foreach (ref float x in tensor.Span) x = random.NextSingle() - 0.5f;
        return tensor;
    }
}
