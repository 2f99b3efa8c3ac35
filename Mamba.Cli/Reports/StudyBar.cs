using Spectre.Console;

namespace Mamba.Cli.Reports;

/// <summary>The live bar of a study, below the bars of the run that is trained.</summary>
/// <param name="title">What it is called.</param>
/// <param name="before">The expected seconds of the runs that are done.</param>
/// <param name="run">The expected seconds of this one.</param>
/// <param name="total">The expected seconds of all runs.</param>
internal sealed class StudyBar(string title, double before, double run, double total)
{
    private ProgressTask? _bar;

    /// <summary>Adds the bar.</summary>
    public void Start(ProgressContext context)
    {
        _bar = context.AddTask(title, maxValue: total);
        Move(0);
    }

    /// <summary>Shows that a share of the run is done.</summary>
    public void Move(double share)
    {
        if (_bar is not null) _bar.Value = before + share * run;
    }
}
