using Mamba.Core;

namespace Mamba.Models.Sequences;

/// <summary>Some sequences of a task, and what is to be said about them.</summary>
/// <param name="Inputs">(B, L) tokens, or (B, L, channels) values.</param>
/// <param name="Targets">
/// The class that is asked for: of each position (B * L of them), or of each sequence (B). <see cref="NoAnswer"/> where nothing is asked.
/// </param>
/// <param name="Answers">The targets that are no <see cref="NoAnswer"/>: the mask's sum.</param>
public sealed record SequenceBatch(Tensor Inputs, int[] Targets, int Answers)
{
    /// <summary>The target of a position that is not asked for; a cross-entropy leaves it out by default.</summary>
    public const int NoAnswer = -100;

    /// <summary>Sequences side by side.</summary>
    public int Count => Inputs.Shape[0];
}
