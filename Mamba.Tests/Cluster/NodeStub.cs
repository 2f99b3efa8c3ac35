using Mamba.Cli.Cluster.Wire;

namespace Mamba.Tests.Cluster;

/// <summary>A node that is reached without a network. It answers what a test lets it, and nothing else.</summary>
internal abstract class NodeStub : INode
{
    public virtual Task<Admission> Join(RunOffer offer) => throw new NotSupportedException();

    public virtual Task<FetchAnswer> Fetch(Guid session, FileList list) => throw new NotSupportedException();

    public virtual Task<string?> Put(Guid session, FilePiece piece) => throw new NotSupportedException();

    public virtual Task<string?> Keep(Guid session) => throw new NotSupportedException();

    public virtual Task<bool> Beat(Guid session) => throw new NotSupportedException();

    public virtual Task Load(Guid session, long offset, byte[] piece) => throw new NotSupportedException();

    public virtual Task<PartAnswer> Compute(Guid session, PartOrder part) => throw new NotSupportedException();

    public virtual Task<SumPiece> Sums(Guid session, long part) => throw new NotSupportedException();

    public virtual Task Drop(Guid session, long part) => throw new NotSupportedException();

    public virtual Task<JobAnswer> Do(JobOrder job) => throw new NotSupportedException();

    public virtual Task Leave(Guid session) => throw new NotSupportedException();
}
