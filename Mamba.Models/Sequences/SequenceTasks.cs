using Mamba.Models.Data;
using Mamba.Models.Data.Sets;

namespace Mamba.Models.Sequences;

/// <summary>The tasks by name.</summary>
public static class SequenceTasks
{
    /// <summary>Selective copying.</summary>
    public const string SelectiveCopy = "selective-copy";

    /// <summary>Induction heads.</summary>
    public const string Induction = "induction";

    /// <summary>The parity of bits.</summary>
    public const string Parity = "parity";

    /// <summary>Sums modulo 5.</summary>
    public const string ModularAddition = "modular-addition";

    /// <summary>Synthetic or recorded signals.</summary>
    public const string Signals = "signals";

    /// <summary>Sequential MNIST.</summary>
    public const string MnistSequence = "mnist-sequence";

    /// <summary>Sequential CIFAR-10.</summary>
    public const string Cifar10Sequence = "cifar10-sequence";

    private const int Modulus = 5;

    /// <summary>All names.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [SelectiveCopy, Induction, Parity, ModularAddition, Signals, MnistSequence, Cifar10Sequence];

    /// <summary>Whether the sequences of a task are made by the seed, without end.</summary>
    /// <param name="data">Its name, or a folder.</param>
    /// <returns>False for images and folders.</returns>
    public static bool IsEndless(string data) => data is SelectiveCopy or Induction or Parity or ModularAddition or Signals;

    /// <summary>Whether the data is a folder of recorded signals.</summary>
    /// <param name="data">A task's name, or a folder.</param>
    /// <returns>False for names, for folders of pictures, and for what is not there.</returns>
    public static bool IsRecorded(string data) => !Names.Contains(data) && Directory.Exists(data) && NameOf(data) == Signals;

    /// <summary>The name of the task that some data make.</summary>
    /// <param name="data">A task's name, or a folder.</param>
    /// <returns>The name; signals of what is neither a name nor a folder of pictures.</returns>
    internal static string NameOf(string data) => Names.Contains(data) ? data
        : Mnist.Find(data) is not null ? MnistSequence
        : Cifar10.Find(data) is not null ? Cifar10Sequence
        : Signals;

    /// <summary>Opens a task.</summary>
    /// <param name="data">Its name; or a folder of recorded signals, of MNIST or of CIFAR-10.</param>
    /// <param name="folder">The folder of the files of MNIST or CIFAR-10, where the data is a name.</param>
    /// <param name="length">Positions; null for the task's own.</param>
    /// <param name="seed">The seed of its sequences, or of its split.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <returns>The task.</returns>
    /// <exception cref="ArgumentException">The length does not fit, or a folder is missing or given where there is none.</exception>
    /// <exception cref="DatasetException">Files cannot be read, or are damaged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static SequenceTask Open(string data, string? folder, int? length, ulong seed, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        bool images = data is MnistSequence or Cifar10Sequence;
        if (images != folder is not null)
            throw new ArgumentException(images
                ? $"--data {data} needs the files of its images; expected --images DIR beside it"
                : $"--images is for {MnistSequence} and {Cifar10Sequence}; it does not go with --data {data}");
        int Positions(int own) => length ?? own;
        return data switch
        {
            SelectiveCopy => new SelectiveCopy(Positions(SequenceRecipe.Of(data).Length), seed),
            Induction => new InductionHeads(Positions(SequenceRecipe.Of(data).Length), seed),
            Parity => new ModularSum(data, 2, Positions(SequenceRecipe.Of(data).Length), seed),
            ModularAddition => new ModularSum(data, Modulus, Positions(SequenceRecipe.Of(data).Length), seed),
            Signals => new SyntheticSignals(Positions(SequenceRecipe.Of(data).Length), seed),
            MnistSequence => Pictures(data, new Mnist(folder!, cancellation), NormalizationKind.Mnist, length, seed),
            Cifar10Sequence => Pictures(data, new Cifar10(folder!, cancellation), NormalizationKind.Cifar, length, seed),
            _ when !Directory.Exists(data) => throw new ArgumentException(
                $"--data is '{data}'; expected {string.Join(", ", Names)}, or a folder of signals, MNIST or CIFAR-10"),
            _ when Mnist.Find(data) is not null =>
                Pictures(MnistSequence, new Mnist(data, cancellation), NormalizationKind.Mnist, length, seed),
            _ when Cifar10.Find(data) is not null =>
                Pictures(Cifar10Sequence, new Cifar10(data, cancellation), NormalizationKind.Cifar, length, seed),
            _ => new RecordedSignals(new SignalFolder(data, cancellation), length, seed),
        };
    }

    private static ImageSequences Pictures(string name, IImageData images, NormalizationKind normalization, int? length, ulong seed)
    {
        ImageSequences task = new(name, images, normalization, seed);
        return length is null || length == task.Length ? task
            : throw new ArgumentException($"--length is {length}; the images of {name} have {task.Length} pixels");
    }
}
