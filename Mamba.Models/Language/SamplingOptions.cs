namespace Mamba.Models.Language;

/// <summary>How the next token is chosen; the meanings are those of state-spaces/mamba's <c>generate</c>.</summary>
public sealed record SamplingOptions
{
    /// <summary>Divides the logits. 0 is greedy: the token with the largest logit.</summary>
    public double Temperature { get; init; }

    /// <summary>Only so many of the most probable tokens are chosen from; 0 for all. 1 is greedy.</summary>
    public int TopK { get; init; }

    /// <summary>
    /// The least probable tokens go whose probabilities together are at most 1 minus this (nucleus sampling, Holtzman et al. 2020).
    /// 1 keeps all.
    /// </summary>
    public double TopP { get; init; } = 1;

    /// <summary>
    /// Logits of tokens that were there already, in the prompt or after it, are divided by this if positive and multiplied if negative
    /// (Keskar et al. 2019). 1 changes none.
    /// </summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>The seed of the choices.</summary>
    public ulong Seed { get; init; }

    /// <summary>Whether the token with the largest logit is taken.</summary>
    public bool IsGreedy => Temperature == 0 || TopK == 1;

    /// <summary>Checks the values.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is out of its range.</exception>
    internal void Check()
    {
        if (!(Temperature >= 0 && double.IsFinite(Temperature)))
            throw new ArgumentOutOfRangeException(nameof(Temperature), Temperature, "expected at least 0");
        if (TopK < 0) throw new ArgumentOutOfRangeException(nameof(TopK), TopK, "expected at least 0");
        if (!(TopP is > 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(TopP), TopP, "expected above 0 and at most 1");
        if (!(RepetitionPenalty > 0 && double.IsFinite(RepetitionPenalty)))
            throw new ArgumentOutOfRangeException(nameof(RepetitionPenalty), RepetitionPenalty, "expected above 0");
    }
}
