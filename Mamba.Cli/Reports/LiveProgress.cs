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
        .Start(work);

    /// <summary>
    /// The time that the rest takes at the mean speed since the bar was made. A bar that begins in the middle, as that of a resumed run,
    /// counts from there; and the mean holds over validations, which move no bar.
    /// </summary>
    private sealed class RemainingColumn : ProgressColumn
    {
        private readonly ConditionalWeakTable<ProgressTask, Start> _starts = [];

        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime)
        {
            if (!_starts.TryGetValue(task, out Start? start) || task.Value < start.Value) // new, or an epoch's bar that begins again
                _starts.AddOrUpdate(task, start = new Start(task.Value, Stopwatch.GetTimestamp()));
            double done = task.Value - start.Value, left = task.MaxValue - task.Value;
            if (done <= 0) return new Text("--:--:--", new Style(Color.Blue));
            double seconds = Stopwatch.GetElapsedTime(start.Timestamp).TotalSeconds * left / done;
            string text = seconds < TimeSpan.MaxValue.TotalSeconds / 2 ? Summary.Duration(TimeSpan.FromSeconds(Math.Max(0, seconds)))
                : "--:--:--";
            return new Text(text, new Style(Color.Blue));
        }

        public override int? GetColumnWidth(RenderOptions options) => 8;

        private sealed record Start(double Value, long Timestamp);
    }
}
