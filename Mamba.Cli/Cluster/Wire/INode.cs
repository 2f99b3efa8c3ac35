using Orleans.Concurrency;
using Orleans.Services;

namespace Mamba.Cli.Cluster.Wire;

/// <summary>
/// What a coordinator asks of a node. There is one such service in the silo of each node, addressed by the silo, so that no directory has
/// to know where it is. A call fails when the membership says that the silo is dead.
/// </summary>
[Alias("Mamba.Cluster.INode")]
internal interface INode : IGrainService
{
    /// <summary>Prepares the node for a run: data, model and loader. It may read all images, which takes a while.</summary>
    /// <param name="offer">The run.</param>
    /// <returns>What the node is, or why it does not take part.</returns>
    [Alias("Join")]
    [ResponseTimeout("06:00:00")]
    Task<Admission> Join(RunOffer offer);

    /// <summary>Begins to send files to a node that has asked for them.</summary>
    /// <param name="session">The run.</param>
    /// <param name="list">The files.</param>
    /// <returns>Those that the node lacks, or why it takes none.</returns>
    [Alias("Fetch")]
    [ResponseTimeout("06:00:00")]
    Task<FetchAnswer> Fetch(Guid session, FileList list);

    /// <summary>Sends a piece of a file. With its last piece the file is read again, and checked.</summary>
    /// <param name="session">The run.</param>
    /// <param name="piece">The piece.</param>
    /// <returns>Why the node takes it not; null where it does.</returns>
    [Alias("Put")]
    [ResponseTimeout("01:00:00")]
    Task<string?> Put(Guid session, FilePiece piece);

    /// <summary>Tells a node that it has been sent all files.</summary>
    /// <param name="session">The run.</param>
    /// <returns>Why the node cannot use them; null where it can.</returns>
    [Alias("Keep")]
    [ResponseTimeout("00:05:00")]
    Task<string?> Keep(Guid session);

    /// <summary>Shows the node that its coordinator lives.</summary>
    /// <param name="session">The run that it has joined.</param>
    /// <returns>Whether it has.</returns>
    [Alias("Beat")]
    [ResponseTimeout("00:00:20")]
    Task<bool> Beat(Guid session);

    /// <summary>Takes a piece of the weights of a step.</summary>
    /// <param name="session">The run.</param>
    /// <param name="offset">Where the piece stands, in bytes.</param>
    /// <param name="piece">The bytes.</param>
    [Alias("Load")]
    [ResponseTimeout("00:05:00")]
    Task Load(Guid session, long offset, [Immutable] byte[] piece);

    /// <summary>Computes some shards of a step by the weights that were loaded.</summary>
    /// <param name="session">The run.</param>
    /// <param name="part">The shards.</param>
    /// <returns>What the shards gave, besides the sums, which are asked for in pieces at the same time.</returns>
    [Alias("Compute")]
    [ResponseTimeout("1.00:00:00")]
    Task<PartAnswer> Compute(Guid session, PartOrder part);

    /// <summary>
    /// The next piece of the sums of a part, each once. It is answered when the values of a piece are final, which may be long before the
    /// part is computed, or when the part has ended; or after a while without a piece, so that a lost answer shows.
    /// </summary>
    /// <param name="session">The run.</param>
    /// <param name="part">The number of the part, which is computed, or is about to be.</param>
    /// <returns>The piece.</returns>
    [Alias("Sums")]
    [ResponseTimeout("00:02:00")]
    Task<SumPiece> Sums(Guid session, long part);

    /// <summary>Stops computing a part: the coordinator waits for it no longer.</summary>
    /// <param name="session">The run.</param>
    /// <param name="part">The number of the part.</param>
    [Alias("Drop")]
    [ResponseTimeout("00:05:00")]
    Task Drop(Guid session, long part);

    /// <summary>Runs a verb of mamba on the node, from the first word to the last.</summary>
    /// <param name="job">The words, and where they hold.</param>
    /// <returns>What came of it, or why the node does not do it.</returns>
    [Alias("Do")]
    [ResponseTimeout("30.00:00:00")]
    Task<JobAnswer> Do(JobOrder job);

    /// <summary>Ends the node's part in a run, and frees its memory.</summary>
    /// <param name="session">The run.</param>
    [Alias("Leave")]
    [ResponseTimeout("00:00:20")]
    Task Leave(Guid session);
}
