using System.Diagnostics;
using System.Runtime.CompilerServices;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Mamba.Cli.Reports;

/// <summary>Live bars with speed and remaining time, where the terminal can show them; nothing where it cannot.</summary>
internal static class LiveProgress
{
    /// <summary>The width of a bar. Beside it, 80 columns have room for the description of an epoch, the percentage and the time.</summary>
    private const int BarWidth = 16;

    /// <summary>A bar for one piece of work over a number of images.</summary>
    /// <param name="terminal">Where to show it.</param>
    /// <param name="title">What is done.</param>
    /// <param name="total">Images in all.</param>
    /// <param name="work">The work; it is given a way to report the images done so far.</param>
    public static T Show<T>(Terminal terminal, string title, int total, Func<Action<int>, T> work)
    {
        if (!terminal.IsLive) return work(_ => { });
        T result = default!;
        Start(terminal, progress =>
        {
            ProgressTask task = progress.AddTask(title, maxValue: Math.Max(1, total));
            result = work(done => task.Value = done);
        });
        return result;
    }

    /// <summary>Runs work with bars of its own.</summary>
    public static void Start(Terminal terminal, Action<ProgressContext> work) => terminal.Progress.Progress()
        .AutoClear(true)
        .Columns(
            new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn { Width = BarWidth }, new PercentageColumn(),
            new RemainingColumn())
        .UseRenderHook((bars, _) => terminal.Beside is { } beside ? new Rows(beside(), bars) : bars)
        .Start(work);

    /// <summary>
    /// The time that the rest takes at the mean speed of the last three quarters of the time since the bar was made. A bar that begins in
    /// the middle, as that of a resumed run, counts from there; the slow start drops out; and the mean holds over validations, which move
    /// no bar.
    /// </summary>
    private sealed class RemainingColumn : ProgressColumn
    {
        private readonly ConditionalWeakTable<ProgressTask, RemainingTime> _times = [];

        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime)
        {
            double now = Stopwatch.GetTimestamp() / (double)Stopwatch.Frequency;
            double? seconds = _times.GetOrCreateValue(task).Of(now, task.Value, task.MaxValue);
            string text = seconds < TimeSpan.MaxValue.TotalSeconds / 2 ? Summary.Duration(TimeSpan.FromSeconds(seconds.Value)) : "--:--:--";
            return new Text(text, new Style(Color.Blue));
        }

        public override int? GetColumnWidth(RenderOptions options) => 8;
    }
}

/// <summary>The remaining time of work that is seen from time to time.</summary>
internal sealed class RemainingTime
{
    private const double LeftOut = 0.25;

    // As many points as tell a quarter of any time well, and no more.
    private const int Points = 200;

    private readonly Queue<(double Seconds, double Value)> _points = [];
    private double _start, _last, _value;

    /// <summary>Sees the work once more.</summary>
    /// <param name="now">Seconds on any clock.</param>
    /// <param name="value">What is done; less than before where the work began again.</param>
    /// <param name="all">What is to be done.</param>
    /// <returns>Seconds; null where nothing was done yet.</returns>
    public double? Of(double now, double value, double all)
    {
        if (_points.Count == 0 || value < _value) // new, or an epoch's bar that begins again
        {
            _points.Clear();
            (_start, _last) = (now, double.NegativeInfinity);
        }
        _value = value;
        double elapsed = now - _start;
        if (now - _last >= elapsed / Points)
        {
            _points.Enqueue((now, value));
            _last = now;
        }
        while (_points.Count > 1 && _points.ElementAt(1).Seconds <= _start + LeftOut * elapsed) _points.Dequeue();
        (double since, double from) = _points.Peek();
        return value > from ? Math.Max(0, (all - value) * (now - since) / (value - from)) : null;
    }
}
