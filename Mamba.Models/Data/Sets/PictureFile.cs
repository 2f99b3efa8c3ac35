using Mamba.Models.Data.Formats;

namespace Mamba.Models.Data.Sets;

/// <summary>A picture in a folder, and what its path says.</summary>
/// <param name="Path">The path from the data's root, with '/' between folders.</param>
internal sealed record PictureFile(string Path)
{
    private readonly string[] _folders = Path.Split('/')[..^1];

    /// <summary>The file's name without its extension.</summary>
    public string Stem { get; } = System.IO.Path.GetFileName(NiftiFile.WithoutExtension(Path));

    /// <summary>The path without its extension.</summary>
    public string Name => NiftiFile.WithoutExtension(Path);

    /// <summary>Whether a folder above says images (true) or masks (false); null if none says either.</summary>
    public bool? HoldsImages => _folders.Select(FolderNames.HoldsImages).LastOrDefault(says => says is not null);

    /// <summary>The part of the official split that a folder above stands for.</summary>
    public SplitPart? Part => _folders.Select(FolderNames.PartOf).FirstOrDefault(part => part is not null);

    /// <summary>
    /// The folders above without the words for images and masks, and with one word for each part: images/train and train/masks are the
    /// same place.
    /// </summary>
    public string Place => string.Join('/', _folders.Select(Neutral).Where(folder => folder.Length > 0));

    private static string Neutral(string folder) => FolderNames.PartOf(folder) is { } part ? part.ToString()
        : FolderNames.HoldsImages(folder) is null ? folder
        : "";
}
