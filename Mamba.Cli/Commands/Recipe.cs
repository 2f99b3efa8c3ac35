using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.Json;
using Mamba.Models.Words;

namespace Mamba.Cli.Commands;

/// <summary>
/// A file with the options of a training run, named as on the command line: {"model": "unet", "lr": 3e-4}. It is read as if they had been
/// typed, so that the same checks hold. An option that is typed as well overrides the file. The recipes of the paper are built in, and
/// found by the model's name.
/// </summary>
internal static class Recipe
{
    private const string Prefix = "Recipes.", Suffix = ".json", Note = "note";

    /// <summary>What is looked at before a recipe is read.</summary>
    private static readonly string[] s_typed = ["recipe", "resume"];

    /// <summary>The names of the built-in recipes.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        .. typeof(Recipe).Assembly.GetManifestResourceNames().Where(n => n.StartsWith(Prefix, StringComparison.Ordinal))
            .Select(n => n[Prefix.Length..^Suffix.Length]).Order(StringComparer.Ordinal),
    ];

    /// <summary>Reads a recipe and puts its options before those that were typed.</summary>
    /// <param name="name">A file, or the name of a built-in recipe.</param>
    /// <param name="typed">What was typed.</param>
    /// <param name="terminal">Where a recipe's note goes.</param>
    /// <returns>All options together.</returns>
    /// <exception cref="ArgumentException">The recipe is malformed, or an option in it is.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static ParseResult Apply(string name, ParseResult typed, Terminal terminal) =>
        Apply(name, File.Exists(name) || !Names.Contains(name) ? Load(name) : BuiltIn(name), typed, terminal);

    /// <summary>As <see cref="Apply(string, ParseResult, Terminal)"/>, of the bytes of a recipe; the name is what errors call it.</summary>
    internal static ParseResult Apply(string name, byte[] bytes, ParseResult typed, Terminal terminal)
    {
        Command command = typed.CommandResult.Command;
        HashSet<string> given = [.. command.Options.Where(o => typed.GetResult(o) is { Implicit: false }).Select(o => o.Name)];
        List<string> words = [command.Name];
        string? note = null;
        foreach ((string key, string? value) in Parse(name, bytes))
        {
            if (key == Note) note = value;
            else if (s_typed.Contains(key))
                throw new ArgumentException($"{name}: '{key}' cannot stand in a recipe; type --{key} on the command line");
            else if (!command.Options.Any(o => o.Name == "--" + key)) throw Unknown(name, key, command);
            else if (value is not null && !given.Contains("--" + key))
                words.Add(
                    $"--{key}={value}"); // in one word, so that no value is taken for another option
        }
        foreach (Token token in typed.Tokens.Skip(1)) words.Add(token.Value);
        // Words of a file are words: none stands for a further file of them, as '@FILE' does when it is typed.
        ParseResult all = command.Parse([.. words.Skip(1)], new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (all.Errors.Count > 0) throw new ArgumentException($"{name}: {all.Errors[0].Message}");
        if (note is not null && !given.Contains("--init")) terminal.WriteLine($"note: {PlainText.Printable(note)}");
        return all;
    }

    /// <summary>The options of a recipe.</summary>
    /// <param name="name">What errors call it.</param>
    /// <param name="bytes">The whole file.</param>
    /// <returns>Names without dashes, in the order of the file, and what they are set to; null for what is left to its default.</returns>
    /// <exception cref="ArgumentException">The recipe is malformed.</exception>
    private static List<(string Key, string? Value)> Parse(string name, byte[] bytes)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(bytes);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new ArgumentException($"{name}: no recipe: expected a JSON object of options");
            List<(string Key, string? Value)> options = [];
            HashSet<string> seen = [];
            foreach (JsonProperty property in document.RootElement.EnumerateObject())
            {
                if (!seen.Add(property.Name)) throw new ArgumentException($"{name}: option '{property.Name}' is repeated");
                options.Add((property.Name, property.Value.ValueKind switch
                {
                    JsonValueKind.Null => null,
                    JsonValueKind.String => property.Value.GetString(),
                    JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => property.Value.GetRawText(),
                    JsonValueKind kind => throw new ArgumentException(
                        $"{name}: option '{property.Name}' is {kind}; expected a number, a string, true, false or null"),
                }));
            }
            return options;
        }
        catch (Exception e) when (
            e is JsonException or InvalidOperationException) // the latter for text that is no UTF-8, or half a surrogate pair
        {
            throw new ArgumentException($"{name}: no recipe: {e.Message}", e);
        }
    }

    private static byte[] Load(string path)
    {
        const int Limit = 1 << 20;
        FileInfo file = new(path);
        if (!file.Exists) throw new FileNotFoundException($"{path}: no such recipe; expected a file, or one of {string.Join(", ", Names)}");
        if (file.Length > Limit) throw new ArgumentException($"{path}: no recipe: {file.Length} bytes, expected at most {Limit}");
        return File.ReadAllBytes(path);
    }

    private static ArgumentException Unknown(string name, string key, Command command)
    {
        string meant = EditDistance.Meant(key, command.Options.Select(o => o.Name.TrimStart('-')));
        return new ArgumentException($"{name}: unknown option '{key}'{(meant.Length > 0 ? meant : $"; see mamba {command.Name} --help")}");
    }

    private static byte[] BuiltIn(string name)
    {
        using Stream stream = typeof(Recipe).Assembly.GetManifestResourceStream(Prefix + name + Suffix)!;
        using MemoryStream bytes = new();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
