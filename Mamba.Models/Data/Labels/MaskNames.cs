namespace Mamba.Models.Data.Labels;

/// <summary>
/// Lays the names of classes.txt on the values of masks: the number of a line is its value, the background's 0. No name is guessed: a value
/// without a name is called by its number, and a note says so.
/// </summary>
internal static class MaskNames
{
    private const string Source = "classes.txt";

    /// <summary>The classes of some values.</summary>
    /// <param name="root">What errors call the data.</param>
    /// <param name="encoding">What the values are.</param>
    /// <param name="values">The values of the masks, the background's first, then in ascending order; none that are ignored.</param>
    /// <param name="names">A name a line, with or without that of the background; null if there is no such file.</param>
    /// <returns>The value and the name of each class, the background first, and what is to be said; nothing to say is empty.</returns>
    /// <exception cref="DatasetException">The first name may be that of value 0 or of value 1.</exception>
    public static (int[] Values, string[] Labels, string Note) Of(string root, MaskEncoding encoding, int[] values, string[]? names)
    {
        string[] bare = values.Length == 2 ? ["background", "lesion"] : ["background", .. values.Skip(1).Select(Text)];
        if (names is not { Length: > 0 }) return (values, bare, "");
        bool named = LabelRule.IsBackgroundName(names[0]);
        string[] all = named ? names : ["background", .. names];
        // One class has its name whatever its value is, as 255.
        if (values.Length == 2 && all.Length == 2) return (values, all, "");
        bool contiguous = encoding != MaskEncoding.Color && values[^1] == values.Length - 1;
        bool apart = values.Length == 2 && (encoding == MaskEncoding.Color || values[^1] > 2); // as 0 and 255: the names number no values
        bool anyBackground = names.Any(LabelRule.IsBackgroundName);
        if (names.Length == values.Length && !anyBackground && (contiguous || apart))
            return (values, names, $"{Source} has as many names as there are values: the first, '{names[0]}', is {Text(values[0])}");
        if (encoding == MaskEncoding.Color)
            return (values, bare, $"{Source} names classes and no colors: --labels FILE names them, with a line a class as "
                + $"'{Text(values[^1])} {all[^1]}'");
        if (!named && (values[^1] < names.Length || anyBackground))
            throw new DatasetException(
                $"{root}: {Source} begins with '{names[0]}', which may be value 0 or 1 of the masks; expected a first line 'background', "
                    + $"or --labels FILE with a line a class as '0 {names[0]}'");
        int[] known = [.. values.Where(value => value > 0 && value < all.Length)];
        int[] unnamed = [.. values.Where(value => value >= all.Length)];
        string[] absent = [.. all.Select((name, value) => $"'{name}' ({value})").Where((_, value) => value > 0 && !known.Contains(value))];
        string note = string.Join("; ", new[]
        {
            unnamed.Length == 0 ? "" : $"{Source} has no name for {Few([.. unnamed.Select(Text)])}",
            absent.Length == 0 ? "" : $"no mask has {Few(absent)} of {Source}",
        }.Where(text => text.Length > 0));
        if (known.Length == 0) return (values, bare, note);
        int[] classes = values[0] == 0 ? values : [0, .. values]; // the background may be in no mask
        return (classes, [.. classes.Select(value => value < all.Length ? all[value] : Text(value))], note);

        string Text(int value) => MaskMeaning.Text(value, encoding);
    }

    private static string Few(string[] texts) => string.Join(", ", texts.Take(6)) + (texts.Length > 6 ? ", ..." : "");
}
