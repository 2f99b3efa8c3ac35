namespace Mamba.Models.Data.Sets;

/// <summary>Opens a folder of data as what it holds.</summary>
public static class ImageDataSource
{
    /// <summary>
    /// Takes a folder with any file of CIFAR-10's binary version, or of MNIST's, for that; one with any NAME_mask.ext for a <see cref="SegmentationFolder"/>;
    /// one with pictures in folders of their own for a <see cref="ClassFolder"/>.
    /// </summary>
    /// <param name="path">The folder.</param>
    /// <param name="cancellation">Stops between files, and between pieces of files that are read at once.</param>
    /// <returns>The data set.</returns>
    /// <exception cref="DatasetException">It is no folder, cannot be listed, holds none of these, or is damaged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IImageData Open(string path, CancellationToken cancellation = default)
    {
        const string Expected = "expected pairs NAME.ext and NAME_mask.ext, folders CLASS/NAME.ext, the binary version of CIFAR-10, or the idx files of MNIST";
        if (!Directory.Exists(path)) throw new DatasetException($"{path}: no such folder; {Expected}.");
        if (Cifar10.Find(path) is not null) return new Cifar10(path, cancellation);
        if (Mnist.Find(path) is not null) return new Mnist(path, cancellation);
        List<string> pictures = DataFile.Pictures(path, cancellation);
        if (pictures.Any(SegmentationFolder.IsMask)) return new SegmentationFolder(path, cancellation);
        return pictures.Any(picture => picture.Contains('/'))
            ? new ClassFolder(path, cancellation)
            : throw new DatasetException($"{path}: {pictures.Count} pictures, none of them in a folder of its class or with a mask; {Expected}.");
    }
}
