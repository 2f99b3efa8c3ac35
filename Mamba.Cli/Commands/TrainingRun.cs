using System.Globalization;
using System.IO.Enumeration;
using Mamba.Cli.Reports;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Models.Compression;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Metrics;
using Mamba.Models.Recipes;
using Mamba.Models.Studies;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;
using Spectre.Console;

namespace Mamba.Cli.Commands;

/// <summary>One training run, from reading the data to the summary; or the rest of one that is resumed.</summary>
/// <param name="terminal">Where results go.</param>
/// <param name="arguments">The options.</param>
/// <param name="prepared">The images, read and split.</param>
internal sealed class TrainingRun(Terminal terminal, RunArguments arguments, PreparedData prepared)
{
    private readonly ModelEntry _entry = Registry.Find(arguments.Model);

    private readonly Objective _objective = arguments.Objective;

    private readonly ModelInfo _info = InfoOf(arguments, prepared);

    private (IImageData Data, int[] Indices) _validation, _test;

    private SampleSheet? _samples;

    /// <summary>The images' content.</summary>
    public SplitContent Content { get; init; } = new(prepared.Images, prepared.Split);

    /// <summary>The folder of a new run; null for the next free one.</summary>
    public string? Output { get; init; }

    /// <summary>The run that is resumed; null for a new one.</summary>
    public ResumedRun? Resumed { get; init; }

    /// <summary>The bar of the study that the run is part of; null for none.</summary>
    public StudyBar? Study { get; init; }

    /// <summary>What the run left, when it was trained and tested; null before.</summary>
    public TrainedRun? Trained { get; private set; }

    /// <summary>Whether the result of every operator is checked for NaN and infinity.</summary>
    public bool CheckNumerics { get; init; }

    /// <summary>Makes what computes the gradients of steps; null for this process.</summary>
    public Func<RunParts, IStepGradients>? Gradients { get; init; }

    /// <summary>Called before anything is written to the run folder; it throws where nothing may be. Null for nothing.</summary>
    public Action? BeforeWriting { get; init; }

    /// <summary>
    /// Everything that the gradients of a run follow from, made anew: also where the run itself is led elsewhere.
    /// </summary>
    /// <param name="stop">Stops reading weights.</param>
    /// <exception cref="ArgumentException">Options do not fit together.</exception>
    /// <exception cref="CheckpointException">A weight file cannot be read.</exception>
    public RunParts Assemble(CancellationToken stop)
    {
        VisionModel model = Create();
        VisionModel? teacher = arguments.Teacher is { } file ? LoadTeacher(file, stop) : null;
        BatchLoader train = Loader(prepared.Cached, prepared.Split.Train, training: true);
        TrainingPlan plan = arguments.Plan(train.Batches) with
        {
            CheckNumerics = CheckNumerics,
            Distillation = teacher is null ? null
                : new Distillation(teacher, arguments.Temperature!.Value, arguments.DistillWeight!.Value),
        };
        return new RunParts(arguments, model, teacher, train, plan, arguments.Identity(Content));
    }

    public int Execute(CancellationToken stop)
    {
        using RunParts parts = Assemble(stop);
        VisionModel model = parts.Model;
        CachedData data = prepared.Cached;
        Split split = prepared.Split;
        _validation = Measured(split.Val, most: Math.Max(split.Train.Length, split.Val.Length));
        _test = Measured(split.Test, most: int.MaxValue);
        _samples = NewSamples();
        using BatchLoader validation = Loader(_validation.Data, _validation.Indices), test = Loader(_test.Data, _test.Indices);
        if (arguments.Monitor is { } measure && measure != "loss" && !_objective.Measures(data.Labels).Contains(measure))
            throw new ArgumentException(
                $"--monitor is '{measure}'; expected loss, {string.Join(", ", _objective.Measures(data.Labels))}");
        using IStepGradients? gradients = Gradients?.Invoke(parts);
        Trainer trainer = new(model, parts.Train, validation, parts.Plan, gradients)
        {
            Observe = (batch, probabilities) => _samples!.Add(batch, probabilities),
        };
        string identity = parts.Identity;
        // The hashes of older versions are computed only where that of this one, which has read all images, is another.
        IEnumerable<IdentityForm> older = Enum.GetValues<IdentityForm>().Reverse().Skip(1);
        Resumed?.Restore(trainer, older.Select(form => arguments.Identity(Content, form)).Prepend(identity));
        using RunFolder folder = Resumed?.Folder ?? NewFolder();
        if (Resumed is not null) folder.WriteArguments(arguments); // the data may have moved, and there may be more epochs
        prepared.File.Write(RunFolder.SplitOf(folder.Path));
        terminal.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{_entry.Name}: {model.Parameters.ParameterCount:N0} parameters, {Many(arguments.Threads, "thread")}"));
        terminal.WriteLine($"data: {Summary.Images(split)} of {arguments.Height} x {arguments.Width}, split {Summary.SplitOf(arguments)}");
        if (arguments.Crop is { } side)
            terminal.WriteLine(
                $"crop: random {side} x {side} of each training image; validation on {_validation.Indices.Length} of "
                    + $"{_validation.Data.Count} tiles of that size, test on all {_test.Indices.Length}");
        if (_entry.Task == ModelTask.Segmentation)
            terminal.WriteLine(_info.Config.Classes == 1
                ? "Dice: all pixels pooled, mean over images, as in the paper; * marks the best epoch so far"
                : "Dice: mean over classes without background; IoU: with it; * marks the best epoch so far");
        terminal.WriteLine($"run folder {folder.Path}");
        if (trainer.Epochs.Count > 0) WriteEpochs(folder, trainer); // the process may have been killed between the checkpoint and these

        TrainingState begun = trainer.State;
        TrainingProgress last = new(begun.Epoch, begun.Images, double.NaN, 0, false);
        Action<TrainingProgress> show = _ => { };
        FolderTraining training = new(trainer, model, _info, folder)
        {
            Identity = identity,
            CheckpointEvery = arguments.CheckpointEvery,
            Keep = arguments.Keep,
            BeforeWriting = BeforeWriting,
            OnStep = Step,
            OnEpoch = epoch => EndEpoch(folder, model, trainer, epoch),
        };
        string? failure = Train(training, trainer, shown => show = shown, stop);
        Evaluation? result = stop.IsCancellationRequested || failure is not null ? null : Test(folder, test, stop);
        bool interrupted = result is null && failure is null;
        BeforeWriting?.Invoke();
        string? hash = trainer.Done ? Hash(folder.Last) : null;
        WriteSummary(folder, model, trainer, result, hash, interrupted ? last : null);
        if (failure is not null) throw new TrainingException(Advice(failure, folder));
        if (result is null) return Stopped(folder, last);
        training.Finish();
        Trained = Outcome(folder, trainer);
        string tested = $"{result.Images} test {Summary.Unit(arguments)}";
        terminal.WriteLine($"best epoch {trainer.BestEpoch}; on {tested}: {ScoreReport.Line(result.Scores)}");
        terminal.WriteLine($"sha256 {hash} of {folder.Last}");
        terminal.WriteLine($"{Summary.Duration(TimeSpan.FromSeconds(trainer.Seconds))}; see {folder.File("summary.md")}");
        return ExitCode.Success;

        void Step(TrainingProgress step)
        {
            last = step;
            show(step);
            if (step.Skipped is { } reason)
                terminal.WriteLine(
                    string.Create(CultureInfo.InvariantCulture, $"skipped a step of epoch {step.Epoch} at {step.Images} images: {reason}"));
        }
    }

    /// <summary>What a study measures and reports of the run.</summary>
    private TrainedRun Outcome(RunFolder folder, Trainer trainer) => new(folder.Best, _objective)
    {
        Data = prepared.Cached,
        Split = prepared.Split,
        Test = _test.Data,
        TestImages = _test.Indices,
        Input = prepared.Read(_info).Input with { BatchSize = arguments.Batch },
        Protocol = arguments.Protocol,
        Epochs = [.. trainer.Epochs],
        PlannedEpochs = arguments.PlannedEpochs ?? trainer.Epochs.Count,
        EndedBy = trainer.EndedBy,
    };

    /// <summary>Writes and prints what an epoch achieved.</summary>
    private void EndEpoch(RunFolder folder, VisionModel model, Trainer trainer, EpochResult epoch)
    {
        WriteEpochs(folder, trainer);
        WriteSummary(folder, model, trainer, null, null, null);
        _samples!.Save(folder);
        _samples = NewSamples();
        terminal.WriteLine(Line(epoch, best: trainer.BestEpoch == epoch.Epoch));
    }

    private static ModelInfo InfoOf(RunArguments arguments, PreparedData prepared) => new(
        arguments.Model, arguments.Config, prepared.Images.Labels,
        Normalization.Of(arguments.Normalization, arguments.Config.InputChannels), DataOf(arguments) with { Axis = prepared.Volumes?.Axis })
    {
        Intensity = arguments.Intensity,
        Resampling = arguments.Resampling,
        Masks = prepared.Meaning,
        Split = prepared.Record,
    };

    /// <summary>
    /// What a weight file keeps of the data. The number of synthetic images is no limit for a folder that is measured later.
    /// </summary>
    private static RunData DataOf(RunArguments run) => run.Data == RunArguments.Synthetic
        ? With(
            new RunData(run.Protocol, run.Seed, null, run.Height, run.Width) { SyntheticImages = run.Limit }, run)
        : With(new RunData(run.Protocol, run.Seed, run.Limit, run.Height, run.Width), run);

    private static RunData With(RunData data, RunArguments run)
    {
        TrainingRecipe recipe = Registry.Find(run.Model).Recipe;
        return data with
        {
            Fold = run.Fold,
            IsSplitFromFile = run.SplitFile is not null,
            // What the recipe says is not written, so that files of older versions and of this one are the same.
            Loss = run.Loss == recipe.Loss ? null : run.Loss,
            Batch = run.Batch == recipe.Batch ? null : run.Batch,
            ClassWeights = run.ClassWeights,
            Crop = run.Crop,
        };
    }

    /// <summary>The model, with the weights of --init unless the run is resumed.</summary>
    private VisionModel Create()
    {
        VisionModel model = _entry.Create(_info.Config, arguments.Seed);
        _objective.ThrowIfUnfit(model.Output);
        if (arguments.Init is { } init && Resumed?.State is null)
        {
            using WeightFile weights = WeightFile.Open(init, arguments.Key);
            if (ModelFile.HoldsCodes(weights))
                throw new CheckpointException($"{init}: holds int8 codes; expected the float32 weights that they were made of");
            terminal.WriteLine(PlainText.Printable($"{init}: {LoadedTensors.Describe(model.Parameters.LoadMatching(weights))}"));
            NoteTrained("--init", SplitOf(weights));
            if (arguments.KeepZeros)
                terminal.WriteLine(string.Create(
                    CultureInfo.InvariantCulture, $"zeros: {100 * Pruner.Sparsity(model):F1} % of the weights are zero and stay so"));
        }
        if (_info.Config.Widths is { } widths)
            terminal.WriteLine($"pruned: {Many(widths.Channels.Count, "layer")} with other channels than {_entry.Name} has");
        if (arguments.Freeze is { } patterns) Freeze(model.Parameters, patterns);
        return model;
    }

    /// <summary>The teacher of the run, frozen.</summary>
    private VisionModel LoadTeacher(string path, CancellationToken stop)
    {
        (VisionModel teacher, ModelInfo info) = ModelFile.Load(path, stop);
        Distillation.ThrowIfUnfit(path, info, _info);
        NoteTrained("--teacher", info.Split);
        terminal.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"teacher: {info.Model}, {teacher.Parameters.ParameterCount:N0} parameters, temperature {arguments.Temperature}, "
                + $"{100 * arguments.DistillWeight:0.#} % of the loss"));
        return teacher;
    }

    /// <summary>What weights say of the images that they were trained on; null where they say nothing that is understood here.</summary>
    private static SplitRecord? SplitOf(WeightFile weights)
    {
        try
        {
            return ModelFile.IsDescribed(weights) ? ModelFile.Describe(weights).Split : null;
        }
        catch (CheckpointException)
        {
            return null; // of a newer version, or of a model that is not known here: the weights themselves have loaded
        }
    }

    /// <summary>Tells how many images of this run's test other weights have seen: what they know of them comes with them.</summary>
    private void NoteTrained(string option, SplitRecord? other)
    {
        int seen = other?.CountTrained(prepared.Images, prepared.Split.Test) ?? 0;
        if (seen > 0)
            terminal.WriteLine(
                $"note: {seen} of {prepared.Split.Test.Length} test images were trained on by {option}, which flatters the scores");
    }

    /// <summary>Keeps the parameters of some names as they are.</summary>
    private void Freeze(ParameterStore parameters, string patterns)
    {
        long all = parameters.ParameterCount;
        foreach (string pattern in patterns.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            if (parameters.KeepFixed(name => FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false)) == 0)
                throw new ArgumentException(
                    $"--freeze: no parameter of {_entry.Name} is named '{pattern}'; its first is '{parameters.All.First().Name}'");
        if (parameters.ParameterCount == 0) throw new ArgumentException($"--freeze: '{patterns}' leaves no parameter to train");
        terminal.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"frozen: {all - parameters.ParameterCount:N0} of {all:N0} parameters, named {patterns}"));
    }

    private RunFolder NewFolder() => Output is { } path
        ? RunFolder.Create(path, arguments)
        : RunFolder.CreateNext(Path.Combine("runs", "train"), _entry.Name, arguments);

    private int Stopped(RunFolder folder, TrainingProgress last)
    {
        string next = Study is null ? $"; continue with 'mamba train --resume {folder.Path}'" : ""; // a study says what continues it
        terminal.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"stopped in epoch {last.Epoch} after {last.Images} images{next}"));
        return ExitCode.Interrupted;
    }

    private string Advice(string failure, RunFolder folder) => CheckNumerics
        ? $"{failure}; the state before that step is kept"
        : $"{failure}; the state before that step is kept, and 'mamba train --resume {folder.Path} --check-numerics' names the operator";

    /// <summary>Trains with live progress; returns why it failed, or null.</summary>
    /// <param name="training">The training.</param>
    /// <param name="trainer">Its trainer.</param>
    /// <param name="watch">Is given what each step is to be shown to.</param>
    /// <param name="stop">Stops it.</param>
    private string? Train(FolderTraining training, Trainer trainer, Action<Action<TrainingProgress>> watch, CancellationToken stop)
    {
        if (!terminal.IsLive) return training.Run(stop);
        string? failure = null;
        LiveProgress.Start(terminal, context =>
        {
            // The epoch, and the whole run, whose remaining time is the one that matters; in a study, the study below them.
            ProgressTask epoch = context.AddTask("epoch"), run = context.AddTask("run");
            Study?.Start(context);
            TrainingState begun = trainer.State;
            Move(begun.Epoch, begun.Images); // where a resumed run stands, before time is measured
            watch(progress =>
            {
                epoch.Description = Describe(progress);
                Move(progress.Epoch, progress.Images);
            });
            failure = training.Run(stop);

            void Move(int number, int images)
            {
                epoch.MaxValue = trainer.TrainingImages;
                epoch.Value = images;
                run.MaxValue = 1;
                run.Value = ShareDone(trainer, number, images);
                Study?.Move(run.Value);
            }
        });
        return failure;
    }

    /// <summary>The share of the training that is done: of the epochs, or of the budget where that is the larger one.</summary>
    private double ShareDone(Trainer trainer, int epoch, int images)
    {
        double share = ((epoch - 1.0) * trainer.TrainingImages + images) / ((double)trainer.TrainingImages * arguments.Epochs);
        if (arguments.Steps is { } steps) share = Math.Max(share, (double)trainer.Steps / steps);
        if (arguments.Minutes is { } minutes) share = Math.Max(share, trainer.Seconds / (60 * minutes));
        return Math.Min(1, share);
    }

    /// <summary>The line of an epoch, which fits into 80 columns.</summary>
    private string Line(EpochResult epoch, bool best)
    {
        string scores = ScoreReport.Short(epoch.Validation.Scores), speed = Speed(epoch.ImagesPerSecond), mark = best ? " *" : "";
        string losses = string.Create(CultureInfo.InvariantCulture, $"loss {epoch.TrainLoss:F4}  val {epoch.Validation.Loss:F4}");
        return string.Create(CultureInfo.InvariantCulture, $"epoch {epoch.Epoch,3}{OfEpochs}  {losses}  {scores}  {speed}{mark}");
    }

    private string Describe(TrainingProgress progress)
    {
        string doing = progress.Validating ? "validating"
            : string.Create(CultureInfo.InvariantCulture, $"loss {progress.Loss:F4}  {Speed(progress.ImagesPerSecond)}");
        return string.Create(CultureInfo.InvariantCulture, $"epoch {progress.Epoch}{OfEpochs}  {doing}");
    }

    /// <summary>How many epochs there will be, where that is known.</summary>
    private string OfEpochs => arguments.PlannedEpochs is { } planned ? string.Create(CultureInfo.InvariantCulture, $"/{planned}") : "";

    private static string Speed(double rate) => rate.ToString(rate < 10 ? "F1" : "F0", CultureInfo.InvariantCulture) + " img/s";

    private static string Many(int count, string word) =>
        string.Create(CultureInfo.InvariantCulture, $"{count} {word}{(count == 1 ? "" : "s")}");

    private SampleSheet NewSamples() => new(_validation.Data, prepared.Read(_info).Normalization);

    private void WriteSummary(
        RunFolder folder, VisionModel model, Trainer trainer, Evaluation? test, string? hash, TrainingProgress? stoppedAt) =>
            folder.WriteText(
            "summary.md", Summary.Write(
                arguments, new RunFacts(model.Parameters.ParameterCount, prepared.Split, Patients(prepared.Images, prepared.Split)),
                trainer, test, hash, stoppedAt));

    /// <summary>The patients of the test images, and those of them that also have training images.</summary>
    private static (int Test, int Trained) Patients(IImageData images, Split split)
    {
        if (!images.KnowsPatients) return (0, 0);
        HashSet<string> trained = [.. split.Train.Select(images.Patient)], test = [.. split.Test.Select(images.Patient)];
        return (test.Count, test.Count(trained.Contains));
    }

    private void WriteEpochs(RunFolder folder, Trainer trainer)
    {
        folder.WriteResults(trainer.Epochs);
        folder.WriteText("curves.svg", Curves.Draw(_entry.Name, trainer.Epochs));
        if (arguments.TensorBoard) TensorBoard.Write(folder.File("events.out.tfevents.0.mamba"), trainer.Epochs);
    }

    private static string Hash(string path)
    {
        using FileStream file = File.OpenRead(path);
        return Convert.ToHexStringLower(Sha256.HashData(file));
    }

    /// <summary>Measures the best weights on the test images and pictures some of them; null if it was stopped.</summary>
    private Evaluation? Test(RunFolder folder, BatchLoader test, CancellationToken stop)
    {
        (VisionModel best, _) = ModelFile.Load(folder.Best);
        try
        {
            Evaluation result = LiveProgress.Show(
                terminal, "testing", test.Samples, report => Evaluator.Run(best, test, _objective, report, cancellation: stop));
            SampleSheet.Draw(folder, _test.Data, test, best, _objective, prepared.Read(_info).Normalization, stop);
            if (result.Scores is ClassificationScores scores && ConfusionPlot.Draw(_entry.Name, scores) is { } picture)
                folder.WriteText("confusion.svg", picture);
            return result;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>
    /// What images are measured as: themselves, or the tiles of a training on crops. Of the tiles of a validation as many as an epoch has
    /// crops, at even distances: all of them would take longer than the epoch.
    /// </summary>
    private (IImageData Data, int[] Indices) Measured(int[] images, int most)
    {
        if (arguments.Crop is not { } side) return (prepared.Cached, images);
        TiledData tiles = new(prepared.Cached, images, side);
        int count = Math.Min(tiles.Count, most);
        return (tiles, [.. Enumerable.Range(0, count).Select(i => (int)((long)i * tiles.Count / count))]);
    }

    private BatchLoader Loader(IImageData data, int[] indices, bool training = false) => new(data, indices, prepared.Read(_info).Input with
    {
        BatchSize = arguments.Batch,
        Seed = arguments.Seed,
        Shuffle = training,
        Balance = training && arguments.Balance,
        Crop = training ? arguments.Crop : null,
        Augment = training ? arguments.Augmentation : null,
        MixUp = training ? arguments.MixUp : null,
    });
}
