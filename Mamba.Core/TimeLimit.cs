using System.Diagnostics;

namespace Mamba.Core;

/// <summary>
/// Limits the time of the operators on this thread: the first one that starts after the deadline throws. A running operator is not
/// interrupted, so work ends at most one operator late.
/// </summary>
/// <remarks>
/// Limits nest, and the earliest applies. Bodies that <see cref="Workers.ForEach"/> runs on other threads are not limited. Without a limit,
/// the cost is one thread-static read per operator.
/// </remarks>
/// <example><code>
/// using TimeLimit limit = new(TimeSpan.FromMilliseconds(20));
/// try { return model.Forward(x); }
/// catch (TimeLimitException) when (limit.HasPassed) { return previous; }
/// </code></example>
public readonly struct TimeLimit : IDisposable
{
    // Time stamps of Stopwatch; 0 for no limit.
    [ThreadStatic]
    private static long s_deadline;

    private readonly long _deadline, _outer;

    /// <summary>The deadline of this thread, 0 for none; <see cref="Workers"/> restore it after a body.</summary>
    internal static long Deadline
    {
        get => s_deadline;
        set => s_deadline = value;
    }

    /// <summary>Limits the operators on this thread until <see cref="Dispose"/>.</summary>
    /// <param name="budget">
    /// Time from now, after which no operator may start. Zero or less refuses the first operator; <see cref="Timeout.InfiniteTimeSpan"/> is
    /// no limit.
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

    /// <summary>Whether this limit has expired.</summary>
    public bool HasPassed => _deadline != 0 && Stopwatch.GetTimestamp() >= _deadline;

    /// <summary>Ends the limit; the enclosing one applies again.</summary>
    public void Dispose()
    {
        if (_deadline != 0) s_deadline = _outer;
    }

    /// <summary>Throws if the limit has expired.</summary>
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

/// <summary>A <see cref="TimeLimit"/> had expired when an operator started.</summary>
/// <param name="message">What happened.</param>
public sealed class TimeLimitException(string message) : TimeoutException(message);
