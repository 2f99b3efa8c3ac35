namespace Mamba.Models.Recipes;

/// <summary>The losses of the paper's recipes.</summary>
public enum LossKind
{
    /// <summary>Binary cross-entropy and Dice by image on probabilities, added (UltraLight family).</summary>
    BceDice,

    /// <summary>Dice pooled over the batch, on logits, smooth 100 (U-Net, ResNets, UMambaBots).</summary>
    Dice,

    /// <summary>Binary cross-entropy on logits (SegFormer).</summary>
    BceWithLogits,

    /// <summary>Cross-entropy over classes (classifiers).</summary>
    CrossEntropy,
}
