using System.Diagnostics;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Language;
using Mamba.Models.Training;

namespace Mamba.Models.Sequences;

/// <summary>The accuracy at one length.</summary>
/// <param name="Length">Positions of each sequence.</param>
/// <param name="Sequences">Sequences measured.</param>
/// <param name="Scores">The shares of right answers.</param>
/// <param name="Seconds">The time of all of them.</param>
public sealed record LengthResult(int Length, int Sequences, SequenceScores Scores, double Seconds);

/// <summary>Measures models on tasks: by batches, or by parts of sequences of any length.</summary>
public static class SequenceEvaluator
{
    // Positions that are in memory at a time, of all sequences together.
    private const int PartPositions = 1 << 14, SideBySide = 8;

    /// <summary>Measures a model on sequences of the task's own length.</summary>
    /// <param name="model">The model; frozen meanwhile.</param>
    /// <param name="task">The task.</param>
    /// <param name="part">The part of the data.</param>
    /// <param name="sequences">How many of its sequences, from the first.</param>
    /// <param name="batch">Sequences side by side.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>Loss and scores.</returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Evaluation Run(
        SequenceModel model, SequenceTask task, SplitPart part, int sequences, int batch, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(task);
        bool thaw = !model.Parameters.IsFrozen;
        model.Parameters.Freeze();
        SequenceTally tally = default;
        double loss = 0;
        Stopwatch watch = new();
        try
        {
            for (int first = 0; first < sequences; first += batch)
            {
                cancellation.ThrowIfCancellationRequested();
                using MemoryScope scope = new();
                SequenceBatch some = task.Batch(part, first, Math.Min(batch, sequences - first));
                watch.Start();
                Tensor logits = model.Module.Forward(some.Inputs);
                watch.Stop();
                loss += some.Count * (double)Ops.CrossEntropy(logits, some.Targets).Item();
                Add(ref tally, logits.Span, some.Targets, some.Count);
            }
        }
        finally
        {
            if (thaw) model.Parameters.Thaw();
        }
        return new Evaluation(sequences, loss / sequences, tally.Scores, watch.Elapsed.TotalMilliseconds / sequences);
    }

    /// <summary>
    /// Measures a model of tokens at any length. Sequences are made and read by parts, with a state, so that memory does not depend on the
    /// length (a Transformer's state grows).
    /// </summary>
    /// <param name="model">The model, frozen.</param>
    /// <param name="task">The task.</param>
    /// <param name="length">Positions of each sequence.</param>
    /// <param name="sequences">How many test sequences.</param>
    /// <param name="cancellation">Stops between parts.</param>
    /// <returns>Scores and time.</returns>
    /// <exception cref="ArgumentException">The length does not fit the task.</exception>
    /// <exception cref="ShapeException">The model has no positions for such a length.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static LengthResult Run(
        LanguageModel model, TokenTask task, int length, int sequences, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(task);
        SequenceTally tally = default;
        Stopwatch watch = Stopwatch.StartNew();
        for (int first = 0; first < sequences; first += SideBySide)
        {
            int count = Math.Min(SideBySide, sequences - first);
            TokenSequence[] open = [.. Enumerable.Range(first, count).Select(i => task.Open(SplitPart.Test, i, length))];
            (int Answers, int Right)[] counts = RunByParts(model, open, length, cancellation);
            foreach ((int answers, int right) in counts) tally.Add(answers, right);
        }
        return new LengthResult(length, sequences, tally.Scores, watch.Elapsed.TotalSeconds);
    }

    private static (int Answers, int Right)[] RunByParts(
        LanguageModel model, TokenSequence[] sequences, int length, CancellationToken cancellation)
    {
        int part = Math.Min(length, PartPositions / sequences.Length);
        int[] targets = new int[part];
        (int Answers, int Right)[] counts = new (int, int)[sequences.Length];
        LanguageState state = model.NewState(sequences.Length);
        for (int at = 0; at < length; at += part)
        {
            cancellation.ThrowIfCancellationRequested();
            using MemoryScope scope = new();
            int positions = Math.Min(part, length - at);
            Tensor tokens = Tensor.Empty(sequences.Length, positions);
            int[][] asked = new int[sequences.Length][];
            for (int i = 0; i < sequences.Length; i++)
            {
                sequences[i].Next(tokens.Span.Slice(i * positions, positions), targets.AsSpan(0, positions));
                asked[i] = targets[..positions];
            }
            Tensor logits = model.Forward(tokens, state);
            for (int i = 0; i < sequences.Length; i++)
            {
                int size = logits.Count / sequences.Length;
                (int answers, int right) = SequenceTally.Count(logits.Span.Slice(i * size, size), asked[i]);
                counts[i] = (counts[i].Answers + answers, counts[i].Right + right);
            }
        }
        return counts;
    }

    private static void Add(ref SequenceTally tally, ReadOnlySpan<float> logits, int[] targets, int count)
    {
        int size = logits.Length / count, asked = targets.Length / count;
        for (int i = 0; i < count; i++)
        {
            (int answers, int right) = SequenceTally.Count(logits.Slice(i * size, size), targets.AsSpan(i * asked, asked));
            tally.Add(answers, right);
        }
    }
}
