using System.Globalization;
using System.Text.Json;
using Mamba.Models.Words;

namespace Mamba.Models.Studies;

/// <summary>A value of a study's file. What is wrong with it is said with the file, the path of the value, and what was expected.</summary>
/// <param name="file">What errors call the file.</param>
/// <param name="path">The path of the value, from <c>$</c>.</param>
/// <param name="value">The value.</param>
/// <param name="key">The last part of the path.</param>
internal sealed class StudyNode(string file, string path, JsonElement value, string key = "")
{
    private const int LongestName = 100;

    /// <summary>The last part of the path.</summary>
    public string Key => key;

    public bool IsText => value.ValueKind == JsonValueKind.String;

    public bool IsNumber => value.ValueKind == JsonValueKind.Number;

    /// <summary>What is wrong with the value.</summary>
    public StudyException Wrong(string what) => new($"{file}: {path}{what}");

    /// <summary>Refuses an object with other members, or one that is there twice.</summary>
    public void Allow(params string[] names)
    {
        foreach (StudyNode member in Members())
            if (!names.Contains(member.Key))
            {
                string meant = EditDistance.Meant(member.Key, names);
                throw member.Wrong($": unknown key{(meant.Length > 0 ? meant : $"; expected {string.Join(", ", names)}")}");
            }
    }

    public StudyNode[] Members()
    {
        if (value.ValueKind != JsonValueKind.Object) throw Kind("an object");
        List<StudyNode> members = [];
        HashSet<string> seen = [];
        foreach (JsonProperty property in value.EnumerateObject())
        {
            StudyNode member = new(file, $"{path}.{property.Name}", property.Value, property.Name);
            if (!seen.Add(property.Name)) throw member.Wrong(": is there twice; expected it once");
            members.Add(member);
        }
        return [.. members];
    }

    public StudyNode? Get(string name) =>
        value.TryGetProperty(name, out JsonElement member) ? new StudyNode(file, $"{path}.{name}", member, name) : null;

    public StudyNode Need(string name) => Get(name) ?? throw Wrong($": has no \"{name}\"; expected one");

    public StudyNode[] Items(int least, int most)
    {
        if (value.ValueKind != JsonValueKind.Array) throw Kind("a list");
        int count = value.GetArrayLength();
        if (count < least || count > most) throw Wrong($" has {count} entries; expected {least} to {most}");
        return [.. Enumerable.Range(0, count).Select(i =>
            new StudyNode(file, string.Create(CultureInfo.InvariantCulture, $"{path}[{i}]"), value[i]))];
    }

    public string Text() => IsText ? value.GetString()! : throw Kind("a string");

    /// <summary>A name that can be part of a file's.</summary>
    public string Name()
    {
        string text = Text();
        bool fits = text.Length is > 0 and <= LongestName && char.IsAsciiLetterOrDigit(text[0])
            && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');
        return fits ? text : throw Wrong(
            $" is '{text}'; expected a name of at most {LongestName} letters, digits, dots, dashes and underscores");
    }

    /// <summary>The value of an option: a string, a number, or true.</summary>
    public string Word() => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Number => value.GetRawText(),
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => throw Kind("a string, a number, true or false"),
    };

    public bool Flag() => value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Kind("true or false"),
    };

    public long Whole(long least, long most) => IsNumber && value.TryGetInt64(out long number) && number >= least && number <= most
        ? number : throw Kind(string.Create(CultureInfo.InvariantCulture, $"a whole number from {least} to {most}"));

    public double Positive() => IsNumber && value.TryGetDouble(out double number) && number > 0 && double.IsFinite(number)
        ? number : throw Kind("a number above 0");

    /// <summary>The first place where two values differ; null where they are the same.</summary>
    public static string? Difference(string path, JsonElement before, JsonElement now)
    {
        if (before.ValueKind == JsonValueKind.Object && now.ValueKind == JsonValueKind.Object)
        {
            foreach (JsonProperty member in before.EnumerateObject())
                if (!now.TryGetProperty(member.Name, out JsonElement other))
                    return $"{path}.{member.Name}: {Short(member.Value)} there, none now";
                else if (Difference($"{path}.{member.Name}", member.Value, other) is { } difference) return difference;
            foreach (JsonProperty member in now.EnumerateObject())
                if (!before.TryGetProperty(member.Name, out _)) return $"{path}.{member.Name}: none there, {Short(member.Value)} now";
            return null;
        }
        if (before.ValueKind == JsonValueKind.Array && now.ValueKind == JsonValueKind.Array)
        {
            int count = Math.Min(before.GetArrayLength(), now.GetArrayLength());
            for (int i = 0; i < count; i++)
                if (Difference(string.Create(CultureInfo.InvariantCulture, $"{path}[{i}]"), before[i], now[i]) is { } difference)
                    return difference;
            return before.GetArrayLength() == now.GetArrayLength() ? null : string.Create(
                CultureInfo.InvariantCulture, $"{path}: {before.GetArrayLength()} entries there, {now.GetArrayLength()} now");
        }
        return JsonElement.DeepEquals(before, now) ? null : $"{path}: {Short(before)} there, {Short(now)} now";
    }

    private StudyException Kind(string expected) => Wrong($" is {Short(value)}; expected {expected}");

    private static string Short(JsonElement value)
    {
        const int Most = 60;
        string text = value.GetRawText().ReplaceLineEndings(" ");
        return text.Length <= Most ? text : $"{text[..Most]}...";
    }
}
