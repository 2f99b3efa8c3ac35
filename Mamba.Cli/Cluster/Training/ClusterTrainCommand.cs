using System.CommandLine;
using Mamba.Cli.Cluster.Silos;
using Mamba.Cli.Cluster.Wire;
using Mamba.Cli.Commands;
using Mamba.Models.Training;

namespace Mamba.Cli.Cluster.Training;

/// <summary><c>mamba-cluster train</c>: <c>mamba train</c>, whose gradients are computed by a cluster.</summary>
internal static class ClusterTrainCommand
{
    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        TrainOptions train = new();
        JoinOptions cluster = new();
        Option<int?> nodes = Options.Integer("--nodes", "Nodes to wait for before the first step.", "0", 0, 4096);
        Option<double?> late = Options.Number("--late", "Seconds after which a node's shards are computed elsewhere.", "10");
        Option<int?> metrics = Options.Integer("--metrics", "Port of a page of Prometheus metrics.", "none", 1, 65535);
        Option[] own = [nodes, late, metrics, .. cluster.All];
        Command command = new(
            "train",
            "As 'mamba train', with the nodes of a cluster. Weights and results are those of one machine, to the bit.\n" +
            "--shard says how many images a node computes together; --batch counts those of a step.\n\n" +
            "Example: mamba-cluster train --data lgg-mri --model unet --batch 16 --shard 2 --host 192.168.1.10");
        foreach (Option option in train.All.Concat(own)) command.Add(option);
        command.SetAction(typed =>
        {
            Coordinator coordinator = new(terminal, cluster.Settings(typed, SiloRole.Coordinator, null))
            {
                Nodes = typed.GetValue(nodes) ?? 0,
                Patience = TimeSpan.FromSeconds(typed.GetValue(late) ?? 10),
                MetricsPort = typed.GetValue(metrics),
            };
            return coordinator.Run(hooks => TrainCommand.Run(terminal, train, typed, stop, hooks with { Options = own }), stop);
        });
        return command;
    }
}
