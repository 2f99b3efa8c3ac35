using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Mamba.Cli.Cluster.Silos;
using Mamba.Cli.Cluster.Wire;
using Orleans.Runtime;

namespace Mamba.Cli.Cluster.Jobs;

/// <summary>
/// The parts of a job, each of which is a verb of mamba with <c>--part I/N</c>. This process and every node take one after the other; a
/// part whose node is gone is taken by another. Each part counts once.
/// </summary>
/// <param name="silo">This process in the cluster.</param>
/// <param name="terminal">Where a line about each part goes.</param>
/// <param name="words">The verb and its words, without the part.</param>
/// <param name="count">How many parts there are.</param>
internal sealed class PartQueue(ClusterSilo silo, Terminal terminal, string[] words, int count)
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(300), s_retry = TimeSpan.FromSeconds(2);

    private readonly int _count = count;
    private readonly ConcurrentQueue<int> _waiting = new(Enumerable.Range(1, count));
    private readonly ConcurrentDictionary<SiloAddress, Task> _nodes = [];
    private int _left = count;
    private volatile int _code;

    /// <summary>What a node has to be like.</summary>
    public Likeness Self { get; init; } = new(Build.Program, Build.Width, "");

    /// <summary>Parts that each worker did.</summary>
    public ConcurrentDictionary<string, int> Done { get; } = [];

    private bool IsOver => Volatile.Read(ref _left) == 0 || _code == ExitCode.BadInput;

    /// <summary>Does all parts.</summary>
    /// <param name="nodes">Nodes to wait for before this process takes a part.</param>
    /// <param name="stop">Stops it; parts that run here end, those on nodes are left to them.</param>
    /// <returns>0, or the exit code of a part that was not done.</returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public async Task<int> Run(int nodes, CancellationToken stop)
    {
        Task own = Task.CompletedTask;
        while (!IsOver)
        {
            stop.ThrowIfCancellationRequested();
            foreach (ClusterMember member in silo.Membership.CurrentSnapshot.Members.Values)
                if (SiloSettings.IsNode(member.Name) && member.Status == SiloStatus.Active && !_nodes.ContainsKey(member.SiloAddress))
                    _nodes[member.SiloAddress] = Task.Run(() => Serve(member), stop);
            if (own.IsCompleted && _nodes.Count >= nodes && _waiting.TryDequeue(out int part))
                own = Task.Run(() => Here(part, stop), CancellationToken.None);
            Task look = Task.Delay(s_look, CancellationToken.None);
            await Task.WhenAny(look, own.IsCompleted ? look : own);
        }
        await own;
        stop.ThrowIfCancellationRequested();
        return _code;
    }

    private void Here(int part, CancellationToken stop)
    {
        StringWriter said = new();
        long start = Stopwatch.GetTimestamp();
        int code = CommandLine.Run(WordsOf(part), new Terminal(said, said), stop);
        if (code == ExitCode.Interrupted) return;
        End(part, "coordinator", start, code, said.ToString());
    }

    /// <summary>Gives a node part after part.</summary>
    private async Task Serve(ClusterMember member)
    {
        string name = SiloSettings.NodeName(member.Name);
        while (!IsOver)
        {
            if (silo.Membership.CurrentSnapshot.GetSiloStatus(member.SiloAddress) != SiloStatus.Active) return;
            if (!_waiting.TryDequeue(out int part))
            {
                await Task.Delay(s_look); // another node may die, and leave its part
                continue;
            }
            bool ended = false;
            try
            {
                long start = Stopwatch.GetTimestamp();
                JobAnswer answer = await silo.Node(member.SiloAddress).Do(new JobOrder(WordsOf(part), Environment.CurrentDirectory, Self));
                ended = answer.Refusal is null && answer.Code != ExitCode.Interrupted;
                if (ended) End(part, name, start, answer.Code, answer.Output);
                else if (answer is { Refusal: { } reason, Busy: false })
                {
                    terminal.WriteLine($"node {name} does not take part: {reason}");
                    return;
                }
            }
            catch (Exception e) when (e is OrleansException or TimeoutException or IOException)
            {
                terminal.WriteLine($"part {part}/{_count}: node {name} is gone; another one does it");
            }
            finally
            {
                if (!ended) _waiting.Enqueue(part);
            }
            if (!ended) await Task.Delay(s_retry);
        }
    }

    private string[] WordsOf(int part) => [.. words, "--part", string.Create(CultureInfo.InvariantCulture, $"{part}/{_count}")];

    private void End(int part, string name, long start, int code, string output)
    {
        Done.AddOrUpdate(name, 1, (_, before) => before + 1);
        TimeSpan time = Stopwatch.GetElapsedTime(start);
        terminal.WriteLine(string.Create(CultureInfo.InvariantCulture, $"part {part}/{_count}: {name}, {time.TotalSeconds:F1} s"));
        if (code != ExitCode.Success)
        {
            terminal.WriteLine(output.TrimEnd());
            _code = code;
        }
        Interlocked.Decrement(ref _left);
    }
}
