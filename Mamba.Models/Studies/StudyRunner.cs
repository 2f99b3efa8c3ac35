using System.Diagnostics;
using System.Runtime.InteropServices;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Measurement;
using Mamba.Core.Simd;
using Mamba.Models.Data.Splits;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Words;

namespace Mamba.Models.Studies;

/// <summary>
/// Runs a study in a folder: trains, measures and records its runs one after the other. The same call continues it after any interruption:
/// runs that have ended are left as they are, and one that was interrupted is resumed.
/// </summary>
/// <remarks>
/// The folder holds study.json, the definition; results.json, which is written after every run; runs/ID, a run folder of each; and
/// masks/ID, the predicted masks. Where several processes share the study, results/ID.json has what one of them measured of a run.
/// </remarks>
/// <param name="study">The study.</param>
/// <param name="trainer">How its runs are trained.</param>
/// <param name="folder">Its folder.</param>
public sealed class StudyRunner(Study study, IStudyTrainer trainer, string folder)
{
    private readonly IReadOnlyList<StudyRun> _runs = study.Plan();
    private readonly StudyPaths _paths = new(folder);
    private readonly Dictionary<string, RunResult> _results = [];
    private IReadOnlyList<string> _labels = [];
    private string? _command;
    private StudyException? _refusal;
    private ModelTask _task;

    /// <summary>Runs the command lines that follow a training; null where there are none.</summary>
    public IStudyStages? Stages { get; init; }

    /// <summary>Which runs, by their names or those of their models; empty for all.</summary>
    public IReadOnlyCollection<string> Only { get; init; } = [];

    /// <summary>Which of several processes that share the study this is; null for the only one.</summary>
    public JobPart? Part { get; init; }

    /// <summary>The command that repeats the study.</summary>
    public string Command { get; init; } = "";

    /// <summary>Sees where the study stands; null for nobody.</summary>
    public Action<StudyProgress>? OnProgress { get; init; }

    /// <summary>The runs that <see cref="Only"/> and <see cref="Part"/> ask for.</summary>
    /// <param name="models">The models of all runs, as <see cref="Check"/> returns them.</param>
    /// <returns>Their places in <see cref="Study.Plan"/>.</returns>
    public IReadOnlyList<int> Chosen(IReadOnlyList<PlannedModel> models) => Chosen(CostsOf(models));

    /// <summary>Checks every run.</summary>
    /// <returns>The models of the runs, in the order of <see cref="Study.Plan"/>.</returns>
    /// <exception cref="StudyException">A run makes no sense; the message names it.</exception>
    public IReadOnlyList<PlannedModel> Check()
    {
        List<PlannedModel> models = [];
        foreach (StudyRun run in _runs)
        {
            try
            {
                models.Add(trainer.Check(run));
                CheckStages(run);
            }
            catch (ArgumentException e)
            {
                throw new StudyException($"{study.Name}: {run.Id}: {e.Message}", e);
            }
        }
        _task = models[0].Entry.Task;
        int other = models.FindIndex(model => model.Entry.Task != _task);
        if (other >= 0)
            throw new StudyException(
                $"{study.Name}: {_runs[0].Id} is for {Word(_task)}, {_runs[other].Id} for {Word(models[other].Entry.Task)}; expected "
                    + "models of one task");
        foreach (string name in Only)
            if (!_runs.Any(run => IsOf(run, name)))
                throw new StudyException($"{study.Name}: has no run '{name}'{Meant(name)}");
        return models;

        string Meant(string name)
        {
            string[] ids = [.. study.Models.Select(model => model.Id)];
            string meant = EditDistance.Meant(name, _runs.Select(run => run.Id).Concat(ids));
            return meant.Length > 0 ? meant : $"; expected some of the models {string.Join(", ", ids)}, or runs that --list prints";
        }
    }

    /// <summary>Runs the study, or the rest of it.</summary>
    /// <param name="stop">Stops it; what was learned is kept.</param>
    /// <returns>The results of all runs, those of earlier calls included; of a part, those of its runs.</returns>
    /// <exception cref="StudyException">The folder is of another study, or a run makes no sense.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public StudyResults Run(CancellationToken stop = default)
    {
        IReadOnlyList<PlannedModel> models = Check();
        using FileStream held = Open();
        long[] costs = CostsOf(models);
        StudyClock clock = new(_runs, costs);
        for (int i = 0; i < _runs.Count; i++)
            if (_results.GetValueOrDefault(_runs[i].Id) is { Test: not null } ended) clock.Add(i, ended.TrainingSeconds, 0);
        int[] chosen = Chosen(costs);
        if (Part is null || !File.Exists(_paths.Results)) Document().Write(_paths.Results); // parts only begin it: all would write it
        for (int number = 0; number < chosen.Length; number++)
        {
            stop.ThrowIfCancellationRequested();
            StudyRun run = _runs[chosen[number]];
            using FileStream? own = Part is null ? null : HoldRun(run);
            Execute(chosen, number, clock, stop);
            Save(run);
        }
        StudyResults all = Document();
        return Part is null ? all : all with { Runs = [.. chosen.Select(i => all.Runs[i])] };
    }

    private static string Word(ModelTask task) => task.ToString().ToLowerInvariant();

    private static bool IsOf(StudyRun run, string name) => run.Id == name || run.Model.Id == name;

    private int[] Chosen(long[] costs)
    {
        int[] chosen =
            [.. Enumerable.Range(0, _runs.Count).Where(i => Only.Count == 0 || Only.Any(name => IsOf(_runs[i], name)))];
        return Part is { } part ? StudyParts.Of(part, _runs, chosen, costs) : chosen;
    }

    /// <summary>What runs cost beside one another: nothing is told apart where all have the same minutes.</summary>
    private long[] CostsOf(IReadOnlyList<PlannedModel> models) =>
        study.Budget.Minutes is null ? [.. models.Select(CostOf())] : new long[_runs.Count];

    /// <summary>The multiply-adds of a planned model; the same model is counted once.</summary>
    private static Func<PlannedModel, long> CostOf()
    {
        Dictionary<PlannedModel, long> known = [];
        return model =>
        {
            if (!known.TryGetValue(model, out long cost)) known.Add(model, cost = model.Size().MultiplyAdds);
            return cost;
        };
    }

    /// <summary>Makes the folder, or opens it and reads what is there.</summary>
    /// <returns>The lock, which another process waits for in vain.</returns>
    private FileStream Open()
    {
        FileStream held = Hold();
        try
        {
            string definition = _paths.Definition;
            if (!File.Exists(definition)) StudyFile.Write(definition, study);
            if (StudyFile.Difference(StudyFile.Read(definition), study) is { } difference)
                throw new StudyException(
                    $"{definition}: another study began in this folder: {difference}; expected the same, or another --out");
            if (!File.Exists(_paths.Results)) return held;
            StudyResults before = StudyResults.ReadFolder(folder);
            (_labels, _command) = (before.Labels, before.Command);
            foreach (RunResult run in before.Runs) _results[run.Id] = run;
            return held;
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    private FileStream Hold()
    {
        try
        {
            Directory.CreateDirectory(Path.Combine(folder, "runs"));
            if (Part is not null) Directory.CreateDirectory(_paths.Parts);
            FileShare share = Part is null ? FileShare.None : FileShare.ReadWrite; // parts share the study, and keep others out
            return new FileStream(Path.Combine(folder, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, share);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StudyException($"{folder}: another process runs this study, or the folder cannot be written: {e.Message}", e);
        }
    }

    /// <summary>Locks a run, which no other part has as long as all are of the same number, and reads what was measured of it.</summary>
    /// <exception cref="StudyException">Another process has it.</exception>
    private FileStream HoldRun(StudyRun run)
    {
        try
        {
            FileStream held = new(_paths.LockOf(run.Id), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            string result = _paths.ResultOf(run.Id);
            if (File.Exists(result) && _results.GetValueOrDefault(run.Id)?.Test is null)
                foreach (RunResult known in StudyResults.Read(result).Runs) _results[known.Id] = known;
            return held;
        }
        catch (Exception e) when (e is (IOException and not StudyException) or UnauthorizedAccessException)
        {
            throw new StudyException(
                $"{run.Id}: another process has this run, or the folder cannot be written; expected each part once, and all of one N: "
                    + e.Message, e);
        }
    }

    /// <summary>Trains and measures one run, unless that is done.</summary>
    private void Execute(int[] chosen, int number, StudyClock clock, CancellationToken stop)
    {
        StudyRun run = _runs[chosen[number]];
        StudyProgress progress = new(run, number + 1, chosen.Length, StudyPhase.Training)
        {
            SecondsBefore = chosen.Take(number).Sum(clock.Expect),
            SecondsOfRun = clock.Expect(chosen[number]),
            SecondsLeft = chosen.Skip(number).Where(i => _results.GetValueOrDefault(_runs[i].Id)?.Test is null).Sum(clock.Expect),
            IsTimed = clock.IsTimed,
        };
        if (_results.GetValueOrDefault(run.Id) is { Test: not null } ended)
        {
            OnProgress?.Invoke(progress with { Phase = StudyPhase.Skipped, Result = ended });
            return;
        }
        OnProgress?.Invoke(progress);
        Stopwatch watch = Stopwatch.StartNew();
        RunResult result;
        try
        {
            result = TrainAndMeasure(run, progress, stop);
            clock.Add(chosen[number], result.TrainingSeconds, watch.Elapsed.TotalSeconds);
        }
        catch (Exception e) when (IsOfRun(e) && e != _refusal)
        {
            result = New(run) with { Failure = e.Message };
        }
        _results[run.Id] = result;
        OnProgress?.Invoke(progress with { Phase = result.Test is null ? StudyPhase.Failed : StudyPhase.Ended, Result = result });
    }

    /// <summary>Whether an error is one of a run, after which the next is tried.</summary>
    private static bool IsOfRun(Exception e) => e
        is TrainingException or NonFiniteException or ArgumentException or ShapeException or IOException or CheckpointException
        or UnauthorizedAccessException or OutOfMemoryException;

    private RunResult TrainAndMeasure(StudyRun run, StudyProgress progress, CancellationToken stop)
    {
        StudyRun source = run.Source;
        string? begin = run.Model.Of is { } of ? WeightsOf(run, of) : null; // its training has ended: the folder is opened to test, no more
        string? teacher = source.Model.Teacher is { } model ? WeightsOf(source, model) : null;
        StudyImages? images = null;
        StudyPlace place = new(_paths.FolderOf(source.Id), teacher, progress)
        {
            OnImages = now =>
            {
                ThrowIfOthers(run, images = now);
                if (Part is not null) return;
                _command = Command;
                StudyFile.Write(_paths.Definition, study); // images may have moved
            },
        };
        TrainedRun trained = trainer.Train(source, place, stop);
        if (Part is not null && images is not null) ThrowIfOthers(run, images); // another part may have ended meanwhile
        string best = begin ?? trained.Weights, weights = best;
        for (int stage = 0; stage < run.Model.Then.Count; stage++) weights = RunStage(run, stage, best, weights, stop);
        OnProgress?.Invoke(progress with { Phase = StudyPhase.Testing });
        _labels = trained.Data.Labels;
        RunResult result = New(run) with
        {
            Protocol = trained.Protocol.ToWord(),
            Split = RunMeasurement.Sizes(trained.Data, trained.Split),
            Images = images,
            Epochs = RunMeasurement.Points(trained.Epochs),
            PlannedEpochs = trained.PlannedEpochs,
            EndedBy = trained.EndedBy,
            TrainingSeconds = trained.Epochs.Sum(epoch => epoch.Seconds),
            ImagesPerSecond = trained.Epochs.Count == 0 ? 0 : trained.Epochs.Average(epoch => epoch.ImagesPerSecond),
            Paper = Paper(run),
        };
        return new RunMeasurement(trained, weights).Add(result, folder, Path.Combine("masks", run.Id), stop);
    }

    /// <summary>Refuses a run on other images than those of a run that has ended.</summary>
    private void ThrowIfOthers(StudyRun run, StudyImages images)
    {
        RunResult own = New(run);
        IEnumerable<RunResult> known = Part is null ? _results.Values : StudyResults.ReadFolder(folder).Runs;
        foreach (RunResult ended in known)
        {
            bool sameSplit = (ended.Protocol, ended.Seed, ended.Fold) == (own.Protocol, own.Seed, own.Fold);
            if (ended is { Test: not null, Images: { } others } && images.Difference(others, sameSplit) is { } difference)
                throw _refusal = new StudyException(
                    $"{run.Id}: its images are not those of {ended.Id}, which has ended: {difference}; "
                        + $"expected the same --data, or another --out than {folder}");
        }
    }

    private RunResult New(StudyRun run) => new(
        run.Id, run.Model.Model, run.Model.Label, run.Protocol.ToWord(), (int)run.Seed, run.Fold?.ToString(), run.Command);

    /// <summary>The paper's figures of a run that does what the paper did.</summary>
    private PaperScores? Paper(StudyRun run) =>
        study.IsPaper && run.Model is { Teacher: null, Of: null, Then.Count: 0 } && run.Fold is null
        && run.Protocol is SplitProtocol.Image or SplitProtocol.Official ? PaperFigures.Of(run.Model.Model) : null;

    /// <summary>The weights that were measured of another model's run.</summary>
    private string WeightsOf(StudyRun run, string model)
    {
        string id = run.IdOf(model);
        if (_results.GetValueOrDefault(id)?.Test is null)
            throw new StudyException($"{run.Id} needs the weights of {id}, which has not ended; run that first");
        StudyModel one = study.Models.First(m => m.Id == model);
        return _paths.Written(id, one) ?? (one.Of is { } of ? WeightsOf(run, of) : RunFolder.WeightsOf(_paths.FolderOf(id)));
    }

    /// <summary>Runs a command line after the training.</summary>
    /// <returns>The weights that it wrote, or those before where it writes none.</returns>
    private string RunStage(StudyRun run, int stage, string best, string before, CancellationToken stop)
    {
        IReadOnlyList<string> words = run.Model.Then[stage];
        string product = _paths.Product(run.Id, stage, words);
        if (File.Exists(product)) File.Delete(product); // of a call that was interrupted
        if (Directory.Exists(product)) Directory.Delete(product, recursive: true);
        if (!Directory.Exists(_paths.FolderOf(run.Id))) Directory.CreateDirectory(_paths.FolderOf(run.Id));
        StagePlaces places = new(study, best, before, product, _paths.SplitOf(run.Source.Id));
        Stages!.Run([.. words.Select(word => places.Fill(word, model => WeightsOf(run, model)))], stop);
        string weights = RunFolder.WeightsOf(product);
        if (File.Exists(weights)) return weights;
        return StagePlaces.Writes(words) ? throw new StudyException(
            $"{run.Id}: '{string.Join(' ', words)}' wrote no weights; expected {weights}") : before;
    }

    private void CheckStages(StudyRun run)
    {
        StagePlaces places = new(study, "FILE", "FILE", "FILE", "FILE"); // any name does to see whether a command line parses
        foreach (IReadOnlyList<string> words in run.Model.Then)
        {
            if (Stages is null)
                throw new ArgumentException($"has the stage '{string.Join(' ', words)}'; expected none where there is no command line");
            Stages.Check([.. words.Select(word => places.Fill(word, _ => "FILE"))]);
        }
    }

    /// <summary>Keeps the results of a run: a part in a file of its own, so that no part waits for another.</summary>
    private void Save(StudyRun run)
    {
        StudyResults all = Document();
        if (Part is null) all.Write(_paths.Results);
        else (all with { Runs = [.. all.Runs.Where(one => one.Id == run.Id)] }).Write(_paths.ResultOf(run.Id));
    }

    private StudyResults Document() => new(
        study.Name, study.Title, _task, _labels, _command ?? Command,
        new StudyMachine(
            Processor.Name, Workers.Count, BitsOf(Isa.Current), RuntimeInformation.OSDescription, RuntimeInformation.FrameworkDescription,
            typeof(StudyRunner).Assembly.GetName().Version?.ToString(3) ?? ""),
        [.. _runs.Select(run => _results.GetValueOrDefault(run.Id) ?? New(run))]);

    private static int BitsOf(VectorWidth width) => width switch
    {
        VectorWidth.V512 => 512,
        VectorWidth.V256 => 256,
        VectorWidth.V128 => 128,
        _ => 32,
    };
}
