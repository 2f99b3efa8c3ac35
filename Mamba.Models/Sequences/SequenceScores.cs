using Mamba.Models.Metrics;

namespace Mamba.Models.Sequences;

/// <summary>How many answers are right.</summary>
/// <param name="Accuracy">The share of all answers that are right: token accuracy, or the accuracy of a classifier.</param>
/// <param name="Exact">The share of sequences all of whose answers are right.</param>
public sealed record SequenceScores(double Accuracy, double Exact) : Scores
{
    /// <inheritdoc/>
    public override IReadOnlyList<(string Name, double Value)> Values => [("accuracy", Accuracy), ("exact", Exact)];
}

/// <summary>Counts right answers.</summary>
internal struct SequenceTally
{
    private long _answers, _right, _sequences, _exact;

    /// <summary>The scores so far.</summary>
    public readonly SequenceScores Scores => new((double)_right / _answers, (double)_exact / _sequences);

    /// <summary>Adds a sequence.</summary>
    /// <param name="answers">Its answers.</param>
    /// <param name="right">Those that are right.</param>
    public void Add(int answers, int right)
    {
        _answers += answers;
        _right += right;
        _sequences++;
        if (right == answers) _exact++;
    }

    /// <summary>Counts the answers of some positions.</summary>
    /// <param name="logits">The classes' logits of each position.</param>
    /// <param name="targets">What each asks for.</param>
    /// <returns>Answers, and right ones.</returns>
    public static (int Answers, int Right) Count(ReadOnlySpan<float> logits, ReadOnlySpan<int> targets)
    {
        int classes = logits.Length / targets.Length, answers = 0, right = 0;
        for (int i = 0; i < targets.Length; i++)
        {
            if (targets[i] == SequenceBatch.NoAnswer) continue;
            answers++;
            if (System.Numerics.Tensors.TensorPrimitives.IndexOfMax(logits.Slice(i * classes, classes)) == targets[i]) right++;
        }
        return (answers, right);
    }
}
