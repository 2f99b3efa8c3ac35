using Mamba.Models.Data.Formats;
using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Sets;

/// <summary>Opens a path as the data set that it holds.</summary>
public static class ImageDataSource
{
    private const string Expected = "expected images or volumes with masks (NAME.ext and NAME_mask.ext, or images/ and masks/), "
        + "a folder per class, COCO or YOLO annotations, the binary or Python version of CIFAR-10 or CIFAR-100, "
        + "the idx files of MNIST, Fashion-MNIST or EMNIST, or an .npz file of MedMNIST";

    /// <summary>
    /// Any file of CIFAR-10, CIFAR-100, MNIST or EMNIST makes a folder that data set. Images with masks make it a <see
    /// cref="SegmentationFolder"/>, volumes with masks a <see cref="VolumeFolder"/>, images with COCO or YOLO annotations an <see
    /// cref="AnnotatedFolder"/>. Pictures in subfolders make it a
    /// <see cref="ClassFolder"/>. A folder without pictures but with one .npz file is a <see cref="MedMnist"/>.
    /// </summary>
    /// <param name="path">The folder; or an .npz file, or a file of EMNIST, beside which other sets may be.</param>
    /// <param name="options">What the folder cannot say about itself; null for nothing.</param>
    /// <param name="task">The task of the model, which decides where a folder could be for both; null if there is none.</param>
    /// <param name="cancellation">Stops between files, and between pieces of files that are read at once.</param>
    /// <returns>The data set.</returns>
    /// <exception cref="DatasetException">The path does not exist, cannot be listed, holds none of these, or is damaged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IImageData Open(
        string path, DataOptions? options = null, ModelTask? task = null, CancellationToken cancellation = default)
    {
        options ??= DataOptions.Default;
        if (OpenKnown(path, cancellation) is { } known) return known;
        if (!Directory.Exists(path)) throw new DatasetException($"{path}: no such folder; {Expected}.");
        FolderListing files = new(path, cancellation);
        List<string> pictures = files.Pictures;
        if (pictures.Count == 0 && MedMnist.Find(path).Length > 0) return new MedMnist(path, cancellation);
        if (task != ModelTask.Classification && VolumeFolder.Find(files, options, cancellation) is { } volumes) return volumes;
        // A class may hold a few names that end as masks' do, but images with masks are no classes.
        if (MaskPairs.Find(path, pictures, options) is { } pairs
            && (task != ModelTask.Classification || 4 * pairs.Pairs.Count >= pictures.Count))
            return new SegmentationFolder(files, options, pairs);
        if (task != ModelTask.Classification
            && AnnotatedFolder.Find(files, options, cancellation) is { } annotated) return annotated;
        if (pictures.Count == 0 && DicomFile.FindFirst(path, cancellation) is { } dicom)
            throw new DatasetException($"{dicom}: {DicomFile.Advice}.");
        return pictures.Any(picture => picture.Contains('/'))
            ? new ClassFolder(files)
            : throw new DatasetException(
                $"{path}: {pictures.Count} pictures, none of them in a folder of its class or with a mask; {Expected}.");
    }

    /// <summary>A set whose files have names of their own; null if the path has none of them.</summary>
    private static IImageData? OpenKnown(string path, CancellationToken cancellation)
    {
        if (Emnist.Find(path) is not null) return new Emnist(path, cancellation);
        if (File.Exists(path)) return MedMnist.Find(path).Length > 0 ? new MedMnist(path, cancellation) : null;
        if (Cifar10.Find(path) is not null) return new Cifar10(path, cancellation);
        if (Cifar100.Find(path) is not null) return new Cifar100(path, cancellation);
        return Mnist.Find(path) is not null ? new Mnist(path, cancellation) : null;
    }
}
