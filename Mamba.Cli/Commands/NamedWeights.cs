using Mamba.Core.Checkpoints;
using Mamba.Models.Files;
using Mamba.Models.Sequences;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary>What <c>--weights</c> means: a file, the folder of a run, or the name of weights that come with the program.</summary>
internal static class NamedWeights
{
    private const string Extension = ".safetensors";

    private static readonly string s_folder = Path.Combine(AppContext.BaseDirectory, "weights");

    /// <summary>The weights that come with the program: the folder <c>weights/</c> beside it.</summary>
    public static IReadOnlyList<(string Name, string Path)> Shipped { get; } = !Directory.Exists(s_folder) ? [] :
    [
        .. Directory.EnumerateFiles(s_folder, $"*{Extension}").Order(StringComparer.Ordinal)
            .Select(path => (Path.GetFileNameWithoutExtension(path), path)),
    ];

    /// <summary>The file that is meant.</summary>
    /// <param name="typed">What was typed.</param>
    /// <returns>A path; where nothing else fits, what was typed.</returns>
    /// <exception cref="CheckpointException">
    /// It is a folder of something else, or it looks like a name, and no weights of that name come with the program.
    /// </exception>
    public static string Find(string typed)
    {
        if (File.Exists(typed)) return typed;
        if (RunFolder.HoldsRun(typed)) return RunFolder.WeightsOf(typed);
        if (Shipped.FirstOrDefault(shipped => shipped.Name == typed) is { Path: { } path }) return path;
        if (Directory.Exists(typed))
            throw new CheckpointException(
                $"{typed}: a folder, but not that of a run, which has args.json; expected one, or a weight file");
        if (Path.HasExtension(typed) || Path.GetFileName(typed) != typed) return typed;
        string names = Shipped.Count == 0 ? $"there are none in {s_folder}" : string.Join(", ", Shipped.Select(shipped => shipped.Name));
        throw new CheckpointException($"{typed}: no file or folder, nor the name of weights that come with the program ({names})");
    }

    /// <summary>Loads weights that describe their model.</summary>
    /// <param name="path">The file.</param>
    /// <param name="stop">Stops.</param>
    /// <returns>The model, frozen for inference, and its description.</returns>
    /// <exception cref="CheckpointException">They do not; the message says what to do.</exception>
    public static (VisionModel Model, ModelInfo Info) Load(string path, CancellationToken stop)
    {
        using WeightFile file = WeightFile.Open(path);
        ThrowIfSequences(file);
        if (!ModelFile.IsDescribed(file))
            throw new CheckpointException(
                $"{path}: metadata lacks 'model'; 'mamba convert {path} OUT --model NAME' makes a file with it");
        return ModelFile.Load(file, stop);
    }

    /// <summary>Refuses weights of models of sequences.</summary>
    /// <param name="file">The open file.</param>
    /// <exception cref="CheckpointException">They are.</exception>
    public static void ThrowIfSequences(WeightFile file)
    {
        if (SequenceFile.IsDescribed(file))
            throw new CheckpointException($"{file.Path}: holds a model of sequences; expected one of images ('mamba eval' measures it)");
    }
}
