using Orleans.Concurrency;

namespace Mamba.Cli.Cluster.Wire;

/// <summary>A run that a node may take part in.</summary>
/// <param name="Session">The number of this start of the run: a run that is resumed has another one.</param>
/// <param name="Arguments">The bytes of its args.json.</param>
/// <param name="Split">The bytes of its split.json.</param>
/// <param name="Likeness">What both sides must have in common.</param>
/// <param name="CheckNumerics">Whether the result of every operator is checked for NaN and infinity.</param>
[GenerateSerializer, Immutable, Alias("Mamba.Cluster.RunOffer")]
internal sealed record RunOffer(Guid Session, byte[] Arguments, byte[] Split, Likeness Likeness, bool CheckNumerics)
{
    /// <summary>The files and folders that the run reads.</summary>
    [Id(5)]
    public RunPath[] Paths { get; init; } = [];
}

/// <summary>What decides the bits of a gradient, besides the weights.</summary>
/// <param name="Program">The version of the program, and the identity of its build.</param>
/// <param name="Width">The width of the vectors.</param>
/// <param name="Run">The hash of the run's options, its split, and the content of its images.</param>
[GenerateSerializer, Immutable, Alias("Mamba.Cluster.Likeness")]
internal sealed record Likeness(string Program, string Width, string Run)
{
    /// <summary>Says how a node differs.</summary>
    /// <param name="node">What the node has.</param>
    /// <returns>The first difference in words, with both values; null where there is none.</returns>
    public string? Difference(Likeness node) =>
        node.Program != Program ? $"the node runs {node.Program}, the coordinator {Program}; copy one build to both"
        : node.Width != Width ? $"the node has vector width {node.Width}, the coordinator {Width}; set MAMBA_ISA={Width} on both, or "
            + $"{node.Width} on the coordinator"
        : node.Run != Run ? $"the node's data or split is other than the coordinator's (identity {node.Run}, not {Run})"
        : null;
}

/// <summary>A node's answer to an offer.</summary>
/// <param name="Name">What it calls itself.</param>
/// <param name="Threads">The threads it computes with.</param>
/// <param name="Refusal">Why it does not take part; null where it does.</param>
[GenerateSerializer, Immutable, Alias("Mamba.Cluster.Admission")]
internal sealed record Admission(string Name, int Threads, string? Refusal)
{
    /// <summary>Whether the node may take part later: it works for another coordinator.</summary>
    [Id(3)]
    public bool Busy { get; init; }

    /// <summary>What it has to be sent first, by <see cref="RunPath.Option"/>.</summary>
    [Id(4)]
    public string[] Needs { get; init; } = [];
}

/// <summary>Some shards of a step.</summary>
/// <param name="Step">Steps of the optimizer that were taken before.</param>
/// <param name="Epoch">The epoch, from 1.</param>
/// <param name="FirstBatch">The step's first batch in the epoch.</param>
/// <param name="Batches">The step's batches, each of which is a shard.</param>
/// <param name="First">The first shard of the part.</param>
/// <param name="End">Behind the last one.</param>
[GenerateSerializer, Immutable, Alias("Mamba.Cluster.PartOrder")]
internal sealed record PartOrder(long Step, int Epoch, int FirstBatch, int Batches, int First, int End)
{
    /// <summary>The number of the part in the run; later parts have larger ones.</summary>
    [Id(6)]
    public long Number { get; init; }
}

/// <summary>What a shard gave, besides its gradient.</summary>
/// <param name="Loss">Its mean loss.</param>
/// <param name="Images">Its images.</param>
/// <param name="Moments">The statistics that its batch norms noted.</param>
/// <param name="Failure">What was not finite; null if all was.</param>
[GenerateSerializer, Immutable, Alias("Mamba.Cluster.ShardAnswer")]
internal sealed record ShardAnswer(double Loss, int Images, double[] Moments, string? Failure);

/// <summary>A sum of gradients of neighbouring shards, without its values.</summary>
/// <param name="First">The first shard.</param>
/// <param name="Count">How many there are.</param>
/// <param name="Present">Whether a parameter has a gradient.</param>
[GenerateSerializer, Immutable, Alias("Mamba.Cluster.BlockHead")]
internal sealed record BlockHead(int First, int Count, bool[] Present);

/// <summary>What a part gave.</summary>
/// <param name="Shards">Its shards in order; the first one that fails is the last.</param>
/// <param name="Blocks">The sums of gradients, in order; none if a shard failed.</param>
[GenerateSerializer, Immutable, Alias("Mamba.Cluster.PartAnswer")]
internal sealed record PartAnswer(ShardAnswer[] Shards, BlockHead[] Blocks);

/// <summary>A verb of mamba that a node is to run.</summary>
/// <param name="Words">Its words.</param>
/// <param name="Folder">The folder that paths in them start from.</param>
/// <param name="Likeness">What both sides must have in common; there is no run.</param>
[GenerateSerializer, Immutable, Alias("Mamba.Cluster.JobOrder")]
internal sealed record JobOrder(string[] Words, string Folder, Likeness Likeness);

/// <summary>What came of a verb.</summary>
/// <param name="Code">Its exit code.</param>
/// <param name="Output">What it said.</param>
/// <param name="Refusal">Why the node did not run it; null where it did.</param>
/// <param name="Busy">Whether the node may run it later.</param>
[GenerateSerializer, Immutable, Alias("Mamba.Cluster.JobAnswer")]
internal sealed record JobAnswer(int Code, string Output, string? Refusal, bool Busy);

/// <summary>A piece of the sums of a part.</summary>
/// <param name="Block">The block's place in <see cref="PartAnswer.Blocks"/>.</param>
/// <param name="Offset">Where the piece stands in its values, in bytes.</param>
/// <param name="Bytes">The bytes, which nobody changes any more; none where the part has no further piece.</param>
[GenerateSerializer, Immutable, Alias("Mamba.Cluster.SumPiece")]
internal sealed record SumPiece(int Block, int Offset, byte[] Bytes)
{
    /// <summary>Whether no piece was ready for a while: ask again.</summary>
    [Id(3)]
    public bool IsLater { get; init; }
}
