using System.Buffers.Binary;

namespace Mamba.Models.Data.Sets;

/// <summary>Pictures and labels of two idx files that belong together, plain or gzip.</summary>
/// <param name="Pixels">Gray values of all pictures.</param>
/// <param name="Labels">A label per picture, from 0.</param>
/// <param name="Rows">Rows of a picture as it is stored.</param>
/// <param name="Columns">Columns of a picture as it is stored.</param>
internal sealed record IdxFiles(ReadOnlyMemory<byte> Pixels, ReadOnlyMemory<byte> Labels, int Rows, int Columns)
{
    private const uint ImageMagic = 0x803, LabelMagic = 0x801;

    /// <summary>The names that a file may have: with '-idx' or '.idx', with .gz or without.</summary>
    public static string[] Spellings(string name)
    {
        string dotted = name.Replace("-idx", ".idx", StringComparison.Ordinal);
        return [name, name + ".gz", dotted, dotted + ".gz"];
    }

    /// <summary>Reads two files.</summary>
    /// <param name="folder">Their folder.</param>
    /// <param name="imageName">The file of pictures, in its first spelling.</param>
    /// <param name="labelName">The file of labels, in its first spelling.</param>
    /// <param name="first">The number of the first class.</param>
    /// <param name="classes">The number of classes.</param>
    /// <param name="cancellation">Stops between pieces of the files.</param>
    /// <exception cref="DatasetException">One is missing, is damaged, or pictures and labels differ in number.</exception>
    public static IdxFiles Read(
        string folder, string imageName, string labelName, int first, int classes, CancellationToken cancellation)
    {
        string imagePath = PathOf(folder, imageName), labelPath = PathOf(folder, labelName);
        using FileStream imageFile = DataFile.Open(imagePath), labelFile = DataFile.Open(labelPath);
        (Memory<byte> pixels, int[] sizes) = ReadIdx(imagePath, imageFile, ImageMagic, 3, cancellation);
        (Memory<byte> labels, int[] count) = ReadIdx(labelPath, labelFile, LabelMagic, 1, cancellation);
        if (sizes[0] != count[0])
            throw new DatasetException($"{imagePath} has {sizes[0]} images, but {labelPath} {count[0]} labels; expected as many.");
        int wrong = labels.Span.IndexOfAnyExceptInRange((byte)first, (byte)(first + classes - 1));
        if (wrong >= 0)
            throw new DatasetException(
                $"{labelPath}: label {labels.Span[wrong]} at byte {8 + wrong}; expected {first} to {first + classes - 1}.");
        foreach (ref byte label in labels.Span) label -= (byte)first;
        return new IdxFiles(pixels, labels, sizes[1], sizes[2]);
    }

    /// <summary>Reads an idx file of bytes: a magic number, the sizes of the dimensions (big-endian), then the values.</summary>
    public static (Memory<byte> Values, int[] Sizes) ReadIdx(
        string path, Stream file, uint magic, int dimensions, CancellationToken cancellation = default)
    {
        int head = 4 + 4 * dimensions;
        int[] sizes = new int[dimensions];
        byte[] bytes = DataFile.Read(path, file, head, Promise, gzip: true, cancellation);
        return (bytes.AsMemory(head), sizes);

        long Promise(byte[] head)
        {
            uint found = BinaryPrimitives.ReadUInt32BigEndian(head);
            if (found != magic)
                throw new DatasetException(
                    $"{path}: magic number 0x{found:X8} at byte 0; expected 0x{magic:X8}, an idx file of bytes in "
                        + $"{dimensions} dimension{(dimensions == 1 ? "" : "s")}.");
            long product = 1;
            for (int i = 0; i < dimensions; i++)
            {
                uint size = BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(4 + 4 * i));
                if (size == 0 || product * size > DataFile.MaxBytes)
                    throw new DatasetException(
                        $"{path}: size {size} of dimension {i} at byte {4 + 4 * i}; expected 1 or more, and at most {DataFile.MaxBytes} "
                            + "bytes in all.");
                product *= size;
                sizes[i] = (int)size;
            }
            return product;
        }
    }

    /// <summary>The files that hold a picture, and its index in them.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such picture.</exception>
    public static (IdxFiles Files, int At) Place(IdxFiles train, IdxFiles test, int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, train.Labels.Length + test.Labels.Length);
        return index < train.Labels.Length ? (train, index) : (test, index - train.Labels.Length);
    }

    /// <summary>A picture as it is stored.</summary>
    public ReadOnlySpan<byte> Picture(int index) => Pixels.Span.Slice(index * Rows * Columns, Rows * Columns);

    private static string PathOf(string folder, string name) =>
        Spellings(name).Select(spelling => Path.Combine(folder, spelling)).FirstOrDefault(File.Exists)
        ?? throw new DatasetException($"{folder}: no {name}; expected it beside the other idx files, plain or with .gz.");
}
