using System.Diagnostics;

namespace Mamba.Core;

/// <summary>
/// Bounds the time of the operators that this thread calls: the first one that begins after the limit throws. An operator that is under
/// way is not cut short, so work ends at most one operator late.
/// </summary>
/// <remarks>
/// Limits nest, and the earliest counts. Bodies that <see cref="Workers.ForEach"/> runs on other threads are not bounded. Without a limit
/// an operator reads one field of its thread more.
/// </remarks>
/// <example><code>
/// using TimeLimit limit = new(TimeSpan.FromMilliseconds(20));
/// try { return model.Forward(x); }
/// catch (TimeLimitException) when (limit.HasPassed) { return previous; }
/// </code></example>
public readonly struct TimeLimit : IDisposable
{
    // Time stamps of Stopwatch; 0 where there is no limit.
    [ThreadStatic]
    private static long s_deadline;

    private readonly long _deadline, _outer;

    /// <summary>Bounds what follows on this thread until <see cref="Dispose"/>.</summary>
    /// <param name="budget">
    /// Time from now; nothing may begin after it. Zero or less refuses the first operator; <see cref="Timeout.InfiniteTimeSpan"/> is no
    /// limit.
    /// </param>
    public TimeLimit(TimeSpan budget)
    {
        long now = Stopwatch.GetTimestamp();
        double ticks = budget == Timeout.InfiniteTimeSpan ? long.MaxValue / 2
            : Math.Clamp(budget.TotalSeconds * Stopwatch.Frequency, 0, long.MaxValue / 2);
        _outer = s_deadline;
        _deadline = Math.Max(1, now + Math.Min((long)ticks, long.MaxValue - now));
        s_deadline = _outer == 0 ? _deadline : Math.Min(_outer, _deadline);
    }

    /// <summary>Whether the time of this limit is over.</summary>
    public bool HasPassed => _deadline != 0 && Stopwatch.GetTimestamp() >= _deadline;

    /// <summary>Ends the limit; the one around it counts again.</summary>
    public void Dispose()
    {
        if (_deadline != 0) s_deadline = _outer;
    }

    /// <summary>Throws where the time is over.</summary>
    internal static void Check()
    {
        if (s_deadline != 0) Throw();

        static void Throw()
        {
            if (Stopwatch.GetTimestamp() >= s_deadline)
                throw new TimeLimitException("The time limit passed before this operator; the work so far is dropped.");
        }
    }
}

/// <summary>The time of a <see cref="TimeLimit"/> was over when an operator was to begin.</summary>
/// <param name="message">What happened.</param>
public sealed class TimeLimitException(string message) : TimeoutException(message);
