using System.Globalization;

namespace Mamba.Models.Data.Labels;

/// <summary>Which class each value of a data set's masks stands for.</summary>
public sealed class MaskMeaning
{
    private readonly Dictionary<int, byte> _classes;
    private readonly Dictionary<int, int>? _colors;
    private readonly string _source;

    /// <param name="encoding">What the values are.</param>
    /// <param name="classes">The class of each value.</param>
    /// <param name="labels">The names of the classes.</param>
    /// <param name="source">The values in words.</param>
    /// <param name="colors">The colors of values that are palette indices, as far as they are known; null without a palette.</param>
    internal MaskMeaning(
        MaskEncoding encoding, Dictionary<int, byte> classes, IReadOnlyList<string> labels, string source,
        Dictionary<int, int>? colors = null) =>
            (Encoding, _classes, Labels, _source, _colors) = (encoding, classes, labels, source, colors);

    /// <summary>A meaning that was stored.</summary>
    /// <param name="encoding">What the values are.</param>
    /// <param name="threshold">The largest value of the background; null if each value has its class.</param>
    /// <param name="values">The values that have a class.</param>
    /// <param name="classes">The class of each, or <see cref="LabelMap.Ignored"/>.</param>
    /// <param name="labels">The names of the classes.</param>
    /// <returns>The meaning.</returns>
    /// <exception cref="FormatException">They do not fit together.</exception>
    public static MaskMeaning Of(MaskEncoding encoding, int? threshold, int[] values, int[] classes, IReadOnlyList<string> labels) =>
        Of(encoding, threshold, values, classes, labels, colors: null);

    /// <summary>As the other, with the color of each value that is a palette index: -1, or null for all, where it is not known.</summary>
    internal static MaskMeaning Of(
        MaskEncoding encoding, int? threshold, int[] values, int[] classes, IReadOnlyList<string> labels, int[]? colors)
    {
        int count = Math.Max(2, labels.Count);
        bool fits = labels.Count > 0 && values.Length == classes.Length && values.Distinct().Count() == values.Length
            && (colors is null || colors.Length == values.Length)
            && (threshold is null ? values.Length > 0 : values.Length == 0)
            && classes.All(c => (c >= 0 && c < count) || c == LabelMap.Ignored);
        if (!fits) throw new FormatException("the meaning of the masks does not fit together");
        Dictionary<int, byte> map = values.Zip(classes).ToDictionary(entry => entry.First, entry => (byte)entry.Second);
        string source = threshold is { } level ? $"values above {level} are class 1," : MaskReader.Source(encoding, [.. values.Order()]);
        Dictionary<int, int>? palette = colors is null ? null
            : values.Zip(colors).Where(entry => entry.Second >= 0).ToDictionary(entry => entry.First, entry => entry.Second);
        return new MaskMeaning(encoding, map, labels, source, palette)
        {
            Threshold = threshold,
            Note = encoding == MaskEncoding.Palette && palette is null
                ? "the palette of the training is not known, so that indices are compared" : "",
        };
    }

    /// <summary>
    /// What the values are. Palette indices and gray values of other masks become colors, and gray colors become gray values. Colors become
    /// their brightness where there is a <see cref="Threshold"/>. Palette indices become those of the same color.
    /// </summary>
    public MaskEncoding Encoding { get; }

    /// <summary>The largest value of the background, of masks with soft edges or of JPEG; null if each value has its class.</summary>
    public int? Threshold { get; init; }

    /// <summary>The values that have a class, in ascending order; none if there is a <see cref="Threshold"/>.</summary>
    public IReadOnlyList<int> Values => [.. _classes.Keys.Order()];

    /// <summary>
    /// The names of the classes. One name is that of the foreground; several are those of all classes, the background first.
    /// </summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>Whether some pixels belong to no class.</summary>
    public bool Ignores => _classes.ContainsValue(LabelMap.Ignored);

    /// <summary>The class of a value.</summary>
    /// <param name="value">A value in the meaning's encoding.</param>
    /// <returns>A class, or <see cref="LabelMap.Ignored"/>; null for a value without meaning.</returns>
    public byte? ClassOf(int value) => Threshold is { } threshold ? (byte)(value > threshold ? 1 : 0)
        : _classes.TryGetValue(value, out byte found) ? found
        : null;

    /// <summary>Whether each value of some masks has its class.</summary>
    /// <param name="masks">The values of the masks.</param>
    /// <returns>
    /// False if one has none, if the masks are of another encoding or have other colors, or if the meaning is a threshold, which holds for
    /// the masks alone that it was made from.
    /// </returns>
    public bool Knows(IEnumerable<MaskValues> masks) => Threshold is null && masks.All(IsKnown);

    /// <summary>The classes of a mask's pixels.</summary>
    /// <param name="name">What errors call the mask.</param>
    /// <param name="mask">The mask.</param>
    /// <returns>A map of the same size.</returns>
    /// <exception cref="DatasetException">A value has no meaning.</exception>
    public LabelMap Apply(string name, RawMask mask)
    {
        LabelMap map = new(mask.Width, mask.Height);
        int last = -1;
        byte known = 0;
        for (int i = 0; i < mask.Values.Length; i++)
        {
            if (mask.Values[i] != last)
            {
                last = mask.Values[i];
                int value = ValueOf(last, mask.Encoding, mask.Palette, mask.Opacity) ?? throw Foreign(name, mask);
                known = ClassOf(value) ?? throw new DatasetException(
                    $"{name}: value {Text(value)} at row {i / mask.Width}, column {i % mask.Width} is no class; "
                        + $"expected {Known()}, or a labels file that names it");
            }
            map.Classes[i] = known;
        }
        return map;
    }

    /// <summary>How much of the masks each class is, the background included.</summary>
    /// <param name="masks">The values of the masks; null for a mask that cannot be read.</param>
    /// <returns>As many as there are classes, and one more for ignored pixels.</returns>
    public IReadOnlyList<ClassCoverage> Cover(IReadOnlyList<MaskValues?> masks)
    {
        string[] names = [.. Labels.Count == 1 ? ["background", Labels[0]] : Labels, "ignored"];
        long[] pixels = new long[names.Length];
        int[] images = new int[names.Length];
        foreach (MaskValues? mask in masks)
        {
            if (mask is null) continue;
            long[] own = ClassesOf(mask, names.Length);
            for (int c = 0; c < own.Length; c++)
            {
                pixels[c] += own[c];
                if (own[c] > 0) images[c]++;
            }
        }
        return [.. names.Select((name, c) => new ClassCoverage(name, pixels[c], images[c]))];
    }

    /// <summary>One line for the user: the values, and how much each class is.</summary>
    /// <param name="masks">The values of the masks; null for a mask that cannot be read.</param>
    /// <param name="unit">What a mask is: a file, or a slice of one.</param>
    /// <returns>Such as <c>values 0 and 1 in 200 files; class 1 'lesion' covers 3.2 % of the pixels, absent in 61 images</c>.</returns>
    public string Describe(IReadOnlyList<MaskValues?> masks, string unit = "files")
    {
        IReadOnlyList<ClassCoverage> cover = Cover(masks);
        int count = masks.Count(mask => mask is not null);
        double all = cover.Sum(c => (double)c.Pixels);
        IEnumerable<string> classes = cover.Take(cover.Count - 1).Index().Skip(1).Select(entry => string.Create(
            CultureInfo.InvariantCulture, $"class {entry.Index} '{entry.Item.Label}' covers {Percent(entry.Item.Pixels / all)} of the "
                + $"pixels, "
                + $"absent in {count - entry.Item.Images} images"));
        string ignored = cover[^1].Pixels == 0 ? "" : $"; {Percent(cover[^1].Pixels / all)} of the pixels are ignored";
        string swapped = Labels.Count == 1 && cover[1].Pixels > cover[0].Pixels ? "; if that is the background, say so with --labels" : "";
        return $"{_source} in {count} {unit}; {string.Join("; ", classes)}{ignored}{swapped}{(Note.Length == 0 ? "" : $"; {Note}")}";
    }

    /// <summary>What the user should know about the names of the classes; empty for nothing.</summary>
    internal string Note { get; init; } = "";

    /// <summary>The colors of the <see cref="Values"/> that are palette indices; -1, or null for all, where they are not known.</summary>
    internal int[]? Colors => _colors is null ? null : [.. Values.Select(value => _colors.GetValueOrDefault(value, -1))];

    /// <summary>The same meaning with another note.</summary>
    internal MaskMeaning With(string note) => new(Encoding, _classes, Labels, _source, _colors) { Threshold = Threshold, Note = note };

    /// <summary>
    /// Says which index has another color in some masks than in those of the training; null if none has, or if the colors are not known.
    /// </summary>
    internal string? OtherColor(IEnumerable<MaskValues> masks)
    {
        if (_colors is null) return null;
        foreach (MaskValues mask in masks.Where(mask => mask.Encoding == MaskEncoding.Palette))
            foreach (int index in mask.Counts.Keys)
                if (_colors.TryGetValue(index, out int color) && ColorOf(index, mask.Palette!) is var here && here != color)
                    return $"index {index} of the masks is #{here:X6}, in the training #{color:X6}";
        return null;
    }

    /// <summary>The pixels of each class in a mask.</summary>
    internal long[] ClassesOf(MaskValues mask, int count)
    {
        long[] pixels = new long[count];
        foreach ((int value, long number) in mask.Counts)
            if (ValueOf(value, mask.Encoding, mask.Palette, mask.Opacity) is { } own && ClassOf(own) is { } found)
                pixels[found == LabelMap.Ignored ? count - 1 : found] += number;
        return pixels;
    }

    /// <summary>A value in another encoding: gray values and palette indices have colors, and a color has a brightness.</summary>
    internal static int Convert(int value, MaskEncoding from, MaskEncoding to, IReadOnlyList<int>? palette, byte? opacity)
    {
        if (from == to) return value;
        if (to == MaskEncoding.Alpha) return opacity ?? 0;
        int color = from switch
        {
            MaskEncoding.Palette => ColorOf(value, palette!),
            MaskEncoding.Color => value,
            _ => Math.Min(value, 255) * 0x010101,
        };
        return to == MaskEncoding.Color ? color : Brightness(color) / 3;
    }

    /// <summary>The color of a palette index; black beyond the palette.</summary>
    internal static int ColorOf(int index, IReadOnlyList<int> palette) => index < palette.Count ? palette[index] : 0;

    /// <summary>The sum of red, green and blue.</summary>
    internal static int Brightness(int color) => (color >> 16) + (color >> 8 & 255) + (color & 255);

    /// <summary>A value of a mask in the encoding of the meaning; null where it has none there, as a color among gray values.</summary>
    private int? ValueOf(int value, MaskEncoding from, IReadOnlyList<int>? palette, byte? opacity)
    {
        if (from == MaskEncoding.Palette && Encoding == from) return IndexOf(value, palette);
        bool has = from == Encoding || Encoding switch
        {
            MaskEncoding.Color => true,
            MaskEncoding.Alpha => opacity is not null || (from == MaskEncoding.Gray && value == 0),
            MaskEncoding.Gray => Threshold is not null || (from == MaskEncoding.Palette && IsGray(ColorOf(value, palette!))),
            _ => false,
        };
        return has ? Convert(value, from, Encoding, palette, opacity) : null;
    }

    private static bool IsGray(int color) => color == (color & 255) * 0x010101;

    /// <summary>
    /// The index that has the color of this one in the palette of the training; null if none has, or some of several classes. Where colors
    /// are not known, or the training had neither this index nor its color, it is the same index.
    /// </summary>
    private int? IndexOf(int index, IReadOnlyList<int>? palette)
    {
        if (_colors is null || palette is null) return index;
        int color = ColorOf(index, palette);
        if (_colors.TryGetValue(index, out int own) ? own == color : ClassOf(index) is not null) return index;
        int[] same = [.. _colors.Where(entry => entry.Value == color).Select(entry => entry.Key)];
        return same.Length == 0 && !_colors.ContainsKey(index) ? index
            : same.Length > 0 && same.All(other => ClassOf(other) == ClassOf(same[0])) ? same[0]
            : null;
    }

    /// <summary>Whether a mask has the encoding of the meaning, or one whose values are colors as well, and each value its class.</summary>
    private bool IsKnown(MaskValues mask)
    {
        bool fits = mask.Encoding == Encoding || Encoding switch
        {
            MaskEncoding.Alpha => mask.IsOpacity,
            MaskEncoding.Color => mask.Encoding == MaskEncoding.Palette
                || (mask.Encoding == MaskEncoding.Gray && mask.Counts.Keys.Max() <= 255),
            MaskEncoding.Gray => mask.Encoding == MaskEncoding.Palette,
            _ => false,
        };
        return fits && !mask.TooMany && mask.Counts.Keys.All(value =>
            ValueOf(value, mask.Encoding, mask.Palette, mask.Opacity) is { } own && ClassOf(own) is not null);
    }

    private DatasetException Foreign(string name, RawMask mask) => new(
        $"{name}: has {MaskReader.WordFor(mask.Encoding)}{(mask.Encoding == Encoding ? " of another palette" : "")}; expected "
            + $"{MaskReader.WordFor(Encoding)}, as the other masks have");

    /// <summary>A value as people write it.</summary>
    internal static string Text(int value, MaskEncoding encoding) =>
        encoding == MaskEncoding.Color ? $"#{value:X6}" : value.ToString(CultureInfo.InvariantCulture);

    private string Text(int value) => Text(value, Encoding);

    private string Known() => string.Join(", ", _classes.Keys.Order().Take(8).Select(Text)) + (_classes.Count > 8 ? ", ..." : "");

    private static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{100 * share:0.0#} %");
}
