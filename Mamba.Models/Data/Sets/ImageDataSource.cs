using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Sets;

/// <summary>Opens a folder as the data set that it holds.</summary>
public static class ImageDataSource
{
    private const string Expected = "expected images with masks (NAME.ext and NAME_mask.ext, or images/ and masks/), a folder per class, "
        + "the binary version of CIFAR-10, or the idx files of MNIST";

    /// <summary>
    /// Any file of binary CIFAR-10 or of MNIST makes a folder that data set. Images with masks make it a <see cref="SegmentationFolder"/>.
    /// Pictures in subfolders make it a <see cref="ClassFolder"/>.
    /// </summary>
    /// <param name="path">The folder.</param>
    /// <param name="options">What the folder cannot say about itself; null for nothing.</param>
    /// <param name="task">The task of the model, which decides where a folder could be for both; null if there is none.</param>
    /// <param name="cancellation">Stops between files, and between pieces of files that are read at once.</param>
    /// <returns>The data set.</returns>
    /// <exception cref="DatasetException">The path is no folder, cannot be listed, holds none of these, or is damaged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IImageData Open(
        string path, DataOptions? options = null, ModelTask? task = null, CancellationToken cancellation = default)
    {
        options ??= DataOptions.Default;
        if (!Directory.Exists(path)) throw new DatasetException($"{path}: no such folder; {Expected}.");
        if (Cifar10.Find(path) is not null) return new Cifar10(path, cancellation);
        if (Mnist.Find(path) is not null) return new Mnist(path, cancellation);
        List<string> pictures = DataFile.Pictures(path, cancellation);
        // A class may hold a few names that end as masks' do, but images with masks are no classes.
        if (MaskPairs.Find(path, pictures, options) is { } pairs
            && (task != ModelTask.Classification || 4 * pairs.Pairs.Count >= pictures.Count))
            return new SegmentationFolder(path, options, pairs);
        return pictures.Any(picture => picture.Contains('/'))
            ? new ClassFolder(path, cancellation)
            : throw new DatasetException(
                $"{path}: {pictures.Count} pictures, none of them in a folder of its class or with a mask; {Expected}.");
    }
}
