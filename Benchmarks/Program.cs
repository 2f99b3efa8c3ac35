using BenchmarkDotNet.Running;
using Mamba.Benchmarks;
using Mamba.Core;
using Mamba.Core.Simd;

// The yardstick first, so that every report carries the peak of the machine it was taken on.
if (args is ["--roofline"])
{
    foreach (VectorWidth width in Isa.Supported)
    {
        using IDisposable _ = Isa.Use(width);
        Console.WriteLine($"{width}: FMA peak {Roofline.FmaPeak():F0} GFLOP/s on {Workers.Count} threads");
    }
    Console.WriteLine($"copy {Roofline.CopyBandwidth():F1} GB/s on {Workers.Count} threads");
    return;
}
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
