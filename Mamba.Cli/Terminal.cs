using Spectre.Console;

namespace Mamba.Cli;

/// <summary>Where a command writes: results to one stream, progress and errors to the other, so that results can be piped.</summary>
internal sealed class Terminal(TextWriter output, TextWriter error)
{
    public TextWriter Out { get; } = output;

    public TextWriter Error { get; } = error;

    /// <summary>The console for live progress; it knows whether the stream is one that can show it.</summary>
    public IAnsiConsole Progress { get; } = AnsiConsole.Create(new AnsiConsoleSettings
    {
        Out = new AnsiConsoleOutput(error),
        Interactive = ReferenceEquals(error, Console.Error) && !Console.IsErrorRedirected ? InteractionSupport.Yes : InteractionSupport.No,
        Ansi = ReferenceEquals(error, Console.Error) && !Console.IsErrorRedirected ? AnsiSupport.Detect : AnsiSupport.No,
    });

    /// <summary>Writes a line of results, above the live bars where both share a terminal.</summary>
    public void WriteLine(string text)
    {
        if (Progress.Profile.Capabilities.Interactive && !Console.IsOutputRedirected) Progress.WriteLine(text);
        else Out.WriteLine(text);
    }
}
