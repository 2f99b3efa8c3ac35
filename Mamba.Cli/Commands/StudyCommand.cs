using System.CommandLine;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba study</c>: many runs, one comparison.</summary>
internal static class StudyCommand
{
    public static Command Create(Terminal terminal, IVerbs verbs, CancellationToken stop) => new(
        "study",
        "Train and compare several models on the same data.\n\n" +
        "Example: mamba study run quick\n" +
        "         mamba study report runs/study/quick")
    {
        StudyRunCommand.Create(terminal, verbs, stop), StudyReportCommand.Create(terminal, stop),
    };
}
