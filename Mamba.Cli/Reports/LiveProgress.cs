using Spectre.Console;

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
            new RemainingTimeColumn())
        .Start(work);
}
