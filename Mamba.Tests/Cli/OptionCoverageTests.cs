using System.CommandLine;
using System.Reflection;
using Mamba.Cli;
using Mamba.Cli.Commands;

namespace Mamba.Tests.Cli;

/// <summary>Every option of every verb is typed by a test, short to read, and in docs/options.md.</summary>
internal sealed class OptionCoverageTests
{
    private static readonly RootCommand s_tree = CommandLine.Tree(new Terminal(TextWriter.Null, TextWriter.Null), CancellationToken.None);

    public static IEnumerable<TestCaseData> AllOptions => Verbs.SelectMany(verb => verb.Command.Options.Select(option =>
        new TestCaseData(verb.Name, option).SetArgDisplayNames(verb.Name, option.Name)));

    /// <summary>The commands without commands of their own, by the words that call them: "train", "study run".</summary>
    public static IEnumerable<Verb> Verbs => s_tree.Subcommands.SelectMany(command => command.Subcommands.Count == 0
        ? [new Verb(command.Name, command)]
        : command.Subcommands.Select(own => new Verb($"{command.Name} {own.Name}", own)));

    [TestCaseSource(nameof(AllOptions))]
    public void A_test_types_the_option(string verb, Option option) =>
        Assert.That(
            Claims().Any(c => c.Verb == verb && c.Options.Contains(option.Name)),
            $"no test has [Exercises(\"{verb}\", \"{option.Name}\")]");

    [Test]
    public void A_test_names_only_options_that_there_are() => Assert.That(
        Claims().SelectMany(c => c.Options.Select(option => $"{c.Verb} {option}")).Distinct(),
        Is.SubsetOf(Verbs.SelectMany(verb => verb.Command.Options.Select(o => $"{verb.Name} {o.Name}"))));

    [TestCaseSource(nameof(AllOptions))]
    public void A_description_is_a_short_sentence(string verb, Option option)
    {
        string text = option.Description!.Split(Options.DefaultMark)[0];
        if (option.Name != "--recipe") Assert.That(text.Split(' '), Has.Length.AtMost(7), $"{verb} {option.Name}: {text}");
        Assert.That(text, Does.Match("^[A-Z]").And.EndsWith("."));
    }

    [TestCaseSource(nameof(Verbs))]
    public void Help_gives_an_example_of_the_verb_and_fits_the_documents(Verb verb)
    {
        using StringWriter output = new();
        string[] words = [.. verb.Name.Split(' '), "--help"];
        Assert.That(CommandLine.Run(words, new Terminal(output, TextWriter.Null), CancellationToken.None), Is.Zero);
        Assert.That(output.ToString(), Does.Contain($"Example: mamba {verb.Name}"));
        foreach (Option option in verb.Command.Options.Where(o => o is not System.CommandLine.Help.HelpOption))
            Assert.That(output.ToString(), Does.Contain(option.Name).And.Contain(option.Description));
    }

    [TestCaseSource(nameof(Verbs))]
    public void The_page_of_options_is_that_of_the_command_tree(Verb verb)
    {
        string page = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "docs", "options.md")).ReplaceLineEndings("\n");
        string section = page.Split("\n## ").Single(s => s.StartsWith($"`mamba {verb.Name}`\n", StringComparison.Ordinal));
        string[] rows = [.. section.Split('\n').Where(line => line.StartsWith("| `", StringComparison.Ordinal))];
        Assert.That(rows, Is.EqualTo(Rows(verb.Command)), "docs/options.md");
        string example = verb.Command.Description!.Split("Example: ")[1].Split('\n')[0];
        Assert.That(section, Does.Contain($"    {example}\n"), "docs/options.md has the example of the help page");
    }

    /// <summary>A row per argument and option: how it is typed, what it does, its default.</summary>
    private static IEnumerable<string> Rows(Command verb)
    {
        foreach (Argument argument in verb.Arguments)
            yield return $"| `{argument.Name.Replace("|", "\\|")}` | {argument.Description} | required |";
        foreach (Option option in verb.Options.Where(o => o is not System.CommandLine.Help.HelpOption))
        {
            string[] parts = option.Description!.Split(Options.DefaultMark);
            string value = option.HelpName is { } name ? " " + name.Replace("|", "\\|") : "";
            string otherwise = option.Required ? "required" : parts.Length > 1 ? parts[1][..^1] : value.Length == 0 ? "off" : "none";
            yield return $"| `{option.Name}{value}` | {parts[0]} | {otherwise} |";
        }
    }

    /// <summary>A command, and the words that call it.</summary>
    internal sealed record Verb(string Name, Command Command)
    {
        public override string ToString() => Name;
    }

    private static IEnumerable<ExercisesAttribute> Claims() => typeof(CliTest).Assembly.GetTypes()
        .Where(type => type.IsSubclassOf(typeof(CliTest)))
        .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Instance))
        .SelectMany(method => method.GetCustomAttributes<ExercisesAttribute>());
}
