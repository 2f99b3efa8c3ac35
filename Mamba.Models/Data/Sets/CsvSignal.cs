using System.Globalization;
using System.Text;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// Signals as text: a line a sample, its channels between commas, semicolons or tabs. A first line of names is passed over. Numbers have a
/// decimal point.
/// </summary>
public static class CsvSignal
{
    private static readonly char[] s_separators = [',', ';', '\t'];

    /// <summary>Reads a file.</summary>
    /// <param name="path">What errors call it.</param>
    /// <param name="file">The file, at its start.</param>
    /// <returns>The signal; it may be empty.</returns>
    /// <exception cref="DatasetException">It cannot be read, a value is no finite number, or lines differ in their number of
    /// values.</exception>
    public static Signal Read(string path, Stream file)
    {
        byte[] bytes = DataFile.Read(path, file, 0, _ => file.Length);
        ReadOnlySpan<byte> utf8 = bytes.AsSpan().StartsWith("\uFEFF"u8) ? bytes.AsSpan(3) : bytes;
        List<float> values = [];
        int channels = 0, line = 0;
        bool named = false;
        foreach (Range range in utf8.Split((byte)'\n'))
        {
            line++;
            string text = Encoding.Latin1.GetString(utf8[range]).Trim();
            if (text.Length == 0) continue;
            string[] cells = text.Split(s_separators);
            if (channels == 0 && !named && !cells.Any(IsNumber))
            {
                named = true;
                continue;
            }
            if (channels == 0) channels = cells.Length;
            if (cells.Length != channels || channels > Signal.MostChannels)
                throw new DatasetException(
                    $"{path}: line {line} has {cells.Length} values; expected {Math.Min(channels, Signal.MostChannels)}.");
            foreach (string cell in cells) values.Add(Value(path, line, cell));
        }
        return new Signal([.. values], Math.Max(1, channels), null);
    }

    private static bool IsNumber(string cell) => float.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out _);

    private static float Value(string path, int line, string cell) =>
        float.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out float value) && float.IsFinite(value)
            ? value
            : throw new DatasetException($"{path}: line {line}: '{cell[..Math.Min(cell.Length, 20)]}' is no finite number.");
}
