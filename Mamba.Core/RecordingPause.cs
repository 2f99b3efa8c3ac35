namespace Mamba.Core;

/// <summary>Ends the pause that <see cref="Tape.Pause"/> began. It stays on its thread, and allocates nothing.</summary>
public readonly ref struct RecordingPause : IDisposable
{
    [ThreadStatic]
    private static long s_begun;

    // The pause around this one, where a tape was opened inside that.
    private readonly Recording? _outerPaused;
    private readonly long _outer;

    // Grows from pause to pause of a thread; 0 where nothing was recording.
    private readonly long _number;

    internal RecordingPause(Recording? current)
    {
        if (current is null) return;
        (_outerPaused, _outer, _number) = (Recording.Paused, Recording.Pause, ++s_begun);
        (Recording.Paused, Recording.Pause, Recording.Current) = (current, _number, null);
    }

    /// <summary>Lets the tape record again; if it was closed meanwhile, the tape around it.</summary>
    /// <exception cref="InvalidOperationException">A tape that was opened during the pause is still open; dispose it first.</exception>
    public void Dispose()
    {
        if (_number == 0 || _number > Recording.Pause) return; // nothing was paused, or the pause has ended
        if (_number < Recording.Pause || Recording.Current is not null)
            throw new InvalidOperationException("Tape.Pause: a tape that was opened during the pause is still open; dispose it first.");
        (Recording.Current, Recording.Paused, Recording.Pause) = (Recording.Paused, _outerPaused, _outer);
    }
}
