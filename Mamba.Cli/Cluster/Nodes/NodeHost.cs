using Mamba.Cli.Cluster.Wire;
using Mamba.Cli.Commands;
using Mamba.Core;
using Mamba.Core.Checkpoints;

namespace Mamba.Cli.Cluster.Nodes;

/// <summary>What a node does: takes part in one run at a time.</summary>
/// <param name="name">What it calls itself.</param>
/// <param name="terminal">Where a line about a run goes.</param>
/// <param name="assemble">Prepares a run from its args.json and its split.json.</param>
internal sealed class NodeHost(string name, Terminal terminal, Func<RunOffer, CancellationToken, RunParts> assemble) : IDisposable
{
    /// <summary>A coordinator shows itself every two seconds; after so long it is gone, and another one may come.</summary>
    public static readonly TimeSpan Silence = TimeSpan.FromSeconds(20);

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _end = new();
    private NodeWork? _work;
    private Guid _session;
    private bool _occupied;
    private long _heard = Environment.TickCount64;

    /// <summary>What the node is, but for the run.</summary>
    public Likeness Self { get; init; } = new(Build.Program, Build.Width, "");

    /// <summary>Whether the last run that was offered did not fit.</summary>
    public bool HasRefused { get; private set; }

    /// <summary>How long no coordinator has called.</summary>
    public TimeSpan Quiet => _occupied ? TimeSpan.Zero : TimeSpan.FromMilliseconds(Environment.TickCount64 - Interlocked.Read(ref _heard));

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
            if (_occupied || (_work is not null && _session != offer.Session && Quiet < Silence))
                return answer with { Refusal = "it works for another coordinator", Busy = true };
            if (_work is not null && _session == offer.Session) return answer;
            _occupied = true;
        }
        try
        {
            End();
            string? refusal = Prepare(offer);
            HasRefused = refusal is not null;
            terminal.WriteLine(refusal is null ? $"{name}: takes part in a run" : $"{name}: refuses the run: {refusal}");
            return answer with { Refusal = refusal };
        }
        finally
        {
            Hear();
            _occupied = false;
        }
    }

    /// <summary>Runs a verb of mamba in this process, so that it ends when the node does.</summary>
    public JobAnswer Do(JobOrder job)
    {
        if (job.Likeness.Difference(Self with { Run = "" }) is { } other) return new JobAnswer(0, "", other, false);
        if (!Directory.Exists(job.Folder))
            return new JobAnswer(0, "", $"the node has no folder {job.Folder}; expected a shared one", false);
        lock (_gate)
        {
            if (_occupied || _work is not null) return new JobAnswer(0, "", "it works for another coordinator", true);
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
        if (session != _session || _work is null) return;
        End();
        terminal.WriteLine($"{name}: the run has ended");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _end.Cancel();
        End();
    }

    private void Hear() => Interlocked.Exchange(ref _heard, Environment.TickCount64);

    private string? Prepare(RunOffer offer)
    {
        // What costs nothing to compare comes before reading all images.
        if ((offer.Likeness with { Run = "" }).Difference(Self with { Run = "" }) is { } other) return other;
        RunParts parts;
        try
        {
            parts = assemble(offer, _end.Token);
        }
        catch (Exception e) when (e is CheckpointException or ShapeException or ArgumentException or IOException
            or UnauthorizedAccessException or PlatformNotSupportedException or OutOfMemoryException)
        {
            return PlainText.Printable(e.Message.ReplaceLineEndings(" "));
        }
        if (offer.Likeness.Difference(Self with { Run = parts.Identity }) is { } difference)
        {
            parts.Dispose();
            return difference;
        }
        lock (_gate) (_work, _session) = (new NodeWork(parts), offer.Session);
        return null;
    }

    private void End()
    {
        NodeWork? work;
        lock (_gate) (work, _work) = (_work, null);
        work?.Dispose();
    }
}
