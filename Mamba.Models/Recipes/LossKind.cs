namespace Mamba.Models.Recipes;

/// <summary>
/// The losses. A segmentation of one class (a mask) and one of several classes have forms of their own; Dice, focal and Tversky exist in
/// both. In the forms for several classes, Dice and Tversky leave the background (class 0) out, and every other loss counts it.
/// </summary>
public enum LossKind
{
    /// <summary>Binary cross-entropy and Dice by image on probabilities, added (UltraLight family). One class.</summary>
    BceDice,

    /// <summary>
    /// Dice. One class: pooled over the batch, smooth 100 (U-Net, ResNets, UMambaBots). Several: the mean over classes of Dice pooled over
    /// the batch, smooth 1, without the background.
    /// </summary>
    Dice,

    /// <summary>Binary cross-entropy (SegFormer). One class.</summary>
    BceWithLogits,

    /// <summary>Cross-entropy over classes (classifiers).</summary>
    CrossEntropy,

    /// <summary>Cross-entropy of pixels. Several classes.</summary>
    Ce,

    /// <summary>Cross-entropy of pixels and <see cref="Dice"/>, added: the default for several classes.</summary>
    CeDice,

    /// <summary>The focal loss (Lin et al. 2017) with gamma 2; for one class alpha is 0.25 unless classes are weighted.</summary>
    Focal,

    /// <summary>
    /// The Tversky loss (Salehi et al. 2017), pooled over the batch: a false positive counts 0.3, a missed pixel 0.7, smooth 1.
    /// </summary>
    Tversky,
}
