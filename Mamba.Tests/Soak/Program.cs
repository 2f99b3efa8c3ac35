using System.Globalization;
using Mamba.Core;
using Mamba.Soak;

// dotnet run --project Mamba.Tests/Soak -c Release -- [--calls N] [--size N] [--threads N]
const int Samples = 20;
int calls = Number("--calls", 100_000), side = Number("--size", 64);
Workers.Count = Number("--threads", Workers.Count);
string? problem = new Soak("ul-vm-unet", side).Run(calls, Samples, Console.WriteLine);
Console.WriteLine(problem ?? $"resident memory grew by less than {Soak.Growth >> 20} MiB after the first tenth");
return problem is null ? 0 : 1;

int Number(string name, int otherwise) =>
    Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length
        ? int.Parse(args[at + 1], CultureInfo.InvariantCulture)
        : otherwise;
