using System.Globalization;
using System.Text;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Loading;
using Mamba.Models.Files;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>
/// The folder of one training run, laid out as in Ultralytics: args.json, results.csv, weights/best.safetensors, weights/last.safetensors,
/// samples/*.png and summary.md. Its checkpoints/ serve to resume the run. Each file appears whole or not at all. The folder is locked
/// while this object lives. The operating system releases the lock however the process ends.
/// </summary>
public sealed class RunFolder : IDisposable
{
    internal const string Results = "results.csv";

    private const string Arguments = "args.json", Checkpoints = "checkpoints", Extension = ".safetensors";
    private const int MaxNameBytes = 200, HashDigits = 12; // file systems allow 255, and a temporary file has a longer name
    private readonly FileStream _lock;

    private RunFolder(string path, FileStream held) => (Path, _lock) = (path, held);

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>The weights of the best epoch.</summary>
    public string Best => File("weights", "best" + Extension);

    /// <summary>The weights after the last step.</summary>
    public string Last => File("weights", "last" + Extension);

    /// <summary>Creates the folder and writes the arguments.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="arguments">The options of the run.</param>
    /// <returns>The folder, locked.</returns>
    /// <exception cref="CheckpointException">
    /// The folder already holds a run, cannot be written, or is locked by another process.
    /// </exception>
    public static RunFolder Create(string path, RunArguments arguments)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        return Create(path, arguments.Write);
    }

    /// <summary>As <see cref="Create(string, RunArguments)"/>, with options of any kind.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="arguments">Writes the options of the run as JSON.</param>
    /// <returns>The folder, locked.</returns>
    /// <exception cref="CheckpointException">
    /// The folder already holds a run, cannot be written, or is locked by another process.
    /// </exception>
    public static RunFolder Create(string path, Action<Stream> arguments)
    {
        ThrowIfTaken(path);
        MakeFolder(path);
        RunFolder folder = Hold(path);
        try
        {
            ThrowIfTaken(path); // by a process that held the lock meanwhile
        }
        catch
        {
            folder.Dispose();
            throw;
        }
        return folder.Begin(arguments);
    }

    /// <summary>
    /// Creates the first free folder of parent/name, parent/name-2, ... Runs that start at the same time get different folders.
    /// </summary>
    /// <param name="parent">The parent folder.</param>
    /// <param name="name">The name.</param>
    /// <param name="arguments">The options of the run.</param>
    /// <returns>The folder, locked.</returns>
    /// <exception cref="CheckpointException">It cannot be written.</exception>
    public static RunFolder CreateNext(string parent, string name, RunArguments arguments)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        return CreateNext(parent, name, arguments.Write);
    }

    /// <summary>As <see cref="CreateNext(string, string, RunArguments)"/>, with options of any kind.</summary>
    /// <param name="parent">The parent folder.</param>
    /// <param name="name">The name.</param>
    /// <param name="arguments">Writes the options of the run as JSON.</param>
    /// <returns>The folder, locked.</returns>
    /// <exception cref="CheckpointException">It cannot be written.</exception>
    public static RunFolder CreateNext(string parent, string name, Action<Stream> arguments)
    {
        while (true)
        {
            string path = NextFree(parent, name);
            MakeFolder(path);
            if (TryHold(path) is not { } folder) continue; // another process took this name first
            if (!IsTaken(path)) return folder.Begin(arguments);
            folder.Dispose(); // or had it
        }
    }

    /// <summary>Opens the folder of a run to resume it, and removes temporary files of a killed process.</summary>
    /// <param name="path">The folder.</param>
    /// <returns>The folder, locked.</returns>
    /// <exception cref="CheckpointException">The folder holds no run, cannot be written, or is locked by another process.</exception>
    public static RunFolder Open(string path)
    {
        _ = ArgumentsOf(path);
        RunFolder folder = Hold(path);
        try
        {
            AtomicFile.Sweep(path);
            folder.MakeFolders();
            return folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>The file with the options of a run.</summary>
    /// <param name="path">The folder of the run.</param>
    /// <returns>The path.</returns>
    /// <exception cref="CheckpointException">The folder holds no run.</exception>
    public static string ArgumentsOf(string path)
    {
        string file = System.IO.Path.Combine(path, Arguments);
        return System.IO.File.Exists(file) ? file : throw new CheckpointException($"{path}: holds no run: there is no {Arguments}");
    }

    /// <summary>Whether a folder holds a run, or the beginning of one.</summary>
    /// <param name="path">The folder, which may not exist.</param>
    /// <returns>True if it has the options of a run.</returns>
    public static bool HoldsRun(string path) => System.IO.File.Exists(System.IO.Path.Combine(path, Arguments));

    /// <summary>The weights that a user means: a file, or the best ones of a run folder.</summary>
    /// <param name="path">A file or the folder of a run.</param>
    /// <returns>The file, whether it is there or not.</returns>
    public static string WeightsOf(string path) =>
        Directory.Exists(path) && System.IO.File.Exists(System.IO.Path.Combine(path, Arguments))
            ? System.IO.Path.Combine(path, "weights", "best" + Extension) : path;

    /// <summary>The first of parent/name, parent/name-2, parent/name-3, ... that does not exist.</summary>
    /// <param name="parent">The parent folder.</param>
    /// <param name="name">The name.</param>
    /// <returns>A path.</returns>
    public static string NextFree(string parent, string name)
    {
        string path = System.IO.Path.Combine(parent, name);
        for (int n = 2; Directory.Exists(path) || System.IO.File.Exists(path); n++)
            path = System.IO.Path.Combine(parent, string.Create(CultureInfo.InvariantCulture, $"{name}-{n}"));
        return path;
    }

    /// <summary>Refuses a folder that holds a run.</summary>
    /// <param name="path">The folder.</param>
    /// <exception cref="CheckpointException">The folder holds a run, or the path is a file.</exception>
    public static void ThrowIfTaken(string path)
    {
        if (System.IO.File.Exists(path)) throw new CheckpointException($"{path}: is a file; expected a new folder for the run");
        if (IsTaken(path)) throw new CheckpointException($"{path}: already holds a run; expected a new folder");
    }

    /// <summary>The file that lists the images of each part.</summary>
    /// <param name="path">The folder of the run.</param>
    /// <returns>The path, whether the file is there or not: runs of older versions have none.</returns>
    public static string SplitOf(string path) => System.IO.Path.Combine(path, "split.json");

    /// <summary>A file of this run.</summary>
    /// <param name="parts">Its name, below folders of the run.</param>
    /// <returns>The path.</returns>
    public string File(params string[] parts) => System.IO.Path.Combine([Path, .. parts]);

    /// <summary>Replaces the options of the run, which has been resumed with others.</summary>
    /// <param name="arguments">The options.</param>
    /// <exception cref="CheckpointException">They cannot be written.</exception>
    public void WriteArguments(RunArguments arguments)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        WriteArguments(arguments.Write);
    }

    /// <summary>As <see cref="WriteArguments(RunArguments)"/>, with options of any kind.</summary>
    /// <param name="arguments">Writes the options as JSON.</param>
    /// <exception cref="CheckpointException">They cannot be written.</exception>
    public void WriteArguments(Action<Stream> arguments) => AtomicFile.Write(File(Arguments), arguments);

    /// <summary>Writes results.csv, one line per epoch.</summary>
    /// <param name="epochs">The epochs; one at least.</param>
    public void WriteResults(IReadOnlyList<EpochResult> epochs)
    {
        StringBuilder text = new();
        IEnumerable<string> measures = epochs[0].Validation.Scores.Values.Select(s => s.Name);
        text.AppendLine($"epoch,train_loss,val_loss,{string.Join(',', measures)},lr,seconds,images_per_second");
        foreach (EpochResult epoch in epochs)
        {
            text.Append(CultureInfo.InvariantCulture, $"{epoch.Epoch},{epoch.TrainLoss:F6},{epoch.Validation.Loss:F6},");
            foreach ((_, double value) in epoch.Validation.Scores.Values) text.Append(CultureInfo.InvariantCulture, $"{value:F6},");
            text.AppendLine(CultureInfo.InvariantCulture, $"{epoch.LearningRate:G6},{epoch.Seconds:F2},{epoch.ImagesPerSecond:F2}");
        }
        WriteText(Results, text.ToString());
    }

    /// <summary>Saves the weights as the last ones, and also as the best ones if they are.</summary>
    /// <param name="model">The model.</param>
    /// <param name="info">Its description.</param>
    /// <param name="best">Whether they are the best so far.</param>
    public void Save(VisionModel model, ModelInfo info, bool best)
    {
        ModelFile.Save(Last, model, info);
        if (best) ModelFile.Save(Best, model, info);
    }

    /// <summary>Writes a checkpoint, then removes all but the newest ones.</summary>
    /// <param name="training">The training.</param>
    /// <param name="state">Its state, with what the run adds to it.</param>
    /// <param name="keep">How many to keep; at least 1.</param>
    /// <exception cref="CheckpointException">It cannot be written; earlier checkpoints are still there.</exception>
    public void SaveCheckpoint(IResumable training, TrainingState state, int keep)
    {
        ArgumentNullException.ThrowIfNull(state);
        // Sorted names are sorted states.
        string name = string.Create(CultureInfo.InvariantCulture, $"epoch{state.Epoch:D7}-batch{state.Batch:D7}{Extension}");
        training.Save(File(Checkpoints, name), state);
        foreach (string old in CheckpointFiles().Skip(keep)) System.IO.File.Delete(old);
    }

    /// <summary>Opens the newest readable checkpoint. A newer, damaged one is reported and renamed.</summary>
    /// <param name="damaged">Called with the problem of each damaged checkpoint.</param>
    /// <returns>The open file; null if the run has written no checkpoint yet.</returns>
    /// <exception cref="CheckpointException">There are results but no checkpoint, or no checkpoint can be read.</exception>
    public SafetensorsFile? OpenCheckpoint(Action<string> damaged)
    {
        string[] files = [.. CheckpointFiles()];
        if (files.Length == 0 && System.IO.File.Exists(File(Results)))
            throw new CheckpointException($"{Path}: holds results, but no checkpoint to resume from");
        foreach (string file in files)
        {
            try
            {
                return SafetensorsFile.OpenSealed(file);
            }
            catch (CheckpointException e) when (file != files[^1])
            {
                System.IO.File.Move(file, file + ".damaged", overwrite: true);
                damaged(e.Message);
            }
        }
        return null;
    }

    /// <summary>Saves a picture under samples/.</summary>
    /// <param name="name">Its name; folders in it become part of the file's name.</param>
    /// <param name="picture">The picture.</param>
    /// <returns>The name of the file, without its extension: a long name is cut, and ends in a hash of the whole.</returns>
    public string AddSample(string name, Image picture)
    {
        string flat = name.Replace('/', '_');
        if (Encoding.UTF8.GetByteCount(flat) > MaxNameBytes)
        {
            int length = flat.Length;
            while (Encoding.UTF8.GetByteCount(flat.AsSpan(0, length)) > MaxNameBytes - HashDigits - 1) length--;
            flat = $"{flat[..length]}-{Convert.ToHexStringLower(Sha256.HashData(Encoding.UTF8.GetBytes(flat)))[..HashDigits]}";
        }
        ImageFile.SavePng(File("samples", flat + ".png"), picture);
        return flat;
    }

    /// <summary>Writes a file of text.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="text">What it holds.</param>
    public void WriteText(string name, string text) => AtomicFile.Write(File(name), stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    /// <summary>Releases the lock.</summary>
    public void Dispose() => _lock.Dispose();

    private static bool IsTaken(string path) =>
        System.IO.File.Exists(System.IO.Path.Combine(path, Arguments)) || Directory.Exists(System.IO.Path.Combine(path, "weights"));

    /// <summary>Locks a folder.</summary>
    /// <exception cref="CheckpointException">Another process holds the lock, or the folder cannot be written.</exception>
    private static RunFolder Hold(string path) => TryHold(path)
        ?? throw new CheckpointException($"{path}: another process is training in this folder");

    /// <summary>As <see cref="Hold"/>; null if another process holds the lock.</summary>
    private static RunFolder? TryHold(string path)
    {
        try
        {
            string file = System.IO.Path.Combine(path, "lock");
            return new RunFolder(path, new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException e) when ((e.HResult & 0xFFFF) is 32 or 11 or 35) // a sharing violation (Windows), EWOULDBLOCK (Linux, macOS)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path}: the run folder cannot be written: {e.Message}", e);
        }
    }

    /// <summary>Writes the arguments and creates the folders of a new run.</summary>
    private RunFolder Begin(Action<Stream> arguments)
    {
        try
        {
            WriteArguments(arguments);
            MakeFolders();
            return this;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    private static void MakeFolder(string path)
    {
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path}: the run folder cannot be made: {e.Message}", e);
        }
    }

    private void MakeFolders()
    {
        foreach (string name in new[] { "weights", "samples", Checkpoints }) MakeFolder(File(name));
    }

    /// <summary>The checkpoints, newest first.</summary>
    private IEnumerable<string> CheckpointFiles() =>
        Directory.GetFiles(File(Checkpoints), "*" + Extension).OrderDescending(StringComparer.Ordinal);
}
