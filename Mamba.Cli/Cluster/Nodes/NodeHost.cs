using Mamba.Cli.Cluster.Wire;
using Mamba.Cli.Commands;
using Mamba.Core;
using Mamba.Core.Checkpoints;

namespace Mamba.Cli.Cluster.Nodes;

/// <summary>What a node does: takes part in one run at a time.</summary>
/// <param name="name">What it calls itself.</param>
/// <param name="terminal">Where a line about a run goes.</param>
/// <param name="assembly">Prepares a run from its args.json and its split.json.</param>
internal sealed class NodeHost(string name, Terminal terminal, RunAssembly assembly) : IDisposable
{
    /// <summary>A coordinator shows itself every two seconds; after so long it is gone, and another one may come.</summary>
    public static readonly TimeSpan Silence = TimeSpan.FromSeconds(20);

    private const string Elsewhere = "it works for another coordinator";

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _end = new();
    private NodeWork? _work;
    private Guid _session;
    private bool _occupied, _fetching;
    private long _heard = Environment.TickCount64;
    private int _calls; // of a fetch, under way: a large file takes a while to hash

    /// <summary>What the node is, but for the run.</summary>
    public Likeness Self { get; init; } = new(Build.Program, Build.Width, "");

    /// <summary>Whether the last run that was offered did not fit.</summary>
    public bool HasRefused { get; private set; }

    /// <summary>How long no coordinator has called.</summary>
    public TimeSpan Quiet => _occupied || Volatile.Read(ref _calls) > 0 ? TimeSpan.Zero
        : TimeSpan.FromMilliseconds(Environment.TickCount64 - Interlocked.Read(ref _heard));

    /// <summary>The run that the node takes part in.</summary>
    /// <exception cref="InvalidOperationException">It is not this one.</exception>
    public NodeWork Work(Guid session)
    {
        Hear();
        lock (_gate)
            return session == _session && _work is { } work ? work : throw new InvalidOperationException($"{name} has not joined this run");
    }

    /// <summary>Whether the node takes part in a run, whose coordinator lives.</summary>
    public bool Beat(Guid session)
    {
        if (session == _session) Hear();
        return session == _session && _work is not null;
    }

    /// <summary>Prepares a run, or says why not.</summary>
    public Admission Join(RunOffer offer)
    {
        Admission answer = new(name, Workers.Count, null);
        lock (_gate)
        {
            if (_occupied || ((_work is not null || _fetching) && _session != offer.Session && Quiet < Silence))
                return answer with { Refusal = Elsewhere, Busy = true };
            if (_work is not null && _session == offer.Session) return answer;
            _occupied = true;
        }
        try
        {
            End();
            try
            {
                if (Lacks(offer) is { Length: > 0 } needs) return answer with { Needs = needs };
                Prepare(offer);
            }
            catch (Exception e) when (IsRefusal(e))
            {
                return answer with { Refusal = Refuse(e) };
            }
            HasRefused = false;
            string cached = string.Concat(assembly.Data.Cached(offer.Paths).Select(folder => $", data in {folder}"));
            terminal.WriteLine($"{name}: takes part in a run{cached}");
            return answer;
        }
        finally
        {
            Hear();
            _occupied = false;
        }
    }

    /// <summary>Begins to fetch files for a run that lacks them.</summary>
    public FetchAnswer Fetch(Guid session, FileList list)
    {
        lock (_gate)
        {
            if (_occupied || session != _session || !_fetching) return new FetchAnswer([], Elsewhere) { Busy = true };
            _occupied = true; // what an earlier fetch has left is read, which may take a while
        }
        try
        {
            int[] missing = [];
            string? refusal = Fetching(session, () => missing = assembly.Data.Begin(name, list, terminal.WriteLine));
            bool wanted;
            lock (_gate) wanted = session == _session && _fetching;
            if (!wanted) assembly.Data.Stop(); // the run has ended meanwhile
            return new FetchAnswer(missing, refusal);
        }
        finally
        {
            _occupied = false;
        }
    }

    /// <summary>Takes a piece of a file.</summary>
    public string? Put(Guid session, FilePiece piece) => Fetching(session, () => assembly.Data.Put(piece));

    /// <summary>Ends a fetch.</summary>
    public string? Keep(Guid session) => Fetching(session, () => assembly.Data.Finish(name, terminal.WriteLine));

    /// <summary>Runs a verb of mamba in this process, so that it ends when the node does.</summary>
    public JobAnswer Do(JobOrder job)
    {
        if (job.Likeness.Difference(Self with { Run = "" }) is { } other) return new JobAnswer(0, "", other, false);
        if (!Directory.Exists(job.Folder))
            return new JobAnswer(0, "", $"the node has no folder {job.Folder}; expected a shared one", false);
        lock (_gate)
        {
            if (_occupied || _work is not null || (_fetching && Quiet < Silence)) return new JobAnswer(0, "", Elsewhere, true);
            _occupied = true;
        }
        try
        {
            Environment.CurrentDirectory = job.Folder;
            StringWriter said = new();
            int code = CommandLine.Run(job.Words, new Terminal(said, said), _end.Token);
            return new JobAnswer(code, said.ToString(), null, false);
        }
        finally
        {
            Hear();
            _occupied = false;
        }
    }

    /// <summary>Ends the node's part in a run.</summary>
    public void Leave(Guid session)
    {
        if (session != _session || (_work is null && !_fetching)) return;
        bool fetching = _fetching;
        HasRefused |= fetching; // the coordinator could not send what was asked for
        End();
        terminal.WriteLine(fetching ? $"{name}: the coordinator sends its data no more" : $"{name}: the run has ended");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _end.Cancel();
        End();
    }

    private void Hear() => Interlocked.Exchange(ref _heard, Environment.TickCount64);

    /// <summary>What has to be fetched before the run can be prepared.</summary>
    private string[] Lacks(RunOffer offer)
    {
        // What costs nothing to compare comes before fetching or reading all images.
        if ((offer.Likeness with { Run = "" }).Difference(Self with { Run = "" }) is { } other) throw new ClusterException(other);
        string[] needs = assembly.Data.Needs(offer.Paths);
        lock (_gate) (_session, _fetching) = (offer.Session, needs.Length > 0);
        return needs;
    }

    private void Prepare(RunOffer offer)
    {
        try
        {
            RunParts parts = assembly.Assemble(offer, _end.Token);
            if (offer.Likeness.Difference(Self with { Run = parts.Identity }) is { } difference)
            {
                parts.Dispose();
                throw new ClusterException(difference);
            }
            lock (_gate) (_work, _session) = (new NodeWork(parts), offer.Session);
        }
        catch (Exception e) when (IsRefusal(e))
        {
            if (assembly.Data.Damage(offer.Paths, _end.Token) is { } damage) throw new ClusterException(damage, e);
            throw;
        }
    }

    /// <summary>What a node answers to, and lives on.</summary>
    private static bool IsRefusal(Exception e) => e is CheckpointException or ShapeException or ArgumentException or IOException
        or UnauthorizedAccessException or ObjectDisposedException or PlatformNotSupportedException or OutOfMemoryException;

    private string Refuse(Exception e)
    {
        string refusal = PlainText.Printable(e.Message.ReplaceLineEndings(" "));
        HasRefused = true;
        terminal.WriteLine($"{name}: refuses the run: {refusal}");
        return refusal;
    }

    /// <summary>Does something of a fetch; if it fails, the fetch is given up.</summary>
    /// <returns>Why it failed; null where it did not.</returns>
    private string? Fetching(Guid session, Action work)
    {
        Interlocked.Increment(ref _calls);
        try
        {
            if (session != _session || !_fetching) throw new ClusterException("the node fetches no data for this run any more");
            work();
            return null;
        }
        catch (Exception e) when (IsRefusal(e))
        {
            bool first;
            lock (_gate) (first, _fetching) = (_fetching && session == _session, _fetching && session != _session);
            if (!first) return e.Message; // pieces that were on their way when the first one failed
            assembly.Data.Discard();
            return Refuse(e);
        }
        finally
        {
            Hear();
            Interlocked.Decrement(ref _calls);
        }
    }

    private void End()
    {
        NodeWork? work;
        lock (_gate) (work, _work, _fetching) = (_work, null, false);
        assembly.Data.Stop();
        work?.Dispose();
    }
}
