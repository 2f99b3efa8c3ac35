namespace Mamba.Models.Data.Sets;

/// <summary>Opens a folder as the data set that it holds.</summary>
public static class ImageDataSource
{
    /// <summary>
    /// Any file of binary CIFAR-10 or of MNIST makes a folder that data set. Any NAME_mask.ext makes it a <see cref="SegmentationFolder"/>.
    /// Pictures in subfolders make it a <see cref="ClassFolder"/>.
    /// </summary>
    /// <param name="path">The folder.</param>
    /// <param name="cancellation">Stops between files, and between pieces of files that are read at once.</param>
    /// <returns>The data set.</returns>
    /// <exception cref="DatasetException">The path is no folder, cannot be listed, holds none of these, or is damaged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IImageData Open(string path, CancellationToken cancellation = default)
    {
        const string Expected = "expected pairs NAME.ext and NAME_mask.ext, folders CLASS/NAME.ext, "
            + "the binary version of CIFAR-10, or the idx files of MNIST";
        if (!Directory.Exists(path)) throw new DatasetException($"{path}: no such folder; {Expected}.");
        if (Cifar10.Find(path) is not null) return new Cifar10(path, cancellation);
        if (Mnist.Find(path) is not null) return new Mnist(path, cancellation);
        List<string> pictures = DataFile.Pictures(path, cancellation);
        if (pictures.Any(SegmentationFolder.IsMask)) return new SegmentationFolder(path, cancellation);
        return pictures.Any(picture => picture.Contains('/'))
            ? new ClassFolder(path, cancellation)
            : throw new DatasetException(
                $"{path}: {pictures.Count} pictures, none of them in a folder of its class or with a mask; {Expected}.");
    }
}
