using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Recipes;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Models.Studies;

/// <summary>
/// Trains the runs of a study in a program: on any data, with any model that <see cref="Registry.Find"/> knows, those of <see
/// cref="Registry.Add"/> included. Each run begins with the model's recipe.
/// </summary>
/// <param name="data">The images; of a folder with mask files, after <see cref="IMaskedFolder"/> has read them.</param>
public sealed class StudyTrainer(IImageData data) : IStudyTrainer
{
    /// <summary>Changes what a run begins with: size, batch, learning rate and so on; null for nothing.</summary>
    public Func<StudyRun, RunArguments, RunArguments>? Configure { get; init; }

    /// <summary>Sees each epoch of each run; null for nobody.</summary>
    public Action<StudyRun, EpochResult>? OnEpoch { get; init; }

    /// <inheritdoc/>
    public PlannedModel Check(StudyRun run)
    {
        if (run.Options.Keys.FirstOrDefault() is { } option)
            throw new ArgumentException($"option '{option}' is of the command line; expected StudyTrainer.Configure in its place");
        if (run.Model.Teacher is not null)
            throw new ArgumentException("a teacher is of the command line; expected none in a program");
        RunArguments arguments = ArgumentsOf(run, SplitOf(run));
        return new PlannedModel(Registry.Find(arguments.Model), arguments.Config, arguments.Height, arguments.Width);
    }

    /// <inheritdoc/>
    public TrainedRun Train(StudyRun run, StudyPlace place, CancellationToken stop)
    {
        Split split = SplitOf(run);
        RunArguments arguments = ArgumentsOf(run, split);
        SplitContent content = new(data, split);
        place.Prepared(arguments, content);
        ModelInfo info = InfoOf(arguments, split);
        Objective objective = arguments.Objective;
        CachedData cached = new(data, arguments.CacheBytes);
        BatchOptions input = info.Input with { BatchSize = arguments.Batch, Seed = arguments.Seed };
        using VisionModel model = Registry.Find(arguments.Model).Create(arguments.Config, arguments.Seed);
        objective.ThrowIfUnfit(model.Output);
        using BatchLoader train = new(cached, split.Train, ForTraining(input, arguments)), validation = new(cached, split.Val, input);
        Trainer trainer = new(model, train, validation, arguments.Plan(train.Batches));
        string identity = arguments.Identity(content);
        using RunFolder folder = FolderOf(place.Folder, trainer, arguments, identity);
        SplitFile.Of(data, split, new Dictionary<string, string>(), null).Write(RunFolder.SplitOf(folder.Path));
        FolderTraining training = new(trainer, model, info, folder)
        {
            Identity = identity,
            CheckpointEvery = arguments.CheckpointEvery,
            Keep = arguments.Keep,
            OnEpoch = epoch =>
            {
                folder.WriteResults(trainer.Epochs);
                OnEpoch?.Invoke(run, epoch);
            },
        };
        if (training.Run(stop) is { } failure) throw new TrainingException(failure);
        if (!trainer.Done) throw new OperationCanceledException(stop);
        training.Finish();
        return new TrainedRun(folder.Best, objective)
        {
            Data = cached,
            Split = split,
            Test = cached,
            TestImages = split.Test,
            Input = input,
            Protocol = run.Protocol,
            Epochs = [.. trainer.Epochs],
            PlannedEpochs = arguments.PlannedEpochs ?? trainer.Epochs.Count,
            EndedBy = trainer.EndedBy,
        };
    }

    private static BatchOptions ForTraining(BatchOptions input, RunArguments arguments) => input with
    {
        Shuffle = true,
        Balance = arguments.Balance,
        Augment = arguments.Augmentation,
        MixUp = arguments.MixUp,
    };

    /// <summary>The folder of a new run, or of one that is resumed, to which the trainer is restored.</summary>
    private static RunFolder FolderOf(string path, Trainer trainer, RunArguments arguments, string identity)
    {
        if (!RunFolder.HoldsRun(path)) return RunFolder.Create(path, arguments);
        RunFolder folder = RunFolder.Open(path);
        try
        {
            using SafetensorsFile? checkpoint = folder.OpenCheckpoint(_ => { }); // a damaged one gives way to the one before
            if (checkpoint is null) return folder;
            TrainingState state = TrainingState.Read(checkpoint);
            if (state.Run != identity)
                throw new CheckpointException(
                    $"{checkpoint.Path}: the options or the images of the run are no longer those of its checkpoint");
            trainer.Restore(checkpoint, state);
            return folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    private Split SplitOf(StudyRun run) =>
        Split.Of(data, new SplitOptions { Protocol = run.Protocol, Seed = run.Seed, Fold = run.Fold });

    private RunArguments ArgumentsOf(StudyRun run, Split split)
    {
        ModelEntry entry = Registry.Find(run.Model.Model);
        if (entry.Task != data.Task)
            throw new ArgumentException(
                $"{entry.Name} is for {RunArguments.Name(entry.Task)}; expected one for {RunArguments.Name(data.Task)}, as the images are");
        TrainingRecipe recipe = entry.Recipe;
        bool classifies = entry.Task == ModelTask.Classification;
        RunArguments arguments = new()
        {
            Model = entry.Name,
            Data = run.Study.Data,
            Protocol = run.Protocol,
            Fold = run.Fold,
            Seed = run.Seed,
            Epochs = run.Study.Budget.Epochs ?? RunArguments.EndlessEpochs,
            Steps = run.Study.Budget.Steps,
            Minutes = run.Study.Budget.Minutes,
            Batch = recipe.Batch,
            LearningRate = recipe.LearningRate,
            Optimizer = recipe.Optimizer,
            WeightDecay = recipe.WeightDecay,
            Loss = ObjectiveOptions.DefaultLoss(entry, data.Labels.Count),
            Normalization = classifies ? NormalizationKind.Cifar : NormalizationKind.None,
            Threads = Workers.Count,
            Height = entry.ImageSize,
            Width = entry.ImageSize,
            Config = entry.Config with { Classes = data.Labels.Count },
        };
        if (Configure is not null) arguments = Configure(run, arguments);
        return arguments.Steps is not { } steps || arguments.Epochs != RunArguments.EndlessEpochs ? arguments
            : arguments with { Epochs = RunArguments.EpochsOf(steps, split.Train.Length, arguments.Batch, arguments.Accumulate) };
    }

    private ModelInfo InfoOf(RunArguments run, Split split) => new(
        run.Model, run.Config, data.Labels, Normalization.Of(run.Normalization, run.Config.InputChannels),
        new RunData(run.Protocol, run.Seed, null, run.Height, run.Width) { Fold = run.Fold, Loss = run.Loss, Batch = run.Batch })
    {
        Intensity = run.Intensity,
        Resampling = run.Resampling,
        Split = SplitRecord.Of(data, split, [], names: data is IImageFolder),
    };
}
