using System.Globalization;
using Mamba.Core.Checkpoints;
using Mamba.Models.Metrics;

namespace Mamba.Models.Training;

/// <summary>The scores of an epoch as saved in a checkpoint: measures by name.</summary>
/// <param name="Values">The measures.</param>
public sealed record SavedScores(IReadOnlyList<(string Name, double Value)> Values) : Scores
{
    /// <inheritdoc/>
    public override IReadOnlyList<(string Name, double Value)> Values { get; } = Values;
}

/// <summary>
/// The state of training between two steps. Together with <see cref="IResumable.Tensors"/> it determines the rest of the run. Order,
/// augmentation and all other random choices are functions of seed, epoch, sample and step, so that no state of a random generator is
/// needed.
/// </summary>
public sealed record TrainingState
{
    private const string Format = "mamba-checkpoint-1";
    private const int EpochColumns = 7;

    /// <summary>The epoch under way, from 1.</summary>
    public required int Epoch { get; init; }

    /// <summary>Batches of the epoch that are done.</summary>
    public required int Batch { get; init; }

    /// <summary>Images, or sequences, of the epoch that were seen.</summary>
    public required int Images { get; init; }

    /// <summary>Images of the epoch in steps that were not skipped.</summary>
    public required int Learned { get; init; }

    /// <summary>The sum of their losses.</summary>
    public required double LossSum { get; init; }

    /// <summary>Steps of the optimizer.</summary>
    public required long Steps { get; init; }

    /// <summary>The learning rate of the last step.</summary>
    public required double LearningRate { get; init; }

    /// <summary>The best validation score; minus infinity before the first epoch's end.</summary>
    public required double BestScore { get; init; }

    /// <summary>Its epoch; 0 before the first epoch's end.</summary>
    public required int BestEpoch { get; init; }

    /// <summary>The state of the plateau schedule; null without one.</summary>
    public (double Lowest, int Waited, double Scale)? Plateau { get; init; }

    /// <summary>Steps in the average of the weights; null without one.</summary>
    public long? AverageUpdates { get; init; }

    /// <summary>Seconds of training so far.</summary>
    public required double Seconds { get; init; }

    /// <summary>The seconds at which the epoch began.</summary>
    public required double EpochBegan { get; init; }

    /// <summary>The epochs that are done.</summary>
    public required IReadOnlyList<EpochResult> Epochs { get; init; }

    /// <summary>A hash of the run's options and images (<see cref="RunArguments.Identity"/>).</summary>
    public string Run { get; init; } = "";

    /// <summary>The vector width that the run computes with.</summary>
    public string Width { get; init; } = "";

    /// <summary>Whether the run is complete: trained, tested and summarized.</summary>
    public bool Finished { get; init; }

    /// <summary>The state as text for the metadata of a file, exact to the last bit.</summary>
    /// <returns>Names and values.</returns>
    public Dictionary<string, string> ToMetadata() => new()
    {
        ["format"] = Format,
        ["position"] = Words(Epoch, Batch, Images, Learned, LossSum),
        ["optimizer"] = Words(Steps, LearningRate),
        ["best"] = Words(BestScore, BestEpoch),
        ["plateau"] = Plateau is { } p ? Words(p.Lowest, p.Waited, p.Scale) : "",
        ["average"] = AverageUpdates is { } updates ? Words(updates) : "",
        ["seconds"] = Words(Seconds, EpochBegan),
        ["measures"] = Epochs.Count == 0 ? "" : string.Join(' ', Epochs[0].Validation.Scores.Values.Select(s => s.Name)),
        ["epochs"] = string.Join('\n', Epochs.Select(e => Words(
        [
            e.TrainLoss, e.Validation.Images, e.Validation.Loss, e.Validation.MillisecondsPerImage,
            e.LearningRate, e.Seconds, e.ImagesPerSecond,
            .. e.Validation.Scores.Values.Select(s => s.Value)]))),
        ["run"] = Run,
        ["width"] = Width,
        ["finished"] = Finished ? "yes" : "no",
    };

    /// <summary>Reads the metadata of a file.</summary>
    /// <param name="file">The open file.</param>
    /// <returns>The state.</returns>
    /// <exception cref="CheckpointException">The metadata is malformed, or of another format.</exception>
    public static TrainingState Read(WeightFile file)
    {
        try
        {
            if (!file.Metadata.TryGetValue("format", out string? format) || format != Format)
                throw new CheckpointException($"{file.Path}: format '{format}', expected a checkpoint of format '{Format}'");
            double[] position = Numbers("position", 5), optimizer = Numbers("optimizer", 2), best = Numbers("best", 2);
            double[] seconds = Numbers("seconds", 2);
            string[] measures = Lines("measures", ' '), epochs = Lines("epochs", '\n');
            return new TrainingState
            {
                Epoch = Whole(position[0]),
                Batch = Whole(position[1]),
                Images = Whole(position[2]),
                Learned = Whole(position[3]),
                LossSum = position[4],
                Steps = Count(optimizer[0]),
                LearningRate = optimizer[1],
                BestScore = best[0],
                BestEpoch = Whole(best[1]),
                Plateau = file.Metadata["plateau"].Length == 0 ? null : Numbers("plateau", 3) is var p ? (p[0], Whole(p[1]), p[2]) : null,
                AverageUpdates = file.Metadata["average"].Length == 0 ? null : Count(Numbers("average", 1)[0]),
                Seconds = seconds[0],
                EpochBegan = seconds[1],
                Epochs = [.. epochs.Select((line, i) => Epoch(i + 1, Parse(line, EpochColumns + measures.Length), measures))],
                Run = file.Metadata["run"],
                Width = file.Metadata["width"],
                Finished = file.Metadata["finished"] == "yes",
            };
        }
        catch (Exception e) when (e is KeyNotFoundException or FormatException or OverflowException)
        {
            throw new CheckpointException($"{file.Path}: metadata does not describe a state of training: {e.Message}", e);
        }

        double[] Numbers(string key, int count) => Parse(file.Metadata[key], count);

        string[] Lines(string key, char separator) => file.Metadata[key].Split(separator, StringSplitOptions.RemoveEmptyEntries);

        static EpochResult Epoch(int number, double[] line, string[] measures)
        {
            SavedScores scores = new([.. measures.Select((m, i) => (m, line[EpochColumns + i]))]);
            return new EpochResult(number, line[0], new Evaluation(Whole(line[1]), line[2], scores, line[3]), line[4], line[5], line[6]);
        }
    }

    private static string Words(params double[] numbers) =>
        string.Join(' ', numbers.Select(n => n.ToString("R", CultureInfo.InvariantCulture)));

    private static double[] Parse(string words, int count)
    {
        double[] numbers = [.. words.Split(' ').Select(w => double.Parse(w, NumberStyles.Float, CultureInfo.InvariantCulture))];
        return numbers.Length == count ? numbers : throw new FormatException($"'{words}' has {numbers.Length} numbers, expected {count}");
    }

    private static int Whole(double number) => checked((int)Count(number));

    private static long Count(double number) => number is >= 0 and < 1L << 53 && number == Math.Floor(number) ? (long)number
        : throw new FormatException($"{number} is no count");
}
