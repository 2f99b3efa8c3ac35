using Mamba.Models.Training;

namespace Mamba.Models.Sequences;

/// <summary>How a task is trained unless told otherwise.</summary>
/// <param name="Model">The model.</param>
/// <param name="Length">Positions; 0 where the data decides.</param>
/// <param name="Batch">Sequences of a step.</param>
/// <param name="LearningRate">The learning rate.</param>
public sealed record SequenceRecipe(string Model, int Length, int Batch, double LearningRate)
{
    /// <summary>Steps in all, of tasks whose sequences are made without end.</summary>
    public int Steps { get; init; } = 20_000;

    /// <summary>Passes over a training set; evaluations of a task without one.</summary>
    public int Epochs { get; init; } = 20;

    /// <summary>Channels of a position.</summary>
    public int Width { get; init; } = 64;

    /// <summary>Layers.</summary>
    public int Depth { get; init; } = 2;

    /// <summary>The schedule of the learning rate.</summary>
    public ScheduleKind Schedule { get; init; } = ScheduleKind.Cosine;

    /// <summary>The weight decay.</summary>
    public double WeightDecay { get; init; }

    /// <summary>
    /// The recipe of a task. Selective copying and induction heads are those of the Mamba paper (Gu and Dao 2023, appendix E.1); the others
    /// are ours.
    /// </summary>
    /// <param name="task">The task's name, or a folder: one of MNIST or CIFAR-10 has the recipe of its pixels, any other that of
    /// signals.</param>
    /// <returns>The recipe.</returns>
    public static SequenceRecipe Of(string task) => SequenceTasks.NameOf(task) switch
    {
        SequenceTasks.SelectiveCopy => new("mamba-lm", 4096, 64, 1e-4) { Steps = 400_000, Epochs = 100, Schedule = ScheduleKind.Constant },
        SequenceTasks.Induction => new("mamba-lm", 256, 8, 1e-3) { Steps = 25 * 8192, Epochs = 25, Schedule = ScheduleKind.Constant },
        SequenceTasks.Parity or SequenceTasks.ModularAddition => new("mamba-lm", 40, 64, 1e-3),
        SequenceTasks.MnistSequence => new("mamba-classifier", 0, 32, 2e-3) { Epochs = 10, Depth = 4, WeightDecay = 0.01 },
        SequenceTasks.Cifar10Sequence => new("mamba-classifier", 0, 32, 2e-3) { Width = 128, Depth = 4, WeightDecay = 0.01 },
        _ => new("mamba-classifier", 1024, 32, 2e-3) { Steps = 5_000, WeightDecay = 0.01 },
    };
}
