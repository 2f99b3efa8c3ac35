using System.CommandLine;
using Mamba.Cli.Cluster.Wire;
using Mamba.Cli.Commands;
using Mamba.Models.Training;

namespace Mamba.Cli.Cluster.Nodes;

/// <summary>Prepares a coordinator's run on a node, on the way that <c>mamba train --resume</c> takes.</summary>
/// <param name="Data">Where the images are on this node.</param>
/// <param name="Threads">Threads to compute with; null for all fast cores.</param>
/// <param name="Terminal">Where findings about the data go.</param>
internal sealed record RunAssembly(NodeData Data, int? Threads, Terminal Terminal)
{
    /// <summary>Reads the images and makes model, loader and plan.</summary>
    public RunParts Assemble(RunOffer offer, CancellationToken stop)
    {
        string folder = Directory.CreateTempSubdirectory("mamba-node-").FullName;
        try
        {
            string arguments = Path.Combine(folder, "args.json");
            File.WriteAllBytes(arguments, offer.Arguments);
            File.WriteAllBytes(RunFolder.SplitOf(folder), offer.Split);
            TrainOptions options = new();
            Command train = new("train");
            foreach (Option option in options.All) train.Add(option);
            ParseResult typed =
                new RootCommand { train }.Parse([train.Name, options.Resume.Name, folder, .. Own(offer)], CommandLine.AsTyped);
            ParseResult parsed = Recipe.Apply(arguments, typed, Terminal);
            (RunArguments run, PreparedData data) = TrainCommand.Prepare(Terminal, options, parsed, folder, stop);
            // The weights come from the coordinator.
            TrainingRun training = new(Terminal, run with { Init = null, Key = null }, data) { CheckNumerics = offer.CheckNumerics };
            return training.Assemble(stop);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>What this node decides for itself: neither changes a result.</summary>
    private IEnumerable<string> Own(RunOffer offer) => [.. Data.Words(offer.Paths), "--threads", $"{Threads ?? Core.Workers.Count}"];
}
