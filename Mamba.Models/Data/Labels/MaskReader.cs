namespace Mamba.Models.Data.Labels;

/// <summary>Finds out what the values of masks stand for, from the values of all of them.</summary>
internal sealed class MaskReader
{
    private const string Remedy = "say what each value is with --labels FILE, a line a class as '1 lesion'";
    private const string ColorRemedy = "say what each color is with --labels FILE, a line a class as '#FF0000 tumour'";

    /// <summary>What stands for one in files of 1, 8 and 16 bits.</summary>
    private static readonly int[] s_full = [1, 255, 65535];

    /// <summary>More colors are a picture.</summary>
    private const int MostColors = 64;

    /// <summary>Shorter runs of equal values, in pixels, are those of a photograph.</summary>
    private const int ShortestRun = 4;

    /// <summary>Fewer values with numbers of their own in each mask are taken for classes.</summary>
    private const int FewestInstances = 4;

    /// <summary>Values below it, without a gap, are classes, where soft edges would have some above it, too.</summary>
    private const int SmallValues = 128;

    private readonly string _root;
    private readonly MaskValues[] _masks;
    private readonly MaskEncoding _encoding;
    private readonly SortedDictionary<int, long> _values = [];
    private readonly bool _tooMany;

    private MaskReader(string root, MaskValues[] masks)
    {
        (_root, _masks, _encoding, _tooMany) = (root, masks, EncodingOf(root, masks), masks.Any(mask => mask.TooMany));
        if (_encoding == MaskEncoding.Color && masks.Any(mask => mask.Encoding == MaskEncoding.Gray && mask.Counts.Keys.Max() > 255))
            throw new DatasetException($"{root}: some masks have colors and some 16-bit values; expected one of them");
        foreach (MaskValues mask in masks)
            foreach ((int value, long count) in mask.In(_encoding)) _values[value] = _values.GetValueOrDefault(value) + count;
    }

    /// <summary>The meaning of masks.</summary>
    /// <param name="root">What errors call the data.</param>
    /// <param name="masks">The values of each mask.</param>
    /// <param name="rules">What the user says that values are; null if nothing.</param>
    /// <param name="names">The names of the classes, with or without that of the background; null if they have none.</param>
    /// <exception cref="DatasetException">The values have no certain meaning, or there is no foreground.</exception>
    public static MaskMeaning Read(string root, MaskValues[] masks, LabelRule[]? rules, string[]? names)
    {
        MaskReader reader = new(root, masks);
        return rules is not null ? reader.ByRules(rules) : reader.ByValues(names);
    }

    private MaskMeaning ByRules(LabelRule[] rules)
    {
        MaskEncoding encoding = rules[0].IsColor ? MaskEncoding.Color : _encoding;
        if (encoding == MaskEncoding.Color && !rules[0].IsColor)
            throw new DatasetException($"{_root}: masks have colors ({Some()}), the labels file has values; expected colors as '#FF0000 "
                + $"tumour'");
        if (_encoding == MaskEncoding.Alpha && rules[0].IsColor)
            throw new DatasetException($"{_root}: masks have opacities ({Some()}), the labels file has colors; expected values as '255 "
                + $"tumour'");
        IEnumerable<int> values = _masks.SelectMany(mask => mask.In(encoding)).Select(count => count.Key).Distinct();
        // The background is the class of that name, or else the first line's.
        LabelRule background = rules.FirstOrDefault(rule => rule.IsBackground) ?? rules[0];
        LabelRule[] classes = [background, .. rules.Where(rule => !rule.IsIgnored && rule != background)];
        string[] labels = [.. classes.Select(rule => rule.Name).Distinct()];
        Dictionary<int, byte> map = [];
        foreach (int value in values)
        {
            LabelRule rule = rules.FirstOrDefault(rule => rule.Holds(value)) ?? throw new DatasetException(
                $"{_root}: value {MaskMeaning.Text(value, encoding)} of the masks is in no line of the labels file; expected one, "
                    + $"as '{MaskMeaning.Text(value, encoding)} ignore'");
            map[value] = rule.IsIgnored ? LabelMap.Ignored : (byte)Array.IndexOf(labels, rule.Name);
        }
        // Values of data that are measured later have a meaning, too.
        foreach (LabelRule rule in rules.Where(rule => rule.Low == rule.High))
            map.TryAdd(rule.Low, rule.IsIgnored ? LabelMap.Ignored : (byte)Array.IndexOf(labels, rule.Name));
        return Checked(encoding, map, labels);
    }

    private MaskMeaning ByValues(string[]? names)
    {
        if (_masks.Any(mask => mask.Lossy))
        {
            ThrowIfOneBit();
            return ByThreshold("compressed by JPEG", softLimit: 0.25);
        }
        if (_values.Count == 1)
            throw new DatasetException(
                $"{_root}: every pixel of {_masks.Length} masks is {Text(_values.Keys.First())}, so there is nothing to find; "
                    + $"if that is right, {Remedy}");
        if (_encoding == MaskEncoding.Color) return ByColors(names);
        ThrowIfMixed();
        int[] values = [.. _values.Keys];
        // As in Pascal VOC: 255 is no class where the others are small and contiguous.
        bool ignores = values.Length > 2 && values[^1] == 255 && values[^2] == values.Length - 2;
        if (!(ignores && values[^2] < SmallValues) && IsSoft()) return ByThreshold("with soft edges", softLimit: 0.5);
        ThrowIfEdges();
        if (_tooMany || _values.Count > LabelMap.MaxClasses)
            throw new DatasetException(
                $"{_root}: masks have {(_tooMany ? "more than " : "")}{_values.Count} values, {Some()}; expected a value a class; "
                    + $"{Remedy}");
        if (_values.Count > 8 && MeanRun(_ => true) < ShortestRun)
            throw new DatasetException(
                $"{_root}: masks have {_values.Count} values, {Some()}, which change from pixel to pixel as in a photograph; "
                    + "expected regions of equal values; --images and --masks name the folders");
        if (AreInstances())
            throw new DatasetException(
                $"{_root}: mask values 0 to {_values.Keys.Max()} number things in each mask, as instances are; "
                    + $"for one class of all of them use --labels FILE with the lines '0 background' and '1-{ushort.MaxValue} NAME'");
        return ByOrder(values[..(ignores ? ^1 : ^0)], ignores ? [255] : [], names);
    }

    private MaskMeaning ByColors(string[]? names)
    {
        ThrowIfNumbered();
        if (_tooMany || _values.Count > MostColors)
            throw new DatasetException(
                $"{_root}: masks have {(_tooMany ? "more than " : "")}{_values.Count} colors, {Some()}; expected a color a class; "
                    + $"{ColorRemedy}");
        int thin = _values.Keys.Count(color =>
            _masks.Where(mask => mask.Encoding == _encoding && mask.Counts.ContainsKey(color)) is var with
            && with.Sum(mask => mask.Counts[color]) < 2 * with.Sum(mask => mask.Runs[color]));
        if (_values.Count > 3 && 2 * thin >= _values.Count)
            throw new DatasetException(
                $"{_root}: masks have {_values.Count} colors, {Some()}, half of them in thin lines, as soft edges are; expected a color "
                    + $"a class; "
                    + $"{ColorRemedy}");
        // Black is the background, or else the darkest color.
        return ByOrder([.. _values.Keys.OrderBy(MaskMeaning.Brightness)], [], names);
    }

    private MaskMeaning ByOrder(int[] values, int[] ignored, string[]? names)
    {
        (int[] classes, string[] labels, string note) = MaskNames.Of(_root, _encoding, values, names);
        Dictionary<int, byte> map = classes.Index().ToDictionary(entry => entry.Item, entry => (byte)entry.Index);
        foreach (int value in ignored) map[value] = LabelMap.Ignored;
        return Checked(_encoding, map, labels, note);
    }

    /// <summary>Two classes on both sides of the middle of the range.</summary>
    private MaskMeaning ByThreshold(string how, double softLimit)
    {
        SortedDictionary<int, long> gray = [];
        foreach ((int value, long count) in _values)
        {
            int level = _encoding == MaskEncoding.Color ? MaskMeaning.Brightness(value) / 3 : value;
            gray[level] = gray.GetValueOrDefault(level) + count;
        }
        int low = gray.Keys.First(), high = gray.Keys.Last(), middle = (low + high) / 2, quarter = (high - low) / 4;
        long between = gray.Where(count => count.Key > low + quarter && count.Key < high - quarter).Sum(count => count.Value);
        long above = gray.Where(count => count.Key > middle).Sum(count => count.Value);
        if (high - low < 32 || between > softLimit * above || _encoding is MaskEncoding.Color && !IsGrayish())
            throw new DatasetException(
                $"{_root}: masks {how} have values {low} to {high}, not two groups of them; expected masks in a format without loss, as "
                    + $"PNG");
        return new MaskMeaning(_encoding == MaskEncoding.Color ? MaskEncoding.Gray : _encoding, [], ["lesion"],
            $"values {low} to {high} {how}, those above {middle} are class 1,")
        {
            Threshold = middle,
        };
    }

    private MaskMeaning Checked(MaskEncoding encoding, Dictionary<int, byte> map, string[] labels, string note = "")
    {
        bool ignores = map.ContainsValue(LabelMap.Ignored);
        string source = Source(encoding, [.. map.Keys.Order()]);
        // One class and nothing ignored is the binary case, which needs no softmax.
        MaskMeaning meaning = new(encoding, map, labels.Length == 2 && !ignores ? [labels[1]] : labels, source, ColorsOf(encoding, map))
        {
            Note = note,
        };
        IReadOnlyList<ClassCoverage> cover = meaning.Cover(_masks);
        if (cover.Skip(1).SkipLast(1).All(c => c.Pixels == 0))
            throw new DatasetException($"{_root}: no pixel of {_masks.Length} masks is of a class but the background ({Some()}); {Remedy}");
        return meaning;
    }

    /// <summary>The colors of the values in the palette that all masks share; null for values of other kinds.</summary>
    private Dictionary<int, int>? ColorsOf(MaskEncoding encoding, Dictionary<int, byte> map) => encoding != MaskEncoding.Palette ? null
        : map.Keys.Where(index => index < _masks[0].Palette!.Count).ToDictionary(index => index, index => _masks[0].Palette![index]);

    /// <summary>What values of an encoding are called.</summary>
    internal static string WordFor(MaskEncoding encoding) => encoding switch
    {
        MaskEncoding.Color => "colors",
        MaskEncoding.Palette => "palette indices",
        MaskEncoding.Alpha => "opacities",
        _ => "values",
    };

    internal static string Source(MaskEncoding encoding, int[] values)
    {
        string word = WordFor(encoding);
        string[] texts = [.. values.Select(value => MaskMeaning.Text(value, encoding))];
        return texts.Length == 1 ? $"{word[..^1]} {texts[0]}"
            : texts.Length > 8 ? $"{texts.Length} {word} from {texts[0]} to {texts[^1]}"
            : $"{word} {string.Join(", ", texts[..^1])} and {texts[^1]}";
    }

    /// <summary>Refuses masks some of which have 1 inside and others 255 or 65535, as files of 1, 8 and 16 bits have.</summary>
    private void ThrowIfMixed()
    {
        int[] full = [.. s_full.Where(_values.ContainsKey)];
        if (full.Length < 2 || _masks.Any(mask => full.Count(mask.Counts.ContainsKey) > 1)) return;
        int[] files = [.. full.Select(value => _masks.Count(mask => mask.Counts.ContainsKey(value)))];
        throw new DatasetException(
            $"{_root}: {files[0]} masks have value {full[0]}, {files[1]} others {full[1]}, and none both, so that both may mean the "
                + $"same; {Remedy}");
    }

    /// <summary>Refuses masks of 0 and 1 beside those of a JPEG, where 1 is background.</summary>
    private void ThrowIfOneBit()
    {
        int ones = _masks.Count(mask => !mask.Lossy && mask.Encoding == MaskEncoding.Gray && mask.Counts.Keys.Max() == 1);
        if (ones > 0)
            throw new DatasetException(
                $"{_root}: {ones} masks have values 0 and 1, others are compressed by JPEG; expected masks of one kind");
    }

    /// <summary>
    /// Refuses gray values of 1 among colors. Files of one bit or of class numbers have them, and as a color 1 is nearly black.
    /// </summary>
    private void ThrowIfNumbered()
    {
        const int AsColor = 0x010101;
        MaskValues[] numbered = [.. _masks.Where(mask => mask.Encoding == MaskEncoding.Gray && mask.Counts.ContainsKey(1))];
        MaskValues[] colored = [.. _masks.Where(mask => mask.Encoding != MaskEncoding.Gray)];
        if (numbered.Length == 0 || colored.Any(mask => mask.In(_encoding).Any(count => count.Key == AsColor))) return;
        throw new DatasetException(
            $"{_root}: {numbered.Length} masks have gray value 1, {colored.Length} others colors ({Some()}), so that both may mean the "
                + $"same; {ColorRemedy}");
    }

    /// <summary>Refuses values that lie between two others along the edges of regions: they are no classes.</summary>
    private void ThrowIfEdges()
    {
        int low = _values.Keys.First(), high = _values.Keys.Last();
        bool contiguous = _values.Keys.SkipLast(1).Last() == _values.Count - 2; // 0, 1, 2 and 255 are classes
        bool stretched = _encoding == MaskEncoding.Gray && low == 0 && high is 255 or 65535 && _values.Count > 2 && !contiguous;
        if (stretched && MeanRun(value => value != low && value != high) < ShortestRun)
            throw new DatasetException(
                $"{_root}: mask values {Some()} lie in thin lines between 0 and {high}, as soft edges do; expected a value a class; "
                    + $"{Remedy}");
    }

    /// <summary>The mean length of the runs of some values, in pixels.</summary>
    private double MeanRun(Func<int, bool> which)
    {
        double pixels = 0, runs = 0;
        foreach (MaskValues mask in _masks)
            foreach ((int value, long count) in mask.Counts)
                if (which(value)) (pixels, runs) = (pixels + count, runs + mask.Runs[value]);
        return pixels / runs;
    }

    /// <summary>Whether nearly all pixels are of the two extreme values, and many others between them, as resized masks have.</summary>
    private bool IsSoft()
    {
        int low = _values.Keys.First(), high = _values.Keys.Last();
        if (_encoding == MaskEncoding.Palette || _values.Count < 12 || high - low < 64) return false;
        long inside = _values.Sum(count => count.Value) - _values[low] - _values[high];
        return inside < _values[low] && inside < _values[high];
    }

    /// <summary>
    /// Whether values number the things in each mask: from 1, without a gap, and more of them in some masks than in others.
    /// </summary>
    private bool AreInstances()
    {
        int most = _values.Keys.Max();
        if (_encoding != MaskEncoding.Gray || _values.Count <= FewestInstances || _values.Keys.First() != 0) return false;
        // A value of its own in each mask is a number, too.
        if (_masks.Length >= 2 * FewestInstances && _masks.All(mask => mask.Counts.Count <= 2)
            && _values.Keys.Where(v => v > 0).All(v => _masks.Count(mask => mask.Counts.ContainsKey(v)) == 1)) return true;
        if (most != _values.Count - 1) return false;
        int[] counts = [.. _masks.Select(mask => mask.Counts.Keys.Count(value => value > 0))];
        return counts.Distinct().Count() > 1
            && _masks.All(mask => mask.Counts.Keys.Where(v => v > 0).Select((v, i) => v == i + 1).All(same => same));
    }

    private bool IsGrayish() => _values.Keys.All(c =>
        Math.Max(Math.Abs((c >> 16) - (c >> 8 & 255)), Math.Abs((c >> 8 & 255) - (c & 255))) <= 24);

    private string Text(int value) => MaskMeaning.Text(value, _encoding);

    private string Some() => $"{string.Join(", ", _values.Keys.Take(6).Select(Text))}{(_values.Count > 6 ? ", ..." : "")}";

    private static MaskEncoding EncodingOf(string root, MaskValues[] masks)
    {
        MaskEncoding[] encodings = [.. masks.Select(mask => mask.Encoding).Distinct()];
        if (encodings.Contains(MaskEncoding.Alpha))
        {
            int others = masks.Count(mask => !mask.IsOpacity);
            return others == 0 ? MaskEncoding.Alpha : throw new DatasetException(
                $"{root}: {masks.Length - others} masks differ in their opacities alone, {others} others in their colors or gray values; "
                    + "expected masks of one kind");
        }
        if (encodings is not [MaskEncoding.Palette]) return encodings is [var one] ? one : MaskEncoding.Color;
        IReadOnlyList<int> palette = masks[0].Palette!;
        int[] used = [.. masks.SelectMany(mask => mask.Counts.Keys).Distinct()];
        bool same = masks.All(mask => mask.Palette!.SequenceEqual(palette));
        // Indices are sure only where all files share a palette, whose first color is the background's.
        bool distinct = used.Select(index => index < palette.Count ? palette[index] : 0).Distinct().Count() == used.Length;
        bool blackLater = palette[0] != 0 && used.Any(index => index > 0 && index < palette.Count && palette[index] == 0);
        return same && (!distinct || !blackLater) ? MaskEncoding.Palette : MaskEncoding.Color;
    }
}
