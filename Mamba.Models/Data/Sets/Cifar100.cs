using System.Globalization;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// CIFAR-100 (Krizhevsky 2009) with its hundred fine classes, in its binary version (train.bin, test.bin) or in its Python version (train,
/// test, meta). The class names come from fine_label_names.txt or meta; without them, classes are numbered.
/// </summary>
public sealed class Cifar100 : TrainTestData
{
    /// <summary>Rows and columns of a picture.</summary>
    public const int Side = CifarRecords.Side;

    private const int Classes = 100;
    private const string LabelFile = "fine_label_names.txt", Meta = "meta";

    private static readonly string[] s_files = ["train.bin", "test.bin"], s_pickles = ["train", "test"];

    private readonly CifarRecords _records;

    /// <summary>Reads the files. Pictures are unpacked on request.</summary>
    /// <param name="root">Their folder, or the parent of cifar-100-binary/ or cifar-100-python/.</param>
    /// <param name="cancellation">Stops between pieces of the files.</param>
    /// <exception cref="DatasetException">A file is missing, cannot be read, or is malformed.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public Cifar100(string root, CancellationToken cancellation = default)
    {
        string folder = Find(root) ?? throw new DatasetException(
            $"{root}: no CIFAR-100; expected {string.Join(", ", s_files)}, or train, test and meta of the Python version.");
        bool binary = s_files.Any(name => File.Exists(Path.Combine(folder, name)));
        string[] names = binary ? s_files : s_pickles;
        _records = new CifarRecords(
            CifarRecords.ReadFiles(folder, names, binary, ("fine_labels", Classes, 2), cancellation), head: binary ? 2 : 1);
        string text = Path.Combine(folder, LabelFile), pickle = Path.Combine(folder, Meta);
        Labels = File.Exists(text) ? CifarRecords.ReadLabels(text, Classes)
            : !binary && File.Exists(pickle) ? CifarRecords.ReadPickledLabels(pickle, "fine_label_names", Classes)
            : [.. Enumerable.Range(0, Classes).Select(label => label.ToString(CultureInfo.InvariantCulture))];
    }

    /// <summary>
    /// The folder of the files: the root, or cifar-100-binary/ or cifar-100-python/ inside it; null if it has none of them. Files called
    /// train and test are those of the Python version if one called meta is beside them.
    /// </summary>
    /// <param name="root">Where to look.</param>
    /// <returns>The folder.</returns>
    public static string? Find(string root)
    {
        string? folder = DataFile.Folder([root, Path.Combine(root, "cifar-100-binary")], s_files);
        if (folder is not null) return folder;
        return DataFile.Folder([root, Path.Combine(root, "cifar-100-python")], [Meta]) is { } python
            && DataFile.Folder([python], s_pickles) is not null ? python : null;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels { get; }

    /// <inheritdoc/>
    public override int Count => _records.Count;

    private protected override int Train => _records.Train;

    /// <inheritdoc/>
    public override ClassificationSample Load(int index) => _records.Load(index);
}
