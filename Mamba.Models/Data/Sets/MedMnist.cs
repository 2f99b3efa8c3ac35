using System.Globalization;
using System.IO.Compression;
using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// A set of MedMNIST (Yang et al. 2023): one .npz file with train_images, train_labels, val_images, val_labels, test_images and
/// test_labels. Pictures are (N, H, W) or (N, H, W, 3) bytes, labels whole numbers from 0, one for a picture. Classes are numbered: the
/// file has no names. Sets of volumes, and those with several labels for a picture, are refused.
/// </summary>
public sealed class MedMnist : IImageData
{
    private const int MaxClasses = 1000;
    private const string Extension = ".npz";

    private static readonly (SplitPart Part, string Name)[] s_parts =
        [(SplitPart.Train, "train"), (SplitPart.Val, "val"), (SplitPart.Test, "test")];

    private readonly List<Pictures> _parts = [];

    /// <summary>Reads the file.</summary>
    /// <param name="path">The .npz file, or a folder with one.</param>
    /// <param name="cancellation">Stops between pieces of the file.</param>
    /// <exception cref="DatasetException">
    /// The file is missing, cannot be read, is damaged, or is of a kind that is not supported.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public MedMnist(string path, CancellationToken cancellation = default)
    {
        string[] files = Find(path);
        if (files.Length != 1)
        {
            string some = files.Length == 0 ? "" : $" ({string.Join(", ", files.Take(3).Select(Path.GetFileName))})";
            throw new DatasetException($"{path}: {files.Length} .npz files{some}; expected one file of MedMNIST, or a folder with one.");
        }
        using FileStream file = DataFile.Open(files[0]);
        Labels = Read(files[0], file, cancellation);
    }

    /// <summary>Reads the file from a stream.</summary>
    internal MedMnist(string name, Stream file) => Labels = Read(name, file, CancellationToken.None);

    /// <summary>The .npz files of a folder, or the path itself if it is one.</summary>
    /// <param name="path">Where to look.</param>
    /// <returns>Their paths, in ordinal order; none if there are none.</returns>
    /// <exception cref="DatasetException">The folder cannot be listed.</exception>
    public static string[] Find(string path)
    {
        if (File.Exists(path)) return path.EndsWith(Extension, StringComparison.OrdinalIgnoreCase) ? [path] : [];
        try
        {
            return Directory.Exists(path) ? [.. Directory.GetFiles(path, "*" + Extension).Order(StringComparer.Ordinal)] : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DatasetException($"{path}: cannot be listed: {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public ModelTask Task => ModelTask.Classification;

    /// <inheritdoc/>
    public IReadOnlyList<string> Labels { get; }

    /// <inheritdoc/>
    public int Count => _parts.Sum(part => part.Labels.Length);

    /// <inheritdoc/>
    public string Name(int index)
    {
        (Pictures part, int at) = PlaceOf(index);
        return $"{part.Name}/{at + 1:D5}";
    }

    /// <inheritdoc/>
    public SplitPart? Part(int index) => PlaceOf(index).Part.Part;

    Sample IImageData.Load(int index) => Load(index);

    /// <inheritdoc cref="IImageData.Load"/>
    public ClassificationSample Load(int index)
    {
        (Pictures part, int at) = PlaceOf(index);
        int size = part.Height * part.Width * part.Channels;
        byte[] pixels = part.Pixels.Slice(at * size, size).ToArray();
        return new ClassificationSample(new Image(part.Width, part.Height, part.Channels, pixels), part.Labels[at]);
    }

    private (Pictures Part, int At) PlaceOf(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        foreach (Pictures part in _parts)
        {
            if (index < part.Labels.Length) return (part, index);
            index -= part.Labels.Length;
        }
        throw new ArgumentOutOfRangeException(nameof(index), index, $"expected less than {Count}");
    }

    private string[] Read(string path, Stream file, CancellationToken cancellation)
    {
        try
        {
            using ZipArchive archive = new(file, ZipArchiveMode.Read, leaveOpen: true);
            foreach ((SplitPart part, string name) in s_parts)
            {
                // A set may be without validation pictures, which a split can take from the others.
                if (part == SplitPart.Val && archive.GetEntry("val_images.npy") is null) continue;
                _parts.Add(PicturesOf(
                    path, part, name, Array(path, archive, name + "_images.npy", cancellation),
                    Array(path, archive, name + "_labels.npy", cancellation)));
            }
        }
        catch (Exception e) when (e is not (DatasetException or OperationCanceledException or OutOfMemoryException))
        {
            // The archive's errors are of many types.
            throw new DatasetException($"{path}: is no .npz archive, or is damaged: {e.Message}", e);
        }
        int classes = _parts.Max(part => part.Labels.Max()) + 1;
        return [.. Enumerable.Range(0, classes).Select(label => label.ToString(CultureInfo.InvariantCulture))];
    }

    private static NpyArray Array(string path, ZipArchive archive, string name, CancellationToken cancellation)
    {
        ZipArchiveEntry entry = archive.GetEntry(name) ?? throw new DatasetException(
            $"{path}: no {name}; expected train_images, train_labels, test_images and test_labels of MedMNIST.");
        try
        {
            return NpyArray.Read(entry, cancellation);
        }
        catch (InvalidDataException e)
        {
            throw new DatasetException($"{path}: {name}: {e.Message}", e);
        }
    }

    private static Pictures PicturesOf(string path, SplitPart part, string name, NpyArray images, NpyArray labels)
    {
        int[] shape = images.Shape;
        string sizes = string.Join(", ", shape);
        if (images.Type != "u1" || shape.Contains(0) || shape.Length is not (3 or 4) || (shape.Length == 4 && shape[3] != 3))
            throw new DatasetException(
                $"{path}: {name}_images of ({sizes}) {images.Type}; expected (N, H, W) or (N, H, W, 3) bytes. Volumes are not read.");
        if (labels.Shape is not ([_] or [_, 1]))
            throw new DatasetException(
                $"{path}: {name}_labels of ({string.Join(", ", labels.Shape)}); expected one label for a picture, (N, 1). Sets with "
                    + "several labels for a picture are not read.");
        if (labels.Shape[0] != shape[0])
            throw new DatasetException($"{path}: {shape[0]} {name}_images, but {labels.Shape[0]} {name}_labels; expected as many.");
        if ((long)shape[1] * shape[2] > Image.MaxPixels)
            throw new DatasetException($"{path}: {name}_images of {shape[2]} x {shape[1]} pixels; expected at most {Image.MaxPixels}.");
        int[] numbers = new int[shape[0]];
        for (int i = 0; i < numbers.Length; i++)
        {
            long label = labels.Number(i);
            if (label is < 0 or >= MaxClasses)
                throw new DatasetException($"{path}: label {label} of picture {i} in {name}_labels; expected 0 to {MaxClasses - 1}.");
            numbers[i] = (int)label;
        }
        return new Pictures(part, name, images.Values, numbers, shape[1], shape[2], shape.Length == 4 ? 3 : 1);
    }

    private sealed record Pictures(
        SplitPart Part, string Name, ReadOnlyMemory<byte> Pixels, int[] Labels, int Height, int Width, int Channels);
}
