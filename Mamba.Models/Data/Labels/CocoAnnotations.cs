using System.Text.Json;

namespace Mamba.Models.Data.Labels;

/// <summary>
/// COCO's annotations for segmentation: a JSON object with images, categories and annotations. The mask of an object is a list of polygons,
/// or runs (plain or packed). Objects with iscrowd are masks like any other. Objects with a box alone are refused.
/// </summary>
public sealed class CocoAnnotations
{
    /// <summary>The most classes: a map of classes has one byte for a pixel, and 0 is background.</summary>
    public const int MaxClasses = 255;

    private static readonly byte[][] s_lists = ["\"images\""u8.ToArray(), "\"annotations\""u8.ToArray(), "\"categories\""u8.ToArray()];

    private readonly string _path;
    private readonly Dictionary<string, CocoPicture> _byName = [];
    private readonly Dictionary<long, CocoPicture> _byId = [];
    private readonly Dictionary<long, byte> _values = [];

    private CocoAnnotations(string path, JsonElement root)
    {
        _path = path;
        if (root.ValueKind != JsonValueKind.Object) throw Bad("is no JSON object");
        Classes = ReadClasses(root);
        ReadPictures(root);
        int index = 0;
        foreach (JsonElement annotation in List(root, "annotations")) ReadObject(annotation, index++);
    }

    /// <summary>The names of the classes, in the order of their ids: the first has 1 in a map of classes.</summary>
    public IReadOnlyList<string> Classes { get; }

    /// <summary>The pictures, in the order of the file; those without objects are among them.</summary>
    public IReadOnlyCollection<CocoPicture> Pictures => _byId.Values;

    /// <summary>Whether a JSON file holds annotations: its first bytes are of an object, and it has all three lists.</summary>
    /// <param name="path">The file.</param>
    /// <returns>False for any other file, and one that cannot be read.</returns>
    internal static bool IsCoco(string path)
    {
        try
        {
            byte[] bytes = LabelFile.ReadAll(path, LabelFile.MaxBytes);
            return s_lists.All(list => bytes.AsSpan().IndexOf(list) >= 0);
        }
        catch (DatasetException)
        {
            return false;
        }
    }

    /// <summary>Reads a file.</summary>
    /// <param name="path">The JSON file, of at most 1 GiB. Reading takes about four times its size in memory.</param>
    /// <returns>Its annotations.</returns>
    /// <exception cref="DatasetException">It cannot be read, is malformed or contradicts itself.</exception>
    public static CocoAnnotations Load(string path) => Read(path, LabelFile.ReadAll(path, LabelFile.MaxBytes));

    /// <summary>The picture of a file.</summary>
    /// <param name="fileName">Its name as the annotations give it.</param>
    /// <returns>The picture; null if they know none.</returns>
    public CocoPicture? Find(string fileName) => _byName.GetValueOrDefault(fileName);

    /// <summary>Reads the bytes of a file.</summary>
    internal static CocoAnnotations Read(string path, byte[] bytes)
    {
        try
        {
            int mark = bytes is [0xEF, 0xBB, 0xBF, ..] ? 3 : 0; // a byte order mark
            using JsonDocument document = JsonDocument.Parse(bytes.AsMemory(mark));
            return new CocoAnnotations(path, document.RootElement);
        }
        catch (JsonException e)
        {
            throw new DatasetException($"{path}: is no JSON: {e.Message}", e);
        }
        catch (InvalidOperationException e) // from half of a surrogate pair, in a name or in a text
        {
            throw new DatasetException($"{path}: a text that is no Unicode: {e.Message}", e);
        }
    }

    private string[] ReadClasses(JsonElement root)
    {
        SortedDictionary<long, string> classes = [];
        foreach (JsonElement category in List(root, "categories"))
        {
            long id = Integer(category, "id", "a category");
            if (!classes.TryAdd(id, Text(category, "name", $"category {id}"))) throw Bad($"category {id} is there twice");
        }
        if (classes.Count is 0 or > MaxClasses) throw Bad($"{classes.Count} categories; expected 1 to {MaxClasses}");
        foreach (long id in classes.Keys) _values.Add(id, (byte)(_values.Count + 1));
        return [.. classes.Values];
    }

    private void ReadPictures(JsonElement root)
    {
        foreach (JsonElement image in List(root, "images"))
        {
            long id = Integer(image, "id", "an image");
            string what = $"image {id}", name = Text(image, "file_name", what).Replace('\\', '/');
            long width = Integer(image, "width", what), height = Integer(image, "height", what);
            if (width < 1 || height < 1 || width > Image.MaxPixels || height > Image.MaxPixels || width * height > Image.MaxPixels)
                throw Bad($"{what} of {width} x {height} pixels; expected 1 or more, and at most {Image.MaxPixels} in all");
            CocoPicture picture = new(name, (int)width, (int)height);
            if (!_byId.TryAdd(id, picture)) throw Bad($"{what} is there twice");
            if (!_byName.TryAdd(name, picture)) throw Bad($"two images have the file name '{name}'");
        }
    }

    private void ReadObject(JsonElement annotation, int index)
    {
        string what = annotation.ValueKind == JsonValueKind.Object && annotation.TryGetProperty("id", out JsonElement id)
            && id.ValueKind == JsonValueKind.Number ? $"annotation {Few(id)}" : $"annotation number {index}";
        long image = Integer(annotation, "image_id", what), category = Integer(annotation, "category_id", what);
        if (!_byId.TryGetValue(image, out CocoPicture? picture)) throw Bad($"{what} is for image {image}, which is not listed");
        if (!_values.TryGetValue(category, out byte value)) throw Bad($"{what} is of category {category}, which is not listed");
        annotation.TryGetProperty("segmentation", out JsonElement mask);
        picture.Add(mask.ValueKind switch
        {
            JsonValueKind.Array when mask.GetArrayLength() > 0 => new CocoMask(value, Polygons(mask, what), null),
            JsonValueKind.Object => new CocoMask(value, [], Runs(mask, picture, what)),
            _ => throw Bad($"{what} has no mask; expected polygons or runs in 'segmentation'. Boxes alone are not read"),
        });
    }

    private double[][] Polygons(JsonElement mask, string what)
    {
        double[][] polygons = new double[mask.GetArrayLength()][];
        int at = 0;
        foreach (JsonElement polygon in mask.EnumerateArray())
        {
            int length = polygon.ValueKind == JsonValueKind.Array ? polygon.GetArrayLength() : 0;
            if (length < 6 || length % 2 != 0)
                throw Bad($"{what} has a polygon of {length} coordinates; expected pairs of three corners or more");
            polygons[at++] = [.. polygon.EnumerateArray().Select(coordinate =>
                coordinate.ValueKind == JsonValueKind.Number && coordinate.TryGetDouble(out double number)
                    && Math.Abs(number) <= PolygonFill.MaxCoordinate
                    ? number
                    : throw Bad($"{what} has coordinate '{Few(coordinate)}'; expected a number up to {PolygonFill.MaxCoordinate}"))];
        }
        return polygons;
    }

    private int[] Runs(JsonElement mask, CocoPicture picture, string what)
    {
        if (!mask.TryGetProperty("size", out JsonElement size) || size.ValueKind != JsonValueKind.Array || size.GetArrayLength() != 2
            || !IsNumber(size[0], picture.Height) || !IsNumber(size[1], picture.Width))
            throw Bad($"{what} has runs of size {Few(size)}; expected its image's, [{picture.Height}, {picture.Width}]");
        mask.TryGetProperty("counts", out JsonElement counts);
        int[] runs = counts.ValueKind switch
        {
            JsonValueKind.Array => [.. counts.EnumerateArray().Select(count =>
                count.ValueKind == JsonValueKind.Number && count.TryGetInt32(out int number)
                    ? number
                    : throw Bad($"{what} has a run of '{Few(count)}' pixels; expected whole numbers"))],
            JsonValueKind.String => Unpack(counts.GetString()!, what),
            _ => throw Bad($"{what} has no 'counts'; expected a list or a text"),
        };
        long pixels = (long)picture.Width * picture.Height;
        return RunLength.Fits(runs, pixels)
            ? runs
            : throw Bad($"{what} has runs of {runs.Sum(run => (long)run)} pixels; expected {pixels}, and none negative");
    }

    private int[] Unpack(string packed, string what)
    {
        try
        {
            return RunLength.Unpack(packed);
        }
        catch (FormatException e)
        {
            throw Bad($"{what} has packed runs that are malformed: {e.Message}");
        }
    }

    private JsonElement.ArrayEnumerator List(JsonElement root, string name) =>
        root.TryGetProperty(name, out JsonElement list) && list.ValueKind == JsonValueKind.Array
            ? list.EnumerateArray()
            : throw Bad($"no list '{name}'; expected COCO's images, categories and annotations");

    private long Integer(JsonElement element, string name, string what) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value)
            && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number)
            ? number
            : throw Bad($"{what} has no whole number '{name}'");

    private string Text(JsonElement element, string name, string what) =>
        element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String
            && value.GetString() is { Length: > 0 } text
            ? text
            : throw Bad($"{what} has no text '{name}'");

    private static bool IsNumber(JsonElement element, int expected) =>
        element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out int number) && number == expected;

    private static string Few(JsonElement element)
    {
        string text = element.ValueKind == JsonValueKind.Undefined ? "none" : element.GetRawText();
        return text.Length <= 40 ? text : text[..40] + "...";
    }

    private DatasetException Bad(string problem) => new($"{_path}: {problem}.");
}
