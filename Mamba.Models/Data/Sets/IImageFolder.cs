using System.Globalization;

namespace Mamba.Models.Data.Sets;

/// <summary>Images that lie in a folder, as somebody's own data do.</summary>
public interface IImageFolder : IImageData
{
    /// <summary>What was understood of the folder, in a few words: where images and masks lie.</summary>
    string Layout { get; }

    /// <summary>
    /// What the user should know: files that were passed over, classes that a part lacks. Reading images may add to it, as pages that are
    /// left out.
    /// </summary>
    IReadOnlyList<string> Notes { get; }

    /// <summary>The file of an image.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>Its path, which starts with the root folder.</returns>
    string ImagePath(int index);

    /// <summary>The file that an image's ground truth is from: its mask, or annotations.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>Its path; null where there is none, or the place of the image is its ground truth.</returns>
    string? TruthPath(int index) => null;

    string IImageData.Fingerprint(int index) =>
        string.Create(CultureInfo.InvariantCulture, $"{Name(index)}\n{new FileInfo(ImagePath(index)).Length}");

    /// <summary>The same data without some samples.</summary>
    /// <param name="samples">Their indices.</param>
    /// <returns>The rest, in the same order.</returns>
    /// <exception cref="DatasetException">Nothing is left.</exception>
    IImageFolder Without(IReadOnlySet<int> samples);
}
