using Spectre.Console;
using Spectre.Console.Rendering;

namespace Mamba.Cli;

/// <summary>
/// Where a command writes. Results go to one stream, progress and errors to the other, so that results can be piped.
/// A stream that is no terminal gets plain text without colors, cut at no width.
/// </summary>
internal sealed class Terminal
{
    /// <summary>Wider than any table: a file or a pipe has no right edge.</summary>
    private const int NoEdge = 1 << 14;

    /// <summary>Writes to two streams.</summary>
    /// <param name="output">For results.</param>
    /// <param name="error">For errors and progress.</param>
    /// <param name="progress">The console for live progress; by default that of <paramref name="error"/>.</param>
    /// <param name="results">The console for tables; by default that of <paramref name="output"/>.</param>
    public Terminal(TextWriter output, TextWriter error, IAnsiConsole? progress = null, IAnsiConsole? results = null)
    {
        (Out, Error) = (output, error);
        Progress = progress ?? Console(error, ReferenceEquals(error, System.Console.Error) && !System.Console.IsErrorRedirected);
        Results = results ?? Console(output, ReferenceEquals(output, System.Console.Out) && !System.Console.IsOutputRedirected);
    }

    public TextWriter Out { get; }

    public TextWriter Error { get; }

    /// <summary>The console for live progress. It knows whether its stream can show it.</summary>
    public IAnsiConsole Progress { get; }

    /// <summary>The console for tables.</summary>
    public IAnsiConsole Results { get; }

    /// <summary>What is shown above live bars; null for nothing.</summary>
    public Func<IRenderable>? Beside { get; set; }

    /// <summary>Whether live bars are shown.</summary>
    public bool IsLive => Progress.Profile.Capabilities.Interactive;

    /// <summary>Writes a line of results, above the live bars where both share a terminal.</summary>
    public void WriteLine(string text)
    {
        if (IsLive && Results.Profile.Capabilities.Interactive) Progress.WriteLine(text);
        else Out.WriteLine(text);
    }

    private static IAnsiConsole Console(TextWriter writer, bool interactive)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Interactive = interactive ? InteractionSupport.Yes : InteractionSupport.No,
            Ansi = interactive ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = interactive ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Enrichment = new ProfileEnrichment { UseDefaultEnrichers = interactive },
        });
        if (!interactive) console.Profile.Width = NoEdge;
        return console;
    }
}
