namespace Mamba.Models.Studies;

/// <summary>Expects how long the runs of a study take, from its budget and from the runs that have ended.</summary>
/// <param name="runs">The runs.</param>
/// <param name="multiplyAdds">The multiply-adds of an image of each.</param>
internal sealed class StudyClock(IReadOnlyList<StudyRun> runs, IReadOnlyList<long> multiplyAdds)
{
    private readonly List<Ended> _ended = [];

    /// <summary>Whether expectations are in seconds, see <see cref="StudyProgress.IsTimed"/>.</summary>
    public bool IsTimed => _ended.Count > 0 || runs.Any(run => run.Study.Budget.Minutes is not null);

    /// <summary>Learns from a run.</summary>
    /// <param name="run">Its place.</param>
    /// <param name="training">Seconds of training.</param>
    /// <param name="whole">Seconds in all: reading, training and measuring.</param>
    public void Add(int run, double training, double whole) => _ended.Add(new Ended(run, training, Math.Max(training, whole)));

    /// <summary>The seconds that a run will take, or took.</summary>
    /// <param name="run">Its place.</param>
    /// <returns>Seconds; where none are known, a number that grows with the run's multiply-adds.</returns>
    public double Expect(int run)
    {
        double around = _ended.Count == 0 ? 0 : _ended.Average(one => one.Whole - one.Training);
        if (_ended.Find(one => one.Run == run) is { } itself) return itself.Whole;
        if (runs[run].Study.Budget.Minutes is { } minutes) return 60 * minutes + around;
        double cost = Math.Max(1, multiplyAdds[run]);
        Ended[] same = [.. _ended.Where(one => runs[one.Run].Model == runs[run].Model)];
        if (same.Length > 0) return same.Average(one => one.Training) + around;
        return _ended.Count == 0 ? cost
            : cost * _ended.Average(one => one.Training / Math.Max(1, multiplyAdds[one.Run])) + around;
    }

    private sealed record Ended(int Run, double Training, double Whole);
}
