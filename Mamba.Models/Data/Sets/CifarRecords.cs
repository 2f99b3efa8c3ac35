using System.Text;
using Mamba.Core.Checkpoints;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// The pictures of CIFAR-10 and CIFAR-100 as their binary versions store them: one or two labels, of which the last counts, then 32 x 32
/// samples each of red, green and blue. The pickles of the Python versions are brought into this form.
/// </summary>
/// <param name="files">Whole records; the last file is the test set.</param>
/// <param name="head">The labels of a record.</param>
internal sealed class CifarRecords(byte[][] files, int head)
{
    /// <summary>Rows and columns of a picture.</summary>
    public const int Side = 32;

    private const int Plane = Side * Side, Pixels = 3 * Plane;
    private const int MaxLabelBytes = 1 << 16;

    private readonly int _record = head + Pixels;

    /// <summary>The training pictures; the test pictures follow them.</summary>
    public int Train => files[..^1].Sum(file => file.Length / _record);

    /// <summary>All pictures.</summary>
    public int Count => files.Sum(file => file.Length / _record);

    /// <summary>Unpacks a picture.</summary>
    public ClassificationSample Load(int index)
    {
        ReadOnlySpan<byte> record = RecordOf(index), samples = record[head..];
        ReadOnlySpan<byte> red = samples[..Plane], green = samples.Slice(Plane, Plane), blue = samples.Slice(2 * Plane, Plane);
        byte[] pixels = new byte[Pixels];
        for (int i = 0; i < Plane; i++) (pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]) = (red[i], green[i], blue[i]);
        return new ClassificationSample(new Image(Side, Side, 3, pixels), record[head - 1]);
    }

    /// <summary>Reads the files of either version.</summary>
    /// <param name="folder">Their folder.</param>
    /// <param name="names">Their names.</param>
    /// <param name="binary">Whether they are of the binary version.</param>
    /// <param name="kind">The key of the labels in a pickle, the classes, and the labels of a binary record.</param>
    /// <param name="cancellation">Stops between pieces.</param>
    /// <exception cref="DatasetException">One is missing, cannot be read, or is malformed.</exception>
    public static byte[][] ReadFiles(
        string folder, string[] names, bool binary, (string Labels, int Classes, int Head) kind, CancellationToken cancellation) =>
        Array.ConvertAll(names, name =>
        {
            string path = Path.Combine(folder, name);
            if (!File.Exists(path))
                throw new DatasetException(
                    $"{path}: no such file; expected {string.Join(", ", names[..^1])} and {names[^1]} in one folder.");
            using FileStream file = DataFile.Open(path);
            return binary ? ReadBinary(path, file, kind.Head, kind.Classes, cancellation)
                : ReadPickle(path, file, kind.Labels, kind.Classes, cancellation);
        });

    /// <summary>Reads a file of the binary version and checks its labels.</summary>
    /// <exception cref="DatasetException">It cannot be read, or is malformed.</exception>
    public static byte[] ReadBinary(string path, Stream file, int head, int classes, CancellationToken cancellation = default)
    {
        int record = head + Pixels;
        long length = file.Length;
        if (length == 0 || length % record != 0)
            throw new DatasetException(
                $"{path}: {length} bytes, the last record from byte {length / record * record} cut short; expected one or more records of "
                    + $"{record} bytes.");
        byte[] bytes = DataFile.Read(path, file, 0, _ => length, gzip: false, cancellation);
        for (int at = head - 1; at < bytes.Length; at += record)
            if (bytes[at] >= classes)
                throw new DatasetException($"{path}: label {bytes[at]} at byte {at}; expected 0 to {classes - 1}.");
        return bytes;
    }

    /// <summary>Reads a pickle of the Python version: 'data' of (N, 3072) bytes and a list of N labels.</summary>
    /// <returns>Records with one label.</returns>
    /// <exception cref="DatasetException">It cannot be read, or is malformed.</exception>
    public static byte[] ReadPickle(string path, Stream file, string labels, int classes, CancellationToken cancellation = default)
    {
        PickledData pickle = OpenPickle(path, file);
        try
        {
            (IReadOnlyList<long> shape, byte[] samples) = pickle.Bytes("data");
            long[] numbers = pickle.Integers(labels);
            if (shape is not [_, Pixels] || shape[0] != numbers.Length || numbers.Length == 0)
                throw new DatasetException(
                    $"{path}: 'data' of ({string.Join(", ", shape)}) and {numbers.Length} '{labels}'; expected (N, {Pixels}) and N.");
            byte[] records = new byte[numbers.Length * (1 + Pixels)];
            for (int i = 0; i < numbers.Length; i++)
            {
                if (i % 1000 == 0) cancellation.ThrowIfCancellationRequested();
                if (numbers[i] < 0 || numbers[i] >= classes)
                    throw new DatasetException($"{path}: label {numbers[i]} of picture {i}; expected 0 to {classes - 1}.");
                records[i * (1 + Pixels)] = (byte)numbers[i];
                samples.AsSpan(i * Pixels, Pixels).CopyTo(records.AsSpan(i * (1 + Pixels) + 1));
            }
            return records;
        }
        catch (CheckpointException e)
        {
            throw new DatasetException(e.Message, e);
        }
    }

    /// <summary>The names of the classes, from a list in a pickle.</summary>
    /// <exception cref="DatasetException">It cannot be read, or has another number of names.</exception>
    public static string[] ReadPickledLabels(string path, string key, int classes)
    {
        using FileStream file = DataFile.Open(path);
        try
        {
            return Checked(path, OpenPickle(path, file).Texts(key), classes);
        }
        catch (CheckpointException e)
        {
            throw new DatasetException(e.Message, e);
        }
    }

    /// <summary>The names of the classes, one a line.</summary>
    /// <exception cref="DatasetException">The file cannot be read, or has another number of names.</exception>
    public static string[] ReadLabels(string path, int classes)
    {
        using FileStream file = DataFile.Open(path);
        byte[] bytes = DataFile.Read(path, file, 0, _ => file.Length <= MaxLabelBytes ? file.Length
            : throw new DatasetException($"{path}: {file.Length} bytes of names of classes; expected at most {MaxLabelBytes}."));
        string[] lines = Encoding.UTF8.GetString(bytes).Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return Checked(path, lines, classes);
    }

    private static string[] Checked(string path, string[] labels, int classes) => labels.Length == classes
        ? labels
        : throw new DatasetException($"{path}: {labels.Length} names of classes; expected {classes}.");

    private static PickledData OpenPickle(string path, Stream file)
    {
        if (file.Length > DataFile.MaxBytes)
            throw new DatasetException($"{path}: {file.Length} bytes; expected at most {DataFile.MaxBytes}.");
        try
        {
            return PickledData.Read(path, file);
        }
        catch (IOException e)
        {
            throw new DatasetException(e is CheckpointException ? e.Message : $"{path}: cannot be read: {e.Message}", e);
        }
    }

    private ReadOnlySpan<byte> RecordOf(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        int file = 0;
        for (; index >= files[file].Length / _record; file++) index -= files[file].Length / _record;
        return files[file].AsSpan(index * _record, _record);
    }
}
