using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Metrics;

namespace Mamba.Models.Training;

/// <summary>At which resolution a segmentation is scored.</summary>
public enum MetricResolution
{
    /// <summary>The model's: masks are resized to it, as in the paper.</summary>
    Model,

    /// <summary>Each image's own: probabilities are resized to it, bilinear without aligned corners, and masks stay as they are.</summary>
    Image,
}

/// <summary>How <see cref="Evaluator"/> measures.</summary>
public sealed record EvaluationOptions
{
    /// <summary>
    /// The loader's data, for names, groups and masks of the images' own size; null where none of these is asked for. A <see
    /// cref="CachedData"/> spares decoding twice.
    /// </summary>
    public IImageData? Data { get; init; }

    /// <summary>The resolution of the scores; the loss is always at the model's.</summary>
    public MetricResolution Resolution { get; init; }

    /// <summary>The patient or volume of a sample by its index in the data, to score each; null for no groups.</summary>
    public Func<int, string>? Group { get; init; }

    /// <summary>
    /// How far the voxels of a sample's volume are apart, by its index in the data, where each sample is a slice of its group and all
    /// slices are measured in turn: distances are then those of the volume. Only at the images' own size; null for pictures.
    /// </summary>
    public Func<int, VoxelSpacing>? Spacing { get; init; }

    /// <summary>What to measure besides the counts of pixels.</summary>
    public MetricOptions Metrics { get; init; } = new();

    /// <summary>Sees each batch with the probabilities of its images, before both are gone; null for nobody.</summary>
    public Action<Batch, Tensor>? Observe { get; init; }

    /// <summary>
    /// Sees what was measured of each batch, from which <see cref="Evaluator.Join"/> makes the scores; null for nobody. Where images are
    /// slices with <see cref="Spacing"/>, the last one of each volume is to be given <see cref="MeasuredImage.VolumeDistances"/>.
    /// </summary>
    public Action<MeasuredBatch>? OnMeasured { get; init; }

    /// <summary>Called with the images done so far, or null.</summary>
    public Action<int>? Progress { get; init; }

    /// <summary>Checks the result of every operator for NaN and infinity; null for speed.</summary>
    public NumericsCheck? Numerics { get; init; }
}
