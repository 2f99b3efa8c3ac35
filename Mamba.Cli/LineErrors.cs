using System.CommandLine;
using System.CommandLine.Parsing;
using Mamba.Models.Words;

namespace Mamba.Cli;

/// <summary>Finds what is wrong with the words of a command line, and says what to type instead.</summary>
internal static class LineErrors
{
    private const string Dashes = "--", Own = "mamba";

    /// <summary>Describes the first error: a word without a meaning, or what is missing or wrong.</summary>
    /// <param name="args">The words.</param>
    /// <param name="parsed">What they were parsed to.</param>
    /// <param name="program">What the program is called.</param>
    /// <returns>What is wrong and what to type instead; null if nothing is.</returns>
    /// <remarks>A misspelled word leaves something else missing as well; the word is what the user can see.</remarks>
    public static string? Find(string[] args, ParseResult parsed, string program = Own) =>
        Misspelled(args, parsed, program)
        ?? (parsed.Errors is [ParseError first, ..] ? Missing(first, parsed.CommandResult, program) ?? first.Message : null);

    /// <summary>An argument or an option that the command must have; null if the error is another one.</summary>
    private static string? Missing(ParseError error, CommandResult result, string program)
    {
        Command command = result.Command;
        string? missing = error.SymbolResult is ArgumentResult { Tokens.Count: 0, Parent: CommandResult, Argument: var argument }
            ? $"<{argument.HelpName ?? argument.Name}>"
            : command.Options.FirstOrDefault(o => o.Required && result.GetResult(o) is null or { Implicit: true })?.Name;
        return missing is null ? null : Missing(missing, command, program);
    }

    /// <summary>Says that an argument or an option is missing, and where to read about it.</summary>
    /// <param name="name">Its name, such as <c>--data</c>.</param>
    /// <param name="command">The command that needs it.</param>
    /// <param name="program">What the program is called.</param>
    /// <returns>The message.</returns>
    public static string Missing(string name, Command command, string program = Own) =>
        $"{name} of '{NameOf(command, program)}' is missing; see {Help(command, program)}";

    private static string? Misspelled(string[] args, ParseResult parsed, string program)
    {
        Command command = parsed.CommandResult.Command;
        if (!command.TreatUnmatchedTokensAsErrors) return null; // it says by itself what is wrong
        Option[] known = [.. Known(parsed.CommandResult)];
        string[] options = [.. known.Select(option => option.Name)];
        string before = "";
        // The parser takes '--epoch' for the value of an option or of an argument before it, where there is one.
        foreach (string word in args.TakeWhile(word => word != Dashes))
        {
            string name = word.Split('=', 2)[0], last = before;
            before = word;
            if (!word.StartsWith(Dashes, StringComparison.Ordinal) || options.Contains(name)) continue;
            if (word.Any(char.IsWhiteSpace) && known.Any(option => option.Name == last && IsText(option))) continue;
            return Option(name, command, options, program);
        }
        if (parsed.UnmatchedTokens is not [string first, ..]) return null;
        if (first.StartsWith('-')) return Option(first.Split('=', 2)[0], command, options, program);
        if (command.Subcommands.Count == 0)
            return $"'{first}': unexpected argument of '{NameOf(command, program)}'; see {Help(command, program)}";
        string meant = EditDistance.Meant(first, command.Subcommands.Select(c => c.Name));
        return $"'{first}': unknown command{Hint(meant, command, program)}";
    }

    /// <summary>Whether an option takes one value that may be any text, as a prompt. No name of an option has white space.</summary>
    private static bool IsText(Option option) => option.ValueType == typeof(string) && option.Arity.MaximumNumberOfValues == 1;

    private static string Option(string name, Command command, string[] options, string program)
    {
        if (name is "--device" or "--gpu" or "--cuda") return $"{name}: mamba runs on the CPU only; leave the option out";
        return $"{name}: unknown option of '{NameOf(command, program)}'{Hint(EditDistance.Meant(name, options), command, program)}";
    }

    /// <summary>What to type next.</summary>
    private static string Hint(string meant, Command command, string program) =>
        $"{(meant.Length > 0 ? $"{meant} See" : "; see")} {Help(command, program)}";

    private static IEnumerable<Option> Known(CommandResult result)
    {
        foreach (Option option in result.Command.Options) yield return option;
        for (SymbolResult? at = result.Parent; at is not null; at = at.Parent)
            if (at is CommandResult parent)
                foreach (Option option in parent.Command.Options.Where(o => o.Recursive)) yield return option;
    }

    private static string Help(Command command, string program) =>
        command is RootCommand ? $"{program} --help" : $"{program} {NameOf(command, program)} --help";

    /// <summary>The words that call a command, such as "study run".</summary>
    private static string NameOf(Command command, string program) => command is RootCommand ? program
        : command.Parents.OfType<Command>().FirstOrDefault() is { } parent and not RootCommand
            ? $"{NameOf(parent, program)} {command.Name}"
        : command.Name;
}
