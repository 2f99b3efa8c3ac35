using System.Globalization;
using System.Text;
using System.Text.Json;
using Mamba.Core.Checkpoints;
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

    /// <summary>A tenth each time that the validation loss has not fallen for more than five epochs.</summary>
    Plateau,
}

/// <summary>How training images are changed.</summary>
public enum AugmentKind
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>Images of classes: cropped at random from a border of 4, and not flipped, which digits cannot bear.</summary>
    Crop,

    /// <summary>Slices: flipped, turned, changed in brightness and contrast. Images of classes: cropped at random from a border of 4 and flipped.</summary>
    Basic,

    /// <summary>Images of classes: cropped, flipped, and RandAugment(2, 9), as in the paper.</summary>
    RandAugment,
}

/// <summary>Every option of a training run, as <c>args.json</c> holds them.</summary>
public sealed record RunArguments
{
    /// <summary>The value of <see cref="Data"/> that stands for drawn images.</summary>
    public const string Synthetic = "synthetic";

    /// <summary>The model's name.</summary>
    public required string Model { get; init; }

    /// <summary>A folder of images, or <see cref="Synthetic"/>.</summary>
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
    public required LossKind Loss { get; init; }

    /// <summary>Label smoothing of a classifier's loss.</summary>
    public double LabelSmoothing { get; init; }

    /// <summary>MixUp's alpha; null for none.</summary>
    public double? MixUp { get; init; }

    /// <summary>The decay of the average of the weights; null for none.</summary>
    public double? AverageDecay { get; init; }

    /// <summary>Bound of the gradients' norm; null for none.</summary>
    public double? ClipNorm { get; init; }

    /// <summary>Epochs without improvement after which training stops; null for never.</summary>
    public int? Patience { get; init; }

    /// <summary>How training images are changed.</summary>
    public AugmentKind Augment { get; init; }

    /// <summary>The scaling of the input.</summary>
    public NormalizationKind Normalization { get; init; }

    /// <summary>The seed of split, initial weights, order and augmentation.</summary>
    public ulong Seed { get; init; }

    /// <summary>Threads; they change speed, never results.</summary>
    public required int Threads { get; init; }

    /// <summary>Rows of the model's input.</summary>
    public required int Height { get; init; }

    /// <summary>Columns of the model's input.</summary>
    public required int Width { get; init; }

    /// <summary>The sizes of the model: the number of classes apart, which the data decides, what it is built with.</summary>
    public required ModelConfig Config { get; init; }

    /// <summary>A weight file to start from; null for random weights.</summary>
    public string? Init { get; init; }

    /// <summary>Images in all, before splitting; null for all there are.</summary>
    public int? Limit { get; init; }

    /// <summary>What becomes of images that cannot be read.</summary>
    public OnBadImage OnBadImage { get; init; }

    /// <summary>Bytes of decoded images that may stay in memory.</summary>
    public long CacheBytes { get; init; } = 2L << 30;

    /// <summary>How often a checkpoint is written.</summary>
    public CheckpointInterval CheckpointEvery { get; init; }

    /// <summary>How many checkpoints are kept.</summary>
    public int Keep { get; init; } = 2;

    /// <summary>What happens when a loss or a gradient is not finite.</summary>
    public NonFiniteAction OnNonFinite { get; init; }

    /// <summary>The loss and the metrics.</summary>
    /// <exception cref="ArgumentException">They do not fit the model.</exception>
    public Objective Objective => Objective.Of(Registry.Find(Model), Loss, LabelSmoothing);

    /// <summary>What changes the training images; null for nothing.</summary>
    /// <exception cref="ArgumentException">It is not for the model's task.</exception>
    public IAugmentation? Augmentation => (Augment, Registry.Find(Model).Task) switch
    {
        (AugmentKind.None, _) => null,
        (AugmentKind.Basic, ModelTask.Segmentation) => new SegmentationAugment { Flips = true, QuarterTurns = true, Brightness = 0.1f, Contrast = 0.1f },
        (AugmentKind.Crop, ModelTask.Classification) => new ClassificationAugment { Flip = false },
        (AugmentKind.Basic, ModelTask.Classification) => new ClassificationAugment(),
        (AugmentKind.RandAugment, ModelTask.Classification) => new ClassificationAugment { RandAugment = new RandAugment() },
        _ => throw new ArgumentException($"augmentation {Augment} is for classification; {Model} is for segmentation"),
    };

    /// <summary>The plan of training that these make.</summary>
    /// <param name="stepsPerEpoch">Steps of an epoch, for the schedule.</param>
    /// <returns>The plan.</returns>
    public TrainingPlan Plan(int stepsPerEpoch)
    {
        long total = (long)stepsPerEpoch * Epochs;
        TrainingRecipe recipe = Registry.Find(Model).Recipe with { Optimizer = Optimizer, LearningRate = LearningRate, WeightDecay = WeightDecay, Loss = Loss, Batch = Batch };
        return new TrainingPlan(recipe, Objective, LearningRate, Epochs)
        {
            Patience = Patience,
            MaxGradientNorm = ClipNorm,
            AverageDecay = AverageDecay,
            OnNonFinite = OnNonFinite,
            Plateau = Schedule == ScheduleKind.Plateau ? new Plateau() : null,
            Schedule = Schedule switch
            {
                ScheduleKind.Step => Schedules.Step(Math.Max(1, (total + 2) / 3)),
                ScheduleKind.Cosine => Schedules.CosineWithWarmup(Math.Min(stepsPerEpoch, total / 10), total),
                _ => Schedules.Constant,
            },
        };
    }

    /// <summary>
    /// A hash of what decides the results of a run: the options, save those that change speed alone or say where files lie, and the images of each part of
    /// the split. A checkpoint holds it, so that a run does not go on with other options or images.
    /// </summary>
    /// <param name="data">The data set.</param>
    /// <param name="split">Its parts.</param>
    /// <returns>64 hexadecimal digits.</returns>
    public string Identity(IImageData data, Split split)
    {
        using MemoryStream text = new();
        (this with { Data = "", Init = null, Threads = 0, CacheBytes = 0, Keep = 0, CheckpointEvery = CheckpointInterval.Epoch }).Write(text);
        foreach (SplitPart part in new[] { SplitPart.Train, SplitPart.Val, SplitPart.Test })
            text.Write(Encoding.UTF8.GetBytes($"\n{part}\n{string.Join('\n', split[part].Select(data.Name))}"));
        return Convert.ToHexStringLower(Sha256.HashData(text.ToArray()));
    }

    /// <summary>Writes them as JSON, named as on the command line: such a file is a recipe.</summary>
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
        w.WriteNumber("label-smoothing", LabelSmoothing);
        Optional("mixup", MixUp);
        Optional("ema", AverageDecay);
        Optional("drop-path", Config.DropPath);
        Optional("clip-norm", ClipNorm);
        Optional("patience", Patience);
        w.WriteString("augment", Name(Augment));
        w.WriteString("normalize", Name(Normalization));
        w.WriteNumber("seed", Seed);
        w.WriteNumber("threads", Threads);
        w.WriteString("size", string.Create(CultureInfo.InvariantCulture, $"{Height}x{Width}"));
        w.WriteNumber("channels", Config.InputChannels);
        Optional("patch", Config.Patch);
        Optional("width", Config.Width);
        Optional("depth", Config.Depth);
        w.WriteString("init", Init);
        Optional("limit", Limit);
        w.WriteString("on-bad-image", Name(OnBadImage));
        w.WriteNumber("cache-mb", CacheBytes >> 20);
        w.WriteString("checkpoint-every", CheckpointEvery.ToString());
        w.WriteNumber("keep", Keep);
        w.WriteString("on-nonfinite", Name(OnNonFinite));
        w.WriteEndObject();

        void Optional(string key, double? value)
        {
            if (value is { } number) w.WriteNumber(key, number);
            else w.WriteNull(key);
        }
    }

    /// <summary>The word for a choice, on the command line and in files.</summary>
    /// <param name="value">The choice.</param>
    /// <returns>The word.</returns>
    /// <typeparam name="T">An enumeration of options.</typeparam>
    public static string Name<T>(T value) where T : struct, Enum => value switch
    {
        LossKind.BceDice => "bce-dice",
        LossKind.BceWithLogits => "bce",
        LossKind.CrossEntropy => "cross-entropy",
        _ => value.ToString().ToLowerInvariant(),
    };
}
