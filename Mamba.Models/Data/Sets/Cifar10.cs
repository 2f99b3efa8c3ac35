using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// CIFAR-10 (Krizhevsky 2009) in its binary version: data_batch_1.bin to data_batch_5.bin for training, test_batch.bin for test. A record
/// is a label and 32 x 32 samples each of red, green and blue. The class names come from batches.meta.txt if it exists.
/// </summary>
public sealed class Cifar10 : IImageData
{
    /// <summary>Rows and columns of a picture.</summary>
    public const int Side = 32;

    private const int Plane = Side * Side, Record = 1 + 3 * Plane;
    private const int MaxLabelBytes = 1 << 16;
    private const string LabelFile = "batches.meta.txt";

    private static readonly string[] s_files =
    [
        "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin",
    ];

    private static readonly string[] s_labels =
        ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

    private readonly byte[][] _files;
    private readonly int _train;

    /// <summary>Reads the six files. Pictures are unpacked on request.</summary>
    /// <param name="root">Their folder, or the parent of cifar-10-batches-bin/.</param>
    /// <param name="cancellation">Stops between pieces of the files.</param>
    /// <exception cref="DatasetException">A file is missing, cannot be read, or is malformed.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public Cifar10(string root, CancellationToken cancellation = default)
    {
        string folder = Find(root)
            ?? throw new DatasetException($"{root}: no binary version of CIFAR-10; expected {string.Join(", ", s_files)}.");
        _files = [.. s_files.Select(name => ReadRecords(Path.Combine(folder, name), cancellation))];
        _train = _files[..^1].Sum(file => file.Length / Record);
        Count = _files.Sum(file => file.Length / Record);
        Labels = ReadLabels(Path.Combine(folder, LabelFile));
    }

    /// <summary>The folder of the files: the root, or cifar-10-batches-bin/ inside it; null if it has none of them.</summary>
    /// <param name="root">Where to look.</param>
    /// <returns>The folder.</returns>
    public static string? Find(string root) => DataFile.Folder([root, Path.Combine(root, "cifar-10-batches-bin")], s_files);

    /// <inheritdoc/>
    public ModelTask Task => ModelTask.Classification;

    /// <inheritdoc/>
    public IReadOnlyList<string> Labels { get; }

    /// <inheritdoc/>
    public int Count { get; }

    /// <inheritdoc/>
    public string Name(int index) => index < _train ? $"train/{index + 1:D5}" : $"test/{index - _train + 1:D5}";

    /// <inheritdoc/>
    public SplitPart? Part(int index) => index < _train ? SplitPart.Train : SplitPart.Test;

    Sample IImageData.Load(int index) => Load(index);

    /// <inheritdoc cref="IImageData.Load"/>
    public ClassificationSample Load(int index)
    {
        ReadOnlySpan<byte> record = RecordOf(index);
        ReadOnlySpan<byte> red = record.Slice(1, Plane), green = record.Slice(1 + Plane, Plane), blue = record.Slice(1 + 2 * Plane, Plane);
        byte[] pixels = new byte[3 * Plane];
        for (int i = 0; i < Plane; i++) (pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]) = (red[i], green[i], blue[i]);
        return new ClassificationSample(new Image(Side, Side, 3, pixels), record[0]);
    }

    private ReadOnlySpan<byte> RecordOf(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        int file = 0;
        for (; index >= _files[file].Length / Record; file++) index -= _files[file].Length / Record;
        return _files[file].AsSpan(index * Record, Record);
    }

    private static byte[] ReadRecords(string path, CancellationToken cancellation)
    {
        if (!File.Exists(path)) throw new DatasetException($"{path}: no such file; expected {string.Join(", ", s_files)} in one folder.");
        using FileStream file = DataFile.Open(path);
        return ReadRecords(path, file, cancellation);
    }

    internal static byte[] ReadRecords(string path, Stream file, CancellationToken cancellation = default)
    {
        long length = file.Length;
        if (length == 0 || length % Record != 0)
            throw new DatasetException(
                $"{path}: {length} bytes, the last record from byte {length / Record * Record} cut short; expected one or more records of "
                    + $"{Record} bytes.");
        byte[] bytes = DataFile.Read(path, file, 0, _ => length, gzip: false, cancellation);
        for (int at = 0; at < bytes.Length; at += Record)
            if (bytes[at] >= s_labels.Length)
                throw new DatasetException($"{path}: label {bytes[at]} at byte {at}; expected 0 to {s_labels.Length - 1}.");
        return bytes;
    }

    private static string[] ReadLabels(string path)
    {
        if (!File.Exists(path)) return s_labels;
        using FileStream file = DataFile.Open(path);
        byte[] bytes = DataFile.Read(path, file, 0, _ => file.Length <= MaxLabelBytes ? file.Length
            : throw new DatasetException($"{path}: {file.Length} bytes of names of classes; expected at most {MaxLabelBytes}."));
        string[] labels = System.Text.Encoding.UTF8.GetString(bytes)
            .Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return labels.Length == s_labels.Length ? labels
            : throw new DatasetException($"{path}: {labels.Length} names of classes; expected {s_labels.Length}.");
    }
}
