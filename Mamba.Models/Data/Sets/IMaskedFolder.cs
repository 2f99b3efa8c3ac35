using Mamba.Models.Data.Labels;

namespace Mamba.Models.Data.Sets;

/// <summary>A folder whose masks are files of values: what those stand for is found out from all of them.</summary>
public interface IMaskedFolder : IImageFolder
{
    /// <summary>What the masks' values stand for. The first call reads all masks.</summary>
    /// <exception cref="DatasetException">The values have no certain meaning, or no mask can be read.</exception>
    MaskMeaning Meaning { get; set; }

    /// <summary>The values of each mask that was read; null for the others.</summary>
    IReadOnlyList<MaskValues?> Masks { get; }

    /// <summary>Reads the masks of some samples on all threads, to find out what their values stand for.</summary>
    /// <param name="samples">Their indices.</param>
    /// <param name="progress">Called with the number of masks read so far, or null.</param>
    /// <param name="cancellation">Stops between masks.</param>
    /// <exception cref="DatasetException">The values have no certain meaning, or no mask can be read.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    void ReadMasks(IReadOnlyList<int> samples, Action<int>? progress = null, CancellationToken cancellation = default);

    /// <summary>
    /// As <see cref="ReadMasks(IReadOnlyList{int}, Action{int}?, CancellationToken)"/>, for data to be measured by a trained model. Values
    /// mean what they meant in the training if it had all of them in the same encoding; palette indices are matched by their colors. Other
    /// values are found out.
    /// </summary>
    /// <param name="samples">Their indices.</param>
    /// <param name="trained">What the training's masks meant; null if that is not known.</param>
    /// <param name="progress">Called with the number of masks read so far, or null.</param>
    /// <param name="cancellation">Stops between masks.</param>
    /// <exception cref="DatasetException">
    /// The values have no certain meaning, palette indices have colors that the training did not have, or no mask can be read.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    void ReadMasks(
        IReadOnlyList<int> samples, MaskMeaning? trained, Action<int>? progress = null, CancellationToken cancellation = default);
}
