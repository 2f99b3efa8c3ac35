using System.Globalization;
using Mamba.Kill;

// dotnet run --project Mamba.Tests/Kill -c Release -- [--kills N] [--seed N]
int kills = Number("--kills", 200), seed = Number("--seed", 1);
string folder = Directory.CreateTempSubdirectory("mamba-kill-").FullName;
try
{
    KillReport report = new KillHarness(folder, (ulong)seed, Console.WriteLine).Run(kills);
    Console.WriteLine(report);
    Directory.Delete(folder, recursive: true);
    return 0;
}
catch (KillException e)
{
    Console.Error.WriteLine($"{e.Message}; the runs are in {folder}");
    return 1;
}

int Number(string name, int otherwise) =>
    Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length
        ? int.Parse(args[at + 1], CultureInfo.InvariantCulture)
        : otherwise;
