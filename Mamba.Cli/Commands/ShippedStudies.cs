using Mamba.Models.Studies;
using Mamba.Models.Words;

namespace Mamba.Cli.Commands;

/// <summary>The studies that are built in, by name.</summary>
internal static class ShippedStudies
{
    private const string Prefix = "Studies.", Suffix = ".json";

    /// <summary>Their names.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        .. typeof(ShippedStudies).Assembly.GetManifestResourceNames().Where(n => n.StartsWith(Prefix, StringComparison.Ordinal))
            .Select(n => n[Prefix.Length..^Suffix.Length]).Order(StringComparer.Ordinal),
    ];

    /// <summary>Reads a study.</summary>
    /// <param name="name">A file, or the name of one that is built in.</param>
    /// <exception cref="StudyException">There is none of that name, or it is malformed.</exception>
    public static Study Load(string name)
    {
        if (File.Exists(name)) return StudyFile.Read(name);
        if (!Names.Contains(name))
        {
            string meant = EditDistance.Meant(name, Names);
            throw new StudyException(
                $"{name}: no such study{(meant.Length > 0 ? meant : $"; expected a file, or one of {string.Join(", ", Names)}")}");
        }
        using Stream stream = typeof(ShippedStudies).Assembly.GetManifestResourceStream(Prefix + name + Suffix)!;
        using MemoryStream bytes = new();
        stream.CopyTo(bytes);
        return StudyFile.Parse(name, bytes.ToArray());
    }
}
