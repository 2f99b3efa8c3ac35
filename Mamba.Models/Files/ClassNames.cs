using System.Globalization;
using System.Text;
using Mamba.Models.Data;
using Mamba.Models.Data.Labels;

namespace Mamba.Models.Files;

/// <summary>A text file with the names of a model's classes.</summary>
public static class ClassNames
{
    private const long MaxBytes = 1 << 24;

    /// <summary>Reads a name a line, in the order of the classes; or <c>INDEX NAME</c> in any order. Empty lines are passed over.</summary>
    /// <param name="path">The file, in UTF-8.</param>
    /// <returns>The names by class.</returns>
    /// <exception cref="DatasetException">It cannot be read, holds no name, or its indices are not 0, 1, 2, ...</exception>
    public static IReadOnlyList<string> Read(string path)
    {
        string text = Encoding.UTF8.GetString(LabelFile.ReadAll(path, MaxBytes)).TrimStart('\uFEFF');
        string[] lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (lines.Length == 0) throw new DatasetException($"{path}: no names of classes; expected one a line, or INDEX NAME");
        (int Index, string Name)?[] numbered = Array.ConvertAll(lines, Numbered);
        if (numbered.Contains(null)) return lines;
        string[] names = new string[lines.Length];
        foreach ((int index, string name) in numbered.Select(entry => entry!.Value))
        {
            if (index >= names.Length || names[index] is not null)
            {
                string problem = index < names.Length ? "is there twice" : $"is too large for {names.Length} lines";
                throw new DatasetException(
                    $"{path}: index {index} of '{name}' {problem}; expected each from 0 to {names.Length - 1} once");
            }
            names[index] = name;
        }
        return names;
    }

    private static (int Index, string Name)? Numbered(string line)
    {
        int space = line.AsSpan().IndexOfAny(' ', '\t');
        return space > 0 && int.TryParse(line.AsSpan(0, space), NumberStyles.None, CultureInfo.InvariantCulture, out int index)
            ? (index, line[space..].Trim())
            : null;
    }
}
