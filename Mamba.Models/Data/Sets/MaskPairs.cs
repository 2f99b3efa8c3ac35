using Mamba.Models.Data.Formats;

namespace Mamba.Models.Data.Sets;

/// <summary>Finds the mask of each image by the customs of names and folders.</summary>
internal sealed class MaskPairs
{
    private MaskPairs(string layout) => Layout = layout;

    /// <summary>The custom that was found, in words.</summary>
    public string Layout { get; }

    /// <summary>The pairs, in ordinal order of their names.</summary>
    public List<MaskedImage> Pairs { get; } = [];

    /// <summary>Images without a mask.</summary>
    public List<PictureFile> Unmasked { get; } = [];

    /// <summary>Images of parts that have no mask at all.</summary>
    public List<PictureFile> Unlabeled { get; } = [];

    /// <summary>Masks without an image.</summary>
    public List<PictureFile> Unused { get; } = [];

    /// <summary>More masks of one image, as NAME_mask_1 beside NAME_mask.</summary>
    public List<PictureFile> Further { get; } = [];

    /// <summary>The pairs in a folder; null if there is no pair by any custom.</summary>
    /// <param name="root">What errors call the folder.</param>
    /// <param name="paths">Its pictures, from the root, with '/' between folders.</param>
    /// <param name="options">What the user says about the folder.</param>
    /// <exception cref="DatasetException">Two images, or two masks, have the same name.</exception>
    public static MaskPairs? Find(string root, IReadOnlyList<string> paths, DataOptions options)
    {
        PictureFile[] files = [.. paths.Select(path => new PictureFile(path))];
        if (options.Images is not null || options.Masks is not null) return InGivenFolders(root, files, options);
        // Most files in pairs are sure; else folders say more than endings, which names may have by chance.
        MaskPairs beside = SideBySide(root, files, options);
        if (4 * beside.Pairs.Count >= files.Length && beside.Pairs.Count > 0) return beside;
        MaskPairs apart = InFolders(root, files, options);
        return apart.Pairs.Count > 0 ? apart : beside.Pairs.Count > 0 ? beside : null;
    }

    /// <summary>Images and masks in folders whose names say so.</summary>
    private static MaskPairs InFolders(string root, PictureFile[] files, DataOptions options)
    {
        PictureFile[] masks = [.. files.Where(file => file.HoldsImages == false)];
        PictureFile[] images = [.. files.Where(file => file.HoldsImages == true)];
        if (images.Length == 0) images = [.. files.Where(file => file.HoldsImages is null)];
        string layout = masks.Length == 0 || images.Length == 0 ? "" : $"{FolderOf(images[0])} beside {FolderOf(masks[0])}";
        return new MaskPairs(layout).Match(root, images, masks, file => file.Place, options);
    }

    /// <summary>Images and masks in the folders that the user names. One that is not named is all the rest.</summary>
    private static MaskPairs InGivenFolders(string root, PictureFile[] files, DataOptions options)
    {
        string? imageFolder = FromRoot(root, options.Images), maskFolder = FromRoot(root, options.Masks);
        PictureFile[] masks = Below(maskFolder) ?? [.. files.Except(Below(imageFolder)!)];
        PictureFile[] images = Below(imageFolder) ?? [.. files.Except(masks)];
        if (images.Length == 0 || masks.Length == 0)
            throw new DatasetException(
                $"{root}: {images.Length} images in '{options.Images ?? "."}' and {masks.Length} masks in '{options.Masks ?? "."}'; "
                    + "expected some in each; --images and --masks name folders of the data");
        return new MaskPairs($"{imageFolder ?? "."}/ beside {maskFolder ?? "."}/").Match(root, images, masks, Place, options);

        PictureFile[]? Below(string? folder) => folder is null ? null
            : folder == "." ? files
            : [.. files.Where(file => file.Path.StartsWith(folder + "/", StringComparison.Ordinal))];

        string Place(PictureFile file)
        {
            string? above = new[] { maskFolder, imageFolder }
                .FirstOrDefault(folder => folder is not null && file.Path.StartsWith(folder + "/", StringComparison.Ordinal));
            return Path.GetDirectoryName(above is null ? file.Path : file.Path[(above.Length + 1)..])!;
        }
    }

    /// <summary>NAME_mask beside NAME.</summary>
    private static MaskPairs SideBySide(string root, PictureFile[] files, DataOptions options)
    {
        HashSet<string> names = [.. files.Select(file => file.Name)];
        PictureFile[] masks = [.. files.Where(IsMask)];
        string ending = masks.Length == 0 ? "" : masks[0].Stem[MaskStem(masks[0].Stem, options)!.Length..];
        return new MaskPairs($"NAME{ending} beside NAME").Match(root, [.. files.Except(masks)], masks, Folder, options);

        // NAME_mask says enough; another ending is part of a name unless NAME is there, too.
        bool IsMask(PictureFile file) => MaskStem(file.Stem, options) is { } stem
            && (options.MaskSuffix is not null || SegmentationFolder.IsMask(file.Path) || names.Contains(Join(Folder(file), stem)));
    }

    private MaskPairs Match(
        string root, PictureFile[] images, PictureFile[] masks, Func<PictureFile, string> place, DataOptions options)
    {
        SortedDictionary<string, PictureFile> byName = new(StringComparer.Ordinal), free = new(StringComparer.Ordinal);
        foreach (PictureFile image in images) Add(byName, Join(place(image), image.Stem), image, "image");
        foreach (PictureFile mask in masks)
        {
            // The whole name first: a mask may be called like its image.
            string whole = Join(place(mask), mask.Stem), bare = Join(place(mask), MaskStem(mask.Stem, options) ?? mask.Stem);
            Add(free, byName.ContainsKey(whole) ? whole : bare, mask, "mask");
        }
        foreach ((string name, PictureFile image) in byName)
        {
            if (!free.Remove(name, out PictureFile? mask) && !free.Remove(Bare(image), out mask)) Unmasked.Add(image);
            else Pairs.Add(new MaskedImage(name, image.Path, mask.Path, image.Part ?? mask.Part));
        }
        Unused.AddRange(free.Values);
        FindFurther([.. byName.Keys, .. images.Select(Bare)], place, options);
        LeaveUnlabeledParts();
        if (Pairs.Select(pair => pair.Part).Distinct().Count() == 1)
            for (int i = 0; i < Pairs.Count; i++) Pairs[i] = Pairs[i] with { Part = null }; // one part is no split
        return this;

        string Bare(PictureFile image) => Join(place(image), FolderNames.WithoutImageEnding(image.Stem) ?? image.Stem);

        void Add(SortedDictionary<string, PictureFile> files, string name, PictureFile file, string what)
        {
            if (!files.TryAdd(name, file))
                throw new DatasetException($"{root}: both '{files[name].Path}' and '{file.Path}'; expected one {what} of a name.");
        }
    }

    /// <summary>A part without any mask, as many test parts are, is not an oversight.</summary>
    private void LeaveUnlabeledParts()
    {
        HashSet<SplitPart?> labeled = [.. Pairs.Select(pair => pair.Part)];
        Unlabeled.AddRange(Unmasked.Where(image => image.Part is not null && !labeled.Contains(image.Part)));
        Unmasked.RemoveAll(new HashSet<PictureFile>(Unlabeled).Contains);
    }

    /// <summary>Numbered masks of an image are no images, and a mask without them is not the whole truth.</summary>
    private void FindFurther(HashSet<string> images, Func<PictureFile, string> place, DataOptions options)
    {
        Further.AddRange(Unmasked.Concat(Unused).Where(file => FolderNames.WithoutNumber(file.Stem) is { } mask
            && MaskStem(mask, options) is { } stem && images.Contains(Join(place(file), stem))));
        HashSet<PictureFile> further = [.. Further];
        Unmasked.RemoveAll(further.Contains);
        Unused.RemoveAll(further.Contains);
    }

    /// <summary>A mask's name without the ending that the options name, or that masks have by custom; null if it has none.</summary>
    internal static string? MaskStem(string name, DataOptions options) =>
        options.MaskSuffix is not { } suffix ? FolderNames.WithoutMaskEnding(name)
        : name.Length > suffix.Length && name.EndsWith(suffix, StringComparison.Ordinal) ? name[..^suffix.Length]
        : null;

    private static string FolderOf(PictureFile file)
    {
        string[] folders = file.Path.Split('/')[..^1];
        return (folders.LastOrDefault(folder => FolderNames.HoldsImages(folder) is not null) ?? ".") + "/";
    }

    private static string? FromRoot(string root, string? folder) => folder is null ? null
        : Path.TrimEndingDirectorySeparator(
            Path.GetRelativePath(root, Path.Combine(root, folder)).Replace(Path.DirectorySeparatorChar, '/'));

    private static string Folder(PictureFile file) => Path.GetDirectoryName(file.Path)!.Replace(Path.DirectorySeparatorChar, '/');

    private static string Join(string folder, string name) => folder.Length == 0 ? name : $"{folder}/{name}";
}
