namespace Mamba.Models.Data.Loading;

/// <summary>What becomes of a data set with an image that cannot be read, or whose mask does not fit it.</summary>
public enum OnBadImage
{
    /// <summary>It is not used: the first such image is an error.</summary>
    Fail,

    /// <summary>It is used without those images; how the others are split does not change by that.</summary>
    Skip,
}

/// <summary>An image that is passed over.</summary>
/// <param name="Index">Its index in the data set.</param>
/// <param name="Problem">Why, with the name of its file.</param>
public sealed record BadImage(int Index, string Problem)
{
    /// <summary>Reads every sample once.</summary>
    /// <param name="data">The data set.</param>
    /// <param name="indices">The samples to read.</param>
    /// <param name="choice">Whether samples that cannot be read are an error.</param>
    /// <param name="progress">Called with the number of samples done so far, or null.</param>
    /// <param name="cancellation">Stops between samples.</param>
    /// <returns>Those that cannot be read, in the order given.</returns>
    /// <exception cref="ImageException">An image cannot be read, and that is an error.</exception>
    /// <exception cref="DatasetException">So is a mask that does not fit, and a data set of which nothing can be read.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IReadOnlyList<BadImage> Find(IImageData data, int[] indices, OnBadImage choice, Action<int>? progress = null, CancellationToken cancellation = default)
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
        return bad.Count < indices.Length || bad.Count == 0 ? bad : throw new DatasetException($"none of {indices.Length} images can be read, the first: {bad[0].Problem}");
    }

    /// <summary>The first sample that can be read.</summary>
    /// <param name="data">The data set.</param>
    /// <param name="choice">Whether one before it is an error.</param>
    /// <param name="cancellation">Stops between samples.</param>
    /// <returns>The sample.</returns>
    /// <exception cref="ImageException">An image cannot be read, and that is an error, or none can.</exception>
    /// <exception cref="DatasetException">So is a mask that does not fit.</exception>
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
                // The next may be better.
            }
        }
    }

    /// <summary>A line about images that were passed over: how many, and the first of them.</summary>
    /// <param name="bad">Some.</param>
    /// <param name="of">Of how many.</param>
    /// <returns>The line.</returns>
    public static string Describe(IReadOnlyList<BadImage> bad, int of) =>
        $"skipped {bad.Count} of {of} images that cannot be read: {string.Join("; ", bad.Take(3).Select(b => b.Problem))}{(bad.Count > 3 ? "; ..." : "")}";
}
