using System.Globalization;
using System.Text.Json;
using Mamba.Core.Optim;
using Mamba.Models.Data;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>The learning rate over a run.</summary>
public enum ScheduleKind
{
    /// <summary>Always the same.</summary>
    Constant,

    /// <summary>A tenth after each third of the epochs.</summary>
    Step,

    /// <summary>A short warm-up, then half a cosine to zero.</summary>
    Cosine,
}

/// <summary>Every option of a training run, as <c>args.json</c> holds them.</summary>
public sealed record RunArguments
{
    /// <summary>The value of <see cref="Data"/> that stands for <see cref="SyntheticLesions"/>.</summary>
    public const string Synthetic = "synthetic";

    /// <summary>The model's name.</summary>
    public required string Model { get; init; }

    /// <summary>A folder of images and masks, or <see cref="Synthetic"/>.</summary>
    public required string Data { get; init; }

    /// <summary>How the data is split.</summary>
    public SplitProtocol Protocol { get; init; }

    /// <summary>The most epochs.</summary>
    public required int Epochs { get; init; }

    /// <summary>Images a step.</summary>
    public required int Batch { get; init; }

    /// <summary>The learning rate.</summary>
    public required double LearningRate { get; init; }

    /// <summary>The schedule of the learning rate.</summary>
    public ScheduleKind Schedule { get; init; }

    /// <summary>The optimizer.</summary>
    public required OptimizerKind Optimizer { get; init; }

    /// <summary>The weight decay.</summary>
    public required double WeightDecay { get; init; }

    /// <summary>The loss.</summary>
    public required SegmentationLoss Loss { get; init; }

    /// <summary>Bound of the gradients' norm; null for none.</summary>
    public double? ClipNorm { get; init; }

    /// <summary>Epochs without improvement after which training stops; null for never.</summary>
    public int? Patience { get; init; }

    /// <summary>Whether training images are flipped, turned and changed in brightness and contrast.</summary>
    public bool Augment { get; init; }

    /// <summary>The seed of split, initial weights, order and augmentation.</summary>
    public ulong Seed { get; init; }

    /// <summary>Threads; they change speed, never results.</summary>
    public required int Threads { get; init; }

    /// <summary>Rows of the model's input.</summary>
    public required int Height { get; init; }

    /// <summary>Columns of the model's input.</summary>
    public required int Width { get; init; }

    /// <summary>Images in all, before splitting; null for all there are.</summary>
    public int? Limit { get; init; }

    /// <summary>Bytes of decoded images that may stay in memory.</summary>
    public long CacheBytes { get; init; } = 2L << 30;

    /// <summary>The plan of training that these make.</summary>
    /// <param name="stepsPerEpoch">Steps of an epoch, for the schedule.</param>
    /// <returns>The plan.</returns>
    public TrainingPlan Plan(int stepsPerEpoch)
    {
        long total = (long)stepsPerEpoch * Epochs;
        TrainingRecipe recipe = Registry.Find(Model).Recipe with { Optimizer = Optimizer, LearningRate = LearningRate, WeightDecay = WeightDecay, Loss = Loss, Batch = Batch };
        return new TrainingPlan(recipe, LearningRate, Epochs)
        {
            Patience = Patience,
            MaxGradientNorm = ClipNorm,
            Schedule = Schedule switch
            {
                ScheduleKind.Step => Schedules.Step(Math.Max(1, (total + 2) / 3)),
                ScheduleKind.Cosine => Schedules.CosineWithWarmup(Math.Min(stepsPerEpoch, total / 10), total),
                _ => Schedules.Constant,
            },
        };
    }

    /// <summary>Writes them as JSON, named as on the command line.</summary>
    /// <param name="stream">Where to.</param>
    public void Write(Stream stream)
    {
        using Utf8JsonWriter w = new(stream, new JsonWriterOptions { Indented = true });
        w.WriteStartObject();
        w.WriteString("model", Model);
        w.WriteString("data", Data);
        w.WriteString("protocol", Name(Protocol));
        w.WriteNumber("epochs", Epochs);
        w.WriteNumber("batch", Batch);
        w.WriteNumber("lr", LearningRate);
        w.WriteString("schedule", Name(Schedule));
        w.WriteString("optimizer", Name(Optimizer));
        w.WriteNumber("weight-decay", WeightDecay);
        w.WriteString("loss", Name(Loss));
        Optional("clip-norm", ClipNorm);
        Optional("patience", Patience);
        w.WriteBoolean("augment", Augment);
        w.WriteNumber("seed", Seed);
        w.WriteNumber("threads", Threads);
        w.WriteString("size", string.Create(CultureInfo.InvariantCulture, $"{Height}x{Width}"));
        Optional("limit", Limit);
        w.WriteNumber("cache-mb", CacheBytes >> 20);
        w.WriteEndObject();

        void Optional(string key, double? value)
        {
            if (value is { } number) w.WriteNumber(key, number);
            else w.WriteNull(key);
        }
    }

    private static string Name<T>(T value) where T : struct, Enum => value switch
    {
        SegmentationLoss.BceDice => "bce-dice",
        SegmentationLoss.BceWithLogits => "bce",
        _ => value.ToString().ToLowerInvariant(),
    };
}
