using System.Globalization;
using System.Text.Json;
using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Sets;
using Mamba.Models.Metrics;
using Mamba.Models.Studies;
using Mamba.Models.Tasks;

namespace Mamba.Tests.Support;

/// <summary>Folders of studies as runs leave them, with scores that follow from the masks in them; nothing is trained.</summary>
internal static class StudyFixture
{
    /// <summary>Models with about the sizes and scores that such models have.</summary>
    private static readonly Kind[] s_kinds =
    [
        new("unet", 31_037_633, 54.6e9, 0.902, 118, 92), new("resnet18-seg", 12_384_001, 4.9e9, 0.884, 21, 31),
        new("resnet50-seg", 32_950_337, 10.8e9, 0.891, 47, 55), new("segformer", 3_714_401, 1.7e9, 0.871, 24, 40),
        new("umambabot", 34_100_000, 61.0e9, 0.906, 141, 120), new("umambabot-pp", 35_400_000, 66.0e9, 0.909, 152, 131),
        new("ul-vm-unet", 49_041, 0.060e9, 0.842, 9.1, 38), new("ul-vm-unet-v1", 287_000, 0.21e9, 0.858, 10.8, 41),
        new("ul-vm-unet-v2", 38_500, 0.055e9, 0.836, 10.2, 43), new("ul-vm-unet-v3", 251_000, 0.19e9, 0.855, 12.0, 46),
        new("ul-vm-unet-v4", 2_960_000, 0.74e9, 0.874, 22.5, 71), new("ul-vm-unet-v5", 2_120_000, 0.52e9, 0.868, 17.3, 60),
        new("ul-vm-unet-v6", 2_480_000, 0.55e9, 0.870, 18.1, 63),
    ];

    /// <summary>Writes a segmentation study of synthetic lesions.</summary>
    /// <param name="folder">Where to.</param>
    /// <param name="models">How many models, at most 13.</param>
    /// <param name="images">Test images; twenty are one patient's.</param>
    /// <param name="size">Rows and columns.</param>
    /// <param name="seeds">Runs of a model under the first protocol.</param>
    public static StudyResults Segmentation(string folder, int models, int images, int size, int seeds = 1)
    {
        SyntheticLesions data = new(7, images, size, size);
        SegmentationSample[] samples = [.. Enumerable.Range(0, images).Select(data.Load)];
        List<RunResult> runs = [];
        foreach (string protocol in new[] { "slice", "patient" })
            foreach (Kind kind in s_kinds.Take(models))
                for (int seed = 0; seed < (protocol == "slice" ? seeds : 1); seed++)
                    runs.Add(Run(folder, kind, protocol, seed, data, samples, size));
        RunResult other = runs.First(run => run.Protocol == "patient");
        runs.Add(other with { Id = "unet-patient-9", Seed = 9, Epochs = [.. other.Epochs.Take(17)], Test = null });
        StudyResults results = new(
            "paper-segmentation", "Mamba against other models: segmentation of lesions", ModelTask.Segmentation, data.Labels,
            "mamba study run paper.json --out runs/study/paper", Machine, runs);
        Save(folder, results);
        return results;
    }

    /// <summary>Writes a classification study of ten classes.</summary>
    public static StudyResults Classification(string folder, int images)
    {
        string[] labels = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
        List<RunResult> runs = [];
        foreach ((string model, double skill, long parameters) in new[] { ("vim", 0.83, 6_300_000L), ("vit", 0.78, 5_700_000L) })
            for (int seed = 0; seed < 3; seed++)
            {
                RandomStream random = new((ulong)seed, model);
                ImagePrediction[] predictions = [.. Enumerable.Range(0, images).Select(i => Guess(i, skill, labels.Length, random))];
                runs.Add(new RunResult($"{model}-official-{seed}", model, model, "official", seed, null, $"mamba train --model={model}")
                {
                    Parameters = parameters,
                    Bytes = 4 * parameters,
                    MultiplyAdds = 90 * parameters,
                    Split = new SplitSizes(50_000, images, images, 0, 0, 0, 0, 0, new string('c', 64)) { ValidatesOnTest = true },
                    Epochs = Curve(model, 100, 2.3, 0.4, skill, random),
                    PlannedEpochs = 100,
                    TrainingSeconds = 6000 + 300 * seed,
                    ImagesPerSecond = 800,
                    InferenceMilliseconds = 3.5 + 0.2 * seed,
                    InferencePeakBytes = 40_000_000,
                    Test = Scores(predictions, labels),
                    Paper = new PaperScores(skill - 0.02, 75, Curve("paper", 100, 2.4, 0.5, skill - 0.02, random)),
                });
            }
        StudyResults results = new(
            "paper-classification", "Vision Mamba against a vision transformer", ModelTask.Classification, labels,
            "mamba study run classification.json", Machine, runs);
        Save(folder, results);
        return results;
    }

    /// <summary>Writes results.json.</summary>
    public static void Save(string folder, StudyResults results)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllBytes(
            Path.Combine(folder, "results.json"), JsonSerializer.SerializeToUtf8Bytes(results, StudyJson.Default.StudyResults));
    }

    /// <summary>A run without anything but its test images.</summary>
    public static RunResult Tested(string label, int seed, params ImageCounts[] images) =>
        new($"{label}-{seed}", label, label, "patient", seed, null, $"mamba train --model={label}") { Test = Scores(images, 16) };

    /// <summary>The scores of counts of images.</summary>
    public static TestScores Scores(IReadOnlyList<ImageCounts> images, int batch)
    {
        PixelCounts all = default;
        double dice = 0, iou = 0;
        List<double> batchDice = [], batchIou = [];
        foreach (ImageCounts[] part in images.Chunk(batch))
        {
            PixelCounts sum = default;
            foreach (ImageCounts image in part)
            {
                PixelCounts counts = new(image.Both, image.Predicted, image.Truth, 1 << 16);
                sum += counts;
                dice += double.IsNaN(counts.Dice) ? 1 : counts.Dice;
                iou += double.IsNaN(counts.Iou) ? 1 : counts.Iou;
            }
            all += sum;
            if (!double.IsNaN(sum.Dice)) batchDice.Add(sum.Dice);
            batchIou.Add(double.IsNaN(sum.Iou) ? 0 : sum.Iou);
        }
        return new TestScores(1 - all.Dice, new Dictionary<string, double>
        {
            ["dice_global"] = all.Dice,
            ["dice_image"] = dice / images.Count,
            ["dice_paper"] = batchDice.DefaultIfEmpty(double.NaN).Average(),
            ["iou_global"] = all.Iou,
            ["iou_image"] = iou / images.Count,
            ["iou_paper"] = batchIou.DefaultIfEmpty(double.NaN).Average(),
        })
        {
            Images = images,
        };
    }

    /// <summary>The scores of predictions.</summary>
    public static TestScores Scores(IReadOnlyList<ImagePrediction> predictions, IReadOnlyList<string> labels)
    {
        ClassificationMetrics metrics = new(labels);
        int[][] confusion = [.. labels.Select(_ => new int[labels.Count])];
        foreach (ImagePrediction image in predictions)
        {
            metrics.Add(OneHot(image.Predicted), OneHot(image.Truth));
            confusion[image.Truth][image.Predicted]++;
        }
        ClassificationScores scores = metrics.Result();
        return new TestScores(0.5, new Dictionary<string, double> { ["macro_f1"] = scores.MacroF1, ["accuracy"] = scores.Accuracy })
        {
            Predictions = predictions,
            Confusion = confusion,
            Calibration = Bins([.. predictions.Select(p => (p.Confidence, p.Truth == p.Predicted))]),
        };

        float[] OneHot(int at) => [.. Enumerable.Range(0, labels.Count).Select(i => i == at ? 1f : 0f)];
    }

    private static StudyMachine Machine => new("AMD EPYC 7763 64-Core Processor", 2, 256, "Debian GNU/Linux 13", ".NET 10.0.0", "0.1.0");

    private static RunResult Run(
        string folder, Kind kind, string protocol, int seed, SyntheticLesions data, SegmentationSample[] samples, int size)
    {
        string id = $"{kind.Name}-{protocol}-{seed}";
        Directory.CreateDirectory(Path.Combine(folder, "runs", id));
        Directory.CreateDirectory(Path.Combine(folder, "masks", id));
        string sizes = string.Create(CultureInfo.InvariantCulture, $"\"limit\": {samples.Length}, \"size\": \"{size}x{size}\"");
        File.WriteAllText(
            Path.Combine(folder, "runs", id, "args.json"),
            $"{{\"model\": \"{kind.Name}\", \"data\": \"synthetic\", \"seed\": 7, {sizes}}}");
        double skill = kind.Dice - (protocol == "patient" ? 0.06 : 0);
        RandomStream random = new((ulong)seed, id);
        List<ImageCounts> images = [];
        List<(double, bool)> pixels = [];
        for (int i = 0; i < samples.Length; i++)
        {
            byte[] truth = samples[i].Mask.Classes, mask = Guess(truth, size, skill, random);
            Image picture = new(size, size, 1, Array.ConvertAll(mask, value => (byte)(255 * value)));
            ImageFile.SavePng(Path.Combine(folder, "masks", id, $"{i:D5}.png"), picture);
            PixelCounts[] counts = new PixelCounts[2];
            PixelCounts.Count(mask, truth, counts);
            images.Add(new ImageCounts(data.Name(i), data.Patient(i), counts[1].Both, counts[1].Predicted, counts[1].Truth));
            for (int p = 0; p < truth.Length; p += 37)
                pixels.Add((Math.Clamp(0.99 - 0.45 * Math.Pow(random.NextDouble(), 3), 0.5, 1), mask[p] == truth[p]));
        }
        bool paper = kind.Name != "ul-vm-unet";
        string command = $"mamba train --model={kind.Name} --protocol={protocol} --seed={seed}";
        return new RunResult(id, kind.Name, kind.Name, protocol, seed, null, command)
        {
            Parameters = kind.Parameters,
            Bytes = 4 * kind.Parameters,
            MultiplyAdds = (long)kind.MultiplyAdds,
            Split = new SplitSizes(
                3143, 393, 393, 1098, 137, 138, 110, protocol == "slice" ? 104 : 0, new string(protocol == "slice" ? 'a' : 'b', 64)),
            Epochs = Curve(kind.Name, kind.Name == "segformer" ? 61 : 100, 0.95, 1 - skill, skill, random),
            PlannedEpochs = 100,
            EndedBy = kind.Name == "segformer" ? "its budget of minutes" : null,
            TrainingSeconds = 60 * kind.Minutes * (1 + 0.03 * random.NextNormal()),
            ImagesPerSecond = 3143 * 100 / (60 * kind.Minutes),
            InferenceMilliseconds = kind.Milliseconds * (1 + 0.02 * random.NextNormal()),
            InferencePeakBytes = 60_000_000 + 6 * kind.Parameters,
            Test = Scores(images, 16) with { Calibration = Bins(pixels), Masks = $"masks/{id}" },
            Paper = !paper || protocol != "slice" ? null
                : new PaperScores(
                    kind.Dice + 0.006 * random.NextNormal(), kind.Minutes / 3,
                    Curve("paper", 100, 0.96, 1 - kind.Dice, double.NaN, random)),
        };
    }

    /// <summary>A mask about as good as the skill: moved, sometimes empty, sometimes with a region that is not there.</summary>
    private static byte[] Guess(byte[] truth, int size, double skill, RandomStream random)
    {
        double poor = 1 - skill, reach = 3.2 * poor * size / 64;
        int dx = (int)Math.Round(reach * random.NextNormal()), dy = (int)Math.Round(reach * random.NextNormal());
        bool empty = random.NextDouble() < 0.3 * poor, extra = random.NextDouble() < 0.5 * poor;
        (double cx, double cy, double radius) = (random.NextDouble(0.3, 0.7) * size, random.NextDouble(0.3, 0.7) * size, 0.06 * size);
        byte[] mask = new byte[truth.Length];
        for (int y = 0; y < size; y++)
            for (int x = 0; x < size; x++)
            {
                bool inside = x + dx >= 0 && x + dx < size && y + dy >= 0 && y + dy < size;
                bool hit = !empty && inside && truth[(y + dy) * size + x + dx] == 1;
                bool made = extra && Math.Pow(x - cx, 2) + Math.Pow(y - cy, 2) < radius * radius;
                mask[y * size + x] = hit || made ? (byte)1 : (byte)0;
            }
        return mask;
    }

    private static ImagePrediction Guess(int image, double skill, int classes, RandomStream random)
    {
        int truth = image % classes;
        bool right = random.NextDouble() < skill;
        int predicted = right ? truth : truth == 3 && random.NextDouble() < 0.6 ? 5 : random.NextInt(classes);
        double confidence = right ? 1 - 0.6 * Math.Pow(random.NextDouble(), 2) : 0.3 + 0.6 * random.NextDouble();
        return new ImagePrediction($"test/{image:D5}", truth, predicted, confidence);
    }

    private static EpochPoint[] Curve(string name, int epochs, double first, double last, double score, RandomStream random)
    {
        double time = 8 + 14 * new RandomStream(1, name).NextDouble();
        return
        [
            .. Enumerable.Range(1, epochs).Select(e =>
            {
                double fall = Math.Exp(-e / time), noise = 0.02 * (first - last) * random.NextNormal();
                return new EpochPoint(
                    e, last * 0.8 + (first - 0.8 * last) * fall + 0.4 * noise, last + (first - last) * fall + noise,
                    Math.Clamp(score * (1 - fall) + 0.5 * noise, 0, 1), 37.0 * e);
            }),
        ];
    }

    private static CalibrationBin[] Bins(IReadOnlyList<(double Confidence, bool Right)> predictions) =>
    [
        .. Enumerable.Range(0, 15).Select(b =>
        {
            (double Confidence, bool Right)[] own = [.. predictions.Where(p => Math.Min(14, (int)(15 * p.Confidence)) == b)];
            return new CalibrationBin(
                b / 15.0, (b + 1) / 15.0, own.Length, own.Select(p => p.Confidence).DefaultIfEmpty(double.NaN).Average(),
                own.Select(p => p.Right ? 1.0 : 0.0).DefaultIfEmpty(double.NaN).Average());
        }),
    ];

    private sealed record Kind(string Name, long Parameters, double MultiplyAdds, double Dice, double Milliseconds, double Minutes);
}
