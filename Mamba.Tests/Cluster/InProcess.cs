using System.CommandLine;
using System.Net;
using Mamba.Cli;
using Mamba.Cli.Cluster.Nodes;
using Mamba.Cli.Cluster.Silos;
using Mamba.Cli.Cluster.Training;
using Mamba.Cli.Cluster.Wire;
using Mamba.Cli.Commands;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cluster;

/// <summary>What a training left.</summary>
/// <param name="Code">Its exit code, or that of the error it ended with.</param>
/// <param name="Hash">The SHA-256 of its last weights; empty if it has none.</param>
/// <param name="Output">What it said.</param>
/// <param name="Figures">What the cluster did; null for none.</param>
internal sealed record Outcome(int Code, string Hash, string Output, ClusterFigures? Figures);

/// <summary>A cluster of silos in this process: the program's own silos, on free ports, in a folder of their own.</summary>
internal sealed class InProcess : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private int _runs;

    /// <summary>Where the silos find each other, once a run has a port; null for at the coordinator.</summary>
    public Membership? Membership { get; init; }

    /// <summary>Certificates of silos; null to talk in the clear.</summary>
    public Certificates? Certificates { get; init; }

    /// <summary>What a node is, but for the run.</summary>
    public Likeness NodeSelf { get; init; } = new(Mamba.Cli.Cluster.Build.Program, Mamba.Cli.Cluster.Build.Width, "");

    /// <summary>Where a node has its images; null for where the coordinator has them.</summary>
    public string? NodeData { get; init; }

    /// <summary>Where nodes, which then see no files of the coordinator, keep what they are sent; null for nodes that see them.</summary>
    public string? NodeCache { get; init; }

    /// <summary>Nodes to wait for; null for all.</summary>
    public int? WaitFor { get; init; }

    /// <summary>What the training waits for after its first epoch, by what was said so far; null for nothing.</summary>
    public Func<string, bool>? HoldUntil { get; init; }

    /// <summary>Where Prometheus finds the figures; null for nowhere.</summary>
    public int? MetricsPort { get; init; }

    /// <summary>Called when the silos of a run are there: the coordinator's settings, and the nodes.</summary>
    public Action<SiloSettings, IReadOnlyList<ClusterSilo>>? Started { get; init; }

    /// <summary>The folder of all runs.</summary>
    public string Root => _folder.Root;

    /// <summary>A run folder that does not exist yet.</summary>
    public string NewRun() => Path.Combine(_folder.Root, $"run{_runs++}");

    /// <summary>Trains on one machine, without a cluster.</summary>
    public Outcome Alone(string words)
    {
        string run = NewRun();
        StringWriter said = new();
        int code = CommandLine.Run([.. Words(words), "--out", run], new Terminal(said, said), CancellationToken.None);
        return new Outcome(code, HashOf(run), said.ToString(), null);
    }

    /// <summary>Trains on a cluster.</summary>
    /// <param name="words">The options of train.</param>
    /// <param name="nodes">Nodes besides the coordinator.</param>
    public Outcome Train(string words, int nodes) => Execute([.. Words(words), "--out", NewRun()], nodes);

    /// <summary>Runs a training with all its words.</summary>
    public Outcome Execute(string[] words, int nodes)
    {
        IPEndPoint at = new(IPAddress.Loopback, ClusterSilo.FreePort());
        Membership membership = Membership ?? new Membership.AtCoordinator(at);
        using HeldWriter said = new(HoldUntil);
        Terminal terminal = new(said, said);
        using CancellationTokenSource end = new();
        SiloSettings settings = Settings(SiloRole.Coordinator, at, membership);
        Task joining = Task.Run(() => Join(nodes, at, membership, terminal, settings, end.Token));
        ClusterFigures? figures = null;
        int code;
        try
        {
            code = Lead(words, nodes, settings, terminal, f => figures = f);
        }
        finally
        {
            end.Cancel();
            joining.GetAwaiter().GetResult();
        }
        string run = words[Array.FindIndex(words, w => w is "--out" or "--resume") + 1];
        return new Outcome(code, HashOf(run), said.ToString(), figures);
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>Whether the coordinator has said that the first node does not take part.</summary>
    public static bool Refused(string said) => said.Contains("node n0 does not take part", StringComparison.Ordinal);

    /// <summary>A folder of pictures with masks, one of which is another at one pixel.</summary>
    public static void WriteData(string folder, int changed)
    {
        Directory.CreateDirectory(Path.Combine(folder, "images"));
        Directory.CreateDirectory(Path.Combine(folder, "masks"));
        for (int n = 0; n < 20; n++)
        {
            Image image = new(32, 32, 3), mask = new(32, 32, 1);
            for (int i = 0; i < image.Pixels.Length; i++) image.Pixels[i] = (byte)(i * (n + 3) / 7 + (i == 0 && n == changed ? 1 : 0));
            for (int i = 0; i < mask.Pixels.Length; i++) mask.Pixels[i] = (byte)(i % 32 > 10 + n % 5 && i / 32 > 12 ? 255 : 0);
            ImageFile.SavePng(Path.Combine(folder, "images", $"{n}.png"), image);
            ImageFile.SavePng(Path.Combine(folder, "masks", $"{n}.png"), mask);
        }
    }

    private static string[] Words(string words) => ["train", .. words.Split(' '), "--threads", "1"];

    private static string HashOf(string run)
    {
        string file = Path.Combine(run, "weights", "last.safetensors");
        if (!File.Exists(file)) return "";
        using FileStream stream = File.OpenRead(file);
        return Convert.ToHexStringLower(Sha256.HashData(stream));
    }

    private SiloSettings Settings(SiloRole role, IPEndPoint at, Membership membership) => new(role, "tests", at)
    {
        Membership = membership,
        Certificates = Certificates,
        Probe = TimeSpan.FromSeconds(1),
    };

    private int Lead(string[] words, int nodes, SiloSettings settings, Terminal terminal, Action<ClusterFigures> done)
    {
        Coordinator coordinator = new(terminal, settings)
        {
            Nodes = WaitFor ?? nodes,
            Patience = TimeSpan.FromSeconds(20),
            MetricsPort = MetricsPort,
            Done = done,
        };
        TrainOptions options = new();
        Command train = new("train");
        foreach (Option option in options.All) train.Add(option);
        train.SetAction(typed =>
            coordinator.Run(hooks => TrainCommand.Run(terminal, options, typed, CancellationToken.None, hooks), CancellationToken.None));
        return CommandLine.Run(words, new RootCommand { train }, "mamba-cluster", terminal);
    }

    private NodeData OwnData() => NodeCache is null ? new NodeData(NodeData, null)
        : new NodeData(NodeData, new DataCache(NodeCache)) { Exists = path => path.StartsWith(NodeCache, StringComparison.Ordinal) };

    /// <summary>Starts nodes when the coordinator is there, and ends them with it.</summary>
    private async Task Join(
        int count, IPEndPoint at, Membership membership, Terminal terminal, SiloSettings coordinator, CancellationToken end)
    {
        List<(ClusterSilo Silo, NodeHost Host)> nodes = [];
        try
        {
            for (int i = 0; i < count; i++)
            {
                NodeHost host = new($"n{i}", terminal, new RunAssembly(OwnData(), 1, terminal)) { Self = NodeSelf };
                SiloSettings own = Settings(SiloRole.Node, new IPEndPoint(IPAddress.Loopback, ClusterSilo.FreePort()), membership) with
                {
                    Name = $"n{i}",
                };
                while (!end.IsCancellationRequested && nodes.Count == i)
                {
                    try
                    {
                        nodes.Add((await ClusterSilo.Start(own, builder => NodeCommand.Add(builder, host), end), host));
                    }
                    catch (IOException)
                    {
                        await Task.Delay(100, CancellationToken.None); // the coordinator is not there yet
                    }
                }
            }
            Started?.Invoke(coordinator, [.. nodes.Select(n => n.Silo)]);
            await Task.Delay(Timeout.Infinite, end);
        }
        catch (OperationCanceledException)
        {
        }
        foreach ((ClusterSilo silo, NodeHost host) in nodes)
        {
            await silo.DisposeAsync();
            host.Dispose();
        }
    }
}
