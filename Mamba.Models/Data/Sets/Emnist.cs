using System.Globalization;
using System.Text;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// One of the sets of EMNIST (Cohen et al. 2017): handwritten digits and letters in idx files, plain or gzip, named
/// emnist-SET-train-images-idx3-ubyte and so on. SET is balanced, byclass, bymerge, letters, digits or mnist. The files store pictures with
/// rows and columns exchanged; they are turned back. The class names come from emnist-SET-mapping.txt if it exists.
/// </summary>
public sealed class Emnist : TrainTestData
{
    private const int MaxMappingBytes = 1 << 14;
    private const string Digits = "0123456789", Capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Small = "abcdefghijklmnopqrstuvwxyz";
    private const string Merged = Digits + Capitals + "abdefghnqrt"; // small letters that look like their capitals are merged with them

    private static readonly (string Name, string Classes)[] s_sets =
    [
        ("balanced", Merged), ("byclass", Digits + Capitals + Small), ("bymerge", Merged), ("letters", Capitals), ("digits", Digits),
        ("mnist", Digits),
    ];

    private readonly IdxFiles _train, _test;

    /// <summary>Reads the four files of a set.</summary>
    /// <param name="path">
    /// Their folder, or a folder with raw/, gzip/ or EMNIST/raw/. Where it holds several sets, a file of one of them.
    /// </param>
    /// <param name="cancellation">Stops between pieces of the files.</param>
    /// <exception cref="DatasetException">
    /// A file is missing, cannot be read, is damaged, images and labels differ in number, or there are several sets.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public Emnist(string path, CancellationToken cancellation = default)
        : base(digits: 6)
    {
        string folder = Find(path)
            ?? throw new DatasetException($"{path}: no files of EMNIST; expected emnist-SET-train-images-idx3-ubyte and so on.");
        string[] sets = File.Exists(path)
            ? [.. s_sets.Select(set => set.Name).Where(set => IsOf(Path.GetFileName(path), set))]
            : [.. s_sets.Select(set => set.Name).Where(set => Names(set).Any(name => File.Exists(Path.Combine(folder, name))))];
        if (sets.Length != 1)
            throw new DatasetException(
                $"{path}: {sets.Length} sets of EMNIST ({string.Join(", ", sets)}); give a file of one of them, such as "
                    + $"{Path.Combine(folder, $"emnist-{sets[0]}-train-images-idx3-ubyte")}.");
        (string set, string classes) = s_sets.First(known => known.Name == sets[0]);
        int first = set == "letters" ? 1 : 0;
        _train = Read("train");
        _test = Read("test");
        string mapping = Path.Combine(folder, $"emnist-{set}-mapping.txt");
        Labels = File.Exists(mapping) ? ReadMapping(mapping, first, classes.Length) : [.. classes.Select(c => c.ToString())];

        IdxFiles Read(string part) => IdxFiles.Read(
            folder, $"emnist-{set}-{part}-images-idx3-ubyte", $"emnist-{set}-{part}-labels-idx1-ubyte", first, classes.Length,
            cancellation);
    }

    /// <summary>
    /// The folder of the files: the path, or raw/, gzip/ or EMNIST/raw/ inside it, or the folder of a file of EMNIST; null if there are
    /// none.
    /// </summary>
    /// <param name="path">Where to look.</param>
    /// <returns>The folder.</returns>
    public static string? Find(string path)
    {
        string[] names = [.. s_sets.SelectMany(set => Names(set.Name))];
        if (File.Exists(path))
            return names.Contains(Path.GetFileName(path)) ? Path.GetDirectoryName(Path.GetFullPath(path)) : null;
        return DataFile.Folder(
            [path, Path.Combine(path, "raw"), Path.Combine(path, "gzip"), Path.Combine(path, "EMNIST", "raw")], names);
    }

    /// <summary>The characters of the classes: those that one class stands for are written together, such as Aa.</summary>
    public override IReadOnlyList<string> Labels { get; }

    /// <inheritdoc/>
    public override int Count => _train.Labels.Length + _test.Labels.Length;

    private protected override int Train => _train.Labels.Length;

    /// <inheritdoc/>
    public override ClassificationSample Load(int index)
    {
        (IdxFiles files, int at) = IdxFiles.Place(_train, _test, index);
        (int width, int height) = (files.Rows, files.Columns); // exchanged
        ReadOnlySpan<byte> stored = files.Picture(at);
        byte[] pixels = new byte[stored.Length];
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) pixels[y * width + x] = stored[x * height + y];
        return new ClassificationSample(new Image(width, height, 1, pixels), files.Labels.Span[at]);
    }

    private static bool IsOf(string name, string set) => Names(set).Contains(name);

    private static IEnumerable<string> Names(string set) =>
        from part in new[] { "train", "test" }
        from kind in new[] { "images-idx3-ubyte", "labels-idx1-ubyte" }
        from name in IdxFiles.Spellings($"emnist-{set}-{part}-{kind}")
        select name;

    /// <summary>A line per class: its label, and the codes of its characters.</summary>
    private static string[] ReadMapping(string path, int first, int classes)
    {
        using FileStream file = DataFile.Open(path);
        byte[] bytes = DataFile.Read(path, file, 0, _ => file.Length <= MaxMappingBytes ? file.Length
            : throw new DatasetException($"{path}: {file.Length} bytes of classes; expected at most {MaxMappingBytes}."));
        string[] labels = new string[classes];
        string[] lines = Encoding.UTF8.GetString(bytes).Split('\n', StringSplitOptions.TrimEntries);
        for (int line = 0; line < lines.Length; line++)
        {
            if (lines[line].Length == 0) continue;
            int[] numbers = [.. lines[line].Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Select(word =>
                int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : -1)];
            if (numbers.Length < 2 || numbers[0] < first || numbers[0] >= first + classes
                || numbers[1..].Any(code => code is < 33 or > 126))
                throw new DatasetException(
                    $"{path}: line {line + 1}: '{lines[line]}'; expected a label from {first} to {first + classes - 1} and the codes of "
                        + "its characters.");
            labels[numbers[0] - first] = string.Concat(numbers[1..].Select(code => (char)code));
        }
        int missing = Array.IndexOf(labels, null);
        return missing < 0 ? labels : throw new DatasetException($"{path}: no line for label {first + missing}; expected one for each.");
    }
}
