namespace Mamba.Models.Explanation;

/// <summary>The ways to ask a model what it looks at.</summary>
public enum ExplanationMethod
{
    /// <summary>
    /// The step size Delta of each Mamba layer (Gu and Dao 2023, section 3.5.1): a token with a large step writes itself into the state,
    /// one with a small step is passed over. Of S4D a constant.
    /// </summary>
    Delta,

    /// <summary>
    /// How much each token has influenced the output of a Mamba layer at one token: a row of the scan's implicit attention matrix (Ali,
    /// Zimerman and Wolf 2024, "The Hidden Attention of Mamba Models").
    /// </summary>
    Influence,

    /// <summary>The attention of all layers multiplied (Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers").</summary>
    Rollout,

    /// <summary>
    /// A feature map weighted by its gradients (Selvaraju et al. 2017, "Grad-CAM"); for segmentation by those of all pixels of a region
    /// (Vinogradova et al. 2020).
    /// </summary>
    GradCam,
}

/// <summary>What becomes of the channels of Delta.</summary>
public enum DeltaChannels
{
    /// <summary>The mean over the channels.</summary>
    Mean,

    /// <summary>The largest of the channels.</summary>
    Max,
}

/// <summary>What is to be explained, and how.</summary>
public sealed class ExplanationOptions
{
    /// <summary>Which methods; null for the first of <see cref="Explainer.Methods"/>.</summary>
    public IReadOnlyList<ExplanationMethod>? Methods { get; init; }

    /// <summary>
    /// The pixel of the picture from which is looked; null for the middle of the predicted region of a segmentation, and for the class
    /// token of a classifier or, without one, the middle of the picture.
    /// </summary>
    public (int X, int Y)? Pixel { get; init; }

    /// <summary>The class that is explained; null for the predicted one, or all classes but the background of a segmentation.</summary>
    public string? Class { get; init; }

    /// <summary>The feature map of <see cref="ExplanationMethod.GradCam"/>; null for <see cref="Explainer.DefaultLayer"/>.</summary>
    public string? Layer { get; init; }

    /// <summary>What becomes of the channels of <see cref="ExplanationMethod.Delta"/>.</summary>
    public DeltaChannels Delta { get; init; }
}
