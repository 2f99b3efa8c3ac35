using System.Globalization;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// MNIST (LeCun et al.), and ten-class sets in its format, such as Fashion-MNIST: gray pictures in idx files, plain or gzip. They are named
/// train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, or with '.idx' in place of '-idx'.
/// Classes are digits. Where the folder, or one of the two above it, has 'fashion' in its name, they are those of Fashion-MNIST.
/// </summary>
public sealed class Mnist : TrainTestData
{
    private const int Classes = 10;

    private static readonly string[] s_names =
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

    private static readonly string[] s_fashion =
        ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"];

    private readonly IdxFiles _train, _test;

    /// <summary>Reads the four files.</summary>
    /// <param name="root">Their folder, or a folder with raw/, MNIST/raw/ or FashionMNIST/raw/.</param>
    /// <param name="cancellation">Stops between pieces of the files.</param>
    /// <exception cref="DatasetException">A file is missing, cannot be read, is damaged, or images and labels differ in number.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public Mnist(string root, CancellationToken cancellation = default)
    {
        string folder = Find(root)
            ?? throw new DatasetException($"{root}: no idx files; expected {string.Join(", ", s_names)}, each plain or with .gz.");
        _train = IdxFiles.Read(folder, s_names[0], s_names[1], 0, Classes, cancellation);
        _test = IdxFiles.Read(folder, s_names[2], s_names[3], 0, Classes, cancellation);
        Labels = IsFashion(folder)
            ? s_fashion
            : [.. Enumerable.Range(0, Classes).Select(digit => digit.ToString(CultureInfo.InvariantCulture))];
    }

    /// <summary>
    /// The folder of the files: the root, or raw/, MNIST/raw/ or FashionMNIST/raw/ inside it; null if it has none of them.
    /// </summary>
    /// <param name="root">Where to look.</param>
    /// <returns>The folder.</returns>
    public static string? Find(string root) => DataFile.Folder(
        [root, Path.Combine(root, "raw"), Path.Combine(root, "MNIST", "raw"), Path.Combine(root, "FashionMNIST", "raw")],
        [.. s_names.SelectMany(IdxFiles.Spellings)]);

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels { get; }

    /// <inheritdoc/>
    public override int Count => _train.Labels.Length + _test.Labels.Length;

    private protected override int Train => _train.Labels.Length;

    /// <inheritdoc/>
    public override ClassificationSample Load(int index)
    {
        (IdxFiles files, int at) = IdxFiles.Place(_train, _test, index);
        return new ClassificationSample(new Image(files.Columns, files.Rows, 1, files.Picture(at).ToArray()), files.Labels.Span[at]);
    }

    internal static (ReadOnlyMemory<byte> Values, int[] Sizes) ReadIdx(string path, Stream file, uint magic, int dimensions) =>
        IdxFiles.ReadIdx(path, file, magic, dimensions);

    private static bool IsFashion(string folder) =>
        Path.GetFullPath(folder).Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries)
            .TakeLast(3).Any(name => name.Contains("fashion", StringComparison.OrdinalIgnoreCase));
}
