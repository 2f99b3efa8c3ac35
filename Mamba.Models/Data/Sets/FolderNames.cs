namespace Mamba.Models.Data.Sets;

/// <summary>What names of folders and files say by custom: the split, images or masks.</summary>
internal static class FolderNames
{
    private static readonly char[] s_separators = ['_', '-', ' ', '.'];

    private static readonly char[] s_digits = [.. "0123456789"]; // of a year, as in train2017

    private static readonly HashSet<string> s_images = ["images", "image", "imgs", "img", "input", "inputs", "jpegimages", "photos"];

    private static readonly HashSet<string> s_masks =
    [
        "masks", "mask", "labels", "label", "annotations", "annotation", "gt", "groundtruth", "truth", "segmentationclass",
        "segmentations", "segmentation", "seg",
    ];

    private static readonly string[] s_maskWords =
        ["mask", "masks", "segmentation", "seg", "labels", "label", "annotation", "groundtruth", "gt", "bin"];

    private static readonly string[] s_imageWords = ["image", "img", "0000"]; // nnU-Net numbers the channels of an image from 0000

    /// <summary>The part of an official split that a folder's name stands for: train, Testing, seg_train.</summary>
    public static SplitPart? PartOf(string folder)
    {
        if (NnUnet(folder) is { } known) return known.Part;
        SplitPart?[] parts = [.. Tokens(folder).Select(Word).Where(part => part is not null).Distinct()];
        return parts.Length == 1 ? parts[0] : null;

        static SplitPart? Word(string token) => token.TrimEnd(s_digits) switch
        {
            "train" or "training" => SplitPart.Train,
            "val" or "valid" or "validation" or "dev" => SplitPart.Val,
            "test" or "testing" => SplitPart.Test,
            _ => null,
        };
    }

    /// <summary>Whether a folder's name says that images (true) or masks (false) lie in it; null if it says neither.</summary>
    public static bool? HoldsImages(string folder)
    {
        if (NnUnet(folder) is { } known) return known.Images;
        string[] tokens = Tokens(folder);
        if (tokens.Any(s_masks.Contains)) return false;
        return tokens.Any(s_images.Contains) ? true : null;
    }

    /// <summary>Whether a folder's whole name is a word for images or masks, so that it is certainly no class.</summary>
    public static bool IsRole(string folder)
    {
        string name = folder.ToLowerInvariant();
        return s_images.Contains(name) || s_masks.Contains(name) || NnUnet(folder) is not null;
    }

    /// <summary>A mask's name without the ending that says so: a_mask, a-mask and a_seg become a; null if it has none.</summary>
    public static string? WithoutMaskEnding(string stem) => WithoutEnding(stem, s_maskWords);

    /// <summary>An image's name without an ending that says so; null if it has none.</summary>
    public static string? WithoutImageEnding(string stem) => WithoutEnding(stem, s_imageWords);

    /// <summary>A name without the number at its end: a_mask_1 becomes a_mask; null if it has none.</summary>
    public static string? WithoutNumber(string stem)
    {
        int at = stem.LastIndexOfAny(s_separators);
        bool number = at > 0 && at + 1 < stem.Length && !stem.AsSpan(at + 1).ContainsAnyExceptInRange('0', '9');
        return number ? stem[..at] : null;
    }

    private static string? WithoutEnding(string stem, string[] words)
    {
        int at = stem.LastIndexOfAny(s_separators);
        return at > 0 && words.Contains(stem[(at + 1)..].ToLowerInvariant()) ? stem[..at] : null;
    }

    private static string[] Tokens(string folder) => folder.ToLowerInvariant().Split(s_separators, StringSplitOptions.RemoveEmptyEntries);

    private static (bool Images, SplitPart Part)? NnUnet(string folder) => folder switch
    {
        "imagesTr" => (true, SplitPart.Train),
        "labelsTr" => (false, SplitPart.Train),
        "imagesTs" => (true, SplitPart.Test),
        "labelsTs" => (false, SplitPart.Test),
        _ => null,
    };
}
