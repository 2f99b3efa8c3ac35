using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Mamba.Core.Checkpoints;
using Mamba.Core.Optim;
using Mamba.Models.Data;
using Mamba.Models.Training;

namespace Mamba.Models.Sequences;

/// <summary>Every option of a training on sequences, as <c>args.json</c> holds them: a file that is a recipe.</summary>
public sealed record SequenceArguments
{
    private const int MostEvaluated = 1024, LeastEvaluated = 64, EvaluatedPositions = 1 << 18;

    /// <summary>The model's name.</summary>
    public required string Model { get; init; }

    /// <summary>The task's name, or a folder.</summary>
    public required string Data { get; init; }

    /// <summary>The folder of MNIST or CIFAR-10, where <see cref="Data"/> is a name.</summary>
    public string? Images { get; init; }

    /// <summary>Positions of a sequence; null where the data decides.</summary>
    public int? Length { get; init; }

    /// <summary>Channels of a position in the model.</summary>
    public required int Width { get; init; }

    /// <summary>Layers.</summary>
    public required int Depth { get; init; }

    /// <summary>Sequences of a step.</summary>
    public required int Batch { get; init; }

    /// <summary>Steps in all; null where epochs are passes over a training set.</summary>
    public int? Steps { get; init; }

    /// <summary>Passes over a training set, or evaluations of a task without one.</summary>
    public required int Epochs { get; init; }

    /// <summary>The learning rate.</summary>
    [JsonPropertyName("lr")]
    public required double LearningRate { get; init; }

    /// <summary>Constant or cosine.</summary>
    public required string Schedule { get; init; }

    /// <summary>Epochs over which the learning rate rises; null for the schedule's own.</summary>
    public double? Warmup { get; init; }

    /// <summary>The lowest learning rate of the schedule; null for 0.</summary>
    [JsonPropertyName("min-lr")]
    public double? MinLearningRate { get; init; }

    /// <summary>The weight decay.</summary>
    public required double WeightDecay { get; init; }

    /// <summary>Bound of the gradients' norm; null for none.</summary>
    public double? ClipNorm { get; init; }

    /// <summary>Epochs without improvement after which training stops; null for never.</summary>
    public int? Patience { get; init; }

    /// <summary>The seed of initial weights, sequences, split and order.</summary>
    public required ulong Seed { get; init; }

    /// <summary>Threads; they change speed, never results.</summary>
    public required int Threads { get; init; }

    /// <summary>A weight file to start from; null for random weights.</summary>
    public string? Init { get; init; }

    /// <summary>How often a checkpoint is written.</summary>
    public required string CheckpointEvery { get; init; }

    /// <summary>How many checkpoints are kept.</summary>
    public required int Keep { get; init; }

    /// <summary>Opens the task.</summary>
    /// <param name="cancellation">Stops between files.</param>
    /// <returns>The task.</returns>
    /// <exception cref="ArgumentException">An option does not fit the task.</exception>
    /// <exception cref="DatasetException">Files cannot be read.</exception>
    public SequenceTask Open(CancellationToken cancellation = default) => SequenceTasks.Open(Data, Images, Length, Seed, cancellation);

    /// <summary>The plan of training that these make.</summary>
    /// <param name="task">The task.</param>
    /// <returns>The plan.</returns>
    /// <exception cref="ArgumentException">Options do not fit together.</exception>
    public SequencePlan Plan(SequenceTask task)
    {
        ArgumentNullException.ThrowIfNull(task);
        int perEpoch = StepsPerEpoch(task);
        long total = Steps ?? (long)perEpoch * Epochs;
        bool cosine = Schedule == RunArguments.Name(ScheduleKind.Cosine);
        long warmup = Warmup is { } epochs ? (long)Math.Round(epochs * perEpoch) : cosine ? Math.Min(perEpoch, total / 10) : 0;
        if (warmup >= total)
            throw new ArgumentException(FormattableString.Invariant($"--warmup is {Warmup} epochs of {Epochs}; expected fewer than all"));
        double floor = (MinLearningRate ?? 0) / LearningRate;
        if (floor > 1)
            throw new ArgumentException(
                FormattableString.Invariant($"--min-lr is {MinLearningRate}, above --lr {LearningRate}; expected a lower one"));
        return new SequencePlan(LearningRate, Batch, (int)((total + perEpoch - 1) / perEpoch), perEpoch)
        {
            Steps = Steps,
            Schedule = cosine ? Schedules.CosineWithWarmup(warmup, total, floor) : step => step < warmup ? (step + 1.0) / warmup : 1,
            WeightDecay = WeightDecay,
            MaxGradientNorm = ClipNorm,
            Patience = Patience,
            Evaluated = Evaluated(task, SplitPart.Val),
        };
    }

    /// <summary>How many sequences an evaluation has: all of a set; of a task without end as many as have a quarter of a million
    /// positions, from 64 to 1,024.</summary>
    /// <param name="task">The task.</param>
    /// <param name="part">Val or Test.</param>
    /// <returns>The number.</returns>
    public static int Evaluated(SequenceTask task, SplitPart part)
    {
        ArgumentNullException.ThrowIfNull(task);
        return task.Count(part) ?? Math.Clamp(EvaluatedPositions / task.Length, LeastEvaluated, MostEvaluated);
    }

    /// <summary>The same training with another number of epochs, each of as many steps as before.</summary>
    /// <param name="epochs">How many.</param>
    /// <returns>Its options.</returns>
    public SequenceArguments WithEpochs(int epochs) => this with
    {
        Epochs = epochs,
        Steps = Steps is null || epochs == Epochs ? Steps : (int)Math.Min(int.MaxValue, (long)PerEpoch * epochs),
    };

    /// <summary>Reads the options of a run.</summary>
    /// <param name="path">Its <c>args.json</c>.</param>
    /// <returns>The options.</returns>
    /// <exception cref="ArgumentException">The file does not hold them.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static SequenceArguments Read(string path)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), SequenceJson.Default.SequenceArguments)
                ?? throw new JsonException("null");
        }
        catch (JsonException e)
        {
            throw new ArgumentException($"{path}: not the options of a training on sequences: {e.Message}", e);
        }
    }

    /// <summary>
    /// A hash of what decides the results, which a checkpoint holds. It does not change when a run gets more epochs of as many steps.
    /// </summary>
    /// <param name="task">The task, whose sizes count, too, and the part of each recording.</param>
    /// <returns>64 hexadecimal digits.</returns>
    public string Identity(SequenceTask task) => Hash(
        task, this with { Steps = Steps is null ? null : PerEpoch, Epochs = 0 },
        task is RecordedSignals recorded ? JsonSerializer.Serialize(SignalRecord.Of(recorded), SequenceJson.Default.SignalRecord) : "");

    /// <summary>The hash that versions wrote which looked at all steps, and not at the recordings.</summary>
    /// <param name="task">The task, whose sizes count, too.</param>
    /// <returns>64 hexadecimal digits.</returns>
    public string OlderIdentity(SequenceTask task) => Hash(task, this with { Epochs = Steps is null ? 0 : Epochs }, "");

    private static string Hash(SequenceTask task, SequenceArguments deciding, string recordings)
    {
        ArgumentNullException.ThrowIfNull(task);
        string text = FormattableString.Invariant($"{task.Name} {task.Length} {task.Channels} {string.Join(',', task.Labels)} ")
            + string.Join(' ', task.Count(SplitPart.Train), task.Count(SplitPart.Val), task.Count(SplitPart.Test))
            + (deciding.Portable with { Data = "", Patience = null }).ToJson() + recordings;
        return Convert.ToHexStringLower(Sha256.HashData(Encoding.UTF8.GetBytes(text)));
    }

    /// <summary>Writes them as JSON, named as on the command line.</summary>
    /// <param name="stream">Where to.</param>
    public void Write(Stream stream) => JsonSerializer.Serialize(stream, this, SequenceJson.Default.SequenceArguments);

    /// <summary>Without places of files, and without what changes speed alone: the same training writes the same.</summary>
    internal SequenceArguments Portable => this with { Images = null, Init = null, Threads = 1, CheckpointEvery = "epoch", Keep = 1 };

    internal string ToJson() => JsonSerializer.Serialize(this, SequenceJson.Default.SequenceArguments);

    /// <summary>Steps of an epoch of a task without a training set; the last epoch may have fewer.</summary>
    internal int PerEpoch => (int)Math.Max(1, ((Steps ?? 1) + (long)Epochs - 1) / Epochs);

    private int StepsPerEpoch(SequenceTask task)
    {
        if (task.Count(SplitPart.Train) is not { } sequences) return PerEpoch;
        if (Steps is not null)
            throw new ArgumentException($"--steps is for generated tasks; --epochs counts passes over {task.Name}");
        return (sequences + Batch - 1) / Batch;
    }
}

/// <summary>Reads and writes documents of sequence tasks without reflection.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.KebabCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(SequenceArguments))]
[JsonSerializable(typeof(SequenceShape))]
[JsonSerializable(typeof(SignalRecord))]
internal sealed partial class SequenceJson : JsonSerializerContext;
