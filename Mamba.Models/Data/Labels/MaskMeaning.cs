using System.Globalization;

namespace Mamba.Models.Data.Labels;

/// <summary>Which class each value of a data set's masks stands for.</summary>
public sealed class MaskMeaning
{
    private readonly Dictionary<int, byte> _classes;
    private readonly string _source;

    internal MaskMeaning(MaskEncoding encoding, Dictionary<int, byte> classes, IReadOnlyList<string> labels, string source) =>
        (Encoding, _classes, Labels, _source) = (encoding, classes, labels, source);

    /// <summary>A meaning that was stored.</summary>
    /// <param name="encoding">What the values are.</param>
    /// <param name="threshold">The largest value of the background; null if each value has its class.</param>
    /// <param name="values">The values that have a class.</param>
    /// <param name="classes">The class of each, or <see cref="LabelMap.Ignored"/>.</param>
    /// <param name="labels">The names of the classes.</param>
    /// <returns>The meaning.</returns>
    /// <exception cref="FormatException">They do not fit together.</exception>
    public static MaskMeaning Of(MaskEncoding encoding, int? threshold, int[] values, int[] classes, IReadOnlyList<string> labels)
    {
        int count = Math.Max(2, labels.Count);
        bool fits = labels.Count > 0 && values.Length == classes.Length && values.Distinct().Count() == values.Length
            && (threshold is null ? values.Length > 0 : values.Length == 0)
            && classes.All(c => (c >= 0 && c < count) || c == LabelMap.Ignored);
        if (!fits) throw new FormatException("the meaning of the masks does not fit together");
        Dictionary<int, byte> map = values.Zip(classes).ToDictionary(entry => entry.First, entry => (byte)entry.Second);
        string source = threshold is { } level ? $"values above {level} are class 1," : MaskReader.Source(encoding, [.. values.Order()]);
        return new MaskMeaning(encoding, map, labels, source) { Threshold = threshold };
    }

    /// <summary>What the values are. Masks in another encoding are converted.</summary>
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
    /// <returns>False if one has none, or if the meaning is a threshold, which holds for the masks alone that it was made from.</returns>
    public bool Knows(IEnumerable<MaskValues> masks) =>
        Threshold is null && masks.All(mask => !mask.TooMany && mask.In(Encoding).All(count => ClassOf(count.Key) is not null));

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
                int value = Convert(last, mask.Encoding, Encoding, mask.Palette);
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
        return $"{_source} in {count} {unit}; {string.Join("; ", classes)}{ignored}{swapped}";
    }

    /// <summary>The pixels of each class in a mask.</summary>
    internal long[] ClassesOf(MaskValues mask, int count)
    {
        long[] pixels = new long[count];
        foreach ((int value, long number) in mask.In(Encoding))
            if (ClassOf(value) is { } found) pixels[found == LabelMap.Ignored ? count - 1 : found] += number;
        return pixels;
    }

    /// <summary>A value in another encoding: gray and palette indices have colors.</summary>
    internal static int Convert(int value, MaskEncoding from, MaskEncoding to, IReadOnlyList<int>? palette)
    {
        if (from == to) return value;
        int color = from switch
        {
            MaskEncoding.Palette => value < palette!.Count ? palette[value] : 0,
            MaskEncoding.Color => value,
            _ => Math.Min(value, 255) * 0x010101,
        };
        return to == MaskEncoding.Color ? color : color & 0xFF;
    }

    /// <summary>A value as people write it.</summary>
    internal static string Text(int value, MaskEncoding encoding) =>
        encoding == MaskEncoding.Color ? $"#{value:X6}" : value.ToString(CultureInfo.InvariantCulture);

    private string Text(int value) => Text(value, Encoding);

    private string Known() => string.Join(", ", _classes.Keys.Order().Take(8).Select(Text)) + (_classes.Count > 8 ? ", ..." : "");

    private static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{100 * share:0.0#} %");
}
