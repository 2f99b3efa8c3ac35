using System.Text.Json;

namespace Mamba.Models.Language;

/// <summary>
/// The fields of an object, each with its checks. It remembers which were asked for, so that those that nobody knows are refused, not
/// ignored. A field that is null is as good as absent.
/// </summary>
internal sealed class JsonFields
{
    private const int ShownLength = 60;

    private readonly JsonElement _json;
    private readonly HashSet<string> _known = [];

    /// <exception cref="FormatException">It is no object.</exception>
    public JsonFields(JsonElement json, string path = "")
    {
        Path = path;
        _json = json.ValueKind == JsonValueKind.Object ? json
            : throw new FormatException($"{(path.Length == 0 ? "" : $"'{path}' is ")}a JSON {json.ValueKind}, expected an object");
    }

    /// <summary>Where the object is in its file; empty for the whole.</summary>
    public string Path { get; }

    public bool Has(string name) => _json.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null;

    public JsonElement? Value(string name)
    {
        _known.Add(name);
        return Has(name) ? _json.GetProperty(name) : null;
    }

    public JsonElement Required(string name) => Value(name) ?? throw new FormatException($"'{Full(name)}' is missing");

    public int Size(string name) =>
        Optional(name) ?? throw new FormatException($"'{Full(name)}' is missing, expected a whole number above 0");

    public int? Optional(string name) => Value(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int size) && size > 0 ? size
        : value.ValueKind == JsonValueKind.String && value.GetString() == "auto" ? null
        : throw Other(name, value, "a whole number above 0");

    public float? Number(string name) => Value(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetSingle(out float x) && x is >= 0 and <= float.MaxValue ? x
        : throw Other(name, value, "a number of at least 0");

    public string? Text(string name) => Value(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString()
        : throw Other(name, value, "a text");

    public bool? Flag(string name) => Value(name) is not { } value ? null
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
        : throw Other(name, value, "true or false");

    public JsonFields? Below(string name) => Value(name) is { } value ? new JsonFields(value, Full(name)) : null;

    /// <summary>The objects of a list; empty if there is none.</summary>
    public List<JsonFields> List(string name) => Value(name) is not { } value ? []
        : value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray().Select((v, i) => new JsonFields(v, $"{Full(name)}[{i}]"))]
        : throw Other(name, value, "a list");

    /// <summary>Two bounds, of which the upper one may be infinite.</summary>
    public (float Low, float High)? Range(string name)
    {
        if (Value(name) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 2
            && Bound(value[0]) is { } low && Bound(value[1]) is { } high && low >= 0 && high >= low && float.IsFinite(low))
            return (low, high);
        throw Other(name, value, "two numbers from 0, the second not the smaller");
    }

    /// <summary>Refuses a flag that has another value than the models here.</summary>
    public void Expect(string name, bool expected)
    {
        if (Value(name) is { } value && value.ValueKind != (expected ? JsonValueKind.True : JsonValueKind.False))
            throw new FormatException($"'{Full(name)}' is {Shown(value)}; only {(expected ? "true" : "false")} is built");
    }

    /// <summary>Refuses a size that does not follow from the others.</summary>
    public void Expect(string name, int expected)
    {
        if (Optional(name) is { } size && size != expected)
            throw new FormatException($"'{Full(name)}' is {size}; the other sizes give {expected}");
    }

    /// <summary>Refuses a word that is none of those that are built.</summary>
    public void Expect(string name, params ReadOnlySpan<string> words)
    {
        if (Text(name) is { } text && !words.Contains(text))
            throw new FormatException($"'{Full(name)}' is '{text}'; only {string.Join(" or ", words.ToArray())} is built");
    }

    /// <summary>Refuses a part that the models here do not have.</summary>
    public void ExpectNone(string name, string why = "it is not built")
    {
        if (Value(name) is { } value && value.GetRawText() is not ("0" or "0.0" or "[]" or "{}" or "\"\"" or "false"))
            throw new FormatException($"'{Full(name)}' is {Shown(value)}; {why}");
    }

    /// <summary>Names fields that do not change what is computed here.</summary>
    public void Ignore(params ReadOnlySpan<string> names)
    {
        foreach (string name in names) _known.Add(name);
    }

    /// <summary>Refuses fields that were not asked for.</summary>
    public void RefuseOthers()
    {
        foreach (JsonProperty field in _json.EnumerateObject())
            if (field.Value.ValueKind != JsonValueKind.Null && !_known.Contains(field.Name))
                throw new FormatException(
                    $"'{Full(field.Name)}' is {Shown(field.Value)}; it is not known here and may change the result. Remove it if not");
    }

    private string Full(string name) => Path.Length == 0 ? name : $"{Path}.{name}";

    private FormatException Other(string name, JsonElement value, string expected) =>
        new($"'{Full(name)}' is {Shown(value)}, expected {expected}");

    private static string Shown(JsonElement value)
    {
        string text = value.GetRawText().ReplaceLineEndings(" ");
        return text.Length <= ShownLength ? text : text[..ShownLength] + "...";
    }

    /// <summary>A number, or infinity as Python and transformers write it.</summary>
    private static float? Bound(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Number when json.TryGetSingle(out float x) => x,
        JsonValueKind.String when json.GetString() == "Infinity" => float.PositiveInfinity,
        JsonValueKind.Object when json.TryGetProperty("__float__", out JsonElement word) => Bound(word),
        _ => null,
    };
}
