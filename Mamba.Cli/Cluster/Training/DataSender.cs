using Mamba.Cli.Cluster.Wire;

namespace Mamba.Cli.Cluster.Training;

/// <summary>Sends nodes what a run reads, if they ask for it. It is read and hashed once, when the first one asks.</summary>
/// <param name="offer">The run.</param>
/// <param name="say">Where a line about it goes.</param>
internal sealed class DataSender(RunOffer offer, Action<string> say)
{
    /// <summary>A node takes a coordinator that is silent for dead.</summary>
    private static readonly TimeSpan s_beat = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Task<FileList>> _lists = [];

    /// <summary>Sends a node what it lacks.</summary>
    /// <param name="node">The node.</param>
    /// <param name="own">The run as it was offered to it.</param>
    /// <param name="answer">Its answer, which says what it needs.</param>
    /// <param name="stop">Ends the sending.</param>
    /// <returns>
    /// The run as it is offered next, with digests; and the answer, with a refusal if the node cannot be sent what it needs.
    /// </returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public async Task<(RunOffer Next, Admission Answer)> Send(INode node, RunOffer own, Admission answer, CancellationToken stop)
    {
        foreach (string option in answer.Needs)
        {
            if (own.Paths.FirstOrDefault(path => path.Option == option) is not { } path)
                return (own, answer with { Refusal = $"the node asks for {option}, which the run does not have" });
            if (path.Digest is not null)
                return (own, answer with { Refusal = $"the node has lost the files of {option} that it was sent" });
            (string digest, string? refusal, bool busy) = await Send(node, answer.Name, path, stop);
            if (refusal is not null) return (own, answer with { Refusal = refusal, Busy = busy });
            own = own with { Paths = [.. own.Paths.Select(p => p == path ? p with { Digest = digest } : p)] };
        }
        return (own, answer);
    }

    private async Task<(string Digest, string? Refusal, bool Busy)> Send(INode node, string name, RunPath path, CancellationToken stop)
    {
        try
        {
            FileList list = await List(node, path, stop);
            FetchAnswer answer = await node.Fetch(offer.Session, list);
            if (answer.Refusal is not null || answer.Missing.Length == 0) return (list.Digest, answer.Refusal, answer.Busy);
            say($"sends {FileList.Words([.. answer.Missing.Select(i => list.Files[i])])}, to {name}");
            await Window.Run(Pieces(path.Path, list, answer.Missing), async piece =>
            {
                if (await node.Put(offer.Session, piece) is { } refusal) throw new RefusedException(refusal);
            }, stop);
            return (list.Digest, await node.Keep(offer.Session), false);
        }
        catch (RefusedException e)
        {
            Forget(path); // its files may have changed
            return ("", e.Message, false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Forget(path);
            node.Leave(offer.Session).Ignore();
            return ("", $"the coordinator cannot send it the data: {PlainText.Printable(e.Message)}", false);
        }
        catch (OperationCanceledException)
        {
            node.Leave(offer.Session).Ignore();
            throw;
        }
    }

    /// <summary>The files of a path. While they are read, the node is shown that its coordinator lives.</summary>
    private async Task<FileList> List(INode node, RunPath path, CancellationToken stop)
    {
        Task<FileList>? reading;
        lock (_gate)
        {
            if (!_lists.TryGetValue(path.Option, out reading))
            {
                say($"reads {path.Path}, since a node lacks it");
                reading = _lists[path.Option] = Task.Run(() => FileList.Of(path.Path, stop), stop);
            }
        }
        while (await Task.WhenAny(reading, Task.Delay(s_beat, stop)) != reading)
        {
            stop.ThrowIfCancellationRequested();
            await node.Beat(offer.Session);
        }
        return await reading;
    }

    private void Forget(RunPath path)
    {
        lock (_gate) _lists.Remove(path.Option);
    }

    private static IEnumerable<FilePiece> Pieces(string path, FileList list, int[] files)
    {
        string root = FileList.RootOf(path);
        foreach (int i in files)
        {
            ListedFile listed = list.Files[i];
            using FileStream file = File.OpenRead(FileList.Below(root, listed.Name));
            if (file.Length != listed.Length) throw new ClusterException($"{file.Name} has changed while data was sent");
            for (long at = 0; at < Math.Max(1, listed.Length); at += WeightBytes.PieceLength)
            {
                byte[] bytes = new byte[Math.Min(WeightBytes.PieceLength, listed.Length - at)];
                if (file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) < bytes.Length)
                    throw new ClusterException($"{file.Name} has changed while data was sent");
                yield return new FilePiece(i, at, bytes);
            }
        }
    }

    /// <summary>A node does not take a piece.</summary>
    private sealed class RefusedException(string message) : Exception(message);
}
