using Mamba.ClusterKill;
using Mamba.Kill;

// dotnet run --project Mamba.Tests/ClusterKill -c Release -- [--kills N] [--seed N]
return HarnessProgram.Run(
    args, "mamba-cluster-kill-", 100, (folder, seed, kills) => new ClusterKillHarness(folder, seed, Console.WriteLine).Run(kills));
