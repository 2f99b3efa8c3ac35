using System.Globalization;
using Mamba.ClusterKill;

// dotnet run --project Mamba.Tests/ClusterKill -c Release -- [--kills N] [--seed N]
int kills = Number("--kills", 100), seed = Number("--seed", 1);
string folder = Directory.CreateTempSubdirectory("mamba-cluster-kill-").FullName;
try
{
    Console.WriteLine(new ClusterKillHarness(folder, (ulong)seed, Console.WriteLine).Run(kills));
    Directory.Delete(folder, recursive: true);
    return 0;
}
catch (ClusterKillException e)
{
    Console.Error.WriteLine($"{e.Message}; the runs are in {folder}");
    return 1;
}

int Number(string name, int otherwise) =>
    Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length
        ? int.Parse(args[at + 1], CultureInfo.InvariantCulture)
        : otherwise;
