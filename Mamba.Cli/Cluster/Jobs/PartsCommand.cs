using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Mamba.Cli.Cluster.Silos;
using Mamba.Cli.Commands;
using Mamba.Models.Data.Splits;

namespace Mamba.Cli.Cluster.Jobs;

/// <summary>
/// <c>infer</c>, <c>eval</c> and <c>study</c> on a cluster: the verb of mamba, in parts that nodes take from a queue. All of them need the
/// same paths for weights, images and results.
/// </summary>
internal static class PartsCommand
{
    // The last two are about the scores of all parts.
    private const string Part = "--part", Out = "--out", Merge = "--merge", Json = "--json", PerImage = "--per-image";

    /// <summary>The verbs.</summary>
    public static IEnumerable<Command> Create(Terminal terminal, CancellationToken stop)
    {
        yield return Spread("infer", ["infer"], InferCommand.Create(terminal, stop), _ => [], terminal, stop);
        yield return Spread("eval", ["eval"], EvalCommand.Create(terminal, stop), MergeWords, terminal, stop);
        Command run = StudyRunCommand.Create(terminal, CommandLine.AllVerbs, stop);
        // Without a part it trains nothing any more, and writes the results of all.
        yield return Spread("study", ["study", "run"], run, words => words, terminal, stop);
    }

    /// <summary>A verb of mamba with the options of a cluster.</summary>
    /// <param name="name">Its name here.</param>
    /// <param name="verb">Its words in mamba.</param>
    /// <param name="own">Its arguments and options.</param>
    /// <param name="last">What joins the parts, of the words; none if nothing has to.</param>
    /// <param name="terminal">Where results go.</param>
    /// <param name="stop">Stops it.</param>
    private static Command Spread(
        string name, string[] verb, Command own, Func<string[], string[]> last, Terminal terminal, CancellationToken stop)
    {
        JoinOptions join = new();
        Option<int?> parts = Options.Integer("--parts", "Parts to cut the work into.", "8", 1, JobPart.MaxCount);
        Option<int?> nodes = Options.Integer("--nodes", "Nodes to wait for.", "0", 0, 4096);
        Option[] added = [parts, nodes, .. join.All];
        Command command = new(
            name, $"As 'mamba {string.Join(' ', verb)}', in parts that the nodes of a cluster take from a queue.\n" +
            "All machines see the same folders. A part whose node dies is done by another one.");
        foreach (Argument argument in own.Arguments) command.Add(argument);
        foreach (Option option in own.Options.Where(o => o.Name != Part).Concat(added)) command.Add(option);
        command.SetAction(typed =>
        {
            string[] words = [.. verb, .. Without(typed, [.. added.Select(o => o.Name)])];
            if (name != "study" && !words.Contains(Out)) throw new ArgumentException($"--out is missing; expected a folder that all see");
            SiloSettings settings = join.Settings(typed, SiloRole.Coordinator, null);
            string[] each = name == "eval" ? PartWords(words) : words;
            int code = Run(terminal, settings, each, typed.GetValue(parts) ?? 8, typed.GetValue(nodes) ?? 0, stop);
            string[] joining = code == ExitCode.Success ? last(words) : [];
            return joining.Length == 0 ? code : CommandLine.Run(joining, terminal, stop);
        });
        return command;
    }

    private static int Run(Terminal terminal, SiloSettings settings, string[] words, int parts, int nodes, CancellationToken stop)
    {
        ClusterSilo silo = ClusterSilo.Start(settings, null, stop).GetAwaiter().GetResult();
        try
        {
            PartQueue queue = new(silo, terminal, words, parts);
            int code = queue.Run(nodes, stop).GetAwaiter().GetResult();
            if (code == ExitCode.Success)
                terminal.WriteLine($"all {parts} parts are done: " + string.Join(
                    ", ", queue.Done.OrderBy(d => d.Key).Select(d => FormattableString.Invariant($"{d.Value} by {d.Key}"))));
            return code;
        }
        finally
        {
            silo.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    /// <summary>What prints the scores of all parts.</summary>
    private static string[] MergeWords(string[] words) =>
        ["eval", Merge, words[Array.IndexOf(words, Out) + 1], .. words.Except(PartWords(words))];

    /// <summary>The words of eval for a part, which prints no scores.</summary>
    private static string[] PartWords(string[] words) =>
        [.. words.Where((word, i) => word is not (Json or PerImage) && (i == 0 || words[i - 1] != PerImage))];

    /// <summary>The words after the verb, without some options and their values.</summary>
    private static IEnumerable<string> Without(ParseResult typed, string[] options)
    {
        bool value = false;
        foreach (Token token in typed.Tokens.Skip(1))
        {
            if (token.Type == TokenType.Option) value = options.Contains(token.Value);
            if (!value) yield return token.Value;
            else if (token.Type == TokenType.Argument) value = false;
        }
    }
}
