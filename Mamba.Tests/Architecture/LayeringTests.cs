using System.Text.RegularExpressions;
using Mamba.Tests.Support;

namespace Mamba.Tests.Architecture;

/// <summary>
/// The sources against <see cref="Layers"/>. An arrow is a <c>using</c> line, a qualified name, or the bare name of a type in a namespace
/// that needs no <c>using</c>, which is the file's own or one around it.
/// </summary>
internal sealed partial class LayeringTests
{
    private static readonly string[] s_testFolders = ["Core", "Models", "Cli"];

    [Test]
    public void No_part_knows_one_that_it_may_not_know()
    {
        SourceMap map = new(Layers.Projects, SourceTree.Root);
        Assert.That(map.Files, Has.Count.GreaterThan(200), "the sources were read");
        Assert.That(string.Join("\n", map.Arrows.Where(a => !map.MayKnow(a.From, a.To))), Is.Empty);
    }

    [Test]
    public void A_part_may_know_only_parts_before_it()
    {
        foreach (SourceProject project in Layers.Projects)
            for (int i = 0; i < project.Parts.Length; i++)
            {
                string[] before = [.. project.Parts.Take(i).Select(p => p.Name)];
                Assert.That(
                    project.Parts[i].Knows.Where(k => !before.Any(b => SourceMap.Covers(k, b))), Is.Empty,
                    $"{project.Name}: {project.Parts[i].Name}");
            }
    }

    [Test]
    public void Every_file_belongs_to_a_part_and_every_path_of_a_part_is_there()
    {
        SourceMap map = new(Layers.Projects, SourceTree.Root);
        Assert.That(map.Files.Where(f => f.Part is null).Select(f => f.Path), Is.Empty, "files that Layers.cs does not place");
        foreach (SourceProject project in Layers.Projects)
            foreach (string path in project.Parts.SelectMany(p => p.Paths))
                Assert.That(Path.Exists(Path.Combine(SourceTree.Root, project.Name, path)), $"{project.Name}/{path}");
    }

    /// <summary>The map itself, on sources that break the rules in each way that it must see.</summary>
    [Test]
    public void An_arrow_upwards_is_found_with_its_file_and_line()
    {
        using TemporaryFolder folder = new();
        Write("Low/A.cs", "using Lib.High;\n\nnamespace Lib.Low;\n\ninternal class A;\n");
        Write("Low/B.cs", "namespace Lib.Low;\n\n// Root and Lib.High in a comment\n"
            + "internal class B\n{\n    private Root? _root; // a type of the namespace around\n}\n");
        Write("Low/C.cs", "namespace Lib.Low;\n\ninternal class C\n{\n    public string Text => \"Root Lib.High.D\";\n"
            + "    public object Make() => new Lib.High.D();\n}\n");
        Write("Low/E.cs", "using static Lib.High.D;\nusing Alias = Lib.High.D;\n\nnamespace Lib.Low;\n\ninternal class E;\n");
        Write("High/D.cs", "using Lib.Low;\n\nnamespace Lib.High;\n\ninternal class D : A;\n");
        Write("Low/F.cs", "namespace Lib.Low;\n\ninternal class F\n{\n    public string Text => $\"Root {new High.D()}\"; "
            + "/* Root\n    Root */ private F.Root? _root;\n}\n");
        Write("Root.cs", "namespace Lib;\n\ninternal class Root;\n");
        SourceProject lib = new("Lib", [new("Low", ["Low"], []), new("High", ["High"], ["Low"]), new("Top", ["Root.cs"], [])]);
        SourceMap map = new([lib], folder.Root);
        Assert.That(map.Arrows.Where(a => !map.MayKnow(a.From, a.To)).Select(a => a.ToString()), Is.EqualTo(new[]
        {
            "Lib/Low/A.cs(1): Low knows High: using Lib.High;",
            "Lib/Low/B.cs(6): Low knows Top: Root",
            "Lib/Low/C.cs(6): Low knows High: Lib.High.D",
            "Lib/Low/E.cs(1): Low knows High: using static Lib.High.D;",
            "Lib/Low/E.cs(2): Low knows High: using Alias = Lib.High.D;",
            "Lib/Low/F.cs(5): Low knows High: High.D",
        }));
        Assert.That(map.Arrows.Where(a => a.From.Name == "High").Select(a => a.To.Name), Is.All.EqualTo("Low").And.Not.Empty);

        void Write(string name, string text) => folder.Write($"Lib/{name}", System.Text.Encoding.UTF8.GetBytes(text));
    }

    [Test]
    public void Namespaces_follow_folders()
    {
        List<string> wrong = [];
        foreach (string project in Layers.Projects.Select(p => p.Name).Append("Mamba.Tests"))
            foreach (string path in SourceTree.Files(project).Where(p => !IsOtherProject(p)))
            {
                string folder = Path.GetDirectoryName(path)!.Replace('\\', '/');
                string expected = Layers.Namespaces.Where(n => folder == n.Key || folder.StartsWith(n.Key + '/', StringComparison.Ordinal))
                    .Select(n => n.Value)
                    .FirstOrDefault(folder.Replace('/', '.'));
                string found = Namespace().Match(File.ReadAllText(Path.Combine(SourceTree.Root, path))).Groups[1].Value;
                if (found != expected) wrong.Add($"{path}: namespace {found}; expected {expected}");
            }
        Assert.That(wrong, Is.Empty);
    }

    [Test]
    public void Tests_mirror_the_folders_of_the_sources()
    {
        foreach (string folder in s_testFolders)
        {
            string tests = Path.Combine(SourceTree.Root, "Mamba.Tests", folder), sources = Path.Combine(SourceTree.Root, "Mamba." + folder);
            foreach (string path in Directory.EnumerateDirectories(tests, "*", SearchOption.AllDirectories))
                Assert.That(
                    Directory.Exists(Path.Combine(sources, Path.GetRelativePath(tests, path))), $"{path} has no folder in Mamba.{folder}");
        }
    }

    /// <summary>Programs that stand in the tests' folder as projects of their own.</summary>
    private static bool IsOtherProject(string path) =>
        path.StartsWith("Mamba.Tests/", StringComparison.Ordinal)
            && path.Split('/')[1] is "Fuzz" or "Kill" or "Soak" or "Cluster" or "ClusterKill";

    [GeneratedRegex(@"^namespace ([\w.]+)", RegexOptions.Multiline)]
    private static partial Regex Namespace();
}
