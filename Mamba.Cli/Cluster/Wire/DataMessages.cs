using Orleans.Concurrency;

namespace Mamba.Cli.Cluster.Wire;

/// <summary>A file or a folder that a run reads.</summary>
/// <param name="Option">The option of <c>train</c> that names it.</param>
/// <param name="Path">Where the coordinator has it.</param>
/// <param name="Below">Its path below the data of the run, with '/' between folders; null where it is none of that.</param>
/// <param name="Entry">The name of the file; null for a folder.</param>
[GenerateSerializer, Immutable, Alias("Mamba.Cluster.RunPath")]
internal sealed record RunPath(string Option, string Path, string? Below, string? Entry)
{
    /// <summary>What it holds, see <see cref="FileList.Digest"/>; null until the coordinator has read it.</summary>
    [Id(4)]
    public string? Digest { get; init; }
}

/// <summary>A file that can be sent.</summary>
/// <param name="Name">Its path below the folder, with '/' between folders.</param>
/// <param name="Length">Its bytes.</param>
/// <param name="Hash">Their SHA-256.</param>
[GenerateSerializer, Immutable, Alias("Mamba.Cluster.ListedFile")]
internal sealed record ListedFile(string Name, long Length, byte[] Hash);

/// <summary>Bytes of a listed file.</summary>
/// <param name="File">Its number in the list.</param>
/// <param name="Offset">Where the bytes stand.</param>
/// <param name="Bytes">The bytes.</param>
[GenerateSerializer, Immutable, Alias("Mamba.Cluster.FilePiece")]
internal sealed record FilePiece(int File, long Offset, byte[] Bytes);

/// <summary>A node's answer to a list of files.</summary>
/// <param name="Missing">The files that it lacks, by their numbers.</param>
/// <param name="Refusal">Why it takes none; null where it does.</param>
[GenerateSerializer, Immutable, Alias("Mamba.Cluster.FetchAnswer")]
internal sealed record FetchAnswer(int[] Missing, string? Refusal)
{
    /// <summary>Whether the node may take them later: it works for another coordinator.</summary>
    [Id(2)]
    public bool Busy { get; init; }
}
