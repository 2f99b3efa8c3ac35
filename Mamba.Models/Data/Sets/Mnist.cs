using System.Buffers.Binary;
using System.Globalization;
using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// MNIST (LeCun et al.), and ten-class sets in its format: gray pictures in idx files, plain or gzip. They are named
/// train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, or with '.idx' in place of '-idx'.
/// </summary>
public sealed class Mnist : IImageData
{
    private const int Classes = 10;
    private const uint ImageMagic = 0x803, LabelMagic = 0x801;

    private static readonly string[] s_names =
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

    private readonly Files _train, _test;

    /// <summary>Reads the four files.</summary>
    /// <param name="root">Their folder, or a folder with raw/ or MNIST/raw/.</param>
    /// <param name="cancellation">Stops between pieces of the files.</param>
    /// <exception cref="DatasetException">A file is missing, cannot be read, is damaged, or images and labels differ in number.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public Mnist(string root, CancellationToken cancellation = default)
    {
        string folder = Find(root)
            ?? throw new DatasetException($"{root}: no idx files; expected {string.Join(", ", s_names)}, each plain or with .gz.");
        _train = ReadFiles(folder, s_names[0], s_names[1], cancellation);
        _test = ReadFiles(folder, s_names[2], s_names[3], cancellation);
    }

    /// <summary>The folder of the files: the root, or raw/ or MNIST/raw/ inside it; null if it has none of them.</summary>
    /// <param name="root">Where to look.</param>
    /// <returns>The folder.</returns>
    public static string? Find(string root) =>
        DataFile.Folder([root, Path.Combine(root, "raw"), Path.Combine(root, "MNIST", "raw")], [.. s_names.SelectMany(Spellings)]);

    /// <inheritdoc/>
    public ModelTask Task => ModelTask.Classification;

    /// <inheritdoc/>
    public IReadOnlyList<string> Labels { get; } =
        [.. Enumerable.Range(0, Classes).Select(digit => digit.ToString(CultureInfo.InvariantCulture))];

    /// <inheritdoc/>
    public int Count => _train.Labels.Length + _test.Labels.Length;

    /// <inheritdoc/>
    public string Name(int index) => index < _train.Labels.Length ? $"train/{index + 1:D5}" : $"test/{index - _train.Labels.Length + 1:D5}";

    /// <inheritdoc/>
    public SplitPart? Part(int index) => index < _train.Labels.Length ? SplitPart.Train : SplitPart.Test;

    Sample IImageData.Load(int index) => Load(index);

    /// <inheritdoc cref="IImageData.Load"/>
    public ClassificationSample Load(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        int train = _train.Labels.Length;
        (Files files, int at) = index < train ? (_train, index) : (_test, index - train);
        int size = files.Height * files.Width;
        byte[] pixels = files.Pixels.Slice(at * size, size).ToArray();
        return new ClassificationSample(new Image(files.Width, files.Height, 1, pixels), files.Labels.Span[at]);
    }

    private static string[] Spellings(string name)
    {
        string dotted = name.Replace("-idx", ".idx", StringComparison.Ordinal);
        return [name, name + ".gz", dotted, dotted + ".gz"];
    }

    private static Files ReadFiles(string folder, string imageName, string labelName, CancellationToken cancellation)
    {
        string imagePath = PathOf(folder, imageName), labelPath = PathOf(folder, labelName);
        using FileStream imageFile = DataFile.Open(imagePath), labelFile = DataFile.Open(labelPath);
        (ReadOnlyMemory<byte> pixels, int[] sizes) = ReadIdx(imagePath, imageFile, ImageMagic, 3, cancellation);
        (ReadOnlyMemory<byte> labels, int[] count) = ReadIdx(labelPath, labelFile, LabelMagic, 1, cancellation);
        if (sizes[0] != count[0])
            throw new DatasetException($"{imagePath} has {sizes[0]} images, but {labelPath} {count[0]} labels; expected as many.");
        int wrong = labels.Span.IndexOfAnyExceptInRange((byte)0, (byte)(Classes - 1));
        if (wrong >= 0)
            throw new DatasetException($"{labelPath}: label {labels.Span[wrong]} at byte {8 + wrong}; expected 0 to {Classes - 1}.");
        return new Files(pixels, labels, sizes[1], sizes[2]);
    }

    private static string PathOf(string folder, string name) =>
        Spellings(name).Select(spelling => Path.Combine(folder, spelling)).FirstOrDefault(File.Exists)
        ?? throw new DatasetException($"{folder}: no {name}; expected it beside the other idx files, plain or with .gz.");

    /// <summary>Reads an idx file of bytes: a magic number, the sizes of the dimensions (big-endian), then the values.</summary>
    internal static (ReadOnlyMemory<byte> Values, int[] Sizes) ReadIdx(
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

    /// <summary>The pictures of two files that belong together.</summary>
    private sealed record Files(ReadOnlyMemory<byte> Pixels, ReadOnlyMemory<byte> Labels, int Height, int Width);
}
