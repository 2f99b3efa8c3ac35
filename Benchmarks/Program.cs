using BenchmarkDotNet.Running;
using Mamba.Benchmarks;
using Mamba.Core;
using Mamba.Core.Simd;

// --threads first: Workers.Count of the modes below (BenchmarkDotNet's processes take all).
if (args is ["--threads", string threads, ..])
{
    Workers.Count = int.Parse(threads);
    args = args[2..];
}
switch (args)
{
    // The yardstick first, so that every report carries the peak of the machine it was taken on.
    case ["--roofline"]:
        foreach (VectorWidth width in Isa.Supported)
        {
            using IDisposable _ = Isa.Use(width);
            Console.WriteLine($"{width}: FMA peak {Roofline.FmaPeak():F0} GFLOP/s on {Workers.Count} threads");
        }
        Console.WriteLine($"copy {Roofline.CopyBandwidth():F1} GB/s on {Workers.Count} threads");
        break;
    case ["--profile", string model, ..]:
        Profile.Run(model, args.Length > 2 ? int.Parse(args[2]) : 256, args.Length > 3 ? int.Parse(args[3]) : 2);
        break;
    default:
        BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args, RooflineColumn.Config);
        break;
}
