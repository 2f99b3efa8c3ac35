using System.Text.RegularExpressions;
using Mamba.Tests.Support;

namespace Mamba.Tests.Architecture;

/// <summary>
/// The engine runs where .NET runs. It calls no native library, and no class of .NET that loads one which a minimal system lacks.
/// </summary>
internal sealed partial class PureManagedTests
{
    private static readonly string[] s_projects = ["Mamba.Core", "Mamba.Models", "Mamba.Cli"];

    // TLS is that of .NET, which needs the system's OpenSSL: mamba-cluster alone has it, and only if it is given certificates.
    private const string Tls = "Mamba.Cli/Cluster/Silos/Certificates.cs";

    // It names a training by a random number. Microsoft Orleans does so, too.
    private const string Cluster = "Mamba.Cli/Cluster/";

    [Test]
    public void No_file_reaches_for_native_code()
    {
        string[] files = [.. s_projects.SelectMany(SourceTree.Files).Where(f => f != Tls)];
        Assert.That(files, Has.Length.GreaterThan(200), "the sources were read");
        Assert.That(files.SelectMany(f => Found(f, File.ReadAllText(Path.Combine(SourceTree.Root, f)))), Is.Empty);
    }

    /// <summary>The search itself, on lines that it must find and on lines that it must pass over.</summary>
    [TestCase("using System.Security.Cryptography;", true)]
    [TestCase("byte[] d = System.Security.Cryptography.SHA256.HashData(b);", true)]
    [TestCase("using Hash = global::System.Security . Cryptography.SHA256;", true)]
    [TestCase("    [DllImport(\"libc\")]", true)]
    [TestCase("    [System.Runtime.InteropServices.DllImportAttribute(\"libc\")]", true)]
    [TestCase("    [LibraryImport(\"libc\", EntryPoint = \"getpid\")]", true)]
    [TestCase("nint h = NativeLibrary.Load(\"libc\");", true)]
    [TestCase("string name = $\".{Guid.NewGuid():N}\";", true)]
    [TestCase("string path = Path.GetRandomFileName();", true)]
    [TestCase("    // .NET's System.Security.Cryptography loads OpenSSL, by a DllImport", false)]
    [TestCase("/// <summary>Without System.Security.Cryptography.</summary>", false)]
    [TestCase("bool importsDll = names.Contains(\"DllImports\");", false)]
    public void The_search_finds_code_and_passes_over_comments(string line, bool expected) =>
        Assert.That(Found("File.cs", line).Any(), Is.EqualTo(expected));

    private static IEnumerable<string> Found(string file, string text) => text.Split('\n')
        .Select((line, index) => (Line: line.Trim(), Number: index + 1))
        .Where(l => !(file.StartsWith(Cluster, StringComparison.Ordinal) && l.Line.Contains("NewGuid")))
        .Where(l => !l.Line.StartsWith("//", StringComparison.Ordinal) && Native().IsMatch(l.Line))
        .Select(l => $"{file}({l.Number}): {l.Line}");

    // System.Security.Cryptography needs the system's OpenSSL on Linux, and so do random names; Mamba.Core.Checkpoints.Sha256 and
    // OutputPath.Unique take their place.
    [GeneratedRegex(
        @"\bSecurity\s*\.\s*Cryptography\b|\b(?:DllImport|LibraryImport)(?:Attribute)?\b|\bNativeLibrary\b"
            + @"|\bNewGuid\b|\bGetRandomFileName\b")]
    private static partial Regex Native();
}
