
namespace Mamba.Models.Data.Sets;

/// <summary>
/// CIFAR-10 (Krizhevsky 2009), in its binary version (data_batch_1.bin to data_batch_5.bin for training, test_batch.bin for test) or in its
/// Python version (the same names without .bin). The class names come from batches.meta.txt or batches.meta if it exists.
/// </summary>
public sealed class Cifar10 : TrainTestData
{
    /// <summary>Rows and columns of a picture.</summary>
    public const int Side = CifarRecords.Side;

    private const string Meta = "batches.meta";

    private static readonly string[] s_pickles =
        ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"];

    private static readonly string[] s_files = [.. s_pickles.Select(name => name + ".bin")];

    private static readonly string[] s_labels =
        ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

    private readonly CifarRecords _records;

    /// <summary>Reads the six files. Pictures are unpacked on request.</summary>
    /// <param name="root">Their folder, or the parent of cifar-10-batches-bin/ or cifar-10-batches-py/.</param>
    /// <param name="cancellation">Stops between pieces of the files.</param>
    /// <exception cref="DatasetException">A file is missing, cannot be read, or is malformed.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public Cifar10(string root, CancellationToken cancellation = default)
    {
        string folder = Find(root) ?? throw new DatasetException(
            $"{root}: no binary version of CIFAR-10; expected {string.Join(", ", s_files)}, or those without .bin of the Python version.");
        bool binary = s_files.Any(name => File.Exists(Path.Combine(folder, name)));
        string[] names = binary ? s_files : s_pickles;
        _records = new CifarRecords(CifarRecords.ReadFiles(folder, names, binary, ("labels", s_labels.Length, 1), cancellation), head: 1);
        string text = Path.Combine(folder, Meta + ".txt"), pickle = Path.Combine(folder, Meta);
        Labels = File.Exists(text) ? CifarRecords.ReadLabels(text, s_labels.Length)
            : File.Exists(pickle) ? CifarRecords.ReadPickledLabels(pickle, "label_names", s_labels.Length)
            : s_labels;
    }

    /// <summary>
    /// The folder of the files: the root, or cifar-10-batches-bin/ or cifar-10-batches-py/ inside it; null if it has none of them.
    /// </summary>
    /// <param name="root">Where to look.</param>
    /// <returns>The folder.</returns>
    public static string? Find(string root) => DataFile.Folder([root, Path.Combine(root, "cifar-10-batches-bin")], s_files)
        ?? DataFile.Folder([root, Path.Combine(root, "cifar-10-batches-py")], s_pickles);

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels { get; }

    /// <inheritdoc/>
    public override int Count => _records.Count;

    private protected override int Train => _records.Train;

    /// <inheritdoc/>
    public override ClassificationSample Load(int index) => _records.Load(index);

    internal static byte[] ReadRecords(string path, Stream file, CancellationToken cancellation = default) =>
        CifarRecords.ReadBinary(path, file, 1, s_labels.Length, cancellation);
}
