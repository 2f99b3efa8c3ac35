using System.Runtime.InteropServices;
using Mamba.Cli.Cluster.Nodes;
using Mamba.Cli.Cluster.Training;
using Mamba.Cli.Cluster.Wire;
using Mamba.Cli.Commands;
using Mamba.Core;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Recipes;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Tests.Cluster;

/// <summary>Sums leave a node while it still computes.</summary>
[NonParallelizable]
internal sealed class OverlapTests
{
    private const int Shards = 4, Side = 32;

    /// <summary>The backward pass of the last shard is held until pieces of both blocks were delivered.</summary>
    [Test, CancelAfter(60_000)]
    public async Task Pieces_leave_in_the_middle_of_the_backward_pass(CancellationToken timeout)
    {
        using ManualResetEventSlim go = new();
        List<SumPiece> pieces = [];
        using VisionModel model = Model();
        int last = model.Parameters.Parameters.Count();
        using NodeWork node = Node(model, (block, _) =>
        {
            if (block == 1 && --last == 0) go.Wait(timeout); // the first layer's gradient comes last
        });
        Task<PartAnswer> computing = node.Compute(Part(1, 1, 4));
        Task<SumPiece> next = node.Sums(1);
        while (pieces.Count(p => p.Block == 1) == 0 || pieces.Count(p => p.Block == 0) < PiecesOf(model))
        {
            pieces.Add(await next.WaitAsync(timeout));
            next = node.Sums(1);
        }
        Assert.That(computing.IsCompleted, Is.False);
        Assert.That(pieces.Count(p => p.Block == 1), Is.LessThan(PiecesOf(model)), "the pass is held");
        go.Set();
        for (SumPiece piece = await next; piece.Bytes.Length > 0; piece = await node.Sums(1)) pieces.Add(piece);
        PartAnswer answer = await computing;
        Assert.That(answer.Blocks.Select(b => (b.First, b.Count)), Is.EqualTo(new[] { (1, 1), (2, 2) }));
        GradientBlock[] expected = Whole(1, 4);
        for (int i = 0; i < 2; i++)
        {
            Assert.That(Join(pieces, i, expected[i].Values.Length), Is.EqualTo(expected[i].Values));
            Assert.That(answer.Blocks[i].Present, Is.EqualTo(expected[i].Present));
        }
        Assert.That((await node.Sums(1)).Bytes, Is.Empty, "each piece leaves once");
    }

    /// <summary>Requests for a part that is dropped end at once; those for the next one get nothing of it.</summary>
    [Test, CancelAfter(60_000)]
    public async Task A_part_that_is_dropped_mixes_with_no_other(CancellationToken timeout)
    {
        using ManualResetEventSlim held = new(), go = new();
        using VisionModel model = Model();
        bool first = true;
        using NodeWork node = Node(model, (block, _) =>
        {
            if (block == 1 && first)
            {
                held.Set();
                go.Wait(timeout);
                first = false;
            }
        });
        Task<PartAnswer> dropped = node.Compute(Part(7, 1, 4));
        await Task.Run(() => held.Wait(timeout), timeout);
        Assert.That((await node.Sums(7)).Bytes, Is.Not.Empty);
        node.Drop(7);
        Assert.That((await node.Sums(7).WaitAsync(timeout)).Bytes, Is.Empty);
        Task<SumPiece> early = node.Sums(8); // before the part itself has come
        Task<PartAnswer> computing = node.Compute(Part(8, 0, 2));
        Assert.That(early.IsCompleted, Is.False);
        go.Set();
        await ((Task)dropped).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // it may have come to its end
        List<SumPiece> pieces = [];
        for (SumPiece piece = await early; piece.Bytes.Length > 0; piece = await node.Sums(8)) pieces.Add(piece);
        await computing;
        Assert.That(Join(pieces, 0, Whole(0, 2)[0].Values.Length), Is.EqualTo(Whole(0, 2)[0].Values));
        Assert.That((await node.Sums(7)).Bytes, Is.Empty, "it has been given up");
        Assert.That(async () => await node.Compute(Part(7, 1, 4)), Throws.InstanceOf<OperationCanceledException>());
    }

    /// <summary>A loss that is not finite comes after a first block, of which pieces were asked for.</summary>
    [Test, CancelAfter(60_000)]
    public async Task A_part_that_fails_ends_all_requests(CancellationToken timeout)
    {
        using VisionModel model = Model();
        int told = 0, parameters = model.Parameters.Parameters.Count();
        Tensor weight = model.Parameters.Parameters.First().Tensor;
        using NodeWork node = Node(model, (_, _) =>
        {
            if (++told == parameters) weight.Span.Fill(float.NaN);
        });
        Task<SumPiece>[] requests = [.. Enumerable.Range(0, 3 * PiecesOf(model)).Select(_ => node.Sums(1))];
        PartAnswer answer = await node.Compute(Part(1, 1, 4)).WaitAsync(timeout);
        Assert.That(answer.Shards.Select(s => s.Failure is null), Is.EqualTo(new[] { true, false }));
        Assert.That(answer.Blocks, Is.Empty);
        SumPiece[] pieces = await Task.WhenAll(requests).WaitAsync(timeout);
        Assert.That(pieces.Count(p => p.Bytes.Length > 0), Is.LessThanOrEqualTo(PiecesOf(model)));
        Assert.That((await node.Compute(Part(2, 0, 1))).Shards.Single().Failure, Is.Null, "it has the weights again");
    }

    private static VisionModel Model()
    {
        ModelEntry unet = Registry.Find("unet");
        return unet.Create(unet.Config with { Width = 24, Depth = 2 }, seed: 5);
    }

    private static RunParts Run(VisionModel model)
    {
        BatchLoader train = new(new SyntheticLesions(2, Shards, Side, Side), [.. Enumerable.Range(0, Shards)], new BatchOptions
        {
            Height = Side,
            Width = Side,
            BatchSize = 1,
            Seed = 3,
        });
        TrainingPlan plan = new(TrainingRecipe.UltraLight, Objective.Segmentation(LossKind.BceDice), 1e-3, Epochs: 1)
        {
            Accumulate = Shards,
        };
        return new RunParts(null!, model, null, train, plan, "");
    }

    /// <summary>A node that has the weights.</summary>
    private static NodeWork Node(VisionModel model, Action<int, int> released)
    {
        NodeWork node = new(Run(model)) { Released = released };
        byte[][] weights = new WeightBytes(model.Parameters).Read(null);
        for (int i = 0; i < weights.Length; i++) node.Load(i * WeightBytes.PieceLength, weights[i]);
        return node;
    }

    private static PartOrder Part(long number, int first, int end) => new(0, 1, 0, Shards, first, end) { Number = number };

    private static int PiecesOf(VisionModel model) => WeightBytes.Pieces((int)model.Parameters.ParameterCount * sizeof(float));

    /// <summary>The blocks of some shards, computed as one machine does.</summary>
    private static GradientBlock[] Whole(int first, int end)
    {
        using RunParts run = Run(Model());
        using ShardGradients gradients = new(run.Model, run.Train, run.Plan);
        GradientSums sums = new(run.Model.Parameters);
        gradients.Compute(new StepOrder(0, 1, 0, Shards), first, end, sums, default);
        return [.. sums.Blocks];
    }

    private static float[] Join(IEnumerable<SumPiece> pieces, int block, int length)
    {
        float[] values = new float[length];
        foreach (SumPiece piece in pieces.Where(p => p.Block == block))
            piece.Bytes.CopyTo(MemoryMarshal.AsBytes(values.AsSpan())[piece.Offset..]);
        return values;
    }
}
