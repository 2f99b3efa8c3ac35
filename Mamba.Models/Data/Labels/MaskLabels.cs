using System.Globalization;
using System.Text.Json;

namespace Mamba.Models.Data.Labels;

/// <summary>
/// Reads what the values of masks stand for. A text file has a line per class: <c>1 lesion</c>, <c>1-40 nucleus</c>, <c>#FF0000 tumour</c>
/// or <c>255 0 0 tumour</c>. nnU-Net's dataset.json has them under <c>labels</c>.
/// </summary>
internal static class MaskLabels
{
    private static readonly char[] s_separators = [' ', '\t', ',', ';', ':', '='];

    /// <summary>The rules of a file.</summary>
    /// <exception cref="DatasetException">It cannot be read, or a line is malformed.</exception>
    public static LabelRule[] Read(string path)
    {
        LabelRule[] rules = path.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? [.. Json(path)]
            : [.. LabelFile.Lines(path).Select(line => Parse(path, line))];
        if (rules.Length < 2)
            throw new DatasetException($"{path}: {rules.Length} classes; expected a line for the background and one per class, as '1 "
                + $"lesion'");
        if (rules.Select(rule => rule.IsColor).Distinct().Count() > 1)
            throw new DatasetException($"{path}: both values and colors; expected one of them");
        foreach ((int i, LabelRule rule) in rules.Index())
            if (rules.Take(i).FirstOrDefault(other => other.Low <= rule.High && rule.Low <= other.High) is { } other)
                throw new DatasetException($"{path}: '{other.Name}' and '{rule.Name}' have a value in common");
        return rules;
    }

    /// <summary>The names in a file with a line per class and no values.</summary>
    public static string[] Names(string path) => LabelFile.Lines(path);

    private static LabelRule Parse(string path, string line)
    {
        string[] fields = line.Split(s_separators, 2, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (fields is [var value, { Length: > 0 } name])
        {
            if (value.StartsWith('#') && Hex(value) is { } color) return new LabelRule(color, color, true, name);
            if (Rgb(line) is { } named) return named;
            string[] ends = value.Split('-');
            if (ends.Length <= 2 && ends.All(end => Number(end) is not null) && Number(ends[0]) <= Number(ends[^1]))
                return new LabelRule(Number(ends[0])!.Value, Number(ends[^1])!.Value, false, name);
        }
        throw new DatasetException(
            $"{path}: '{line}'; expected a value, a range or a color, and a name, as '1 lesion', '1-40 nucleus' or '#FF0000 tumour'");
    }

    /// <summary>Red, green, blue and a name.</summary>
    private static LabelRule? Rgb(string line)
    {
        string[] fields = line.Split(s_separators, 4, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (fields.Length < 4 || fields.Take(3).Any(field => Number(field) is not <= 255)) return null;
        int color = Number(fields[0])!.Value << 16 | Number(fields[1])!.Value << 8 | Number(fields[2])!.Value;
        return new LabelRule(color, color, true, fields[3]);
    }

    private static IEnumerable<LabelRule> Json(string path)
    {
        string text = string.Join('\n', LabelFile.Lines(path));
        List<LabelRule> rules = [];
        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            foreach (JsonProperty label in document.RootElement.GetProperty("labels").EnumerateObject())
            {
                // "tumour": 1, or as older files have it, "1": "tumour".
                bool old = label.Value.ValueKind == JsonValueKind.String;
                if (label.Value.ValueKind is not (JsonValueKind.Number or JsonValueKind.String))
                    throw new DatasetException($"{path}: label '{label.Name}' is a region of several values; expected one value per label");
                int? value = old ? Number(label.Name) : label.Value.TryGetInt32(out int number) && number >= 0 ? number : null;
                string name = old ? label.Value.GetString()! : label.Name;
                rules.Add(value is { } v ? new LabelRule(v, v, false, name)
                    : throw new DatasetException($"{path}: label '{label.Name}' has no whole number of at least 0"));
            }
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new DatasetException($"{path}: no labels: {e.Message}", e);
        }
        return rules;
    }

    private static int? Hex(string text) =>
        text.Length == 7 && int.TryParse(text.AsSpan(1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int color)
            ? color : null;

    private static int? Number(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value <= ushort.MaxValue ? value : null;
}
