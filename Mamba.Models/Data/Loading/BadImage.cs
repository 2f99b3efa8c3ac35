namespace Mamba.Models.Data.Loading;

/// <summary>What to do with an image that cannot be read, or whose mask has another size.</summary>
public enum OnBadImage
{
    /// <summary>The first such image is an error.</summary>
    Fail,

    /// <summary>Such images are skipped. The split of the other images stays the same.</summary>
    Skip,
}

/// <summary>An image that is skipped.</summary>
/// <param name="Index">Its index in the data set.</param>
/// <param name="Problem">Why, with the name of its file.</param>
public sealed record BadImage(int Index, string Problem)
{
    /// <summary>One line about skipped images: their number and the first three.</summary>
    /// <param name="bad">Some.</param>
    /// <param name="of">The number of images in all.</param>
    /// <returns>The line.</returns>
    public static string Describe(IReadOnlyList<BadImage> bad, int of) =>
        $"skipped {bad.Count} of {of} images that cannot be read: "
            + $"{string.Join("; ", bad.Take(3).Select(b => b.Problem))}{(bad.Count > 3 ? "; ..." : "")}";
}
