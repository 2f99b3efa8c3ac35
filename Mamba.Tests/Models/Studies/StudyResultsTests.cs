using Mamba.Models.Studies;
using Mamba.Models.Tasks;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>The file <c>results.json</c>, and the figures of the paper beside it.</summary>
internal sealed class StudyResultsTests
{
    [Test]
    public void Results_are_read_as_they_were_written()
    {
        using TemporaryFolder folder = new();
        string path = Path.Combine(folder.Root, "results.json");
        StudyResults results = new(
            "s", "S", ModelTask.Segmentation, ["lesion"], "mamba study run s", new StudyMachine("P", 2, 256, "Linux", ".NET", "0.1.0"),
            [
                new RunResult("unet-slice-0", "unet", "U-Net", "slice", 0, "1/5", "mamba train")
                {
                    Epochs = [new EpochPoint(1, 0.5, 0.25, double.NaN, 3)],
                    Test = new TestScores(0.125, new Dictionary<string, double> { ["dice_global"] = 0.75 })
                    {
                        Images = [new ImageCounts("a", "p", 1, 2, 3)],
                        Calibration = [new CalibrationBin(0, 1, 5_000_000_000, 0.9, double.NaN)],
                        Masks = "masks/unet-slice-0",
                    },
                },
                new RunResult("vit-slice-0", "vit", "ViT", "slice", 0, null, "mamba train") { Failure = "the loss is NaN" },
            ]);
        results.Write(path);
        StudyResults again = StudyResults.Read(path);
        again.Write(path + "2");
        Assert.That(File.ReadAllText(path + "2"), Is.EqualTo(File.ReadAllText(path)));
        Assert.That(again.Runs[0].Test!.Calibration[0].Count, Is.EqualTo(5_000_000_000));
        Assert.That(again.Runs[0].Epochs[0].Score, Is.NaN);
        Assert.That(
            (again.Runs[1].Test, again.Runs[1].Failure, again.Task),
            Is.EqualTo(((TestScores?)null, "the loss is NaN", ModelTask.Segmentation)));
    }

    [TestCase("", "no results of a study"), TestCase("null", "null; expected the results"), TestCase("{}", "no results of a study")]
    [TestCase("{\"name\": 3}", "no results of a study"), TestCase("[[[[", "no results of a study")]
    public void A_file_of_something_else_is_refused_by_name(string text, string message)
    {
        using TemporaryFolder folder = new();
        string path = folder.Write("results.json", System.Text.Encoding.UTF8.GetBytes(text));
        Assert.That(() => StudyResults.Read(path), Throws.TypeOf<StudyException>().With.Message.StartsWith($"{path}: {message}"));
        Assert.That(
            () => StudyResults.Read(path + "x"),
            Throws.TypeOf<StudyException>().With.Message.EqualTo($"{path}x: no such file; expected the results of 'mamba study run'"));
    }

    [Test]
    public void The_papers_figures_are_those_of_its_tables_and_notebooks()
    {
        Assert.That(PaperFigures.Models, Has.Count.EqualTo(15));
        PaperScores unet = PaperFigures.Of("unet")!, plain = PaperFigures.Of("ul-vm-unet")!, vim = PaperFigures.Of("vim")!;
        Assert.That((unet.Score, unet.TrainingMinutes, unet.Epochs.Count), Is.EqualTo((0.8929, 32.0, 100)));
        Assert.That((unet.Epochs[0].Epoch, unet.Epochs[0].TrainLoss, unet.Epochs[0].ValidationLoss), Is.EqualTo((1, 0.9603, 0.9581)));
        Assert.That((plain.Score, plain.TrainingMinutes, plain.Epochs.Count), Is.EqualTo((0.7955, 304.0, 0)), "it has no public notebook");
        Assert.That((vim.Epochs[72].Score, vim.Epochs[0].ValidationLoss, vim.TrainingMinutes), Is.EqualTo((0.8933, 1.4118, (double?)null)));
        Assert.That(vim.Epochs[0].TrainLoss, Is.NaN);
        Assert.That(vim.Epochs.Max(epoch => epoch.Score), Is.EqualTo(vim.Score).Within(5e-5));
        Assert.That(PaperFigures.Of("resnet8"), Is.Null);
    }

    [Test]
    public void Confidence_is_counted_in_fifteen_bins()
    {
        CalibrationTally tally = new();
        foreach ((float confidence, bool right) in new[] { (0f, false), (0.5f, true), (0.51f, false), (1f, true), (float.NaN, true) })
            tally.Add(confidence, right);
        CalibrationBin[] bins = tally.Result();
        Assert.That(bins, Has.Length.EqualTo(15));
        Assert.That(bins.Select(bin => bin.Count), Is.EqualTo(new long[] { 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1 }));
        Assert.That((bins[7].Low, bins[7].High), Is.EqualTo((7 / 15.0, 8 / 15.0)));
        Assert.That((bins[7].Confidence, bins[7].Accuracy), Is.EqualTo((0.505, 0.5)).Within(1e-7));
        Assert.That((bins[1].Confidence, bins[14].Accuracy), Is.EqualTo((double.NaN, 1.0)));
    }
}
