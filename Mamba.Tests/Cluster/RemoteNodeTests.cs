using Mamba.Cli.Cluster;
using Mamba.Cli.Cluster.Training;
using Mamba.Cli.Cluster.Wire;
using Orleans.Runtime;

namespace Mamba.Tests.Cluster;

/// <summary>A node as its coordinator sees it, where answers come late, wrong or not at all.</summary>
internal sealed class RemoteNodeTests
{
    private static readonly PartOrder s_part = new(Step: 0, Epoch: 1, FirstBatch: 0, Batches: 2, First: 1, End: 2);

    private static PartAnswer Answer => new([new ShardAnswer(0.5, 1, [], null)], [new BlockHead(1, 1, [true])]);

    private static SumPiece Piece => new(0, 0, BitConverter.GetBytes(2.5f));

    private static SumPiece None => new(0, 0, []);

    [Test, CancelAfter(60_000)]
    public async Task A_piece_that_is_not_ready_is_asked_for_again(CancellationToken timeout)
    {
        ScriptedNode script = new() { Computed = Task.FromResult(Answer), Pieces = new([None with { IsLater = true }, Piece]) };
        (RemoteNode node, PartResult result) = await Run(script).WaitAsync(timeout);
        Assert.That(result.Blocks.Single().Values, Is.EqualTo(new[] { 2.5f }));
        Assert.That(script.Pieces, Is.Empty);
        Assert.That(node.Failures, Is.Zero);
        Assert.That(node.Figures.Speed, Is.GreaterThan(0));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_part_that_was_late_is_no_failure_and_its_speed_is_known(CancellationToken timeout)
    {
        TaskCompletionSource<PartAnswer> computing = new();
        ScriptedNode script = new() { Computed = computing.Task, Pieces = new([None]), Dropped = () => computing.SetCanceled() };
        RemoteNode node = Remote(script);
        Task<PartResult> work = node.Run(s_part, [new byte[4]], 1, CancellationToken.None);
        node.Drop();
        Assert.That(async () => await work.WaitAsync(timeout), Throws.InstanceOf<OperationCanceledException>());
        while (node.IsBusy) await Task.Delay(1, timeout);
        Assert.That((node.Failures, node.HasFailed, node.IsFree), Is.EqualTo((0, false, true)));
        Assert.That(node.Figures.Speed, Is.GreaterThan(0), "the next step gives it less");
    }

    [Test, CancelAfter(60_000)]
    public async Task Pieces_that_are_missing_or_wrong_are_failures(CancellationToken timeout)
    {
        foreach ((SumPiece[] pieces, string what) in new (SumPiece[], string)[]
        {
            ([None], "without 1 pieces"), ([Piece with { Block = 1 }], "4 bytes at 0 of block 1"),
            ([Piece with { Offset = 4 }], "4 bytes at 4 of block 0"), ([Piece with { Bytes = [1, 2] }], "2 bytes at 0 of block 0"),
        })
        {
            RemoteNode node = Remote(new ScriptedNode { Computed = Task.FromResult(Answer), Pieces = new(pieces) });
            Task<PartResult> work = node.Run(s_part, [new byte[4]], 1, CancellationToken.None);
            Assert.That(
                async () => await work.WaitAsync(timeout), Throws.TypeOf<ClusterException>().With.Message.Contains(what), what);
            while (node.IsBusy) await Task.Delay(1, timeout);
            Assert.That((node.Failures, node.HasFailed, node.IsFree), Is.EqualTo((1, true, false)), what);
        }
    }

    private static async Task<(RemoteNode, PartResult)> Run(ScriptedNode script)
    {
        RemoteNode node = Remote(script);
        return (node, await node.Run(s_part, [new byte[4]], 1, CancellationToken.None));
    }

    private static RemoteNode Remote(ScriptedNode script) =>
        new(script, SiloAddress.Zero, Guid.NewGuid(), new NodeFigures("n0", 1));

    /// <summary>A node that answers as it is told.</summary>
    private sealed class ScriptedNode : NodeStub
    {
        public required Task<PartAnswer> Computed { get; init; }

        public required Queue<SumPiece> Pieces { get; init; }

        public Action? Dropped { get; init; }

        public override Task Load(Guid session, long offset, byte[] piece) => Task.CompletedTask;

        public override Task<PartAnswer> Compute(Guid session, PartOrder part) => Computed;

        public override Task<SumPiece> Sums(Guid session, long part) => Task.FromResult(Pieces.Count > 0 ? Pieces.Dequeue() : None);

        public override Task Drop(Guid session, long part)
        {
            Dropped?.Invoke();
            return Task.CompletedTask;
        }
    }
}
