namespace Mamba.Models.Data.Splits;

/// <summary>How a data set is split into images for training, validation and testing.</summary>
public enum SplitProtocol
{
    /// <summary>
    /// A random split by image, as in the paper. Slices of one patient may be in training and test data at once. The command line and
    /// weight files call it <c>slice</c>.
    /// </summary>
    Image,

    /// <summary>A random split by patient: all images of a patient are in the same split.</summary>
    Patient,

    /// <summary>
    /// The official split of the data set. Without validation images the test images are used for validation too, as in the paper.
    /// </summary>
    Official,

    /// <summary>
    /// The official split, with a tenth of the training images held out for validation. The test images are used once, at the end.
    /// </summary>
    Holdout,
}

/// <summary>The words for <see cref="SplitProtocol"/> on the command line and in files.</summary>
public static class SplitProtocolWords
{
    /// <summary>The word for a protocol. It never changes, so that files of earlier versions stay readable.</summary>
    /// <param name="protocol">The protocol.</param>
    /// <returns>slice, patient, official or holdout.</returns>
    public static string ToWord(this SplitProtocol protocol) =>
        protocol == SplitProtocol.Image ? "slice" : protocol.ToString().ToLowerInvariant();

    /// <summary>Reads a word, in lower or upper case. <c>image</c> means the same as <c>slice</c>.</summary>
    /// <param name="word">The word.</param>
    /// <returns>The protocol; null if the word is none of them.</returns>
    public static SplitProtocol? Parse(string? word)
    {
        foreach (SplitProtocol protocol in Enum.GetValues<SplitProtocol>())
            if (protocol.ToWord().Equals(word, StringComparison.OrdinalIgnoreCase)) return protocol;
        return "image".Equals(word, StringComparison.OrdinalIgnoreCase) ? SplitProtocol.Image : null;
    }
}
