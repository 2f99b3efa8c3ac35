using System.Text;
using Mamba.Cli;
using Spectre.Console;

namespace Mamba.Tests.Cli;

/// <summary>Live bars on a terminal of 80 columns: no line wraps, and nothing is left of the bars.</summary>
[NonParallelizable]
internal sealed class LiveProgressTests : CliTest
{
    private const int Columns = 80;

    [TestCase("unet", "--width", "4", "--depth", "2", "--size", "32")]
    [TestCase("vit", "--width", "16", "--depth", "1", "--size", "16", "--patch", "8")]
    public void A_run_shows_its_bars_between_whole_lines(string model, params string[] options)
    {
        Screen screen = new();
        IAnsiConsole console = screen.Console();
        string[] arguments =
            ["train", "--model", model, .. options, "--limit", "40", "--epochs", "100", "--patience", "3", "--out", In("run")];
        Assert.That(MambaOn(arguments, new Terminal(screen.Writer, screen.Writer, console, console), CancellationToken.None), Is.Zero);
        screen.Replay();
        Assert.That(screen.Wrapped, Is.Empty, "lines that went beyond the last column");
        Assert.That(
            screen.Seen, Has.Some.Matches(@"^epoch \d+/100  (loss \d+\.\d{4}  \d+(\.\d)? img/s|validating) +[━ ]* +\d+% "),
            "the bar of an epoch");
        Assert.That(screen.Seen, Has.Some.Matches(@"^run +[━ ]+ +\d+% "), "the bar of the run");

        string[] left = [.. screen.Lines.Select(line => line.TrimEnd()).Where(line => line.Length > 0)];
        int epochs = File.ReadLines(In("run", "results.csv")).Count() - 1;
        Assert.That(
            left.Where(line => line.StartsWith("epoch ", StringComparison.Ordinal)),
            Has.Exactly(epochs).Matches(@"^epoch +\d+/100  loss \d.* img/s( \*)?$"));
        Assert.That(left, Has.None.Contains("%  "), "no bar is left");
        Assert.That(left[0], Does.StartWith(model + ": "));
    }

    [Test]
    public void A_study_has_a_bar_below_those_of_its_runs()
    {
        File.WriteAllText(In("s.json"), """
            {
              "name": "s", "data": "synthetic", "budget": { "minutes": 0.02 }, "seeds": [0, 1], "protocols": ["slice"],
              "options": { "limit": 40, "size": "16x16", "width": 4, "depth": 2 }, "models": ["unet"]
            }
            """);
        Screen screen = new();
        IAnsiConsole console = screen.Console();
        Assert.That(
            MambaOn(["study", "run", In("s.json"), "--out", In("study")], new Terminal(screen.Writer, screen.Writer, console, console),
                CancellationToken.None), Is.Zero);
        screen.Replay();
        Assert.That(screen.Seen, Has.Some.Matches(@"^epoch \d+  loss ").And.Some.Matches(@"^run +[━ ]+ +\d+% "));
        Assert.That(screen.Seen, Has.Some.Matches(@"^study +[━ ]+ +\d+% "));
        int[] shares = [.. screen.Seen.Where(line => line.StartsWith("study ", StringComparison.Ordinal) && line.Contains('%'))
            .Select(line => int.Parse(line.Split('%')[0].Split(' ')[^1], System.Globalization.CultureInfo.InvariantCulture))];
        Assert.That(shares, Has.Some.GreaterThan(50).And.All.LessThanOrEqualTo(100), "the second run begins where the first ended");
    }

    [Test]
    public void Without_a_terminal_there_is_no_bar_and_no_color()
    {
        using StringWriter output = new(), error = new();
        Assert.That(
            MambaOn(["train", "--limit", "10", "--size", "32", "--epochs", "1", "--out", In("run")], new Terminal(output, error),
                CancellationToken.None), Is.Zero);
        Assert.That(error.ToString(), Is.Empty);
        Assert.That(output.ToString(), Does.Not.Contain("\u001b").And.Not.Contain("\u2501").And.Contain("epoch   1/1  loss "));
    }

    /// <summary>A terminal: it keeps all that is written, and plays it to a grid of lines afterwards.</summary>
    private sealed class Screen : IAnsiConsoleOutput
    {
        private readonly StringWriter _written = new();
        private readonly List<StringBuilder> _lines = [new()];

        public TextWriter Writer => _written;

        public bool IsTerminal => true;

        public int Width => Columns;

        public int Height => 25;

        public IEnumerable<string> Lines => _lines.Select(line => line.ToString());

        /// <summary>What stood in a line at any time.</summary>
        public HashSet<string> Seen { get; } = [];

        public List<string> Wrapped { get; } = [];

        public IAnsiConsole Console() => AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = this,
            Ansi = AnsiSupport.Yes,
            Interactive = InteractionSupport.Yes,
            ColorSystem = ColorSystemSupport.NoColors,
            Enrichment = new ProfileEnrichment { UseDefaultEnrichers = false },
        });

        public void SetEncoding(Encoding encoding)
        {
        }

        public void Replay()
        {
            string text = _written.ToString();
            int row = 0, column = 0;
            for (int i = 0; i < text.Length; i++)
            {
                if (text[i] == '\n')
                {
                    Seen.Add(_lines[row].ToString());
                    (row, column) = (row + 1, 0);
                    if (row == _lines.Count) _lines.Add(new StringBuilder());
                }
                else if (text[i] == '\r') column = 0;
                else if (text[i] == '\u001b')
                {
                    int end = i + 2;
                    while (!char.IsAsciiLetter(text[end])) end++;
                    Assert.That(text[i + 1], Is.EqualTo('['));
                    Control(text[end], text[(i + 2)..end], ref row, ref column);
                    i = end;
                }
                else
                {
                    StringBuilder line = _lines[row];
                    if (column >= Columns) Wrapped.Add(line.ToString() + text[i]);
                    while (line.Length <= column) line.Append(' ');
                    line[column++] = text[i];
                }
            }
            foreach (string line in Lines) Seen.Add(line);
        }

        private void Control(char command, string argument, ref int row, ref int column)
        {
            int count = int.TryParse(argument, out int n) ? n : 1;
            switch (command)
            {
                case 'A': row = Math.Max(0, row - count); break;
                case 'K': _lines[row].Clear(); break;
                case 'm' or 'h' or 'l': break;
                default: Assert.Fail($"ESC [ {argument} {command} is not played"); break;
            }
        }
    }
}
