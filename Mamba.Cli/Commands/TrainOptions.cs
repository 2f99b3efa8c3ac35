using System.CommandLine;
using System.Globalization;
using Mamba.Core.Checkpoints;
using Mamba.Models.Blocks;
using Mamba.Models.Data;
using Mamba.Models.Data.Augmentation;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Recipes;
using Mamba.Models.Sequences;
using Mamba.Models.Studies;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary>The options of <c>mamba train</c>, and the run that they describe.</summary>
internal sealed class TrainOptions
{
    private const string DefaultModel = "ul-vm-unet", TokenModel = "vim";

    public const int DefaultKeep = 2;

    private const int DefaultCacheMebibytes = 2048;

    private static readonly ModelEntry s_default = Registry.Find(DefaultModel), s_token = Registry.Find(TokenModel);

    public Option<string?> Resume { get; } = Options.Text("--resume", "DIR", "Continue the run in this folder.");

    public Option<string?> Recipe { get; } =
        Options.Text("--recipe", "FILE", $"Options from a file or a built-in recipe: {string.Join(", ", Commands.Recipe.Names)}.");

    public Option<string?> Model { get; } = Options.Text("--model", "NAME", "Model, see 'mamba models'.", DefaultModel);

    public Option<string?> Data { get; } =
        Options.Text("--data", "DIR|TASK", "Image folder, 'synthetic', or sequence task.", RunArguments.Synthetic);

    public DataSetOptions DataSet { get; } = new();

    public Option<Fold?> Fold { get; } = Options.Fold();

    public Option<string?> SplitFile { get; } = Options.Text("--split-file", "FILE", "Split from a file like split.json.");

    public Option<SplitProtocol?> Protocol { get; } =
        Options.Choice<SplitProtocol>("--protocol", "How images are split.",
            "official where the data has one, else slice; patient for volumes");

    public Option<int?> Epochs { get; } = Options.Integer(
        "--epochs", "Passes over the training images.", $"{TrainingRecipe.PaperEpochs}; {TrainDefaults.SyntheticEpochs} on synthetic data",
        1, 1_000_000);

    public Option<int?> Batch { get; } = Options.Integer("--batch", "Images per step.", OfDefault($"{s_default.Recipe.Batch}"), 1, 4096);

    public Option<double?> Rate { get; } = Options.Number(
        "--lr", "Learning rate.",
        OfDefault(Options.Short(s_default.Recipe.LearningRate))
            + $"; {Options.Short(TrainDefaults.SyntheticLearningRate)} on synthetic lesions");

    public Option<ScheduleKind?> Schedule { get; } =
        Options.Choice<ScheduleKind>("--schedule", "Learning-rate schedule.", "constant; cosine on synthetic data");

    public Option<double?> Warmup { get; } =
        Options.Number("--warmup", "Epochs of rising learning rate.", "0; 1 or a tenth of the run for cosine", orZero: true);

    public Option<double?> MinRate { get; } = Options.Number("--min-lr", "Lowest learning rate of a schedule.", "0", orZero: true);

    public Option<double?> Momentum { get; } = Options.Share("--momentum", "Momentum of SGD.", "0.9");

    public Option<int?> Accumulate { get; } = Options.Integer("--accumulate", "Batches per optimizer step.", "1", 1, 4096);

    public Option<int?> Shard { get; } = Options.Integer("--shard", "Images computed together; divides --batch.", "the batch", 1, 4096);

    public Option<string?> Freeze { get; } =
        Options.Text("--freeze", "PATTERN", "Parameters not to train, e.g. 'encoder*'.", "none");

    public Option<bool> TensorBoard { get; } = Options.Flag("--tensorboard", "Write TensorBoard events, too.");

    public Option<OptimizerKind?> Optimizer { get; } =
        Options.Choice<OptimizerKind>("--optimizer", "Optimizer.", OfDefault(RunArguments.Name(s_default.Recipe.Optimizer)));

    public Option<double?> WeightDecay { get; } =
        Options.Number("--weight-decay", "Weight decay.", OfDefault(Options.Short(s_default.Recipe.WeightDecay)), orZero: true);

    public Option<LossKind?> Loss { get; } =
        Options.Choice<LossKind>("--loss", "Loss function.", OfDefault(RunArguments.Name(s_default.Recipe.Loss)));

    public Option<string?> ClassWeights { get; } =
        Options.Text("--class-weights", "auto|W,W", "Weight of each class in the loss.", "1 each");

    public Option<bool> Balance { get; } = Options.Flag("--balance", "Draw each class equally often.");

    public Option<string?> Monitor { get; } =
        Options.Text("--monitor", "NAME", "Score that selects the best epoch.", "the first score");

    public Option<double?> LabelSmoothing { get; } = Options.Share("--label-smoothing", "Label smoothing of cross-entropy.", "0");

    public Option<double?> MixUp { get; } = Options.Number("--mixup", "MixUp alpha, for classification.", "off");

    public Option<double?> Average { get; } = Options.Share("--ema", "Decay of averaged weights, e.g. 0.999.", "off");

    public Option<double?> DropPath { get; } =
        Options.Share(
            "--drop-path", "Stochastic depth of the last block.", $"{Options.Short(s_token.Config.DropPath!.Value)} ({TokenModel})");

    public Option<double?> ClipNorm { get; } = Options.Number("--clip-norm", "Maximum gradient norm.", "off");

    public Option<int?> Patience { get; } = Options.Integer("--patience", "Stop after N epochs without improvement.", "off", 1);

    public Option<AugmentChoice?> Augment { get; } = Options.Augment();

    public Option<int?> Crop { get; } =
        Options.Integer("--crop", "Train on random N x N crops.", "whole images", 16, RunData.MaxSide);

    public Option<NormalizationKind?> Normalize { get; } = Options.Normalize();

    public Option<Intensity?> Intensity { get; } = Options.Intensity();

    public Option<Resampling?> Resize { get; } = Options.Choice<Resampling>("--resize", "How images are resized.", "antialias");

    public Option<ulong?> Seed { get; } = Options.Seed();

    public Option<(int Height, int Width)?> Size { get; } = Options.Size(OfDefault($"{s_default.ImageSize}x{s_default.ImageSize}"));

    public Option<int?> Channels { get; } =
        Options.Integer("--channels", "Input channels, 1 or 3.", "3; the images' for classification", 1, 3);

    public Option<int?> Patch { get; } =
        Options.Integer("--patch", "Patch size of token models.", $"{s_token.Config.Patch} ({TokenModel})", 1, 1024);

    public Option<int?> Width { get; } =
        Options.Integer("--width", "Channels of tokens or first stage.", $"{s_token.Config.Width} ({TokenModel})", 1, 1 << 14);

    public Option<int?> Depth { get; } = Options.Integer("--depth", "Number of blocks.", $"{s_token.Config.Depth} ({TokenModel})", 1, 1024);

    public Option<MixerKind?> Mixer { get; } =
        Options.Choice<MixerKind>(
            "--mixer", "Layer that mixes tokens.", $"{RunArguments.Name(s_token.Config.Mixer!.Value)} ({TokenModel})");

    public Option<int?> Steps { get; } =
        Options.Integer("--steps", "Training steps, then the run ends.", "the task's recipe; unbounded for images", 1, 10_000_000);

    public Option<double?> Minutes { get; } = Options.Number("--minutes", "Minutes of training, then it ends.", "unbounded");

    public Option<int?> Length { get; } =
        Options.Integer("--length", "Positions of a sequence.", "the task's recipe", 1, 1 << 24);

    public Option<string?> Init { get; } = Options.Text("--init", "FILE", "Initial weights, safetensors or PyTorch.", "random");

    public Option<string?> Key { get; } =
        Options.Text("--key", "NAME", "Keys of the state_dict in --init.", "found");

    public Option<string?> Widths { get; } =
        Options.Text("--widths", "LIST", "Channels of layers, as NAME=N,NAME=N.", "the model's, or those of --init");

    public Option<bool> KeepZeros { get; } = Options.Flag("--keep-zeros", "Keep zero weights of --init zero.");

    public Option<string?> Teacher { get; } = Options.Text("--teacher", "FILE", "Weights of a model to learn from.");

    public Option<string?> TeacherHash { get; } =
        Options.Text("--teacher-sha256", "HEX", "SHA-256 that the teacher must have.", "any");

    public Option<double?> Temperature { get; } = Options.Number(
        "--temperature", "Softens logits of teacher and student.", $"{Options.Short(Distillation.DefaultTemperature)} with --teacher");

    public Option<double?> DistillWeight { get; } = Options.Share(
        "--distill-weight", "Share of the teacher in the loss.", $"{Options.Short(Distillation.DefaultWeight)} with --teacher");

    public Option<int?> Limit { get; } =
        Options.Integer("--limit", "Use N random images only.", $"all; {TrainDefaults.SyntheticImages} of synthetic data", 1);

    public Option<int?> Cache { get; } =
        Options.Integer("--cache-mb", "Memory for decoded images, in MiB.", $"{DefaultCacheMebibytes}", 0, 1 << 20);

    public Option<OnBadImage?> OnBadImage { get; } = Options.OnBadImage();

    public Option<CheckpointInterval?> CheckpointEvery { get; } =
        Options.Interval("--checkpoint-every", "Checkpoint interval: 30s, 5m, 1h or epoch.", $"{TrainDefaults.CheckpointEvery}");

    public Option<int?> Keep { get; } = Options.Integer("--keep", "Checkpoints to keep.", $"{DefaultKeep}", 1, 1000);

    public Option<NonFiniteAction?> OnNonFinite { get; } =
        Options.Choice<NonFiniteAction>("--on-nonfinite", "Reaction to a NaN or infinite loss.", "stop");

    public Option<bool> CheckNumerics { get; } = Options.CheckNumerics();

    public Option<int?> Threads { get; } = Options.Threads();

    public Option<string?> Output { get; } = Options.Text("--out", "DIR", "Run folder.", "runs/train/MODEL[-n]");

    /// <summary>All of them, in the order of the help page.</summary>
    public IEnumerable<Option> All =>
    [
        Resume, Recipe, Model, Data, .. DataSet.All, Protocol, Fold, SplitFile, Epochs, Batch, Shard, Accumulate, Rate, Schedule,
        Warmup, MinRate, Optimizer, Momentum, WeightDecay, Loss, ClassWeights, Balance, Monitor, LabelSmoothing, MixUp, Average,
        DropPath, ClipNorm, Patience, Augment, Crop, Normalize, Intensity, Resize, Seed, Size, Channels, Patch, Width, Depth,
        Mixer, Steps, Minutes, Length, Init, Key, Widths, KeepZeros,
        Teacher, TeacherHash, Temperature, DistillWeight,
        Freeze, Limit, Cache, OnBadImage,
        CheckpointEvery, Keep, OnNonFinite, CheckNumerics, TensorBoard, Threads, Output,
    ];

    /// <summary>The run that the options describe; what is not given has the default of the model, the task and the data.</summary>
    /// <param name="parsed">The options, those of a recipe included.</param>
    /// <param name="prepare">Reads the data that is opened.</param>
    /// <param name="stop">Stops while the data is opened.</param>
    /// <returns>The run and its data.</returns>
    /// <exception cref="ArgumentException">An option does not fit the model or the data.</exception>
    public (RunArguments Arguments, PreparedData Data) Resolve(
        ParseResult parsed, Func<IImageData, PreparedData.Request, PreparedData> prepare, CancellationToken stop)
    {
        ModelEntry entry = Registry.Find(parsed.GetValue(Model) ?? DefaultModel);
        TrainingRecipe recipe = entry.Recipe;
        bool classifies = entry.Task == ModelTask.Classification;
        (int batch, int accumulate) = BatchesOf(parsed, recipe);
        string data = parsed.GetValue(Data) ?? RunArguments.Synthetic;
        bool synthetic = data == RunArguments.Synthetic;
        ulong seed = parsed.GetValue(Seed) ?? 0;
        int side = parsed.GetValue(Crop) ?? entry.ImageSize;
        (int height, int width) = parsed.GetValue(Size) ?? (side, side);
        int? limit = parsed.GetValue(Limit) ?? (synthetic ? TrainDefaults.SyntheticImages : null);
        DataOptions dataOptions = DataSet.Of(parsed) with { VolumeIntensity = parsed.GetValue(Intensity) };
        ModelConfig start = StartOf(parsed, entry);
        ThrowIfUnfit(parsed, entry, start);
        entry.ThrowIfTooSmall(height, width);
        (string? teacher, string? teacherHash) = TeacherOf(parsed);
        IImageData images = Options.OpenData(data, dataOptions, entry.Task, seed, limit, (height, width), stop);
        if (parsed.GetValue(Resume) is null) ThrowIfUnused(parsed, data, images); // runs of older versions ignored these
        SplitProtocol protocol = parsed.GetValue(Protocol) ?? DefaultProtocol(parsed, images);
        string? splitFile = parsed.GetValue(SplitFile) is { } file ? Path.GetFullPath(file) : null;
        long cacheBytes = (parsed.GetValue(Cache) ?? (long)DefaultCacheMebibytes) << 20;
        SplitOptions split = new() { Protocol = protocol, Seed = seed, Limit = limit, Fold = parsed.GetValue(Fold) };
        PreparedData prepared = prepare(images, new PreparedData.Request(split, parsed.GetValue(OnBadImage) ?? default, cacheBytes)
        {
            SplitFile = splitFile,
            Synthetic = synthetic,
            Balance = parsed.GetValue(Balance),
        });
        if (parsed.GetValue(Balance) && prepared.Split.Train.All(i => prepared.Images.Stratum(i) is null))
            throw new ArgumentException($"--balance is for folders of images; {data} does not say which classes its images have");
        RunArguments arguments = new()
        {
            Model = entry.Name,
            Data = synthetic ? data : Path.GetFullPath(data), // so that the run can be resumed from any folder
            DataOptions = dataOptions,
            Protocol = protocol,
            Fold = split.Fold,
            SplitFile = splitFile,
            Epochs = EpochsOf(parsed, synthetic, prepared.Split.Train.Length, batch, accumulate),
            Steps = parsed.GetValue(Steps),
            Minutes = parsed.GetValue(Minutes),
            Batch = batch,
            LearningRate = parsed.GetValue(Rate) ?? (synthetic && !classifies ? TrainDefaults.SyntheticLearningRate : recipe.LearningRate),
            Schedule = ScheduleOf(parsed),
            Optimizer = parsed.GetValue(Optimizer) ?? recipe.Optimizer,
            WeightDecay = parsed.GetValue(WeightDecay) ?? recipe.WeightDecay,
            Loss = parsed.GetValue(Loss) ?? ObjectiveOptions.DefaultLoss(entry, prepared.Images.Labels.Count),
            ClassWeights = WeightsOf(parsed, prepared),
            Balance = parsed.GetValue(Balance),
            Monitor = parsed.GetValue(Monitor),
            LabelSmoothing = parsed.GetValue(LabelSmoothing) ?? 0,
            MixUp = parsed.GetValue(MixUp),
            AverageDecay = parsed.GetValue(Average),
            ClipNorm = parsed.GetValue(ClipNorm),
            Patience = parsed.GetValue(Patience),
            Augment = parsed.GetValue(Augment) ?? (classifies ? AugmentKind.RandAugment : AugmentKind.None),
            Crop = parsed.GetValue(Crop),
            Normalization = parsed.GetValue(Normalize) ?? TrainDefaults.Normalization(entry.Task),
            Warmup = parsed.GetValue(Warmup),
            MinLearningRate = parsed.GetValue(MinRate),
            Momentum = parsed.GetValue(Momentum),
            Accumulate = accumulate,
            Freeze = parsed.GetValue(Freeze),
            TensorBoard = parsed.GetValue(TensorBoard),
            Intensity = prepared.Intensity(parsed.GetValue(Intensity)),
            // A run of an older version was resized so, and its args.json does not say it; synthetic images have the model's size.
            Resampling = parsed.GetValue(Resize) ?? (synthetic || prepared.IsResumed ? Resampling.Bilinear : Resampling.Antialias),
            Seed = seed,
            Threads = Options.Apply(parsed, Threads),
            Height = height,
            Width = width,
            Config = ConfigOf(parsed, entry, start, prepared),
            Init = parsed.GetValue(Init) is { } weights ? Path.GetFullPath(NamedWeights.Find(weights)) : null,
            Key = parsed.GetValue(Key),
            KeepZeros = parsed.GetValue(KeepZeros),
            Teacher = teacher,
            TeacherHash = teacherHash,
            Temperature = teacher is null ? null : parsed.GetValue(Temperature) ?? Distillation.DefaultTemperature,
            DistillWeight = teacher is null ? null : parsed.GetValue(DistillWeight) ?? Distillation.DefaultWeight,
            Limit = limit,
            OnBadImage = parsed.GetValue(OnBadImage) ?? default,
            CacheBytes = cacheBytes,
            CheckpointEvery = parsed.GetValue(CheckpointEvery) ?? TrainDefaults.CheckpointEvery,
            Keep = parsed.GetValue(Keep) ?? DefaultKeep,
            OnNonFinite = parsed.GetValue(OnNonFinite) ?? NonFiniteAction.Stop,
        };
        return (arguments, prepared);
    }

    /// <summary>The weights of the classes; auto is inversely proportional to their share of the training data, 1 on average.</summary>
    private float[]? WeightsOf(ParseResult parsed, PreparedData prepared)
    {
        if (parsed.GetValue(ClassWeights) is not { } text) return null;
        if (text == "auto") return prepared.InverseFrequencies();
        float[] weights = [.. text.Split(',').Select(word =>
            float.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out float weight) && weight > 0 && float.IsFinite(weight)
                ? weight : throw new ArgumentException(
                    $"--class-weights is '{text}'; expected auto, or positive numbers with commas between"))];
        return weights;
    }

    /// <summary>The model that the options describe, as far as the data does not decide it; nothing is opened.</summary>
    /// <param name="parsed">The options, those of a recipe included.</param>
    /// <returns>The model.</returns>
    /// <exception cref="ArgumentException">An option does not fit the model.</exception>
    public PlannedModel Plan(ParseResult parsed)
    {
        ModelEntry entry = Registry.Find(parsed.GetValue(Model) ?? DefaultModel);
        ModelConfig start = StartOf(parsed, entry);
        ThrowIfUnfit(parsed, entry, start);
        int side = parsed.GetValue(Crop) ?? entry.ImageSize;
        (int height, int width) = parsed.GetValue(Size) ?? (side, side);
        entry.ThrowIfTooSmall(height, width);
        return new PlannedModel(entry, ConfigOf(parsed, entry, start, null), height, width);
    }

    /// <summary>The images that are computed together, and how many such batches make a step.</summary>
    private (int Batch, int Accumulate) BatchesOf(ParseResult parsed, TrainingRecipe recipe)
    {
        int batch = parsed.GetValue(Batch) ?? recipe.Batch;
        if (parsed.GetValue(Shard) is not { } shard) return (batch, parsed.GetValue(Accumulate) ?? 1);
        if (parsed.GetValue(Accumulate) is not null)
            throw new ArgumentException("--shard and --accumulate both say how a step is divided; expected one of them");
        return batch % shard == 0 && batch / shard <= 4096 ? (shard, batch / shard)
            : throw new ArgumentException($"--shard is {shard}; expected a divisor of --batch, which is {batch}");
    }

    /// <summary>The schedule of the learning rate.</summary>
    private ScheduleKind ScheduleOf(ParseResult parsed) => parsed.GetValue(Schedule)
        ?? ((parsed.GetValue(Data) ?? RunArguments.Synthetic) == RunArguments.Synthetic && !IsEndless(parsed)
            ? ScheduleKind.Cosine : ScheduleKind.Constant);

    /// <summary>Whether nothing but the minutes ends training.</summary>
    private bool IsEndless(ParseResult parsed) =>
        parsed.GetValue(Minutes) is not null && parsed.GetValue(Steps) is null && parsed.GetValue(Epochs) is null;

    /// <summary>The epochs that are given, or those that the steps or the minutes allow.</summary>
    private int EpochsOf(ParseResult parsed, bool synthetic, int images, int batch, int accumulate) => parsed.GetValue(Epochs)
        ?? (parsed.GetValue(Steps) is { } steps ? RunArguments.EpochsOf(steps, images, batch, accumulate)
            : IsEndless(parsed) ? RunArguments.EndlessEpochs
            : synthetic ? TrainDefaults.SyntheticEpochs : TrainingRecipe.PaperEpochs);

    /// <summary>Refuses what can be refused before the data is read.</summary>
    private void ThrowIfUnfit(ParseResult parsed, ModelEntry entry, ModelConfig start)
    {
        if (parsed.GetValue(Length) is not null)
            throw new ArgumentException(
                $"{Length.Name} is for sequences; {entry.Name} is for images; expected --data {string.Join(", ", SequenceTasks.Names)}");
        if (IsEndless(parsed) && parsed.GetValue(Schedule) is { } schedule and (ScheduleKind.Cosine or ScheduleKind.Step))
            throw new ArgumentException(
                $"--schedule {RunArguments.Name(schedule)} needs to know when training ends; expected --epochs beside --minutes");
        if (parsed.GetValue(Size) is var (height, width) && entry.Config.ImageSize is not null && height != width)
            throw new ArgumentException($"--size is {height}x{width}; {entry.Name} takes square images");
        if (parsed.GetValue(Balance) && parsed.GetValue(ClassWeights) == "auto") // LightGBM and CatBoost refuse it, too
            throw new ArgumentException("--balance and --class-weights auto make up for rare classes twice; expected one of them");
        if (parsed.GetValue(Key) is not null && parsed.GetValue(Init) is null)
            throw new ArgumentException("--key names tensors of --init, which is not given");
        if (parsed.GetValue(KeepZeros) && parsed.GetValue(Init) is null)
            throw new ArgumentException("--keep-zeros is about the weights of --init, which is not given");
        if (parsed.GetValue(Teacher) is null)
            foreach (Option option in new Option[] { TeacherHash, Temperature, DistillWeight })
                if (parsed.GetResult(option) is { Implicit: false })
                    throw new ArgumentException($"{option.Name} is about --teacher, which is not given");
        if (parsed.GetValue(MixUp) is not null && entry.Task != ModelTask.Classification)
            throw new ArgumentException($"--mixup is for classification; {entry.Name} is for segmentation");
        if (parsed.GetValue(Crop) is not null && entry.Task != ModelTask.Segmentation)
            throw new ArgumentException($"--crop is for segmentation; {entry.Name} is for classification");
        if (parsed.GetValue(Momentum) is not null && (parsed.GetValue(Optimizer) ?? entry.Recipe.Optimizer) != OptimizerKind.Sgd)
            throw new ArgumentException("--momentum is for SGD; expected --optimizer sgd beside it");
        // Versions that took it without a word left runs that are to be resumed.
        if (parsed.GetValue(MinRate) is not null && parsed.GetValue(Resume) is null
            && ScheduleOf(parsed) is ScheduleKind.Constant or ScheduleKind.Plateau)
            throw new ArgumentException(
                $"--min-lr is for the schedules step and cosine, and this run's is {RunArguments.Name(ScheduleOf(parsed))}; expected "
                    + "--schedule cosine beside it");
        if (parsed.GetValue(Fold) is not null && parsed.GetValue(Protocol) is SplitProtocol.Official or SplitProtocol.Holdout)
            throw new ArgumentException("--fold splits at random; it goes with --protocol slice or patient");
        if (parsed.GetValue(SplitFile) is not null && (parsed.GetValue(Fold) is not null || parsed.GetValue(Limit) is not null))
            throw new ArgumentException("--split-file lists the images of each part; it goes without --fold and --limit");
        _ = ConfigOf(parsed, entry, start, null);
    }

    /// <summary>Refuses what is said of masks or volumes where there are none.</summary>
    private void ThrowIfUnused(ParseResult parsed, string data, IImageData images)
    {
        if (parsed.GetValue(DataSet.Labels) is not null && images.Task == ModelTask.Classification)
            throw new ArgumentException(
                $"--labels says what the values of masks are; the classes of {data} have names: "
                    + PlainText.Few(images.Labels));
        DataSetOptions.ThrowIfNoVolumes(data, parsed.GetValue(DataSet.Axis), images);
    }

    /// <summary>The teacher and its hash. A run remembers the hash, and is not resumed with another teacher.</summary>
    private (string? Path, string? Hash) TeacherOf(ParseResult parsed)
    {
        if (parsed.GetValue(Teacher) is not { } teacher) return (null, null);
        string path = Path.GetFullPath(NamedWeights.Find(teacher)), hash;
        using (FileStream file = File.OpenRead(path)) hash = Convert.ToHexStringLower(Sha256.HashData(file));
        if (parsed.GetValue(TeacherHash) is { } expected && !hash.Equals(expected, StringComparison.OrdinalIgnoreCase))
            throw new ArgumentException($"--teacher: {path} has SHA-256 {hash}; expected {expected}, the teacher that the run began with");
        return (path, hash);
    }

    /// <summary>The sizes that options change: those of a pruned --init, else the model's own.</summary>
    private ModelConfig StartOf(ParseResult parsed, ModelEntry entry)
    {
        if (parsed.GetValue(Widths) is { } widths) return entry.Config with { Widths = ChannelWidths.Parse(widths) };
        // A run that is resumed has the widths in its args.json, and its --init may be gone.
        if (parsed.GetValue(Init) is not { } path || parsed.GetValue(Resume) is not null) return entry.Config;
        using WeightFile file = WeightFile.Open(NamedWeights.Find(path), parsed.GetValue(Key));
        if (!ModelFile.IsDescribed(file) || !file.Metadata["config"].Contains("\"widths\"", StringComparison.Ordinal)) return entry.Config;
        ModelInfo info = ModelFile.Describe(file);
        if (info.Model != entry.Name)
            throw new ArgumentException($"--init: {path} is a pruned {info.Model}; expected --model {info.Model}");
        ThrowIfOther(Width, info.Config.Width);
        ThrowIfOther(Depth, info.Config.Depth);
        ThrowIfOther(Patch, info.Config.Patch);
        ThrowIfOther(Mixer, info.Config.Mixer);
        return info.Config with { DropPath = entry.Config.DropPath };

        void ThrowIfOther<T>(Option<T?> option, T? own) where T : struct
        {
            if (parsed.GetValue(option) is { } typed && !typed.Equals(own))
                throw new ArgumentException($"{option.Name} is {typed}; {path} is pruned, and has {own}, which needs no {option.Name}");
        }
    }

    /// <summary>
    /// The official split where there is one; folds keep patients together where they are known. Neighboring slices of a volume are nearly
    /// the same picture, so that a split by slice would measure what was trained on.
    /// </summary>
    /// <exception cref="ArgumentException">Folds would mix the parts of an official split.</exception>
    private SplitProtocol DefaultProtocol(ParseResult parsed, IImageData images)
    {
        bool folds = parsed.GetValue(Fold) is not null;
        if (images.Part(0) is not null)
            return !folds ? SplitProtocol.Official : throw new ArgumentException(
                "--fold splits all images anew, and these have an official split, whose test images would be trained on; --protocol slice"
                    + (images.KnowsPatients ? " or patient does so" : " does so"));
        return images is VolumeFolder || (folds && images.KnowsPatients) ? SplitProtocol.Patient : SplitProtocol.Image;
    }

    /// <summary>The sizes of the model. A choice that it does not have is refused.</summary>
    private ModelConfig ConfigOf(ParseResult parsed, ModelEntry entry, ModelConfig start, PreparedData? data)
    {
        bool classifies = entry.Task == ModelTask.Classification;
        int? channels = parsed.GetValue(Channels) ?? (classifies ? data?.Channels : null);
        // Every model has an input size; only a position embedding makes it a choice of the model.
        int? side = start.ImageSize is { } own ? parsed.GetValue(Size)?.Height ?? own : null;
        return start with
        {
            InputChannels = channels ?? start.InputChannels,
            Classes = data?.Images.Labels.Count ?? start.Classes,
            ImageSize = side,
            Patch = Chosen(Patch, start.Patch),
            Width = Chosen(Width, start.Width),
            Depth = Chosen(Depth, start.Depth),
            DropPath = Chosen(DropPath, start.DropPath),
            Mixer = Chosen(Mixer, start.Mixer),
        };

        T? Chosen<T>(Option<T?> option, T? own) where T : struct => parsed.GetValue(option) is not { } value ? own
            : own is not null ? value
            : throw new ArgumentException($"{option.Name} cannot be chosen for {entry.Name}");
    }

    private static string OfDefault(string value) => $"{value} ({DefaultModel})";
}
