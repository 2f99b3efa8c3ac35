using System.Globalization;
using System.Text;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// Signals as text: a line a sample, its channels between commas, semicolons or tabs, the same in all lines. Numbers have a decimal point,
/// and may be in quotes. A first line is skipped that names the channels, or numbers two or more of them 0, 1 and so on; two numbers
/// before nothing but whole numbers are a sample. Columns that tell the row are no channels: a first one without a name that counts the
/// rows, and one named time, timestamp, t or index whose values rise in each row; a model's channels decide where they are known.
/// <see cref="Signal.Notes"/> says what was skipped and left out.
/// </summary>
public static class CsvSignal
{
    private static readonly char[] s_separators = [',', ';', '\t'];

    private static readonly char[] s_units = ['(', '[']; // as in time (s)

    // What programs write for a value that is missing or not finite: data, not a name.
    private static readonly HashSet<string> s_missing = new(StringComparer.OrdinalIgnoreCase)
    {
        "na", "n/a", "#n/a", "nan", "null", "nil", "none", "missing", "undefined", "inf", "infinity",
    };

    private static readonly HashSet<string> s_rowNames = new(StringComparer.OrdinalIgnoreCase) { "time", "timestamp", "index" };

    /// <summary>Reads a file.</summary>
    /// <param name="path">What errors call it.</param>
    /// <param name="file">The file, at its start.</param>
    /// <param name="channels">
    /// The channels of a model, which decide whether columns that tell the row are left out; null where their values do.
    /// </param>
    /// <returns>The signal; it may be empty.</returns>
    /// <exception cref="DatasetException">It cannot be read, a value is no finite number, or lines differ in their number of values or in
    /// what separates them.</exception>
    public static Signal Read(string path, Stream file, int? channels = null)
    {
        byte[] bytes = DataFile.Read(path, file, 0, _ => file.Length);
        ReadOnlySpan<byte> utf8 = bytes.AsSpan().StartsWith("\uFEFF"u8) ? bytes.AsSpan(3) : bytes;
        Table table = new(path);
        int line = 0;
        foreach (Range range in utf8.Split((byte)'\n'))
            table.Add(++line, Encoding.Latin1.GetString(utf8[range]).Trim(' ', '\r')); // a tab at the end of a line stands before a value
        return table.ToSignal(channels);
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
        string[] names = [.. cells.Select(Bare).Where(name => name.Length > 0)];
        return names.Length > 0 && names.All(name => name.Any(char.IsLetter) && !char.IsAsciiDigit(name.TrimStart('+', '-', '.', ' ')
            .FirstOrDefault()) && !s_missing.Contains(name.TrimStart('+', '-')));
    }

    /// <summary>
    /// Whether a line numbers channels, as pandas writes an array: 0,1 and so on, after an empty name where there is an index. A single 0
    /// is a value.
    /// </summary>
    private static bool IsNumbered(string[] cells)
    {
        string[] names = Array.ConvertAll(cells, Bare);
        int from = names[0].Length == 0 ? 1 : 0;
        return names.Length >= 2 && names[from..].Index().All(n => n.Item == n.Index.ToString(CultureInfo.InvariantCulture));
    }

    private static string Bare(string cell) => cell.Trim().Trim('"', '\'').Trim();

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

    private static string Unquoted(string cell) => cell.Trim() is ['"', .. var inside, '"'] ? inside : cell;

    private static float Value(string path, int line, string cell) =>
        float.TryParse(Unquoted(cell), NumberStyles.Float, CultureInfo.InvariantCulture, out float value) && float.IsFinite(value)
            ? value
            : throw new DatasetException($"{path}: line {line}: '{Short(cell)}' is no finite number.");

    /// <summary>The lines of a file so far.</summary>
    private sealed class Table(string path)
    {
        private readonly List<float> _values = [];
        private string[]? _names;
        private bool _numbered;
        private readonly List<RowColumn> _rowColumns = [];
        private char? _separator;
        private int _columns;

        public void Add(int line, string text)
        {
            if (text.Length == 0) return;
            string[] cells = text.Contains('"') ? Quoted(text) : text.Split(s_separators);
            if (_columns == 0 && _names is null && TakesNames(cells)) return;
            ThrowIfMixed(path, line, text, ref _separator);
            if (_columns == 0 && _names is not null && cells.Length != _names.Length)
                throw new DatasetException(
                    $"{path}: the first line has {_names.Length} names, line {line} {cells.Length} values; expected a name for each "
                        + "channel.");
            if (_columns == 0) _columns = cells.Length;
            int most = Signal.MostChannels + _rowColumns.Count;
            if (cells.Length != _columns || _columns > most)
                throw new DatasetException(
                    $"{path}: line {line} has {cells.Length} values; expected {Math.Min(_columns, most)}.");
            for (int i = 0; i < cells.Length; i++)
            {
                if (i > 0 && _separator == ',' && IsFraction(cells[i]))
                    throw new DatasetException(
                        $"{path}: line {line}: '{Short(cells[i - 1])},{Short(cells[i])}' looks like a decimal comma; expected decimals "
                            + $"with a point, as in 0.5.");
                _values.Add(Value(path, line, cells[i]));
            }
            // A float would round the times of a clock, and a count beyond 2^24.
            foreach (RowColumn column in _rowColumns)
                column.Add(double.Parse(Unquoted(cells[column.Place]), NumberStyles.Float, CultureInfo.InvariantCulture));
        }

        public Signal ToSignal(int? expected)
        {
            if (_numbered && _names!.Length == 2 && _names[0].Length > 0 && _values.TrueForAll(float.IsInteger)) TakeBackNumbers();
            RowColumn[] left = _columns == 0 || _columns == expected ? []
                : [.. _rowColumns.Where(column => column.Holds || _columns - _rowColumns.Count == expected)];
            if (left.Length == _columns) left = [.. left.Where(column => column.Name.Length == 0)]; // a signal named t, and none beside it
            if (_numbered && _columns > 0 && _names![0].Length == 0 && left.Length == 0)
                throw new DatasetException(
                    $"{path}: the first line gives no name to the first column, which does not count the rows; expected a name for each "
                        + "channel.");
            int channels = _columns - left.Length;
            if (channels > Signal.MostChannels)
                throw new DatasetException($"{path}: {channels} channels; expected at most {Signal.MostChannels}.");
            int[] places = Array.ConvertAll(left, column => column.Place);
            float[] values = places.Length == 0 ? [.. _values] : [.. _values.Where((_, i) => !places.Contains(i % _columns))];
            return new Signal(values, Math.Max(1, channels), null)
            {
                HasHeader = _names is not null,
                Notes = [.. NotesOn(left)],
                LeftOut = Array.ConvertAll(left, column => column.Name),
            };
        }

        /// <summary>A first line 0,1 before whole numbers is a sample of two channels.</summary>
        private void TakeBackNumbers()
        {
            _values.InsertRange(0, [0, 1]);
            (_columns, _names, _numbered) = (2, null, false);
        }

        /// <summary>Whether a line is a first one of names, which is then kept.</summary>
        private bool TakesNames(string[] cells)
        {
            _numbered = IsNumbered(cells);
            if (!_numbered && !IsHeader(cells)) return false;
            _names = Array.ConvertAll(cells, Bare);
            foreach ((int place, string name) in _names.Index())
            {
                string word = name.Split(s_units)[0].Trim();
                if ((place == 0 && name.Length == 0) || word == "t" || s_rowNames.Contains(word))
                    _rowColumns.Add(new RowColumn(place, word));
            }
            return true;
        }

        private IEnumerable<string> NotesOn(RowColumn[] left)
        {
            if (_names is not null)
                yield return _numbered ? "the first line numbers the channels 0, 1, ..., and is skipped"
                    : "the first line names the channels, and is skipped";
            foreach (RowColumn column in left)
                yield return column.Name.Length == 0 ? "the first column counts the rows, and is left out"
                    : $"the column '{column.Name}' tells the row, and is left out";
        }
    }

    /// <summary>A column that may tell the row instead of a value: one without a name counts, a named one rises.</summary>
    /// <param name="place">Its place in a line.</param>
    /// <param name="name">Its name; may be empty.</param>
    private sealed class RowColumn(int place, string name)
    {
        private double? _last;

        public int Place => place;

        public string Name => name;

        public bool Holds { get; private set; } = true;

        public void Add(double value)
        {
            Holds &= name.Length > 0 ? _last is null || value > _last
                : double.IsInteger(value) && (_last is null || value == _last + 1);
            _last = value;
        }
    }
}
