using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Mamba.Core;
using Mamba.Kill;

namespace Mamba.ClusterKill;

/// <summary>What a harness has seen.</summary>
/// <param name="Runs">Runs that ended with the weights and results of one machine.</param>
/// <param name="Nodes">Nodes killed.</param>
/// <param name="Coordinators">Coordinators killed, and resumed.</param>
/// <param name="Pauses">Nodes stopped for a while.</param>
public sealed record ClusterKillReport(int Runs, int Nodes, int Coordinators, int Pauses)
{
    /// <summary>Processes killed or stopped.</summary>
    public int Blows => Nodes + Coordinators + Pauses;

    /// <summary>The figures in words.</summary>
    /// <returns>A line.</returns>
    public override string ToString() =>
        $"{Blows} blows over {Runs} runs: {Nodes} nodes killed, {Coordinators} coordinators killed and resumed, {Pauses} nodes stopped for "
            + "a while; every run ended with the weights and results of one machine";
}

/// <summary>
/// Trains small models on clusters of processes on this machine. At random moments it kills nodes, which are replaced, kills the
/// coordinator, which is resumed, and stops nodes for a while.
/// </summary>
/// <param name="folder">An empty folder for the runs.</param>
/// <param name="seed">The seed of moments and victims.</param>
/// <param name="log">Told of each run.</param>
public sealed class ClusterKillHarness(string folder, ulong seed, Action<string> log)
{
    private const int Nodes = 2, BlowsOfRun = 10;

    /// <summary>Between them: running statistics, scans, attention, an average of the weights, several optimizers.</summary>
    private static readonly string[] s_trainings =
    [
        "--model unet --width 8 --depth 2 --size 64 --batch 16 --shard 2 --limit 100 --epochs 15 --optimizer sgd --lr 0.01",
        "--model ul-vm-unet --size 32 --batch 8 --shard 1 --limit 60 --epochs 12 --ema 0.9 --augment --clip-norm 1",
        "--model vim --width 32 --depth 2 --size 32 --patch 4 --batch 16 --shard 2 --limit 200 --epochs 15 --drop-path 0.2",
    ];

    private RandomStream _random = new(seed, "cluster kills");
    private readonly Dictionary<string, string> _expected = [];
    private ClusterKillReport _report = new(0, 0, 0, 0);

    /// <summary>Deals blows until there were so many, and lets the last run end.</summary>
    /// <param name="blows">How many.</param>
    /// <returns>The figures.</returns>
    /// <exception cref="KillException">A promise was broken.</exception>
    public ClusterKillReport Run(int blows)
    {
        for (int run = 0; _report.Blows < blows; run++)
        {
            string training = s_trainings[run % s_trainings.Length], path = Path.Combine(folder, $"run{run}");
            string expected = Alone(training);
            int before = _report.Blows;
            Torment(training, path, Math.Min(blows, before + BlowsOfRun));
            string outcome = RunOutcome.Of(path);
            if (outcome != expected) throw new KillException($"{path} ended with\n{outcome}\nand one machine with\n{expected}");
            _report = _report with { Runs = _report.Runs + 1 };
            log($"run {run}: {_report.Blows - before} blows, {training}");
            Directory.Delete(path, recursive: true);
        }
        return _report;
    }

    /// <summary>What one machine ends with.</summary>
    private string Alone(string training)
    {
        if (_expected.TryGetValue(training, out string? expected)) return expected;
        string path = Path.Combine(folder, $"alone{_expected.Count}");
        using ProgramProcess alone = Start(["train", .. training.Split(' '), "--threads", "1", "--port", FreePort(), "--out", path]);
        Finish(alone);
        return _expected[training] = RunOutcome.Of(path);
    }

    private void Torment(string training, string path, int until)
    {
        string port = FreePort();
        string[] own = ["--threads", "1", "--port", port, "--probe", "1", "--late", "2"];
        ProgramProcess[] nodes = [.. Enumerable.Range(0, Nodes).Select(_ => Node(port))];
        ProgramProcess coordinator = Start(
            ["train", .. training.Split(' '), "--checkpoint-every", "100ms", "--nodes", "1", .. own, "--out", path]);
        try
        {
            while (true)
            {
                coordinator.WaitFor("has joined", 30);
                if (coordinator.WaitForExit(_random.NextDouble(0, 1.5)) || _report.Blows >= until) break;
                int victim = _random.NextInt(Nodes);
                switch (_random.NextInt(5))
                {
                    case 0:
                        coordinator.Dispose();
                        _report = _report with { Coordinators = _report.Coordinators + 1 };
                        string[] again = File.Exists(Path.Combine(path, "args.json"))
                            ? ["--resume", path]
                            : [.. training.Split(' '), "--checkpoint-every", "100ms", "--out", path];
                        coordinator = Start(["train", .. again, .. own]);
                        break;
                    case 1:
                        nodes[victim].Signal("STOP");
                        bool over = coordinator.WaitForExit(_random.NextDouble(0, 6));
                        nodes[victim].Signal("CONT");
                        if (!over) _report = _report with { Pauses = _report.Pauses + 1 };
                        break;
                    default:
                        nodes[victim].Dispose();
                        nodes[victim] = Node(port);
                        _report = _report with { Nodes = _report.Nodes + 1 };
                        break;
                }
            }
            Finish(coordinator);
        }
        finally
        {
            coordinator.Dispose();
            foreach (ProgramProcess node in nodes) node.Dispose();
        }
    }

    private static ProgramProcess Start(IEnumerable<string> arguments) => new("mamba-cluster", arguments);

    private static ProgramProcess Node(string port) => Start(["node", "--coordinator", "127.0.0.1:" + port, "--threads", "1"]);

    private static void Finish(ProgramProcess process)
    {
        if (!process.WaitForExit(300)) throw new KillException($"a training hangs: {string.Join(" | ", process.Lines)}");
        if (process.ExitCode != 0)
            throw new KillException($"a training ended with exit code {process.ExitCode}: {string.Join(" | ", process.Lines)}");
    }

    private static string FreePort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture);
    }
}
