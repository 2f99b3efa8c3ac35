using Mamba.Kill;

// dotnet run --project Mamba.Tests/Kill -c Release -- [--kills N] [--seed N]
return HarnessProgram.Run(
    args, "mamba-kill-", 200, (folder, seed, kills) => new KillHarness(folder, seed, Console.WriteLine).Run(kills));
