using System.Diagnostics;
using System.Globalization;
using Mamba.Fuzz;

// Spoiled files for every reader: dotnet run --project Mamba.Tests/Fuzz -c Release -- --reader png --inputs 5000000 --seed 1 --threads 1
Dictionary<string, string> options = new()
{
    ["reader"] = "all",
    ["inputs"] = "100000",
    ["seconds"] = "",
    ["seed"] = "1",
    ["threads"] = "1",
    ["out"] = "fuzz-findings",
};
for (int i = 0; i < args.Length; i += 2)
{
    if (i + 1 < args.Length && args[i].StartsWith("--", StringComparison.Ordinal) && options.ContainsKey(args[i][2..]))
        options[args[i][2..]] = args[i + 1];
    else
    {
        Console.Error.WriteLine($"unknown option '{args[i]}', or one without a value; "
            + $"expected --reader {string.Join('|', Fuzzer.Readers)}|all, --inputs N, --seconds N (in place of it), "
            + "--seed N, --threads N, --out DIR");
        return 2;
    }
}
long inputs = long.Parse(options["inputs"], CultureInfo.InvariantCulture);
double seconds = options["seconds"].Length > 0 ? double.Parse(options["seconds"], CultureInfo.InvariantCulture) : double.PositiveInfinity;
int seed = int.Parse(options["seed"], CultureInfo.InvariantCulture), threads = int.Parse(options["threads"], CultureInfo.InvariantCulture);
Lock gate = new();
HashSet<string> found = [];
foreach (string name in options["reader"] == "all" ? Fuzzer.Readers : [options["reader"]]) Fuzz(name);
return found.Count == 0 ? 0 : 1;

void Fuzz(string name)
{
    const int Slice = 2000;
    long share = double.IsFinite(seconds) ? long.MaxValue : inputs / threads;
    Fuzzer[] fuzzers = [.. Enumerable.Range(0, threads).Select(i => new Fuzzer(name, seed + i))];
    foreach (Finding finding in fuzzers[0].CheckSeeds()) Keep(finding);
    Stopwatch watch = Stopwatch.StartNew();
    Thread[] workers = [.. fuzzers.Select(fuzzer => new Thread(() =>
    {
        while (fuzzer.Inputs < share && watch.Elapsed.TotalSeconds < seconds)
            foreach (Finding finding in fuzzer.Run(Math.Min(Slice, share - fuzzer.Inputs))) Keep(finding);
    }))];
    foreach (Thread worker in workers) worker.Start();
    for (double next = 10; !workers[0].Join(100) | !workers.All(worker => !worker.IsAlive);)
    {
        // A reader that does not come back cannot be stopped: its file is kept, and the run is over.
        foreach (Fuzzer fuzzer in fuzzers)
            if (fuzzer.Hanging(10 * threads) is { } hanging)
            {
                Keep(hanging);
                Environment.Exit(1);
            }
        if (watch.Elapsed.TotalSeconds < next) continue;
        next = watch.Elapsed.TotalSeconds + 10;
        Report();
    }
    Report();

    void Report()
    {
        double elapsed = watch.Elapsed.TotalSeconds, rate = fuzzers.Sum(f => f.Inputs) / elapsed;
        double left = double.IsFinite(seconds) ? seconds - elapsed : (inputs - fuzzers.Sum(f => f.Inputs)) / rate;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{name}: {fuzzers.Sum(f => f.Inputs):N0} inputs, {rate:N0} a second, {fuzzers.Sum(f => f.Read):N0} read, "
                + $"{fuzzers.Max(f => f.Outcomes)} outcomes, {found.Count} findings, {Math.Max(0, left):N0} s left"));
    }
}

// Of findings that differ in numbers alone, the first is kept.
void Keep(Finding finding)
{
    lock (gate)
    {
        string kind = string.Concat($"{finding.Reader} {finding.Problem}".Where(c => !char.IsDigit(c)));
        if (!found.Add(kind)) return;
        Directory.CreateDirectory(options["out"]);
        string path = Path.Combine(options["out"], $"{finding.Reader}-{found.Count}");
        File.WriteAllBytes(path + ".bin", finding.File);
        File.WriteAllText(path + ".txt", finding.Problem + Environment.NewLine);
        Console.WriteLine($"{finding.Reader}: {finding.Problem}; the file is {path}.bin");
    }
}
