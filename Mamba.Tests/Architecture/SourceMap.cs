using System.Text.RegularExpressions;

namespace Mamba.Tests.Architecture;

/// <summary>A source file and where it belongs.</summary>
/// <param name="Path">Relative to the root of the sources.</param>
/// <param name="Project">Its project.</param>
/// <param name="Part">Its part; null if the table does not place it.</param>
/// <param name="Namespace">Its namespace.</param>
/// <param name="Text">Its lines, with comments and the contents of strings blanked.</param>
internal sealed record SourceFile(string Path, SourceProject Project, SourcePart? Part, string Namespace, string[] Text);

/// <summary>A place where one part names another.</summary>
/// <param name="Path">The file.</param>
/// <param name="Line">The line, from 1.</param>
/// <param name="From">The part of the file.</param>
/// <param name="To">The part that is named.</param>
/// <param name="What">What stands there.</param>
internal sealed record SourceArrow(string Path, int Line, SourcePart From, SourcePart To, string What)
{
    public override string ToString() => $"{Path}({Line}): {From.Name} knows {To.Name}: {What}";
}

/// <summary>Reads sources, places them in the parts of a table, and finds which part names which.</summary>
internal sealed partial class SourceMap
{
    private readonly IReadOnlyList<SourceProject> _projects;
    private readonly Dictionary<SourcePart, SourceProject> _projectOf = [];
    private readonly ILookup<string, SourceFile> _byNamespace;
    private readonly Dictionary<string, List<SourceFile>> _types = [];

    public SourceMap(IReadOnlyList<SourceProject> projects, string root)
    {
        _projects = projects;
        foreach (SourceProject project in projects)
            foreach (SourcePart part in project.Parts) _projectOf.Add(part, project);
        Files = [.. projects.SelectMany(project => Read(project, root))];
        _byNamespace = Files.ToLookup(f => f.Namespace);
        foreach (SourceFile file in Files)
            foreach (Match type in file.Text.SelectMany(line => Declaration().Matches(line)))
            {
                if (!_types.TryGetValue(type.Groups[1].Value, out List<SourceFile>? declared))
                    _types.Add(type.Groups[1].Value, declared = []);
                declared.Add(file);
            }
        Arrows = [.. Files.Where(f => f.Part is not null).SelectMany(ArrowsOf).DistinctBy(a => (a.Path, a.Line, a.To, a.What))];
    }

    public IReadOnlyList<SourceFile> Files { get; }

    /// <summary>Every place where a part names another one.</summary>
    public IReadOnlyList<SourceArrow> Arrows { get; }

    /// <summary>Whether the table allows one part to know another.</summary>
    public bool MayKnow(SourcePart from, SourcePart to)
    {
        int own = Index(_projectOf[from]), other = Index(_projectOf[to]);
        return other < own || (other == own && from.Knows.Any(k => Covers(k, to.Name)));

        int Index(SourceProject project)
        {
            for (int i = 0; i < _projects.Count; i++)
                if (_projects[i] == project) return i;
            return -1;
        }
    }

    /// <summary>
    /// Whether a word of <see cref="SourcePart.Knows"/> stands for a part: by its name, or as <c>Kernels.*</c> for all that begin so.
    /// </summary>
    public static bool Covers(string known, string part) =>
        known.EndsWith(".*", StringComparison.Ordinal) ? part.StartsWith(known[..^1], StringComparison.Ordinal) : known == part;

    private static IEnumerable<SourceFile> Read(SourceProject project, string root)
    {
        string[] paths = Directory.GetFiles(Path.Combine(root, project.Name), "*.cs", SearchOption.AllDirectories);
        foreach (string path in paths.Order(StringComparer.Ordinal))
        {
            string inside = Path.GetRelativePath(Path.Combine(root, project.Name), path).Replace(Path.DirectorySeparatorChar, '/');
            if (inside.Split('/').Any(folder => folder is "bin" or "obj")) continue; // of programs in folders of their own as well
            SourcePart? part = project.Parts.SelectMany(p => p.Paths.Select(prefix => (Part: p, Prefix: prefix)))
                .Where(p => inside == p.Prefix || inside.StartsWith(p.Prefix + '/', StringComparison.Ordinal))
                .OrderByDescending(p => p.Prefix.Length).FirstOrDefault().Part;
            string text = CommentOrString().Replace(File.ReadAllText(path), Blank);
            yield return new SourceFile(
                $"{project.Name}/{inside}", project, part, NamespaceOf().Match(text).Groups[1].Value, text.Split('\n'));
        }
    }

    /// <summary>
    /// Spaces in place of a comment or a string, so that lines keep their numbers. What an interpolated string computes is left.
    /// </summary>
    private static string Blank(Match match)
    {
        bool interpolated = match.Value[0] == '$';
        int depth = 0;
        char[] blanked = match.Value.ToCharArray();
        for (int i = 0; i < blanked.Length; i++)
        {
            if (interpolated && match.Value[i] == '{') depth++;
            if (interpolated && match.Value[i] == '}') depth--;
            if (blanked[i] != '\n' && depth <= 0) blanked[i] = ' ';
        }
        return new string(blanked);
    }

    private IEnumerable<SourceArrow> ArrowsOf(SourceFile file)
    {
        // A namespace with files of one part stands for that part; in one with files of several parts, the names of types tell.
        HashSet<string> visible = [.. Around(file.Namespace)];
        for (int i = 0; i < file.Text.Length; i++)
        {
            if (UsingLine().Match(file.Text[i]) is not { Success: true } match) continue;
            string name = match.Groups[1].Value;
            string space = Longest(name);
            SourcePart[] targets =
                [.. PartsIn(space) is [var only] ? [only] : name == space ? [] : Declaring(space, name[(space.Length + 1)..])];
            foreach (SourceArrow arrow in To(targets, i, file.Text[i].Trim())) yield return arrow;
            if (name == space) visible.Add(space);
        }
        for (int i = 0; i < file.Text.Length; i++)
        {
            if (UsingLine().IsMatch(file.Text[i]) || NamespaceOf().IsMatch(file.Text[i])) continue;
            foreach (Match match in Name().Matches(file.Text[i]))
            {
                string[] words = match.Value.Split('.');
                foreach (SourceArrow arrow in To(Declaring(visible, words[0]), i, words[0])) yield return arrow;
                foreach (SourceArrow arrow in To(Qualified(visible, words), i, match.Value)) yield return arrow;
            }
        }

        IEnumerable<SourceArrow> To(IEnumerable<SourcePart> parts, int line, string what) =>
            parts.Where(p => p != file.Part).Distinct().Select(p => new SourceArrow(file.Path, line + 1, file.Part!, p, what));
    }

    /// <summary>The parts with files in a namespace.</summary>
    private SourcePart[] PartsIn(string space) => [.. _byNamespace[space].Select(f => f.Part).OfType<SourcePart>().Distinct()];

    /// <summary>The parts that declare the type of a name with its namespace, which may be told from a visible one on.</summary>
    private IEnumerable<SourcePart> Qualified(HashSet<string> visible, string[] words)
    {
        for (int count = words.Length - 1; count > 0; count--)
        {
            string inner = string.Join('.', words[..count]);
            foreach (string space in visible.Select(v => $"{v}.{inner}").Append(inner))
                if (_byNamespace.Contains(space)) return Declaring([space], words[count]);
        }
        return [];
    }

    private IEnumerable<SourcePart> Declaring(string space, string type) => Declaring([space], type.Split('.')[0]);

    /// <summary>The parts that declare a type of this name in one of the namespaces.</summary>
    private IEnumerable<SourcePart> Declaring(ICollection<string> spaces, string type) =>
        _types.TryGetValue(type, out List<SourceFile>? files)
            ? files.Where(f => spaces.Contains(f.Namespace)).Select(f => f.Part).OfType<SourcePart>()
            : [];

    /// <summary>The longest beginning of a qualified name that is a namespace of the sources; "" if none is.</summary>
    private string Longest(string name)
    {
        for (; name.Length > 0; name = name.LastIndexOf('.') is > 0 and var dot ? name[..dot] : "")
            if (_byNamespace.Contains(name)) return name;
        return "";
    }

    private static IEnumerable<string> Around(string space)
    {
        for (; space.Length > 0; space = space.LastIndexOf('.') is > 0 and var dot ? space[..dot] : "") yield return space;
    }

    [GeneratedRegex(@"^namespace ([\w.]+)", RegexOptions.Multiline)]
    private static partial Regex NamespaceOf();

    [GeneratedRegex(@"^using (?:static )?(?:\w+ = )?([\w.]+);")]
    private static partial Regex UsingLine();

    [GeneratedRegex(@"^(?:public|internal)[\w ]*? (?:class|struct|record|enum|interface|delegate [\w<>\[\]?]+) (?:struct |class )?(\w+)")]
    private static partial Regex Declaration();

    [GeneratedRegex(@"(?<![\w.])[A-Z]\w*(?:\.[A-Z]\w*)*")]
    private static partial Regex Name();

    [GeneratedRegex("""
        \$*\"{3,}[\s\S]*?\"{3,} | \$?@?\"(?:\\.|[^\"\\\n])*\" | '(?:\\.|[^'\\\n])+' | //[^\n]* | /\*[\s\S]*?\*/
        """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex CommentOrString();
}
