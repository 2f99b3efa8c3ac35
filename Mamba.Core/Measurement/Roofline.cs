using System.Diagnostics;
using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Measurement;

/// <summary>
/// The limits of this machine, measured in this process. Results are relative to them, since they slow down together with the measured
/// work.
/// </summary>
public static unsafe class Roofline
{
    /// <summary>Peak of fused multiply-adds at the current width, on <see cref="Workers.Count"/> threads.</summary>
    /// <param name="rounds">Rounds of twelve multiply-adds per thread and run.</param>
    /// <param name="runs">Runs; the best counts.</param>
    /// <returns>GFLOP/s; a multiply-add counts as two operations.</returns>
    public static double FmaPeak(int rounds = 400_000, int runs = 9)
    {
        int threads = Workers.Count;
        float* sink = stackalloc float[threads];
        double flops = 2.0 * rounds * FmaChains.Chains * Isa.Lanes(Isa.Current) * threads;
        return Best(() => Launch.Run(new FmaChains { Rounds = rounds, Sink = sink }, threads, 1), flops, runs);
    }

    /// <summary>Copy bandwidth of arrays much larger than the caches, on <see cref="Workers.Count"/> threads.</summary>
    /// <returns>Bytes read plus bytes written, in GB/s.</returns>
    public static double CopyBandwidth()
    {
        const int Count = 1 << 25;
        using Tensor from = Tensor.Zeros(Count), to = Tensor.Zeros(Count);
        return Best(() => Launch.Run(new Copy { From = from.Pointer, To = to.Pointer }, Count, Count / 64), 2.0 * Count * sizeof(float));
    }

    /// <summary>Read bandwidth of an array much larger than the caches, on <see cref="Workers.Count"/> threads.</summary>
    /// <param name="runs">Runs; the best counts.</param>
    /// <param name="clock">Seconds; wall time if null.</param>
    /// <returns>Bytes read, in GB/s.</returns>
    public static double ReadBandwidth(int runs = 3, Func<double>? clock = null)
    {
        const int Count = 1 << 27, Chunk = 1 << 15;
        using Tensor from = Tensor.Zeros(Count), sums = Tensor.Empty(Count / Chunk);
        Read kernel = new() { From = from.Pointer, Sums = sums.Pointer, Chunk = Chunk };
        return Best(() => Launch.Run(kernel, Count / Chunk, 1), (double)Count * sizeof(float), runs, clock);
    }

    /// <summary>The best of several runs, in 1e9 units per second.</summary>
    private static double Best(Action action, double work, int runs = 9, Func<double>? clock = null)
    {
        clock ??= static () => Stopwatch.GetTimestamp() / (double)Stopwatch.Frequency;
        action();
        double best = double.MaxValue;
        for (int run = 0; run < runs; run++)
        {
            double start = clock();
            action();
            best = Math.Min(best, clock() - start);
        }
        return work / best / 1e9;
    }

    /// <summary>Twelve independent chains: more than latency times ports (4 x 2) needs, fewer than the registers of any ISA.</summary>
    private struct FmaChains : IKernel
    {
        public const int Chains = 12;
        public nint Rounds;
        public float* Sink;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            V m = Broadcast<V>(0.999f), a = Broadcast<V>(0.001f);
            V c0 = a, c1 = a, c2 = a, c3 = a, c4 = a, c5 = a, c6 = a, c7 = a, c8 = a, c9 = a, c10 = a, c11 = a;
            for (nint i = Rounds; i > 0; i--)
            {
                c0 = Fma(c0, m, a);
                c1 = Fma(c1, m, a);
                c2 = Fma(c2, m, a);
                c3 = Fma(c3, m, a);
                c4 = Fma(c4, m, a);
                c5 = Fma(c5, m, a);
                c6 = Fma(c6, m, a);
                c7 = Fma(c7, m, a);
                c8 = Fma(c8, m, a);
                c9 = Fma(c9, m, a);
                c10 = Fma(c10, m, a);
                c11 = Fma(c11, m, a);
            }
            Sink[begin] = Sum(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11);
        }
    }

    /// <summary>Sums of chunks, each in order: one item is a chunk.</summary>
    private struct Read : IKernel
    {
        public float* From, Sums;
        public nint Chunk;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            nint n = Count<V>();
            for (nint chunk = begin; chunk < end; chunk++)
            {
                float* from = From + chunk * Chunk;
                V a = default, b = default, c = default, d = default;
                for (nint i = 0; i < Chunk; i += 4 * n)
                {
                    a += Load<V>(from + i);
                    b += Load<V>(from + i + n);
                    c += Load<V>(from + i + 2 * n);
                    d += Load<V>(from + i + 3 * n);
                }
                Sums[chunk] = Sum(a + b + (c + d));
            }
        }
    }

    private struct Copy : IKernel
    {
        public float* From, To;

        public readonly void Run<V>(nint begin, nint end) where V : unmanaged =>
            new ReadOnlySpan<float>(From + begin, (int)(end - begin)).CopyTo(new Span<float>(To + begin, (int)(end - begin)));
    }
}
