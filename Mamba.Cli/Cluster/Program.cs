using System.CommandLine;
using System.Runtime.InteropServices;
using Mamba.Cli.Cluster.Jobs;
using Mamba.Cli.Cluster.Nodes;
using Mamba.Cli.Cluster.Training;

namespace Mamba.Cli.Cluster;

internal static class Program
{
    private static int Main(string[] args)
    {
        using CancellationTokenSource stop = new();
        // As in mamba: the first Ctrl-C asks to stop, a second one ends the process at once.
        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = !stop.IsCancellationRequested;
            stop.Cancel();
        }

        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        return Run(args, new Terminal(Console.Out, Console.Error), stop.Token);
    }

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
