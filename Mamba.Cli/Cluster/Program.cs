using System.CommandLine;
using Mamba.Cli.Cluster.Jobs;
using Mamba.Cli.Cluster.Nodes;
using Mamba.Cli.Cluster.Training;

namespace Mamba.Cli.Cluster;

internal static class Program
{
    private static int Main(string[] args) => StopSignals.Run(stop => Run(args, new Terminal(Console.Out, Console.Error), stop));

    /// <summary>Parses and runs a command line.</summary>
    internal static int Run(string[] args, Terminal terminal, CancellationToken stop) =>
        CommandLine.Run(args, Tree(terminal, stop), "mamba-cluster", terminal);

    /// <summary>The tree of commands.</summary>
    internal static RootCommand Tree(Terminal terminal, CancellationToken stop)
    {
        RootCommand tree = new(
            "Train Mamba vision models on several machines: the same weights, to the bit, on any number of them.\n\n" +
            "Example: mamba-cluster dev --silos 3 -- train --batch 8 --shard 2      three processes on this machine\n" +
            "         mamba-cluster train --host lab1 --data lgg-mri --batch 16 --shard 2\n" +
            "         mamba-cluster node --coordinator lab1                          on each other machine")
        {
            ClusterTrainCommand.Create(terminal, stop), NodeCommand.Create(terminal, stop),
            DevCommand.Create(terminal, words => Run(words, terminal, stop)),
        };
        foreach (Command command in PartsCommand.Create(terminal, stop)) tree.Add(command);
        return tree;
    }
}
