namespace Mamba.Core;

/// <summary>Ends a pause started by <see cref="Tape.Pause"/>. It stays on its thread, and allocates nothing.</summary>
public readonly ref struct RecordingPause : IDisposable
{
    [ThreadStatic]
    private static long s_begun;

    // The enclosing pause, if a tape was opened inside it.
    private readonly Recording? _outerPaused;
    private readonly long _outer;

    // Increases with each pause on a thread; 0 if nothing was recording.
    private readonly long _number;

    internal RecordingPause(Recording? current)
    {
        if (current is null) return;
        (_outerPaused, _outer, _number) = (Recording.Paused, Recording.Pause, ++s_begun);
        (Recording.Paused, Recording.Pause, Recording.Current) = (current, _number, null);
    }

    /// <summary>Resumes the tape or, if it was closed meanwhile, the enclosing one.</summary>
    /// <exception cref="InvalidOperationException">A tape that was opened during the pause is still open; dispose it first.</exception>
    public void Dispose()
    {
        if (_number == 0 || _number > Recording.Pause) return; // nothing was paused, or the pause has ended
        if (_number < Recording.Pause || Recording.Current is not null)
            throw new InvalidOperationException("Tape.Pause: a tape that was opened during the pause is still open; dispose it first.");
        (Recording.Current, Recording.Paused, Recording.Pause) = (Recording.Paused, _outerPaused, _outer);
    }
}
