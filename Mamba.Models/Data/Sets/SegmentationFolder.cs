using Mamba.Models.Data.Formats;
using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// Pairs of files NAME.ext and NAME_mask.ext at any depth of a folder, sorted by ordinal path. Extensions may be mixed (see <see
/// cref="ImageFile.Extensions"/>). The folder of a pair names its patient. Hidden files and folders are skipped.
/// </summary>
public sealed class SegmentationFolder : IImageData
{
    private const string MaskSuffix = "_mask";

    private readonly string _root;
    private readonly List<Pair> _pairs = [];

    /// <summary>Finds the pairs; no picture is opened yet.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <exception cref="DatasetException">
    /// The folder does not exist, cannot be read or holds no pair, or a picture or mask is alone or duplicated.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public SegmentationFolder(string root, CancellationToken cancellation = default)
    {
        _root = root;
        SortedDictionary<string, string> images = new(StringComparer.Ordinal), masks = new(StringComparer.Ordinal);
        if (!Directory.Exists(root))
            throw new DatasetException($"{root}: no such folder; expected one with pairs NAME.ext and NAME_mask.ext.");
        foreach (string path in DataFile.Pictures(root, cancellation))
        {
            string name = Path.ChangeExtension(path, null);
            bool isMask = IsMask(path);
            if (isMask) name = name[..^MaskSuffix.Length];
            if (!(isMask ? masks : images).TryAdd(name, path))
                throw new DatasetException(
                    $"{root}: both '{(isMask ? masks : images)[name]}' and '{path}'; "
                        + $"expected one {(isMask ? "mask" : "image")} of a name.");
        }
        if (!images.Keys.Any(masks.ContainsKey))
            throw new DatasetException(
                $"{root}: {images.Count} images and {masks.Count} masks, but no pair; expected NAME.ext beside NAME_mask.ext, "
                    + $"ext one of {string.Join(" ", ImageFile.Extensions)}.");
        ThrowIfAlone(images, masks, "images without a mask");
        ThrowIfAlone(masks, images, "masks without an image");
        foreach ((string name, string image) in images)
            _pairs.Add(new Pair(name, name.LastIndexOf('/') is var slash and >= 0 ? name[..slash] : ".", image, masks[name]));
    }

    /// <summary>Whether a file's name says that it is a mask: NAME_mask.ext.</summary>
    /// <param name="path">The file.</param>
    /// <returns>True if it does.</returns>
    public static bool IsMask(string path) => Path.GetFileNameWithoutExtension(path).EndsWith(MaskSuffix, StringComparison.Ordinal);

    /// <inheritdoc/>
    public ModelTask Task => ModelTask.Segmentation;

    /// <inheritdoc/>
    public IReadOnlyList<string> Labels { get; } = ["lesion"];

    /// <inheritdoc/>
    public int Count => _pairs.Count;

    /// <inheritdoc/>
    public string Name(int index) => _pairs[index].Name;

    /// <inheritdoc/>
    public string Patient(int index) => _pairs[index].Patient;

    /// <summary>The picture's file.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>Its path, which starts with the root folder.</returns>
    public string ImagePath(int index) => Path.Combine(_root, _pairs[index].Image);

    Sample IImageData.Load(int index) => Load(index);

    /// <inheritdoc cref="IImageData.Load"/>
    public SegmentationSample Load(int index)
    {
        string imagePath = ImagePath(index), maskPath = Path.Combine(_root, _pairs[index].Mask);
        Image image = ImageFile.Load(imagePath), mask = ImageFile.Load(maskPath);
        if (image.Width != mask.Width || image.Height != mask.Height)
            throw new DatasetException(
                $"{imagePath} is {image.Width} x {image.Height}, but {maskPath} {mask.Width} x {mask.Height}; expected equal sizes.");
        return new SegmentationSample(image, new LabelMap(image.Width, image.Height, Array.ConvertAll(mask.ToMask().Pixels, v => (byte)(v >> 7))));
    }

    private void ThrowIfAlone(SortedDictionary<string, string> some, SortedDictionary<string, string> others, string what)
    {
        string[] alone = [.. some.Where(entry => !others.ContainsKey(entry.Key)).Select(entry => entry.Value)];
        if (alone.Length == 0) return;
        throw new DatasetException(
            $"{_root}: {alone.Length} {what}: {string.Join(", ", alone.Take(3))}{(alone.Length > 3 ? ", ..." : "")}; "
                + "expected NAME.ext beside NAME_mask.ext.");
    }

    private sealed record Pair(string Name, string Patient, string Image, string Mask);
}
