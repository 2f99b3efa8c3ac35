using System.Globalization;
using System.Text;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// Signals as text: a line a sample, its channels between commas, semicolons or tabs, the same in all lines. A first line of names, one a
/// channel, is skipped. Numbers have a decimal point.
/// </summary>
public static class CsvSignal
{
    private static readonly char[] s_separators = [',', ';', '\t'];

    // What programs write for a value that is missing or not finite: data, not a name.
    private static readonly HashSet<string> s_missing = new(StringComparer.OrdinalIgnoreCase)
    {
        "na", "n/a", "#n/a", "nan", "null", "nil", "none", "missing", "undefined", "inf", "infinity",
    };

    /// <summary>Reads a file.</summary>
    /// <param name="path">What errors call it.</param>
    /// <param name="file">The file, at its start.</param>
    /// <returns>The signal; it may be empty.</returns>
    /// <exception cref="DatasetException">It cannot be read, a value is no finite number, or lines differ in their number of values or in
    /// what separates them.</exception>
    public static Signal Read(string path, Stream file)
    {
        byte[] bytes = DataFile.Read(path, file, 0, _ => file.Length);
        ReadOnlySpan<byte> utf8 = bytes.AsSpan().StartsWith("\uFEFF"u8) ? bytes.AsSpan(3) : bytes;
        List<float> values = [];
        int channels = 0, line = 0, names = 0;
        char? separator = null;
        foreach (Range range in utf8.Split((byte)'\n'))
        {
            line++;
            string text = Encoding.Latin1.GetString(utf8[range]).Trim(' ', '\r'); // a tab at the end of a line stands before a value
            if (text.Length == 0) continue;
            string[] cells = text.Contains('"') ? Quoted(text) : text.Split(s_separators);
            if (channels == 0 && names == 0 && IsHeader(cells))
            {
                names = cells.Length;
                continue;
            }
            ThrowIfMixed(path, line, text, ref separator);
            if (channels == 0 && names > 0 && cells.Length != names)
                throw new DatasetException(
                    $"{path}: the first line has {names} names, line {line} {cells.Length} values; expected a name for each channel.");
            if (channels == 0) channels = cells.Length;
            if (cells.Length != channels || channels > Signal.MostChannels)
                throw new DatasetException(
                    $"{path}: line {line} has {cells.Length} values; expected {Math.Min(channels, Signal.MostChannels)}.");
            for (int i = 0; i < cells.Length; i++)
            {
                if (i > 0 && separator == ',' && IsFraction(cells[i]))
                    throw new DatasetException(
                        $"{path}: line {line}: '{Short(cells[i - 1])},{Short(cells[i])}' looks like a decimal comma; expected decimals "
                            + $"with a point, as in 0.5.");
                values.Add(Value(path, line, cells[i]));
            }
        }
        return new Signal([.. values], Math.Max(1, channels), null) { HasHeader = names > 0 };
    }

    /// <summary>The cells of a line in which quotes may hold separators.</summary>
    private static string[] Quoted(string text)
    {
        List<string> cells = [];
        int from = 0;
        bool quoted = false;
        for (int i = 0; i < text.Length; i++)
            if (text[i] == '"') quoted = !quoted;
            else if (!quoted && s_separators.Contains(text[i]))
            {
                cells.Add(text[from..i]);
                from = i + 1;
            }
        return [.. cells, text[from..]];
    }

    /// <summary>
    /// Whether a line names channels. Data gone wrong must not be taken for names: a name has a letter, begins as no number does, and is no
    /// word for a missing value. A program may leave the name of its index empty.
    /// </summary>
    private static bool IsHeader(string[] cells)
    {
        string[] names = [.. cells.Select(cell => cell.Trim().Trim('"', '\'').Trim()).Where(name => name.Length > 0)];
        return names.Length > 0 && names.All(name => name.Any(char.IsLetter) && !char.IsAsciiDigit(name.TrimStart('+', '-', '.', ' ')
            .FirstOrDefault()) && !s_missing.Contains(name.TrimStart('+', '-')));
    }

    /// <summary>A file has one separator: with two, one of them is a decimal comma or a separator of thousands.</summary>
    private static void ThrowIfMixed(string path, int line, string text, ref char? separator)
    {
        foreach (char c in text)
        {
            if (!s_separators.Contains(c)) continue;
            separator ??= c;
            if (c != separator)
                throw new DatasetException(
                    $"{path}: line {line} has a {NameOf(c)} where a {NameOf(separator.Value)} separated values before; expected one kind "
                        + $"of separator, and decimals with a point, as in 0.5.");
        }

        static string NameOf(char c) => c switch { ',' => "comma", ';' => "semicolon", _ => "tab" };
    }

    /// <summary>Digits after a decimal comma: no program writes a whole number as 05.</summary>
    private static bool IsFraction(string cell) => cell.Length > 1 && cell[0] == '0' && cell.All(char.IsAsciiDigit);

    private static string Short(string cell) => cell[..Math.Min(cell.Length, 20)];

    private static float Value(string path, int line, string cell) =>
        float.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out float value) && float.IsFinite(value)
            ? value
            : throw new DatasetException($"{path}: line {line}: '{Short(cell)}' is no finite number.");
}
