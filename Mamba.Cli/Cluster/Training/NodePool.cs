using Mamba.Cli.Cluster.Silos;
using Mamba.Cli.Cluster.Wire;
using Orleans.Runtime;

namespace Mamba.Cli.Cluster.Training;

/// <summary>The nodes of a run: finds them in the membership table, offers them the run, and forgets those that are gone.</summary>
/// <param name="silo">The coordinator's silo.</param>
/// <param name="offer">The run.</param>
/// <param name="data">Sends nodes what they lack.</param>
/// <param name="say">Where a line about a node goes.</param>
internal sealed class NodePool(ClusterSilo silo, RunOffer offer, DataSender data, Action<string> say) : IAsyncDisposable
{
    /// <summary>A node that fails so often, one part after the other, would fail for ever.</summary>
    private const int MostFailures = 3;

    private static readonly TimeSpan s_beat = TimeSpan.FromSeconds(2), s_retry = TimeSpan.FromSeconds(3);

    private readonly Lock _gate = new();
    private readonly Dictionary<SiloAddress, RemoteNode?> _nodes = []; // null while it is asked, or when it has refused
    private readonly List<NodeFigures> _figures = [];
    private readonly CancellationTokenSource _end = new();
    private Task _watching = Task.CompletedTask, _beating = Task.CompletedTask;

    /// <summary>The nodes that may get a part now, in an order that stays.</summary>
    public RemoteNode[] Free
    {
        get
        {
            lock (_gate) return [.. _nodes.Values.OfType<RemoteNode>().Where(n => n.IsFree).OrderBy(n => n.Silo)];
        }
    }

    /// <summary>The nodes that have joined and are not known to be gone.</summary>
    public RemoteNode[] Joined
    {
        get
        {
            lock (_gate) return [.. _nodes.Values.OfType<RemoteNode>()];
        }
    }

    /// <summary>What all nodes have done, those that are gone included.</summary>
    public NodeFigures[] Figures
    {
        get
        {
            lock (_gate) return [.. _figures];
        }
    }

    /// <summary>Begins to look for nodes.</summary>
    public void Start()
    {
        _watching = Task.Run(Watch);
        _beating = Task.Run(Beat);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await Task.WhenAll(_watching, _beating);
        Task leaving = Task.WhenAll(Joined.Select(node => node.Leave()));
        await Task.WhenAny(leaving, Task.Delay(s_retry)); // one that does not answer finds out by itself
        leaving.Ignore();
        _end.Dispose();
    }

    private async Task Watch()
    {
        try
        {
            await foreach (ClusterMembershipSnapshot members in silo.Membership.MembershipUpdates.WithCancellation(_end.Token))
            {
                foreach (ClusterMember member in members.Members.Values)
                {
                    if (!SiloSettings.IsNode(member.Name)) continue;
                    if (member.Status == SiloStatus.Active) Meet(member);
                    else if (member.Status is SiloStatus.Dead or SiloStatus.Stopping or SiloStatus.ShuttingDown) Forget(member);
                }
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    private void Meet(ClusterMember member)
    {
        lock (_gate)
        {
            if (!_nodes.TryAdd(member.SiloAddress, null)) return;
        }
        Task.Run(() => Invite(member.SiloAddress, SiloSettings.NodeName(member.Name))).Ignore();
    }

    private void Forget(ClusterMember member)
    {
        RemoteNode? gone;
        lock (_gate)
        {
            if (!_nodes.Remove(member.SiloAddress, out gone)) return;
        }
        if (gone is null) return;
        gone.Figures.State = "gone";
        say($"node {gone.Figures.Name} has left; its shards are computed by the others");
    }

    /// <summary>Offers the run to a node until it has said yes or no, or is gone.</summary>
    private async Task Invite(SiloAddress address, string name)
    {
        INode node = silo.Node(address);
        RunOffer own = offer; // with the digests of what the node had to be sent
        while (!_end.IsCancellationRequested && silo.Membership.CurrentSnapshot.GetSiloStatus(address) == SiloStatus.Active)
        {
            try
            {
                Admission answer = await node.Join(own);
                if (answer.Needs.Length > 0)
                {
                    (own, answer) = await data.Send(node, own, answer, _end.Token);
                    if (answer.Refusal is null) continue;
                }
                if (answer.Refusal is null)
                {
                    Admit(new RemoteNode(node, address, offer.Session, new NodeFigures(answer.Name, answer.Threads)));
                    return;
                }
                if (!answer.Busy)
                {
                    say($"node {name} does not take part: {answer.Refusal}");
                    return;
                }
            }
            catch (Exception e) when (e is OrleansException or TimeoutException or IOException)
            {
                // It starts, or is about to be found dead: the membership will say so.
            }
            catch (OperationCanceledException)
            {
                return; // the run has ended
            }
            await Task.Delay(s_retry, _end.Token).ContinueWith(_ => { }, TaskScheduler.Default);
        }
        lock (_gate) _nodes.Remove(address);
    }

    private void Admit(RemoteNode node)
    {
        lock (_gate)
        {
            if (!_nodes.ContainsKey(node.Silo)) return; // it has gone meanwhile
            _nodes[node.Silo] = node;
            _figures.Add(node.Figures);
        }
        say($"node {node.Figures.Name} has joined: {node.Figures.Threads} thread{(node.Figures.Threads == 1 ? "" : "s")}");
    }

    /// <summary>Shows nodes that the coordinator lives, and brings back those that failed and answer again.</summary>
    private async Task Beat()
    {
        Dictionary<RemoteNode, Task> open = [];
        while (!_end.IsCancellationRequested)
        {
            foreach (RemoteNode node in Joined)
                if (!open.TryGetValue(node, out Task? beat) || beat.IsCompleted) open[node] = Beat(node);
            foreach (RemoteNode gone in open.Keys.Except(Joined).Where(n => open[n].IsCompleted).ToArray()) open.Remove(gone);
            await Task.Delay(s_beat, _end.Token).ContinueWith(_ => { }, TaskScheduler.Default);
        }
    }

    private async Task Beat(RemoteNode node)
    {
        try
        {
            bool knows = await node.Beat();
            if (!node.HasFailed && knows) return;
            if (knows && node.Failures < MostFailures)
            {
                node.Recover();
                return;
            }
            if (knows) say($"node {node.Figures.Name} is left out after {MostFailures} failures: {node.Failure}");
            lock (_gate)
            {
                if (knows) _nodes[node.Silo] = null;
                else _nodes.Remove(node.Silo); // it has forgotten the run, and is invited again
            }
            if (!knows) Meet(new ClusterMember(node.Silo, SiloStatus.Active, "node " + node.Figures.Name));
        }
        catch (Exception e) when (e is OrleansException or TimeoutException or IOException)
        {
            // It does not answer: the membership finds out whether it is dead.
        }
    }
}
