namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Mean cross-entropy of logits (B, Classes) with class indices.</summary>
    public static Tensor CrossEntropy(Tensor logits, ReadOnlySpan<int> target, float labelSmoothing = 0f) =>
        throw new NotImplementedException();

    /// <summary>Mean binary cross-entropy of probabilities; logarithms are clamped at -100 as in PyTorch.</summary>
    public static Tensor BinaryCrossEntropy(Tensor probabilities, Tensor target) =>
        throw new NotImplementedException();

    /// <summary>Mean binary cross-entropy of logits.</summary>
    public static Tensor BinaryCrossEntropyWithLogits(Tensor logits, Tensor target) =>
        throw new NotImplementedException();

    /// <summary>1 - Dice of sigmoid(logits), pooled over the whole batch (the paper's loss for U-Net, ResNets and UMambaBots).</summary>
    public static Tensor DiceWithLogits(Tensor logits, Tensor target, float smooth = 100f) =>
        throw new NotImplementedException();

    /// <summary>Binary cross-entropy plus 1 - Dice averaged over images, of probabilities (the paper's loss for the UL family).</summary>
    public static Tensor BceDice(Tensor probabilities, Tensor target, float smooth = 1f, float bceWeight = 1f, float diceWeight = 1f) =>
        throw new NotImplementedException();
}
