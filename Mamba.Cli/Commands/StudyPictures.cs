using System.CommandLine;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Studies;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary>
/// The test images of a study's runs, from the data that each run's args.json names. Where the data cannot be opened, a note says so once
/// and a report goes without pictures.
/// </summary>
/// <param name="terminal">Where notes go.</param>
/// <param name="folder">The study's folder.</param>
/// <param name="task">What its models do.</param>
/// <param name="stop">Stops while data are opened.</param>
internal sealed class StudyPictures(Terminal terminal, string folder, ModelTask task, CancellationToken stop)
{
    private readonly Dictionary<string, IImageData?> _data = [];
    private readonly HashSet<string> _notes = [];

    /// <summary>A test image with its truth.</summary>
    /// <param name="run">A run that was tested on it.</param>
    /// <param name="image">Its name.</param>
    /// <returns>The sample; null where it cannot be had.</returns>
    public SegmentationSample? Find(RunResult run, string image)
    {
        if (!_data.TryGetValue(run.Id, out IImageData? data)) _data.Add(run.Id, data = Try(() => Open(run)));
        if (data is null) return null;
        for (int i = 0; i < data.Count; i++)
            if (data.Name(i) == image) return Try(() => data.Load(i)) as SegmentationSample;
        return null;
    }

    private IImageData Open(RunResult run)
    {
        string root = Path.GetFullPath(Path.Combine(folder, "runs")), path = Path.GetFullPath(Path.Combine(root, run.Id));
        if (!path.StartsWith(root + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            throw new DatasetException($"'{run.Id}' is no name of a run");
        TrainOptions options = new();
        Command train = new("train");
        foreach (Option option in options.All) train.Add(option);
        ParseResult parsed = Recipe.Apply(RunFolder.ArgumentsOf(path), train.Parse([]), new Terminal(TextWriter.Null, TextWriter.Null));
        int side = Registry.Find(run.Model).ImageSize;
        DataOptions found = options.DataSet.Of(parsed) with { VolumeIntensity = parsed.GetValue(options.Intensity) };
        IImageData data = Options.OpenData(
            parsed.GetValue(options.Data) ?? RunArguments.Synthetic, found, task, parsed.GetValue(options.Seed) ?? 0,
            parsed.GetValue(options.Limit), parsed.GetValue(options.Size) ?? (side, side), stop);
        string split = RunFolder.SplitOf(path);
        // What masks mean was found out of all of them when the run began, and is not found out again.
        if (data is IMaskedFolder masked && File.Exists(split) && SplitFile.Read(split).Meaning is { } meaning) masked.Meaning = meaning;
        return data;
    }

    /// <summary>The result of reading files that may be gone; null, and a note, where they are.</summary>
    private T? Try<T>(Func<T> read) where T : class
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is IOException or ArgumentException or UnauthorizedAccessException)
        {
            if (_notes.Add(e.Message))
                terminal.Error.WriteLine(PlainText.Printable($"note: masks without their picture: {e.Message.ReplaceLineEndings(" ")}"));
            return null;
        }
    }
}
