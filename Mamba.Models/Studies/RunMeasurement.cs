using Mamba.Core;
using Mamba.Core.Measurement;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Metrics;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Models.Studies;

/// <summary>Measures the weights of a run: scores on the test images, speed, memory and size.</summary>
/// <param name="trained">What the training left.</param>
/// <param name="weights">The weights to measure: those of the training, or what was made of them.</param>
internal sealed class RunMeasurement(TrainedRun trained, string weights)
{
    /// <summary>Seconds over which the inference of one image is repeated.</summary>
    private const double Seconds = 1;

    /// <summary>Adds what is measured to the record of a run.</summary>
    /// <param name="result">The record.</param>
    /// <param name="folder">The study's folder.</param>
    /// <param name="masks">The folder of predicted masks, below the study's.</param>
    /// <param name="stop">Stops between batches.</param>
    /// <returns>The record, with scores, speed and size.</returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public RunResult Add(RunResult result, string folder, string masks, CancellationToken stop)
    {
        (VisionModel model, _) = ModelFile.Load(weights, stop);
        using VisionModel owned = model;
        bool segments = trained.Data.Task == ModelTask.Segmentation;
        string path = Path.Combine(folder, masks);
        if (segments)
        {
            if (Directory.Exists(path)) Directory.Delete(path, recursive: true); // of a measurement that was interrupted
            Directory.CreateDirectory(path);
        }
        TestTally tally = new(trained.Test, segments ? path : null);
        using BatchLoader test = new(trained.Test, trained.TestImages, trained.Input);
        Evaluation scores = Evaluator.Run(model, test, trained.Objective, new EvaluationOptions { Observe = tally.Add }, stop);
        model.Parameters.Freeze();
        using Tensor image = FirstImage();
        long multiplyAdds = CountMultiplyAdds(model, image);
        PassTimes times = PassTimes.Measure(() => Infer(model, image), Seconds, stop);
        return result with
        {
            Parameters = model.Parameters.ParameterCount,
            Bytes = new FileInfo(weights).Length,
            MultiplyAdds = multiplyAdds,
            InferenceMilliseconds = times.Median,
            InferencePeakBytes = times.PassMemory + model.Parameters.All.Sum(parameter => (long)sizeof(float) * parameter.Tensor.Count),
            Test = new TestScores(scores.Loss, scores.Scores.Values.ToDictionary(score => score.Name, score => score.Value))
            {
                Images = tally.Images,
                Predictions = tally.Predictions,
                Confusion = tally.Confusion,
                Calibration = tally.Calibration,
                Masks = segments ? masks.Replace('\\', '/') : null,
            },
        };
    }

    /// <summary>The course of a training, epoch by epoch.</summary>
    /// <param name="epochs">Its epochs.</param>
    /// <returns>A point for each.</returns>
    public static EpochPoint[] Points(IReadOnlyList<EpochResult> epochs)
    {
        EpochPoint[] points = new EpochPoint[epochs.Count];
        double seconds = 0;
        for (int i = 0; i < points.Length; i++)
        {
            EpochResult epoch = epochs[i];
            seconds += epoch.Seconds;
            points[i] = new EpochPoint(epoch.Epoch, epoch.TrainLoss, epoch.Validation.Loss, Score(epoch.Validation.Scores), seconds);
        }
        return points;
    }

    /// <summary>The sizes of a split, and what tells it from others.</summary>
    /// <param name="data">The images.</param>
    /// <param name="split">Their parts.</param>
    /// <returns>The sizes.</returns>
    public static SplitSizes Sizes(IImageData data, Split split)
    {
        HashSet<string> train = Patients(data, split.Train), test = Patients(data, split.Test), all = Patients(data, split[SplitPart.All]);
        return new SplitSizes(
            split.Train.Length, split.Val.Length, split.Test.Length, Positive(data, split.Train), Positive(data, split.Val),
            Positive(data, split.Test), all.Count, train.Count(test.Contains),
            new SplitContent(data, split).Names)
        {
            ValidatesOnTest = split.ValidatesOnTest,
        };
    }

    /// <summary>The paper's Dice where there is one, else the headline of the task.</summary>
    private static double Score(Scores scores)
    {
        foreach ((string name, double value) in scores.Values)
            if (name == "dice_paper") return value;
        return scores.Headline;
    }

    private static HashSet<string> Patients(IImageData data, int[] part) => data.KnowsPatients ? [.. part.Select(data.Patient)] : [];

    /// <summary>Images with foreground: as the masks that were read say, or the images themselves.</summary>
    private static int Positive(IImageData data, int[] part)
    {
        if (data.Task == ModelTask.Classification) return 0;
        int count = 0;
        foreach (int image in part)
            if (data.Stratum(image) is { } rarest ? rarest > 0
                : ((SegmentationSample)data.Load(image)).Mask.Classes.AsSpan().ContainsAnyExcept((byte)0, LabelMap.Ignored)) count++;
        return count;
    }

    private Tensor FirstImage()
    {
        using BatchLoader one = new(trained.Test, trained.TestImages[..1], trained.Input with { BatchSize = 1 });
        foreach (Batch batch in one.Epoch(0))
        {
            Tensor image = batch.Images.Clone();
            batch.Dispose();
            return image;
        }
        throw new InvalidOperationException("RunMeasurement: no test image; expected one at least.");
    }

    private long CountMultiplyAdds(VisionModel model, Tensor image)
    {
        using MultiplyAdds counter = new();
        Infer(model, image);
        return counter.Count;
    }

    private void Infer(VisionModel model, Tensor image)
    {
        using MemoryScope scope = new();
        model.Probabilities(trained.Objective.Predict(model, image));
    }
}
