using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using Mamba.Cli.Cluster.Silos;
using Mamba.Cli.Commands;
using Microsoft.Extensions.DependencyInjection;

namespace Mamba.Cli.Cluster.Nodes;

/// <summary><c>mamba-cluster node</c>: joins a cluster and computes until it is stopped.</summary>
internal static class NodeCommand
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(500), s_retry = TimeSpan.FromSeconds(2);

    /// <summary>A node whose run was refused asks again: its data may be there then, or another coordinator.</summary>
    private static readonly TimeSpan s_again = TimeSpan.FromMinutes(5);

    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        JoinOptions options = new();
        Option<string?> coordinator = Options.Text(
            "--coordinator", "HOST[:PORT]", "Where 'mamba-cluster train' runs, without Redis or PostgreSQL.",
            $"127.0.0.1:{JoinOptions.DefaultPort}");
        Option<string?> data = Options.Text("--data", "DIR", "Images on this machine.", "where the coordinator has them");
        Option<string?> cache = Options.Text(
            "--cache", "DIR", "Keeps images that the coordinator sends where this machine has none.", "~/.cache/mamba");
        Option<string?> name = Options.Text("--name", "NAME", "What messages call the node.", "machine and port");
        Option<int?> threads = Options.Threads();
        Option<bool> child = new("--until-input-ends") { Description = "End when standard input does.", Hidden = true };
        Command command = new(
            "node",
            "Join a cluster and compute until Ctrl-C. A coordinator that is not there yet is waited for.\n\n" +
            "Example: mamba-cluster node --coordinator lab1 --data /data/lgg-mri");
        foreach (Option option in (Option[])[coordinator, data, cache, threads, name, .. options.All, child]) command.Add(option);
        command.SetAction(parsed =>
        {
            using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(stop);
            if (parsed.GetValue(child)) Task.Run(() => EndWithInput(end), CancellationToken.None).Ignore();
            Options.Apply(parsed, threads);
            string? kept = parsed.GetValue(cache) ?? DataCache.DefaultFolder;
            // A job changes the folder that relative paths start from.
            string? images = parsed.GetValue(data) is { } folder ? Path.GetFullPath(folder) : null;
            NodeData own = new(images, kept is null ? null : new DataCache(Path.GetFullPath(kept)));
            RunAssembly assembly = new(own, parsed.GetValue(threads), terminal);
            IPEndPoint leader = JoinOptions.EndPoint(parsed.GetValue(coordinator) ?? "127.0.0.1");
            Serve(terminal, () => Settings(options.Settings(parsed, SiloRole.Node, leader), parsed.GetValue(name)), assembly, end.Token)
                .GetAwaiter().GetResult();
            return ExitCode.Success;
        });
        return command;
    }

    /// <summary>
    /// Joins again and again, until it is stopped: a silo that was taken for dead cannot come back, but its successor can.
    /// </summary>
    internal static async Task Serve(Terminal terminal, Func<SiloSettings> settings, RunAssembly assembly, CancellationToken stop)
    {
        bool joined = false;
        string? said = null;
        while (!stop.IsCancellationRequested)
        {
            SiloSettings own = settings();
            try
            {
                if (own.Membership is Membership.AtCoordinator at && !await Find(at.Coordinator, terminal, joined, stop)) continue;
                using NodeHost host = new(own.Name, terminal, assembly);
                await using ClusterSilo silo = await ClusterSilo.Start(own, builder => Add(builder, host), stop);
                terminal.WriteLine($"{own.Name}: in cluster '{own.Cluster}', waits for work");
                joined = true;
                await UntilLost(silo, host, own.Membership, stop);
                if (!stop.IsCancellationRequested) terminal.WriteLine($"{own.Name}: has lost the cluster, and joins it again");
            }
            catch (ClusterException e) when (joined || own.Membership is Membership.AtCoordinator)
            {
                // The coordinator may just start, or end.
                if (said != e.Message) terminal.WriteLine($"{own.Name}: {said = e.Message}; tries again");
                await Pause(s_retry, stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
        }
    }

    /// <summary>Adds the service of a node to a silo.</summary>
    internal static void Add(ISiloBuilder builder, NodeHost host)
    {
        builder.Services.AddSingleton(host);
        builder.AddGrainService<NodeService>();
    }

    private static SiloSettings Settings(SiloSettings settings, string? name) => name is null ? settings : settings with { Name = name };

    /// <summary>Waits for a coordinator that is not there yet.</summary>
    private static async Task<bool> Find(IPEndPoint coordinator, Terminal terminal, bool again, CancellationToken stop)
    {
        for (bool first = true; !stop.IsCancellationRequested; first = false)
        {
            if (await Answers(coordinator, stop)) return true;
            if (first && !again) terminal.WriteLine($"waits for a coordinator at {coordinator}");
            await Pause(s_look, stop);
        }
        return false;
    }

    private static async Task<bool> Answers(IPEndPoint coordinator, CancellationToken stop)
    {
        try
        {
            using TcpClient client = new(coordinator.AddressFamily);
            using CancellationTokenSource late = CancellationTokenSource.CreateLinkedTokenSource(stop);
            late.CancelAfter(s_retry);
            await client.ConnectAsync(coordinator, late.Token);
            return true;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            return false;
        }
    }

    private static async Task UntilLost(ClusterSilo silo, NodeHost host, Membership membership, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested && !silo.Fatal.IsCompleted)
        {
            // The table is at the coordinator, so that no table says when the coordinator is gone. One whose run was refused does not call.
            if (membership is Membership.AtCoordinator at && host.Quiet > NodeHost.Silence
                && (!host.HasRefused || host.Quiet > s_again || !await Answers(at.Coordinator, stop))) return;
            await Task.WhenAny(silo.Fatal, Pause(s_look, stop));
        }
    }

    private static Task Pause(TimeSpan time, CancellationToken stop) =>
        Task.Delay(time, stop).ContinueWith(_ => { }, TaskScheduler.Default);

    /// <summary>The parent process holds the other end of the input, and lets go when it ends, however it ends.</summary>
    private static void EndWithInput(CancellationTokenSource end)
    {
        using Stream input = Console.OpenStandardInput();
        byte[] unread = new byte[64];
        while (input.Read(unread) > 0)
        {
        }
        end.Cancel();
    }
}
