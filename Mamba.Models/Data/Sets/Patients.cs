using System.Text.RegularExpressions;
using Mamba.Models.Data.Labels;

namespace Mamba.Models.Data.Sets;

/// <summary>Tells patients apart: by a table, by a pattern in names, or by folders.</summary>
internal static class Patients
{
    private static readonly TimeSpan s_patternTime = TimeSpan.FromSeconds(1);

    /// <summary>The patient of each image; null if nothing tells patients apart.</summary>
    /// <param name="root">What errors call the data.</param>
    /// <param name="names">The images' names, with '/' between folders.</param>
    /// <param name="options">The table or the pattern, if there is one.</param>
    /// <exception cref="DatasetException">The table or the pattern does not know an image's patient, or cannot be read.</exception>
    public static string[]? Of(string root, IReadOnlyList<string> names, DataOptions options) =>
        options.Patients is { } table ? FromTable(root, names, table)
        : options.PatientPattern is { } pattern ? FromPattern(root, names, pattern)
        : FromFolders(names);

    /// <summary>The outermost folder that varies, below the folders that stand for parts of a split.</summary>
    private static string[]? FromFolders(IReadOnlyList<string> names)
    {
        string[][] folders =
        [
            .. names.Select(name => name.Split('/')[..^1].Where(folder => FolderNames.PartOf(folder) is null).ToArray()),
        ];
        for (int level = 0; folders.Any(path => path.Length > level); level++)
        {
            string[] patients = [.. folders.Select(path => path.Length > level ? path[level] : ".")];
            if (patients.Distinct().Skip(1).Any()) return patients;
        }
        return null;
    }

    private static string[] FromPattern(string root, IReadOnlyList<string> names, string pattern)
    {
        try
        {
            Regex regex = new(pattern, RegexOptions.CultureInvariant, s_patternTime);
            return Known(root, names, name => regex.Match(name) is { Success: true } match
                ? match.Groups[match.Groups.Count > 1 ? 1 : 0].Value
                : null, $"the pattern '{pattern}'");
        }
        catch (Exception e) when (e is ArgumentException or RegexMatchTimeoutException)
        {
            throw new DatasetException($"{root}: the pattern '{pattern}' for patients cannot be used: {e.Message}", e);
        }
    }

    /// <summary>A table of NAME,PATIENT, or with a header; a name may lack its folders or have its extension.</summary>
    private static string[] FromTable(string root, IReadOnlyList<string> names, string table)
    {
        Dictionary<string, string> patients = new(StringComparer.Ordinal);
        (int nameColumn, int patientColumn, int columns) = (0, 1, 0);
        string[] lines = LabelFile.Lines(table);
        char separator = CsvLine.SeparatorOf(lines.FirstOrDefault() ?? "");
        foreach ((int row, string line) in lines.Index())
        {
            string[] fields = CsvLine.Split(line, separator)
                ?? throw new DatasetException($"{table}: '{line}'; expected quotes around whole fields, and each of them closed");
            if (row == 0) columns = fields.Length;
            else if (fields.Skip(columns).Any(field => field.Length > 0))
                throw new DatasetException(
                    $"{table}: '{line}' has {fields.Length} fields; expected {columns} as in the first line, and quotes around a field "
                        + $"that holds a '{separator}'");
            if (row == 0 && Column("patient", "patient_id", "patientid", "subject") is var patient and >= 0)
            {
                patientColumn = patient;
                nameColumn = Math.Max(0, Column("name", "image", "image_id", "file", "filename"));
                continue;
            }
            if (fields.Length <= Math.Max(nameColumn, patientColumn) || fields[nameColumn].Length == 0 || fields[patientColumn].Length == 0)
                throw new DatasetException($"{table}: '{line}'; expected NAME,PATIENT");
            if (row == 0 && fields.Length > 2)
                throw new DatasetException($"{table}: {fields.Length} columns; expected two, NAME,PATIENT, or a header that names "
                    + $"'patient'");
            if (patients.TryGetValue(fields[nameColumn], out string? other) && other != fields[patientColumn])
                throw new DatasetException($"{table}: '{fields[nameColumn]}' is of patient {other} and of {fields[patientColumn]}; "
                    + $"expected one");
            patients[fields[nameColumn]] = fields[patientColumn];

            int Column(params string[] words) => Array.FindIndex(fields, field => words.Contains(field.ToLowerInvariant()));
        }
        return Known(root, names, name => Keys(name).Select(patients.GetValueOrDefault).FirstOrDefault(p => p is not null), table);

        IEnumerable<string> Keys(string name)
        {
            string file = name[(name.LastIndexOf('/') + 1)..];
            foreach (string key in new[] { name, file })
            {
                yield return key;
                foreach (string extension in Formats.ImageFile.Extensions.Concat([".nii", ".nii.gz"])) yield return key + extension;
            }
        }
    }

    private static string[] Known(string root, IReadOnlyList<string> names, Func<string, string?> patient, string source)
    {
        string?[] patients = [.. names.Select(patient)];
        string[] unknown = [.. names.Where((_, i) => string.IsNullOrEmpty(patients[i]))];
        if (unknown.Length == 0) return patients!;
        throw new DatasetException(
            $"{root}: {source} names no patient of {unknown.Length} of {names.Count} images: {string.Join(", ", unknown.Take(3))}"
                + $"{(unknown.Length > 3 ? ", ..." : "")}; expected one for each");
    }
}
