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
    /// <summary>Reads every sample once.</summary>
    /// <param name="data">The data set.</param>
    /// <param name="indices">The samples to read.</param>
    /// <param name="choice">Whether a sample that cannot be read is an error.</param>
    /// <param name="progress">Called with the number of samples done so far, or null.</param>
    /// <param name="cancellation">Stops between samples.</param>
    /// <returns>The samples that cannot be read, in the order given.</returns>
    /// <exception cref="ImageException">An image cannot be read and the choice is Fail.</exception>
    /// <exception cref="DatasetException">A mask has another size and the choice is Fail, or no image can be read.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IReadOnlyList<BadImage> Find(
        IImageData data, int[] indices, OnBadImage choice, Action<int>? progress = null, CancellationToken cancellation = default)
    {
        List<BadImage> bad = [];
        for (int i = 0; i < indices.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                data.Load(indices[i]);
            }
            catch (Exception e) when (choice == OnBadImage.Skip && e is ImageException or DatasetException)
            {
                bad.Add(new BadImage(indices[i], e.Message));
            }
            progress?.Invoke(i + 1);
        }
        return bad.Count < indices.Length || bad.Count == 0 ? bad
            : throw new DatasetException($"none of {indices.Length} images can be read, the first: {bad[0].Problem}");
    }

    /// <summary>The first sample that can be read.</summary>
    /// <param name="data">The data set.</param>
    /// <param name="choice">Whether an unreadable sample before it is an error.</param>
    /// <param name="cancellation">Stops between samples.</param>
    /// <returns>The sample.</returns>
    /// <exception cref="ImageException">An image cannot be read and the choice is Fail, or no image can be read.</exception>
    /// <exception cref="DatasetException">A mask has another size and the choice is Fail.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Sample FirstReadable(IImageData data, OnBadImage choice, CancellationToken cancellation = default)
    {
        for (int i = 0; ; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                return data.Load(i);
            }
            catch (Exception e) when (choice == OnBadImage.Skip && i + 1 < data.Count && e is ImageException or DatasetException)
            {
                // Try the next one.
            }
        }
    }

    /// <summary>One line about skipped images: their number and the first three.</summary>
    /// <param name="bad">Some.</param>
    /// <param name="of">The number of images in all.</param>
    /// <returns>The line.</returns>
    public static string Describe(IReadOnlyList<BadImage> bad, int of) =>
        $"skipped {bad.Count} of {of} images that cannot be read: "
            + $"{string.Join("; ", bad.Take(3).Select(b => b.Problem))}{(bad.Count > 3 ? "; ..." : "")}";
}
