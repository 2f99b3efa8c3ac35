using Mamba.Cli.Cluster.Wire;
using Microsoft.Extensions.Logging;
using Orleans.Runtime;

namespace Mamba.Cli.Cluster.Nodes;

/// <summary>The service of a node in its silo: passes calls on to <see cref="NodeHost"/>.</summary>
/// <param name="id">Its identity.</param>
/// <param name="silo">Its silo.</param>
/// <param name="log">Where Orleans logs.</param>
/// <param name="host">What does the work.</param>
internal sealed class NodeService(GrainId id, Silo silo, ILoggerFactory log, NodeHost host) : GrainService(id, silo, log), INode
{
    // Work leaves the thread of the silo, which has probes to answer.
    public Task<Admission> Join(RunOffer offer) => Task.Run(() => host.Join(offer));

    public Task<FetchAnswer> Fetch(Guid session, FileList list) => Task.Run(() => host.Fetch(session, list));

    public Task<string?> Put(Guid session, FilePiece piece) => Task.Run(() => host.Put(session, piece));

    public Task<string?> Keep(Guid session) => Task.Run(() => host.Keep(session));

    public Task<bool> Beat(Guid session) => Task.FromResult(host.Beat(session));

    public Task Load(Guid session, long offset, byte[] piece)
    {
        host.Work(session).Load(offset, piece);
        return Task.CompletedTask;
    }

    public Task<PartAnswer> Compute(Guid session, PartOrder part) => Task.Run(() => host.Work(session).Compute(part));

    public Task<SumPiece> Sums(Guid session, long part) => host.Work(session).Sums(part);

    public Task Drop(Guid session, long part)
    {
        host.Work(session).Drop(part);
        return Task.CompletedTask;
    }

    public Task<JobAnswer> Do(JobOrder job) => Task.Run(() => host.Do(job));

    public Task Leave(Guid session) => Task.Run(() => host.Leave(session));
}
