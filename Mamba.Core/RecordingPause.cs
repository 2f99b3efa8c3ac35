namespace Mamba.Core;

/// <summary>Ends the pause that <see cref="Tape.Pause"/> began. It stays on its thread, and allocates nothing.</summary>
public readonly ref struct RecordingPause : IDisposable
{
    private readonly Recording? _paused;
    private readonly long _serial;

    internal RecordingPause(Recording? current)
    {
        (_paused, _serial) = (current, current?.Serial ?? 0);
        Recording.Current = null;
    }

    /// <summary>Lets the tape record again, unless it was closed meanwhile.</summary>
    /// <exception cref="InvalidOperationException">A tape that was opened during the pause is still open.</exception>
    public void Dispose()
    {
        if (_paused is null || _paused.Serial != _serial || Recording.Current == _paused) return;
        if (Recording.Current is not null)
            throw new InvalidOperationException("Tape.Pause: a tape that was opened during the pause is still open; dispose it first.");
        Recording.Current = _paused;
    }
}
