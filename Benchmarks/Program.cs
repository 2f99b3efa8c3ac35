using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using Mamba.Benchmarks;
using Mamba.Core;
using Mamba.Core.Measurement;
using Mamba.Core.Simd;

// Options, in this order. --results: write the tables to Results/<cpu>.md as well. --threads: Workers.Count of the roofline and the
// profile; benchmarks set their own.
bool results = args is ["--results", ..];
if (results) args = args[1..];
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
    case ["--generation", ..]:
        List<string> generation = [];
        foreach (string line in args.Length > 1 ? GenerationBench.Lines(int.Parse(args[1])) : GenerationBench.Lines())
        {
            Console.WriteLine(line);
            generation.Add(line);
        }
        if (results) ResultsFile.Put("Generation", string.Join('\n', generation));
        break;
    case ["--profile", string model, ..]:
        Profile.Run(model, args.Length > 2 ? int.Parse(args[2]) : null, args.Length > 3 ? int.Parse(args[3]) : null);
        break;
    case ["--table"]:
        List<string> table = [];
        foreach (string line in ModelTable.Lines())
        {
            Console.WriteLine(line);
            table.Add(line);
        }
        if (results) ResultsFile.Put("Models", string.Join('\n', table));
        break;
    default:
        Summary[] summaries = [.. BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args, RooflineColumn.Config)];
        if (results) ResultsFile.Add(summaries);
        break;
}
