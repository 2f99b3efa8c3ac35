using System.Text.Json;
using System.Text.Json.Serialization;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Labels;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;

namespace Mamba.Models.Training;

/// <summary>
/// <c>split.json</c>: the names of the images in each part, those that were left out and why, and what the masks' values stand for.
/// </summary>
/// <param name="Train">The names of the training images.</param>
/// <param name="Val">The names of the validation images.</param>
/// <param name="Test">The names of the test images.</param>
/// <param name="LeftOut">The names of the images in no part, each with the reason.</param>
/// <param name="Labels">The names of the classes; null in a file that was written by hand.</param>
public sealed record SplitFile(
    IReadOnlyList<string> Train, IReadOnlyList<string> Val, IReadOnlyList<string> Test, IReadOnlyDictionary<string, string>? LeftOut = null,
    IReadOnlyList<string>? Labels = null)
{
    private const long MaxBytes = 1L << 28;
    private const string Expected = "expected {\"train\": [NAMES], \"val\": [NAMES], \"test\": [NAMES]}";

    /// <summary>What the values of the masks stand for; null without masks.</summary>
    [JsonIgnore]
    public MaskMeaning? Meaning { get; init; }

    [JsonInclude]
    internal MasksDocument? Masks { get; init; }

    /// <summary>The file of a split.</summary>
    /// <param name="data">The data set.</param>
    /// <param name="split">Its parts.</param>
    /// <param name="leftOut">The names of images in no part, each with the reason.</param>
    /// <param name="meaning">What the masks' values stand for; null without masks.</param>
    /// <returns>The file's content.</returns>
    public static SplitFile Of(IImageData data, Split split, IReadOnlyDictionary<string, string> leftOut, MaskMeaning? meaning)
    {
        return new SplitFile(Names(split.Train), Names(split.Val), Names(split.Test), leftOut, data.Labels)
        {
            Meaning = meaning,
            Masks = meaning is null ? null : MasksDocument.Of(meaning),
        };

        string[] Names(int[] part) => Array.ConvertAll(part, data.Name);
    }

    /// <summary>Writes the file; it appears whole or not at all.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="CheckpointException">It cannot be written.</exception>
    public void Write(string path) =>
        AtomicFile.Write(path, stream => JsonSerializer.Serialize(stream, this, SplitJson.Default.SplitFile));

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <returns>Its content.</returns>
    /// <exception cref="DatasetException">It cannot be read, or is malformed.</exception>
    public static SplitFile Read(string path)
    {
        try
        {
            if (new FileInfo(path).Length > MaxBytes) throw new DatasetException($"{path}: larger than {MaxBytes} bytes; expected a split");
            byte[] text = File.ReadAllBytes(path);
            if (Missing(text) is { Length: > 0 } missing)
                throw new DatasetException($"{path}: no split: it has no {string.Join(" and no ", missing)}; {Expected}");
            SplitFile file = JsonSerializer.Deserialize(text, SplitJson.Default.SplitFile)
                ?? throw new DatasetException($"{path}: null; expected the names of train, val and test");
            return file.Masks is { } masks ? file with { Meaning = masks.ToMeaning(file.Labels ?? []) } : file;
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException or UnauthorizedAccessException or (
            IOException and not DatasetException))
        {
            throw new DatasetException($"{path}: no split: {e.Message}; {Expected}", e);
        }
    }

    /// <summary>The split of a data set that the file describes.</summary>
    /// <param name="path">What errors call the file.</param>
    /// <param name="data">The data set; it may have more images.</param>
    /// <returns>
    /// The indices of each part. A name may be that of a file, with its extension and folders or without: of a volume, all slices.
    /// </returns>
    /// <exception cref="DatasetException">
    /// An image of the file is not in the data, is in training and another part, or is listed twice.
    /// </exception>
    public Split Of(string path, IImageData data)
    {
        Dictionary<string, int> indices = Enumerable.Range(0, data.Count).ToDictionary(data.Name, StringComparer.Ordinal);
        ILookup<string, int>? files = data is not IImageFolder folder ? null
            : Enumerable.Range(0, data.Count).ToLookup(i => Path.GetFileName(folder.ImagePath(i)), StringComparer.Ordinal);
        List<string> missing = [];
        HashSet<string> unknown = [];
        Split split = new(Indices(Train), Indices(Val), Indices(Test));
        if (missing.Count > 0)
            throw new DatasetException(
                $"{path}: {missing.Count} of its images are not in the data: {string.Join(", ", missing.Take(3))}"
                    + $"{(missing.Count > 3 ? ", ..." : "")}; expected names such as {data.Name(0)}");
        // Part val may be part test. Older versions took files that list a name twice in test; those that runs wrote have labels.
        IEnumerable<int> test = Labels is null ? split.Test : split.Test.Distinct();
        int twice = Repeated(split.Train.Concat(split.Val)) ?? Repeated(split.Train.Concat(test)) ?? -1;
        if (twice >= 0) throw new DatasetException($"{path}: '{data.Name(twice)}' is listed twice; expected each image in one part");
        if (Train.Count == 0 || Val.Count == 0 || Test.Count == 0)
            throw new DatasetException($"{path}: {Train.Count} training, {Val.Count} validation and {Test.Count} test images; expected "
                + $"some of each");
        return split;

        static int? Repeated(IEnumerable<int> images) => images.GroupBy(i => i).FirstOrDefault(group => group.Skip(1).Any())?.Key;

        int[] Indices(IReadOnlyList<string> names) => [.. names.SelectMany(IndicesOf).Order()];

        int[] IndicesOf(string name)
        {
            if (indices.TryGetValue(name, out int index)) return [index];
            string file = name.Replace('\\', '/');
            int[] found = [.. (files?[file[(file.LastIndexOf('/') + 1)..]] ?? [])
                .Where(i => $"/{PathOf(i)}".EndsWith($"/{file}", StringComparison.Ordinal))];
            if (found.Select(PathOf).Distinct().Count() == 1) return found;
            if (unknown.Add(name)) missing.Add(name);
            return [];
        }

        string PathOf(int index) => ((IImageFolder)data).ImagePath(index).Replace('\\', '/');
    }

    /// <summary>Which of the parts are not there.</summary>
    private static string[] Missing(byte[] text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        JsonElement root = document.RootElement;
        return root.ValueKind != JsonValueKind.Object ? []
            : [.. new[] { "train", "val", "test" }.Where(part => !root.TryGetProperty(part, out _)).Select(part => $"\"{part}\"")];
    }
}

/// <summary>Reads and writes <see cref="SplitFile"/> without reflection.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, RespectRequiredConstructorParameters = true,
    RespectNullableAnnotations = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(SplitFile))]
internal sealed partial class SplitJson : JsonSerializerContext;
