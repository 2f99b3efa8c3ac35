using System.Globalization;
using System.Text;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>
/// The folder of one training run, in the form known from Ultralytics: args.json, results.csv, weights/best.safetensors, weights/last.safetensors,
/// samples/*.png, summary.md. Each file appears whole or not at all.
/// </summary>
public sealed class RunFolder
{
    private const string Arguments = "args.json";
    private readonly StringBuilder _results = new();
    private readonly List<EpochResult> _epochs = [];

    /// <summary>Makes the folder and writes the arguments.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="arguments">The options of the run.</param>
    /// <exception cref="CheckpointException">It already holds a run, or cannot be written.</exception>
    public RunFolder(string path, RunArguments arguments)
    {
        Path = path;
        ThrowIfTaken(path);
        try
        {
            Directory.CreateDirectory(System.IO.Path.Combine(path, "weights"));
            Directory.CreateDirectory(System.IO.Path.Combine(path, "samples"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path}: the run folder cannot be made: {e.Message}", e);
        }
        AtomicFile.Write(File(Arguments), arguments.Write);
    }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>The epochs so far.</summary>
    public IReadOnlyList<EpochResult> Epochs => _epochs;

    /// <summary>The weights of the best epoch.</summary>
    public string Best => File("weights", "best.safetensors");

    /// <summary>The weights after the last step.</summary>
    public string Last => File("weights", "last.safetensors");

    /// <summary>The first of parent/name, parent/name-2, parent/name-3, ... that does not exist.</summary>
    /// <param name="parent">The folder of folders.</param>
    /// <param name="name">The name.</param>
    /// <returns>A path.</returns>
    public static string NextFree(string parent, string name)
    {
        string path = System.IO.Path.Combine(parent, name);
        for (int n = 2; Directory.Exists(path) || System.IO.File.Exists(path); n++) path = System.IO.Path.Combine(parent, string.Create(CultureInfo.InvariantCulture, $"{name}-{n}"));
        return path;
    }

    /// <summary>Refuses a folder that holds a run.</summary>
    /// <param name="path">The folder.</param>
    /// <exception cref="CheckpointException">It holds a run, or is a file.</exception>
    public static void ThrowIfTaken(string path)
    {
        if (System.IO.File.Exists(path)) throw new CheckpointException($"{path}: is a file; expected a new folder for the run");
        if (System.IO.File.Exists(System.IO.Path.Combine(path, Arguments)) || Directory.Exists(System.IO.Path.Combine(path, "weights")))
            throw new CheckpointException($"{path}: already holds a run; expected a new folder");
    }

    /// <summary>A file of this run.</summary>
    /// <param name="parts">Its name, below folders of the run.</param>
    /// <returns>The path.</returns>
    public string File(params string[] parts) => System.IO.Path.Combine([Path, .. parts]);

    /// <summary>Adds a line to results.csv.</summary>
    /// <param name="epoch">The epoch.</param>
    public void Add(EpochResult epoch)
    {
        IReadOnlyList<(string Name, double Value)> scores = epoch.Validation.Scores.Values;
        if (_epochs.Count == 0) _results.AppendLine($"epoch,train_loss,val_loss,{string.Join(',', scores.Select(s => s.Name))},lr,seconds,images_per_second");
        _epochs.Add(epoch);
        _results.Append(CultureInfo.InvariantCulture, $"{epoch.Epoch},{epoch.TrainLoss:F6},{epoch.Validation.Loss:F6},");
        foreach ((_, double value) in scores) _results.Append(CultureInfo.InvariantCulture, $"{value:F6},");
        _results.AppendLine(CultureInfo.InvariantCulture, $"{epoch.LearningRate:G6},{epoch.Seconds:F2},{epoch.ImagesPerSecond:F2}");
        WriteText("results.csv", _results.ToString());
    }

    /// <summary>Saves the weights as the last, and as the best if they are.</summary>
    /// <param name="model">The model.</param>
    /// <param name="info">Its description.</param>
    /// <param name="best">Whether they are the best so far.</param>
    public void Save(VisionModel model, ModelInfo info, bool best)
    {
        ModelFile.Save(Last, model, info);
        if (best) ModelFile.Save(Best, model, info);
    }

    /// <summary>Saves a picture under samples/.</summary>
    /// <param name="name">Its name; folders in it become part of the file's name.</param>
    /// <param name="picture">The picture.</param>
    public void AddSample(string name, Image picture) => ImageFile.SavePng(File("samples", name.Replace('/', '_') + ".png"), picture);

    /// <summary>Writes a file of text.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="text">What it holds.</param>
    public void WriteText(string name, string text) => AtomicFile.Write(File(name), stream => stream.Write(Encoding.UTF8.GetBytes(text)));
}
