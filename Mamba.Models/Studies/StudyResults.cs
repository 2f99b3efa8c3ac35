using System.Text.Json;
using System.Text.Json.Serialization;
using Mamba.Core.Checkpoints;
using Mamba.Models.Tasks;

namespace Mamba.Models.Studies;

/// <summary>What a study measured: the file <c>results.json</c> of its folder, from which a report is made.</summary>
/// <param name="Name">The study's name, such as <c>paper-segmentation</c>.</param>
/// <param name="Title">Its title in words.</param>
/// <param name="Task">What its models do.</param>
/// <param name="Labels">The classes; of a segmentation with one class, that class alone.</param>
/// <param name="Command">The command that repeats it.</param>
/// <param name="Machine">Where it ran.</param>
/// <param name="Runs">Its runs, in the order of the study; those that have not ended have no <see cref="RunResult.Test"/>.</param>
public sealed record StudyResults(
    string Name, string Title, ModelTask Task, IReadOnlyList<string> Labels, string Command, StudyMachine Machine,
    IReadOnlyList<RunResult> Runs)
{
    private const long MostBytes = 1L << 30;

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file, <c>results.json</c> of a study's folder.</param>
    /// <returns>Its content.</returns>
    /// <exception cref="StudyException">It is not there, cannot be read, or is malformed.</exception>
    public static StudyResults Read(string path)
    {
        try
        {
            FileInfo file = new(path);
            if (!file.Exists) throw new StudyException($"{path}: no such file; expected the results of 'mamba study run'");
            if (file.Length > MostBytes)
                throw new StudyException($"{path}: {file.Length} bytes; expected results of at most {MostBytes}");
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), StudyJson.Default.StudyResults)
                ?? throw new StudyException($"{path}: null; expected the results of 'mamba study run'");
        }
        catch (Exception e) when (e is JsonException or UnauthorizedAccessException or (IOException and not StudyException))
        {
            throw new StudyException($"{path}: no results of a study: {e.Message}", e);
        }
    }

    /// <summary>Reads what was measured in the folder of a study, by one process or by several that shared it.</summary>
    /// <param name="folder">The folder.</param>
    /// <returns>The results of all runs: <c>results.json</c>, and what parts left in <c>results/</c>.</returns>
    /// <exception cref="StudyException">It is not there, cannot be read, or is malformed.</exception>
    public static StudyResults ReadFolder(string folder)
    {
        StudyPaths paths = new(folder);
        StudyResults all = Read(paths.Results);
        if (!Directory.Exists(paths.Parts)) return all;
        Dictionary<string, RunResult> runs = [];
        foreach (RunResult run in all.Runs) runs[run.Id] = run;
        IReadOnlyList<string> labels = all.Labels;
        foreach (string path in Directory.GetFiles(paths.Parts, "*.json").Order(StringComparer.Ordinal))
        {
            StudyResults part = Read(path);
            if (labels.Count == 0) labels = part.Labels;
            foreach (RunResult run in part.Runs)
                if (runs.TryGetValue(run.Id, out RunResult? known) && known.Test is null) runs[run.Id] = run; // what has ended stays
        }
        return all with { Labels = labels, Runs = [.. all.Runs.Select(run => runs[run.Id])] };
    }

    /// <summary>The same, with the epochs of runs that have begun and not ended.</summary>
    /// <param name="folder">The folder of the study.</param>
    /// <returns>The results.</returns>
    /// <exception cref="IOException">A file of a run cannot be read.</exception>
    public StudyResults WithBegun(string folder)
    {
        StudyPaths paths = new(folder);
        return this with { Runs = [.. Runs.Select(run => run.Test is null ? BegunRun.Read(run, paths.FolderOf(run.Id)) : run)] };
    }

    /// <summary>Writes a file; it appears whole or not at all.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="CheckpointException">It cannot be written.</exception>
    public void Write(string path) =>
        AtomicFile.Write(path, stream => JsonSerializer.Serialize(stream, this, StudyJson.Default.StudyResults));
}

/// <summary>The machine and the programs of a study.</summary>
/// <param name="Processor">The processor's name.</param>
/// <param name="Threads">Threads that computed.</param>
/// <param name="VectorWidth">Bits of a vector.</param>
/// <param name="System">The operating system.</param>
/// <param name="Runtime">The .NET runtime.</param>
/// <param name="Version">The version of this program.</param>
public sealed record StudyMachine(string Processor, int Threads, int VectorWidth, string System, string Runtime, string Version);

/// <summary>One run of a study: a model, trained on one split from one seed.</summary>
/// <param name="Id">Its name within the study, and its folder under <c>runs/</c>.</param>
/// <param name="Model">The model's name in the zoo.</param>
/// <param name="Label">What tables call it: the model, and what was done to it ("v5, half its channels").</param>
/// <param name="Protocol">The split's name: slice, patient, official or holdout.</param>
/// <param name="Seed">The seed.</param>
/// <param name="Fold">The fold, such as <c>2/5</c>; null for none.</param>
/// <param name="Command">The command line that trains it.</param>
public sealed record RunResult(string Id, string Model, string Label, string Protocol, int Seed, string? Fold, string Command)
{
    /// <summary>Trained parameters.</summary>
    public long Parameters { get; init; }

    /// <summary>Bytes of the weights as stored.</summary>
    public long Bytes { get; init; }

    /// <summary>Multiply-adds of one image: convolutions, linear layers, attention and the selective scan.</summary>
    public long MultiplyAdds { get; init; }

    /// <summary>Images of each part of the split.</summary>
    public SplitSizes? Split { get; init; }

    /// <summary>What tells its images from others.</summary>
    public StudyImages? Images { get; init; }

    /// <summary>Training and validation, epoch by epoch.</summary>
    public IReadOnlyList<EpochPoint> Epochs { get; init; } = [];

    /// <summary>Whether its folder is there, though it has not ended; see <see cref="StudyResults.WithBegun"/>.</summary>
    [JsonIgnore]
    public bool HasBegun { get; init; }

    /// <summary>
    /// Epochs that were planned; with a budget of minutes, those that it was enough for, and 0 before it has ended.
    /// </summary>
    public int PlannedEpochs { get; init; }

    /// <summary>Why training ended before <see cref="PlannedEpochs"/>, such as a budget; null where it did not.</summary>
    public string? EndedBy { get; init; }

    /// <summary>Seconds of training, validation included.</summary>
    public double TrainingSeconds { get; init; }

    /// <summary>Training images per second.</summary>
    public double ImagesPerSecond { get; init; }

    /// <summary>Median milliseconds of one image through the frozen model, batch 1.</summary>
    public double InferenceMilliseconds { get; init; }

    /// <summary>
    /// Peak bytes of inference, batch 1: the weights, and the most that tensors and working memory of a pass took at once. The runtime and
    /// the program are not in it.
    /// </summary>
    public long InferencePeakBytes { get; init; }

    /// <summary>The scores on the test images; null while the run has not ended.</summary>
    public TestScores? Test { get; init; }

    /// <summary>Why the run failed; null where it did not.</summary>
    public string? Failure { get; init; }

    /// <summary>What the paper reports for this model and protocol; null for nothing.</summary>
    public PaperScores? Paper { get; init; }
}

/// <summary>The sizes of a split and the digest of its names.</summary>
/// <param name="Train">Training images.</param>
/// <param name="Validation">Validation images.</param>
/// <param name="Test">Test images.</param>
/// <param name="TrainPositive">Training images with foreground; for classification 0.</param>
/// <param name="ValidationPositive">Validation images with foreground; for classification 0.</param>
/// <param name="TestPositive">Test images with foreground; for classification 0.</param>
/// <param name="Groups">Patients in all parts; 0 where they are not known.</param>
/// <param name="SharedGroups">Patients with images both among training and test images: the leak of the slice protocol.</param>
/// <param name="Digest">SHA-256 of the names of each part.</param>
public sealed record SplitSizes(
    int Train, int Validation, int Test, int TrainPositive, int ValidationPositive, int TestPositive, int Groups, int SharedGroups,
    string Digest)
{
    /// <summary>Whether the validation images are the test images: the score of the epoch that they choose is optimistic.</summary>
    public bool ValidatesOnTest { get; init; }
}

/// <summary>One epoch of a run.</summary>
/// <param name="Epoch">Its number, from 1.</param>
/// <param name="TrainLoss">Mean training loss.</param>
/// <param name="ValidationLoss">Validation loss.</param>
/// <param name="Score">The first score of the task on the validation images: Dice as the paper counts it, or macro F1.</param>
/// <param name="Seconds">Seconds since training began.</param>
public sealed record EpochPoint(int Epoch, double TrainLoss, double ValidationLoss, double Score, double Seconds);

/// <summary>Scores on the test images, and what was predicted for each.</summary>
/// <param name="Loss">The loss.</param>
/// <param name="Measures">
/// Scores by the names of <c>results.csv</c>: dice_global, dice_image, dice_paper, iou_..., macro_f1, accuracy.
/// </param>
public sealed record TestScores(double Loss, IReadOnlyDictionary<string, double> Measures)
{
    /// <summary>Segmentation: counts of each test image, in the order of the split. Empty for classification.</summary>
    public IReadOnlyList<ImageCounts> Images { get; init; } = [];

    /// <summary>Classification: the prediction for each test image. Empty for segmentation.</summary>
    public IReadOnlyList<ImagePrediction> Predictions { get; init; } = [];

    /// <summary>Classification: images by true class (row) and predicted class. Empty for segmentation.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Confusion { get; init; } = [];

    /// <summary>Bins of confidence, from the least; of pixels for segmentation, of images for classification.</summary>
    public IReadOnlyList<CalibrationBin> Calibration { get; init; } = [];

    /// <summary>
    /// Segmentation: the folder, below the study's, with a predicted mask for each test image, <c>00000.png</c> by its place in
    /// <see cref="Images"/>; null where none were kept.
    /// </summary>
    public string? Masks { get; init; }
}

/// <summary>Pixels of one test image.</summary>
/// <param name="Image">Its name.</param>
/// <param name="Group">Its patient; empty where that is not known.</param>
/// <param name="Both">Foreground in truth and prediction.</param>
/// <param name="Predicted">Foreground in the prediction.</param>
/// <param name="Truth">Foreground in the truth.</param>
public sealed record ImageCounts(string Image, string Group, long Both, long Predicted, long Truth);

/// <summary>The class of one test image.</summary>
/// <param name="Image">Its name.</param>
/// <param name="Truth">The true class.</param>
/// <param name="Predicted">The predicted class.</param>
/// <param name="Confidence">Its probability.</param>
public sealed record ImagePrediction(string Image, int Truth, int Predicted, double Confidence);

/// <summary>Predictions of about the same confidence.</summary>
/// <param name="Low">The least confidence of the bin.</param>
/// <param name="High">The largest.</param>
/// <param name="Count">Predictions in it.</param>
/// <param name="Confidence">Their mean confidence; NaN where there are none.</param>
/// <param name="Accuracy">The share of them that is right; NaN where there are none.</param>
public sealed record CalibrationBin(double Low, double High, long Count, double Confidence, double Accuracy);

/// <summary>Figures of the paper for one model.</summary>
/// <param name="Score">Test Dice, or the best macro F1.</param>
/// <param name="TrainingMinutes">Minutes of training on four T4; null where the paper gives none.</param>
/// <param name="Epochs">Loss by epoch as read from the paper's notebooks; empty where there is none.</param>
public sealed record PaperScores(double Score, double? TrainingMinutes, IReadOnlyList<EpochPoint> Epochs);

/// <summary>How <c>results.json</c> is written and read.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true, UseStringEnumConverter = true,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals, RespectRequiredConstructorParameters = true,
    RespectNullableAnnotations = true, GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(StudyResults))]
internal sealed partial class StudyJson : JsonSerializerContext;
