using System.Buffers.Binary;
using Mamba.Models.Data;

namespace Mamba.Models.Sequences;

/// <summary>
/// What a weight file says of the values that its model was trained on: their classes, their rate and, of recorded signals, a hash of the
/// samples of each recording, by part. So a measurement finds the test recordings again, under any name and beside any others.
/// </summary>
/// <param name="Labels">The names of the classes, in the order of the model's outputs.</param>
/// <param name="Rate">Samples a second; null where the files did not say, or of pictures.</param>
public sealed record SignalRecord(IReadOnlyList<string> Labels, int? Rate)
{
    private const int HashBytes = sizeof(ulong);

    /// <summary>The hashes of the training recordings, 8 bytes each; null where there were none.</summary>
    public byte[]? Train { get; init; }

    /// <summary>The hashes of the validation recordings.</summary>
    public byte[]? Val { get; init; }

    /// <summary>The hashes of the test recordings.</summary>
    public byte[]? Test { get; init; }

    /// <summary>Whether the recordings are known.</summary>
    internal bool HasRecordings => Train is not null && Val is not null && Test is not null;

    /// <summary>Whether the hashes are whole, and the labels as many as there are classes.</summary>
    internal bool Fits(int classes) => Labels.Count == classes && Labels.All(label => label is not null) && Rate is null or > 0
        && (HasRecordings || (Train, Val, Test) is (null, null, null))
        && new[] { Train, Val, Test }.All(part => (part?.Length ?? 0) % HashBytes == 0);

    /// <summary>The record of a task on values.</summary>
    /// <param name="task">The task.</param>
    /// <returns>The record.</returns>
    public static SignalRecord Of(SequenceTask task)
    {
        ArgumentNullException.ThrowIfNull(task);
        SignalRecord record = new(task.Labels, task.Rate);
        return task is not RecordedSignals recorded ? record : record with
        {
            Train = Bytes(recorded.Contents(SplitPart.Train)),
            Val = Bytes(recorded.Contents(SplitPart.Val)),
            Test = Bytes(recorded.Contents(SplitPart.Test)),
        };
    }

    /// <summary>The number of recordings in a part.</summary>
    /// <param name="part">Train, Val or Test.</param>
    /// <returns>The number; 0 where they are not known.</returns>
    public int Count(SplitPart part) => (HashesOf(part)?.Length ?? 0) / HashBytes;

    /// <summary>The part that each of some recordings was in. What is there twice is taken for a training recording first.</summary>
    /// <param name="contents">The hashes of the recordings.</param>
    /// <returns>Train, Val or Test; null where it was in none.</returns>
    public SplitPart?[] PartsOf(IReadOnlyList<ulong> contents)
    {
        ArgumentNullException.ThrowIfNull(contents);
        Dictionary<ulong, Queue<SplitPart>> parts = [];
        foreach (SplitPart part in new[] { SplitPart.Train, SplitPart.Val, SplitPart.Test })
            foreach (ulong content in Contents(part))
            {
                if (!parts.TryGetValue(content, out Queue<SplitPart>? same)) parts[content] = same = [];
                same.Enqueue(part);
            }
        return [.. contents.Select(content =>
            parts.TryGetValue(content, out Queue<SplitPart>? same) && same.TryDequeue(out SplitPart part) ? part : (SplitPart?)null)];
    }

    /// <summary>How many of some recordings have the samples of a training recording.</summary>
    /// <param name="contents">Their hashes.</param>
    /// <returns>The number.</returns>
    public int CountTrained(IEnumerable<ulong> contents)
    {
        HashSet<ulong> trained = [.. Contents(SplitPart.Train)];
        return contents.Count(trained.Contains);
    }

    private byte[]? HashesOf(SplitPart part) => part switch { SplitPart.Train => Train, SplitPart.Val => Val, _ => Test };

    private IEnumerable<ulong> Contents(SplitPart part) => (HashesOf(part) ?? []).Chunk(HashBytes)
        .Select(hash => BinaryPrimitives.ReadUInt64LittleEndian(hash));

    /// <summary>Sorted, so that the order tells nothing of names.</summary>
    private static byte[] Bytes(ulong[] contents)
    {
        byte[] bytes = new byte[contents.Length * HashBytes];
        Array.Sort(contents);
        for (int i = 0; i < contents.Length; i++)
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * HashBytes), contents[i]);
        return bytes;
    }
}
