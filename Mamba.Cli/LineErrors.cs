using System.CommandLine;
using System.CommandLine.Parsing;
using Mamba.Models.Words;

namespace Mamba.Cli;

/// <summary>Finds what is wrong with the words of a command line, and says what to type instead.</summary>
internal static class LineErrors
{
    private const string Dashes = "--";

    /// <summary>Describes the first error: a word without a meaning, or what is missing or wrong.</summary>
    /// <param name="args">The words.</param>
    /// <param name="parsed">What they were parsed to.</param>
    /// <returns>What is wrong and what to type instead; null if nothing is.</returns>
    /// <remarks>A misspelled word leaves something else missing as well; the word is what the user can see.</remarks>
    public static string? Find(string[] args, ParseResult parsed) =>
        Misspelled(args, parsed)
        ?? (parsed.Errors is [ParseError first, ..] ? Missing(first, parsed.CommandResult) ?? first.Message : null);

    /// <summary>An argument or an option that the command must have; null if the error is another one.</summary>
    private static string? Missing(ParseError error, CommandResult result)
    {
        Command command = result.Command;
        string? missing = error.SymbolResult is ArgumentResult { Tokens.Count: 0, Parent: CommandResult, Argument: var argument }
            ? $"<{argument.HelpName ?? argument.Name}>"
            : command.Options.FirstOrDefault(o => o.Required && result.GetResult(o) is null or { Implicit: true })?.Name;
        return missing is null ? null : $"{missing} of '{NameOf(command)}' is missing; see {Help(command)}";
    }

    private static string? Misspelled(string[] args, ParseResult parsed)
    {
        Command command = parsed.CommandResult.Command;
        if (!command.TreatUnmatchedTokensAsErrors) return null; // it says by itself what is wrong
        string[] options = [.. Known(parsed.CommandResult)];
        // The parser takes '--epoch' for the value of an option or of an argument before it, where there is one.
        foreach (string word in args.TakeWhile(word => word != Dashes).Where(word => word.StartsWith(Dashes, StringComparison.Ordinal)))
        {
            string name = word.Split('=', 2)[0];
            if (!options.Contains(name)) return Option(name, command, options);
        }
        if (parsed.UnmatchedTokens is not [string first, ..]) return null;
        if (first.StartsWith('-')) return Option(first.Split('=', 2)[0], command, options);
        if (command.Subcommands.Count == 0) return $"'{first}': unexpected argument of '{NameOf(command)}'; see {Help(command)}";
        return $"'{first}': unknown command{Hint(EditDistance.Meant(first, command.Subcommands.Select(c => c.Name)), command)}";
    }

    private static string Option(string name, Command command, string[] options)
    {
        if (name is "--device" or "--gpu" or "--cuda") return $"{name}: mamba runs on the CPU only; leave the option out";
        return $"{name}: unknown option of '{NameOf(command)}'{Hint(EditDistance.Meant(name, options), command)}";
    }

    /// <summary>What to type next.</summary>
    private static string Hint(string meant, Command command) => $"{(meant.Length > 0 ? $"{meant} See" : "; see")} {Help(command)}";

    private static IEnumerable<string> Known(CommandResult result)
    {
        foreach (Option option in result.Command.Options) yield return option.Name;
        for (SymbolResult? at = result.Parent; at is not null; at = at.Parent)
            if (at is CommandResult parent)
                foreach (Option option in parent.Command.Options.Where(o => o.Recursive)) yield return option.Name;
    }

    private static string Help(Command command) => command is RootCommand ? "mamba --help" : $"mamba {NameOf(command)} --help";

    /// <summary>The words that call a command, such as "study run".</summary>
    private static string NameOf(Command command) => command is RootCommand ? "mamba"
        : command.Parents.OfType<Command>().FirstOrDefault() is { } parent and not RootCommand ? $"{NameOf(parent)} {command.Name}"
        : command.Name;
}
