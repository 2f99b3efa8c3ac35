using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Training;

namespace Mamba.Kill;

/// <summary>A promise was broken: the message says which.</summary>
/// <param name="message">What happened.</param>
public sealed class KillException(string message) : Exception(message);

/// <summary>What a harness has seen.</summary>
/// <param name="Kills">Processes killed.</param>
/// <param name="Runs">Runs that ended as those that were never killed.</param>
/// <param name="WhileWriting">Kills that left a temporary file behind.</param>
/// <param name="BeforeCheckpoint">Kills before the run's first checkpoint.</param>
/// <param name="Verified">Checkpoints read and held against their seals after a kill.</param>
/// <param name="InEpoch">Kills after which the newest checkpoint stood inside an epoch.</param>
/// <param name="Further">Kills after which the newest checkpoint was another than before.</param>
/// <param name="Moments">Different moments at which was killed.</param>
public sealed record KillReport(
    int Kills, int Runs, int WhileWriting, int BeforeCheckpoint, int Verified, int InEpoch, int Further, int Moments)
{
    /// <summary>The figures in words.</summary>
    /// <returns>A line.</returns>
    public override string ToString() =>
        $"{Kills} kills over {Runs} runs, at {Moments} moments ({WhileWriting} while a file was written, " +
        $"{BeforeCheckpoint} before the first checkpoint, {Further} with a new checkpoint, {InEpoch} resumed inside an epoch); " +
        $"{Verified} checkpoints verified, none unreadable; no epoch lost; " +
        "every run ended with the weights and results of one never interrupted";
}

/// <summary>What was seen of a training that a signal asked to end, and of the run that was resumed after it.</summary>
/// <param name="ExitCode">The exit code of the process that got the signal.</param>
/// <param name="Said">What it printed after the run folder's name, but for the lines of epochs.</param>
/// <param name="Epoch">The epoch of the checkpoint that it left.</param>
/// <param name="Images">The images of that epoch that it had trained on.</param>
/// <param name="Outcome">Weights and results of the resumed run.</param>
/// <param name="Expected">Those of a run that was never interrupted.</param>
public sealed record Interruption(int ExitCode, string[] Said, int Epoch, int Images, string Outcome, string Expected);

/// <summary>
/// Trains small models, kills the process with SIGKILL at random moments and resumes the run, again and again. After each kill and at the
/// end of each run it verifies what is promised.
/// </summary>
/// <param name="folder">An empty folder for the runs.</param>
/// <param name="seed">The seed of the moments.</param>
/// <param name="log">Told of each run.</param>
public sealed class KillHarness(string folder, ulong seed, Action<string> log)
{
    /// <summary>
    /// Between them: convolutions with running statistics, scans, attention; each optimizer; every part that has a state of its own.
    /// </summary>
    private static readonly string[] s_trainings =
    [
        "--model ul-vm-unet --size 32 --limit 60 --epochs 15 --ema 0.9 --augment --clip-norm 1",
        "--model vit --width 24 --depth 1 --size 16 --patch 8 --batch 8 --limit 300 --epochs 40 " +
            "--optimizer adamw --schedule plateau --mixup 0.2 --ema 0.99",
        "--model unet --width 4 --depth 2 --size 32 --batch 4 --limit 60 --epochs 40 --optimizer sgd --lr 0.01 --schedule step",
        "--model vim --width 16 --depth 2 --size 16 --patch 4 --batch 8 --limit 200 --epochs 30 --drop-path 0.2 --patience 25",
    ];

    /// <summary>After so many kills a run may end, so that all trainings and intervals have their share of kills.</summary>
    private const int KillsOfRun = 12;

    /// <summary>Seconds in which any of the trainings ends, on a busy machine too.</summary>
    private const double Patience = 600;

    private static readonly string[] s_intervals = ["50ms", "1ms", "epoch", "300ms"];
    private readonly Dictionary<string, string> _expected = [];
    // It changes as it is used: if it were readonly, each use would read a copy and get the same number.
    private RandomStream _random = new(seed, "kills");
    private readonly HashSet<double> _moments = [];
    private KillReport _report = new(0, 0, 0, 0, 0, 0, 0, 0);

    /// <summary>Kills until it has killed so often, and lets the last run end.</summary>
    /// <param name="kills">How often.</param>
    /// <returns>The figures.</returns>
    /// <exception cref="KillException">A promise was broken.</exception>
    public KillReport Run(int kills)
    {
        for (int run = 0; _report.Kills < kills; run++)
        {
            string training = s_trainings[run % s_trainings.Length], interval = s_intervals[run / s_trainings.Length % s_intervals.Length];
            string expected = Whole(training);
            int before = _report.Kills;
            string killed = Path.Combine(folder, $"run{run}");
            string[] first = [.. training.Split(' '), "--threads", "2", "--checkpoint-every", interval, "--out", killed];
            (int Epoch, int Batch) reached = default;
            while (true)
            {
                string[] arguments = File.Exists(Path.Combine(killed, "args.json")) ? ["--resume", killed] : first;
                using ProgramProcess process = Train(arguments);
                if (_report.Kills >= Math.Min(kills, before + KillsOfRun) || !Kill(process, killed, out bool checkpointSeen))
                {
                    Finish(process);
                    break;
                }
                (int Epoch, int Batch) newest = Inspect(killed, process.Lines, reached);
                if (newest != reached) _report = _report with { Further = _report.Further + 1 };
                else if (checkpointSeen)
                    throw new KillException(
                        $"{killed}: a checkpoint was seen before the kill, and the newest one still stands at {newest}");
                reached = newest;
            }
            string outcome = RunOutcome.Of(killed);
            if (outcome != expected) throw new KillException($"{killed} ended with\n{outcome}\nand one never interrupted with\n{expected}");
            _report = _report with { Runs = _report.Runs + 1 };
            log($"run {run}: {_report.Kills - before} kills, checkpoints every {interval}, {training}");
            Directory.Delete(killed, recursive: true);
        }
        return _report with { Moments = _moments.Count };
    }

    /// <summary>Sends a signal that asks a training to end, such as Ctrl-C, and resumes the run.</summary>
    /// <param name="signal">INT or TERM.</param>
    /// <param name="run">Where the run goes.</param>
    /// <returns>
    /// What was seen; null if nothing could be: this program was started with the signal ignored, and a training that it starts inherits
    /// that.
    /// </returns>
    /// <exception cref="KillException">A checkpoint is damaged, a reported epoch is lost, or the resumed run fails.</exception>
    public Interruption? Interrupt(string signal, string run)
    {
        string training = s_trainings[0], expected = Whole(training);
        Interruption seen;
        using (ProgramProcess process = Train([.. training.Split(' '), "--threads", "2", "--checkpoint-every", "50ms", "--out", run]))
        {
            process.WaitUntil(() => Checkpoints(run).Length > 0);
            if (process.Ignores(signal == "INT" ? 2 : 15)) return null;
            process.Signal(signal);
            if (!process.WaitForExit(Patience)) throw new KillException($"{run}: does not end after SIG{signal}");
            string[] lines = process.Lines;
            (int Epoch, int Batch) newest = Inspect(run, lines, default);
            string[] said =
            [
                .. lines.SkipWhile(l => !l.StartsWith("run folder", StringComparison.Ordinal))
                    .Skip(1).Where(l => !l.StartsWith("epoch ", StringComparison.Ordinal)),
            ];
            const int ImagesOfBatch = 2;
            seen = new Interruption(process.ExitCode, said, newest.Epoch, ImagesOfBatch * newest.Batch, "", expected);
        }
        using (ProgramProcess rest = Train(["--resume", run])) Finish(rest);
        return seen with { Outcome = RunOutcome.Of(run) };
    }

    /// <summary>What a training ends with that is never interrupted.</summary>
    private string Whole(string training)
    {
        if (_expected.TryGetValue(training, out string? expected)) return expected;
        string path = Path.Combine(folder, $"whole{_expected.Count}");
        using ProgramProcess whole = Train([.. training.Split(' '), "--threads", "1", "--out", path]);
        Finish(whole);
        return _expected[training] = RunOutcome.Of(path);
    }

    /// <summary>
    /// Kills at a random moment, counted from the start of the process, from the start of training, or, mostly, from its first checkpoint.
    /// So most kills leave a run further on than they found it, on a busy machine, too.
    /// </summary>
    private bool Kill(ProgramProcess process, string run, out bool checkpointSeen)
    {
        int from = _random.NextInt(5);
        double seconds = _random.NextDouble(0, 1);
        string[] there = Checkpoints(run);
        if (from > 0) process.WaitUntil(() => process.HasSaid("run folder"));
        if (from > 1) process.WaitUntil(() => Checkpoints(run).Except(there).Any());
        checkpointSeen = from > 1;
        if (process.WaitForExit(seconds)) return false;
        process.Kill();
        if (process.ExitCode == 0) return false; // it had just ended
        _moments.Add(from + seconds);
        _report = _report with { Kills = _report.Kills + 1 };
        return true;
    }

    /// <summary>Whether a line of a run says that something is wrong.</summary>
    private static bool IsComplaint(string line) =>
        line.StartsWith("mamba:", StringComparison.Ordinal) || line.Contains("set aside", StringComparison.Ordinal);

    /// <summary>After a kill: every file that counts is whole, and no epoch that was reported is lost.</summary>
    private (int Epoch, int Batch) Inspect(string run, string[] lines, (int Epoch, int Batch) before)
    {
        if (lines.FirstOrDefault(IsComplaint) is { } complaint) throw new KillException($"{run}: {complaint}");
        string[] files = Directory.Exists(run) ? Directory.GetFiles(run, "*", SearchOption.AllDirectories) : [];
        if (files.Any(path => path.EndsWith(".tmp", StringComparison.Ordinal)))
            _report = _report with { WhileWriting = _report.WhileWriting + 1 };
        (int Epoch, int Batch) newest = default;
        foreach (string path in files.Where(path => path.EndsWith(".safetensors", StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            try
            {
                bool weights = Path.GetFileName(Path.GetDirectoryName(path)) == "weights";
                using SafetensorsFile file = weights ? SafetensorsFile.Open(path) : SafetensorsFile.OpenSealed(path);
                if (weights) continue;
                TrainingState state = TrainingState.Read(file);
                newest = (state.Epoch, state.Batch);
                _report = _report with { Verified = _report.Verified + 1 };
            }
            catch (CheckpointException e)
            {
                throw new KillException($"after a kill: {e.Message}");
            }
        }
        if (newest.CompareTo(before) < 0)
            throw new KillException($"{run}: the newest checkpoint stands at {newest}, after {before} before the kill");
        int reported = lines.Count(l => l.StartsWith("epoch ", StringComparison.Ordinal)) + (before.Epoch == 0 ? 0 : before.Epoch - 1);
        if (newest.Epoch <= reported && reported > 0)
            throw new KillException($"{run}: the newest checkpoint stands at {newest}, and {reported} epochs were reported as done");
        _report = newest switch
        {
            (0, _) => _report with { BeforeCheckpoint = _report.BeforeCheckpoint + 1 },
            (_, > 0) => _report with { InEpoch = _report.InEpoch + 1 },
            _ => _report,
        };
        return newest;
    }

    private static string[] Checkpoints(string run) =>
        Directory.Exists(Path.Combine(run, "checkpoints")) ? Directory.GetFiles(Path.Combine(run, "checkpoints"), "*.safetensors") : [];

    private static ProgramProcess Train(IEnumerable<string> arguments) => new("mamba", ["train", .. arguments]);

    private static void Finish(ProgramProcess process)
    {
        if (!process.WaitForExit(Patience)) throw new KillException($"training hangs: {string.Join(" | ", process.Lines)}");
        if (process.ExitCode != 0)
            throw new KillException($"training ended with exit code {process.ExitCode}: {string.Join(" | ", process.Lines)}");
    }
}
