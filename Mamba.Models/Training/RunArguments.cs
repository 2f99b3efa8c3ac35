using System.Text.Json;
using Mamba.Core.Checkpoints;
using Mamba.Core.Optim;
using Mamba.Models.Data;
using Mamba.Models.Data.Augmentation;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Recipes;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>Every option of a training run, as <c>args.json</c> holds them.</summary>
public sealed record RunArguments
{
    /// <summary>The value of <see cref="Data"/> that stands for synthetic images.</summary>
    public const string Synthetic = "synthetic";

    /// <summary>The value of <see cref="Epochs"/> where only <see cref="Minutes"/> bound the training.</summary>
    public const int EndlessEpochs = 1_000_000;

    /// <summary>The model's name.</summary>
    public required string Model { get; init; }

    /// <summary>A folder of images, or <see cref="Synthetic"/>.</summary>
    public required string Data { get; init; }

    /// <summary>What the folder of images cannot say about itself.</summary>
    public DataOptions DataOptions { get; init; } = DataOptions.Default;

    /// <summary>How the data is split.</summary>
    public SplitProtocol Protocol { get; init; }

    /// <summary>The fold of a cross-validation; null for none.</summary>
    public Fold? Fold { get; init; }

    /// <summary>A file that lists the images of each part; null to split as <see cref="Protocol"/> says.</summary>
    public string? SplitFile { get; init; }

    /// <summary>The most epochs.</summary>
    public required int Epochs { get; init; }

    /// <summary>Steps of the optimizer after which training ends; null for no bound.</summary>
    public int? Steps { get; init; }

    /// <summary>Minutes of training, validations included, after which it ends; null for no bound.</summary>
    public double? Minutes { get; init; }

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

    /// <summary>Epochs over which the learning rate rises; null for the schedule's own.</summary>
    public double? Warmup { get; init; }

    /// <summary>The lowest learning rate of a schedule; null for 0.</summary>
    public double? MinLearningRate { get; init; }

    /// <summary>The momentum of SGD; null for its default.</summary>
    public double? Momentum { get; init; }

    /// <summary>Batches whose gradients make one step.</summary>
    public int Accumulate { get; init; } = 1;

    /// <summary>Names of parameters that are not trained, as patterns with * and ?, separated by commas; null for none.</summary>
    public string? Freeze { get; init; }

    /// <summary>Whether the results are written as TensorBoard events, too.</summary>
    public bool TensorBoard { get; init; }

    /// <summary>The loss.</summary>
    public required LossKind Loss { get; init; }

    /// <summary>A weight for each class in the loss, see <see cref="ObjectiveOptions.ClassWeights"/>; null for 1 each.</summary>
    public IReadOnlyList<float>? ClassWeights { get; init; }

    /// <summary>Whether each epoch draws as many images with a lesion, or of each class, as without.</summary>
    public bool Balance { get; init; }

    /// <summary>The measure that selects the best epoch, as results.csv names it, or <c>loss</c>; null for the first one.</summary>
    public string? Monitor { get; init; }

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
    public AugmentChoice Augment { get; init; } = AugmentKind.None;

    /// <summary>Rows and columns of a random square of each training image, in place of the whole; null for the whole.</summary>
    public int? Crop { get; init; }

    /// <summary>The normalization of the input.</summary>
    public NormalizationKind Normalization { get; init; }

    /// <summary>How samples become values from 0 to 1.</summary>
    public Intensity Intensity { get; init; } = Intensity.None;

    /// <summary>How images of another size are resized.</summary>
    public Resampling Resampling { get; init; }

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

    /// <summary>Where the tensors stand in the file of <see cref="Init"/>: keys joined by dots; found if null.</summary>
    public string? Key { get; init; }

    /// <summary>The weight file of a teacher, see <see cref="Training.Distillation"/>; null for none.</summary>
    public string? Teacher { get; init; }

    /// <summary>The SHA-256 of <see cref="Teacher"/>, 64 hexadecimal digits: a run is not resumed with another one.</summary>
    public string? TeacherHash { get; init; }

    /// <summary>The temperature of distillation; null without a teacher.</summary>
    public double? Temperature { get; init; }

    /// <summary>The weight of the teacher in the loss; null without a teacher.</summary>
    public double? DistillWeight { get; init; }

    /// <summary>Whether weights that are zero stay zero.</summary>
    public bool KeepZeros { get; init; }

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

    /// <summary>The epochs that are planned; null where only <see cref="Minutes"/> bound the training.</summary>
    public int? PlannedEpochs => Epochs == EndlessEpochs ? null : Epochs;

    /// <summary>The epochs that some steps take.</summary>
    /// <param name="steps">Steps of the optimizer.</param>
    /// <param name="images">Training images.</param>
    /// <param name="batch">Images of a batch.</param>
    /// <param name="accumulate">Batches of a step.</param>
    /// <returns>Their number; the last one may end early.</returns>
    public static int EpochsOf(int steps, int images, int batch, int accumulate)
    {
        int batches = BatchLoader.BatchesOf(images, batch, shuffle: true), perEpoch = (batches + accumulate - 1) / accumulate;
        return (int)Math.Min(EndlessEpochs, ((long)steps + perEpoch - 1) / Math.Max(1, perEpoch));
    }

    /// <summary>The loss and the metrics.</summary>
    /// <exception cref="ArgumentException">They do not fit the model.</exception>
    public Objective Objective
    {
        get
        {
            ModelEntry entry = Registry.Find(Model);
            return Objective.Of(entry, new ObjectiveOptions(Loss)
            {
                Classes = Config.Classes,
                LabelSmoothing = LabelSmoothing,
                ClassWeights = ClassWeights,
            });
        }
    }

    /// <summary>What changes the training images; null for nothing.</summary>
    /// <exception cref="ArgumentException">It is not for the model's task.</exception>
    public IAugmentation? Augmentation => Augment.For(Registry.Find(Model).Task, Model);

    /// <summary>The plan of training that these make.</summary>
    /// <param name="batchesPerEpoch">Batches of an epoch, for the schedule.</param>
    /// <returns>The plan.</returns>
    /// <exception cref="ArgumentException">Options do not fit together.</exception>
    public TrainingPlan Plan(int batchesPerEpoch)
    {
        TrainingRecipe recipe = Registry.Find(Model).Recipe with
        {
            Optimizer = Optimizer,
            LearningRate = LearningRate,
            WeightDecay = WeightDecay,
            Loss = Loss,
            Batch = Batch,
        };
        if (Momentum is { } momentum) recipe = recipe with { Momentum = momentum };
        return new TrainingPlan(recipe, Objective, LearningRate, Epochs)
        {
            Patience = Patience,
            MaxGradientNorm = ClipNorm,
            AverageDecay = AverageDecay,
            OnNonFinite = OnNonFinite,
            KeepZeros = KeepZeros,
            Accumulate = Accumulate,
            Monitor = Monitor,
            Budget = Budget,
            Plateau = Schedule == ScheduleKind.Plateau ? new Plateau() : null,
            Schedule = ScheduleOver((batchesPerEpoch + Accumulate - 1) / Accumulate),
        };
    }

    private TrainingBudget? Budget => Steps is null && Minutes is null ? null : new TrainingBudget
    {
        Steps = Steps,
        Time = Minutes is { } minutes ? TimeSpan.FromMinutes(Math.Min(minutes, 1e9)) : null,
    };

    /// <summary>The factor on the learning rate over the run.</summary>
    private Schedule ScheduleOver(int stepsPerEpoch)
    {
        long total = Math.Min((long)stepsPerEpoch * Epochs, Steps ?? long.MaxValue);
        long own = Schedule == ScheduleKind.Cosine ? Math.Min(stepsPerEpoch, total / 10) : 0;
        long warmup = Warmup is { } epochs ? (long)Math.Round(epochs * stepsPerEpoch) : own;
        if (warmup >= total)
            throw new ArgumentException(FormattableString.Invariant($"--warmup is {Warmup} epochs of {Epochs}; expected fewer than all"));
        double floor = (MinLearningRate ?? 0) / LearningRate;
        if (floor > 1)
            throw new ArgumentException(
                FormattableString.Invariant($"--min-lr is {MinLearningRate}, above --lr {LearningRate}; expected a lower one"));
        Schedule after = Schedule switch
        {
            ScheduleKind.Cosine => Schedules.CosineWithWarmup(warmup, total, floor),
            ScheduleKind.Step when Schedules.Step(Math.Max(1, (total + 2) / 3)) is var step => at => Math.Max(floor, step(at)),
            _ => Schedules.Constant,
        };
        return warmup == 0 || Schedule == ScheduleKind.Cosine ? after : at => at < warmup ? (at + 1.0) / warmup : after(at);
    }

    /// <summary>
    /// A hash of what decides the results of a run. It covers the images of each part of the split, their content and that of their
    /// masks or annotations, and the options, except those that change speed alone, name places of files, or say when to stop.
    /// A checkpoint holds it, so that a run is not resumed with other options, images or masks.
    /// </summary>
    /// <param name="content">The images.</param>
    /// <param name="form">As this version has it, or an older one.</param>
    /// <returns>64 hexadecimal digits.</returns>
    /// <exception cref="IOException">An image or a mask cannot be read.</exception>
    public string Identity(SplitContent content, IdentityForm form = IdentityForm.Content)
    {
        using MemoryStream text = new();
        RunArguments deciding = this with
        {
            Data = "",
            DataOptions = DataOptions.Default,
            SplitFile = null,
            Epochs = form == IdentityForm.Names ? Epochs : 0,
            Steps = null,
            Minutes = null,
            Init = null,
            Teacher = null, // its hash decides
            Key = null,
            Threads = 0,
            CacheBytes = 0,
            Keep = 0,
            TensorBoard = false,
            CheckpointEvery = CheckpointInterval.Epoch,
        };
        JsonSerializer.Serialize(text, RunDocument.OfIdentity(deciding), RunJson.Default.RunDocument);
        content.Write(text, form);
        return Convert.ToHexStringLower(Sha256.HashData(text.ToArray()));
    }

    /// <summary>Writes them as JSON, named as on the command line: such a file is a recipe.</summary>
    /// <param name="stream">Where to.</param>
    public void Write(Stream stream) => JsonSerializer.Serialize(stream, RunDocument.Of(this), RunJson.Default.RunDocument);

    /// <summary>The word for a choice, on the command line and in files.</summary>
    /// <param name="value">The choice.</param>
    /// <returns>The word.</returns>
    /// <typeparam name="T">An enumeration of options.</typeparam>
    public static string Name<T>(T value) where T : struct, Enum => value switch
    {
        SplitProtocol protocol => protocol.ToWord(),
        QuantizationMode mode => mode.ToWord(),
        LossKind.BceDice => "bce-dice",
        LossKind.CeDice => "ce-dice",
        LossKind.BceWithLogits => "bce",
        LossKind.CrossEntropy => "cross-entropy",
        _ => value.ToString().ToLowerInvariant(),
    };
}
