using Mamba.Core.Checkpoints;
using Mamba.Examples;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Studies;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>A study in a program: what it measures, what it leaves, and how it goes on.</summary>
[NonParallelizable]
internal sealed class StudyRunnerTests
{
    private const int Side = 16;

    private static readonly SyntheticLesions s_lesions = new(seed: 3, 60, Side, Side);

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void NewFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void A_model_of_ones_own_is_compared_with_those_of_the_zoo()
    {
        SyntheticLesions data = new(seed: 0, 60, 32, 32);
        string folder = In("mine");
        StudyResults results = StudyOfYourModel.Run(data, folder);
        Assert.That(
            results.Runs.Select(run => run.Id),
            Is.EqualTo(new[]
            {
                "two-convolutions-patient-0", "ul-vm-unet-patient-0", "two-convolutions-patient-1", "ul-vm-unet-patient-1",
            }));
        Assert.That(results.Runs[0].Parameters, Is.EqualTo(8 * (3 * 9 + 1) + (8 * 9 + 1)));
        Assert.That(results.Runs[0].MultiplyAdds, Is.EqualTo(32 * 32 * 9 * (3 * 8 + 8)));
        Assert.That(
            results.Runs, Is.All.Matches<RunResult>(run => run is { Test: not null, Failure: null, Epochs.Count: 2, EndedBy: null }));
        string file = Path.Combine(folder, "results.json");
        byte[] before = File.ReadAllBytes(file);
        StudyOfYourModel.Run(data, folder);
        Assert.That(File.ReadAllBytes(file), Is.EqualTo(before), "a study that has ended is left as it is");
        (VisionModel own, _) = Mamba.Models.Files.ModelFile.Load(
            RunFolder.WeightsOf(Path.Combine(folder, "runs", "two-convolutions-patient-0")));
        Assert.That(own, Is.TypeOf<TwoConvolutions>());
        Assert.That(Registry.Models.Select(model => model.Name), Has.No.Member("two-convolutions"));
        Assert.That(
            () => Registry.Add(Registry.Find("unet") with { ImageSize = 32 }),
            Throws.ArgumentException.With.Message.EqualTo("there is a model 'unet' already; expected another name"));
    }

    [Test]
    public void What_a_segmentation_is_measured_by_fits_together()
    {
        RunResult run = Runner(Lesions("unet")).Run().Runs.Single();
        TestScores test = run.Test!;
        Assert.That(run.Split, Is.EqualTo(run.Split! with { Train = 48, Validation = 6, Test = 6, Groups = 3 }));
        Assert.That(run.Split.SharedGroups, Is.EqualTo(test.Images.Select(image => image.Group).Distinct().Count()), "all are in training");
        Assert.That(run.Split.TestPositive, Is.EqualTo(test.Images.Count(image => image.Truth > 0)));
        long both = test.Images.Sum(image => image.Both), sum = test.Images.Sum(image => image.Predicted + image.Truth);
        Assert.That(test.Measures["dice_global"], Is.EqualTo(2.0 * both / sum).Within(1e-12));
        Assert.That(
            test.Measures.Keys,
            Is.EqualTo(new[] { "dice_global", "dice_image", "dice_paper", "iou_global", "iou_image", "iou_paper" }));
        Assert.That(test.Calibration.Sum(bin => bin.Count), Is.EqualTo(6 * Side * Side));
        Assert.That(test.Calibration.Take(7).Sum(bin => bin.Count), Is.Zero, "the predicted one of two classes has a half at least");
        for (int i = 0; i < test.Images.Count; i++)
        {
            Image mask = ImageFile.Load(In("study", test.Masks!, $"{i:D5}.png"));
            Assert.That((mask.Width, mask.Height, mask.Channels), Is.EqualTo((Side, Side, 1)));
            Assert.That(mask.Pixels.Count(pixel => pixel == 255), Is.EqualTo(test.Images[i].Predicted));
            Assert.That(mask.Pixels.Count(pixel => pixel is not (0 or 255)), Is.Zero);
        }
        Assert.That(run.Bytes, Is.EqualTo(new FileInfo(In("study", "runs", run.Id, "weights", "best.safetensors")).Length));
        Assert.That(run.InferencePeakBytes, Is.GreaterThan(4 * run.Parameters));
        Assert.That(run.InferenceMilliseconds, Is.GreaterThan(0));
        Assert.That(run.Epochs.Select(epoch => epoch.Seconds), Is.Ordered);
        Assert.That(run.Epochs[^1].Seconds, Is.EqualTo(run.TrainingSeconds));
        Assert.That(test.Images.Select(image => image.Image), Is.Ordered.Using((System.Collections.IComparer)StringComparer.Ordinal));
        Assert.That(test.Images.Select(image => image.Image.Split('/')[0]), Is.EqualTo(test.Images.Select(image => image.Group)));
    }

    [Test]
    public void What_a_classification_is_measured_by_fits_together()
    {
        Study study = Lesions("vit") with { Models = [new StudyModel("vit")] };
        StudyRunner runner = new(study, new StudyTrainer(new SyntheticShapes(1, 60, Side, Side)) { Configure = Small }, In("study"));
        StudyResults results = runner.Run();
        TestScores test = results.Runs[0].Test!;
        Assert.That((results.Task, test.Images.Count, test.Masks), Is.EqualTo((ModelTask.Classification, 0, (string?)null)));
        Assert.That(test.Predictions, Has.Count.EqualTo(6));
        double right = test.Predictions.Count(image => image.Predicted == image.Truth);
        Assert.That(test.Measures["accuracy"], Is.EqualTo(right / 6).Within(1e-12));
        Assert.That(test.Confusion.Select((row, i) => row[i]).Sum(), Is.EqualTo(right));
        Assert.That(test.Confusion.SelectMany(row => row).Sum(), Is.EqualTo(6));
        Assert.That(test.Calibration.Sum(bin => bin.Count), Is.EqualTo(6));
        Assert.That(test.Confusion, Has.Count.EqualTo(results.Labels.Count));
    }

    [Test]
    public void A_study_interrupted_inside_a_run_ends_as_one_that_was_not([Values(1, 2, 3)] int after)
    {
        Study study = Lesions("unet", "ul-vm-unet");
        StudyResults whole = Runner(study, "whole").Run();
        using CancellationTokenSource stop = new();
        int epochs = 0;
        StudyTrainer trainer = new(s_lesions)
        {
            Configure = Small,
            OnEpoch = (_, _) =>
            {
                if (++epochs == after) stop.Cancel();
            },
        };
        Assert.That(
            () => new StudyRunner(study, trainer, In("study")).Run(stop.Token), Throws.InstanceOf<OperationCanceledException>());
        StudyResults half = StudyResults.Read(In("study", "results.json"));
        Assert.That(half.Runs.Count(run => run.Test is not null), Is.EqualTo(after == 3 ? 1 : 0));
        StudyResults rest = Runner(study).Run();
        Assert.That(Text(rest), Is.EqualTo(Text(whole)));
        foreach (RunResult run in whole.Runs)
            foreach (string name in new[] { "best", "last" })
            {
                string[] path = ["runs", run.Id, "weights", name + ".safetensors"];
                Assert.That(
                    File.ReadAllBytes(In(["study", .. path])), Is.EqualTo(File.ReadAllBytes(In(["whole", .. path]))), $"{run.Id} {name}");
            }
    }

    [Test]
    public void A_run_that_fails_is_recorded_and_the_next_one_goes_on()
    {
        Study study = Lesions("unet", "ul-vm-unet");
        FailingTrainer failing = new("unet");
        List<StudyPhase> phases = [];
        StudyResults results = new StudyRunner(study, failing, In("study")) { OnProgress = p => phases.Add(p.Phase) }.Run();
        Assert.That((results.Runs[0].Failure, results.Runs[0].Test), Is.EqualTo(("the loss is NaN", (TestScores?)null)));
        Assert.That((results.Runs[1].Failure, results.Runs[1].Test is not null), Is.EqualTo(((string?)null, true)));
        Assert.That(phases, Is.EqualTo(new[]
        {
            StudyPhase.Training, StudyPhase.Failed, StudyPhase.Training, StudyPhase.Testing, StudyPhase.Ended,
        }));
        phases.Clear();
        failing.Fails = "";
        results = new StudyRunner(study, failing, In("study")) { OnProgress = p => phases.Add(p.Phase) }.Run();
        Assert.That(results.Runs.Select(run => run.Failure), Is.All.Null, "a later call tries again");
        Assert.That(phases, Is.EqualTo(new[] { StudyPhase.Training, StudyPhase.Testing, StudyPhase.Ended, StudyPhase.Skipped }));
    }

    [Test]
    public void Command_lines_after_the_training_make_what_is_measured()
    {
        string[] copy = ["copy", "{in}", "{out}"], check = ["check", "--images={data}", "{split}", "{run:unet}", "{best}"];
        Study study = Lesions("unet") with
        {
            Models =
            [
                new StudyModel("unet"),
                new StudyModel("unet") { Id = "copied", Label = "U-Net, copied", Of = "unet", Then = [copy, check, copy] },
                new StudyModel("unet") { Id = "again", Of = "copied", Then = [["see", "{best}", "{run:copied}"]] },
            ],
        };
        CopyingStages stages = new();
        FailingTrainer trainer = new("");
        StudyResults results = new StudyRunner(study, trainer, In("study")) { Stages = stages }.Run();
        Assert.That(results.Runs.Select(run => run.Failure), Is.All.Null);
        string unet = In("study", "runs", "unet-slice-0"), best = Path.Combine(unet, "weights", "best.safetensors"),
            copied = In("study", "runs", "copied-slice-0");
        string one = Path.Combine(copied, "stage1.safetensors"), three = Path.Combine(copied, "stage3.safetensors");
        Assert.That(stages.Lines, Is.EqualTo(new[]
        {
            $"copy {best} {one}", $"check --images=d {Path.Combine(unet, "split.json")} {best} {best}", $"copy {one} {three}",
            $"see {three} {three}",
        }));
        Assert.That(trainer.Trained, Is.EqualTo(new[] { "unet-slice-0", "unet-slice-0", "unet-slice-0" }), "its folder is opened again");
        Assert.That(results.Runs[1].Test!.Measures, Is.EqualTo(results.Runs[0].Test!.Measures));
        string twice = " && mamba copy {in} {out}";
        string copying = $"{results.Runs[0].Command}{twice} && mamba {string.Join(' ', check)}{twice}";
        Assert.That((results.Runs[1].Label, results.Runs[1].Command), Is.EqualTo(("U-Net, copied", copying)));
        Assert.That(results.Runs[2].Command, Is.EqualTo($"{copying} && mamba see {{best}} {{run:copied}}"));
        Assert.That(results.Runs[1].Bytes, Is.EqualTo(new FileInfo(three).Length));
    }

    [Test]
    public void What_makes_no_sense_is_refused_before_anything_is_trained()
    {
        Study study = Lesions("unet");
        Refused(study with { Models = [new StudyModel("unet"), new StudyModel("uned")] }, "uned-slice-0: unknown model 'uned'");
        Refused(study with { Models = [new StudyModel("unet"), new StudyModel("vit")] }, "vit-slice-0: vit is for classification");
        Refused(study with { Options = new Dictionary<string, string> { ["lr"] = "1" } }, "option 'lr' is of the command line");
        Refused(study with { Models = [new StudyModel("unet") { Then = [["prune"]] }] }, "has the stage 'prune'; expected none");
        Assert.That(
            () => new StudyRunner(study, new FailingTrainer(""), In("study")) { Only = ["unet-slice-1"] }.Run(),
            Throws.TypeOf<StudyException>().With.Message.Contains("has no run 'unet-slice-1'; did you mean unet-slice-0?"));
        Study places = study with { Models = [new StudyModel("unet") { Then = [["copy", "{input}"]] }] };
        Assert.That(
            () => new StudyRunner(places, new FailingTrainer(""), In("study")) { Stages = new CopyingStages() }.Run(),
            Throws.TypeOf<StudyException>().With.Message.Contains("'{input}': unknown place; expected {best}, {in}, {out}"));
        Assert.That(In("study"), Does.Not.Exist);

        void Refused(Study of, string message) => Assert.That(
            () => Runner(of).Run(), Throws.TypeOf<StudyException>().With.Message.Contains(message));
    }

    [Test]
    public void A_folder_of_another_study_or_of_another_process_is_refused()
    {
        Study study = Lesions("unet");
        Runner(study).Run();
        Assert.That(
            () => Runner(study with { Budget = new StudyBudget { Epochs = 3 } }).Run(),
            Throws.TypeOf<StudyException>().With.Message.Contains("$.budget.epochs: 2 there, 3 now").And.Message.Contains("study.json"));
        Assert.That(() => Runner(study with { Data = "moved" }).Run(), Throws.Nothing, "images may have moved");
        using FileStream held = new(In("study", "lock"), FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        Assert.That(() => Runner(study).Run(), Throws.TypeOf<StudyException>().With.Message.Contains("another process runs this study"));
    }

    [Test]
    public void Runs_on_other_images_are_refused()
    {
        Study study = Lesions("unet", "ul-vm-unet");
        new StudyRunner(study, new StudyTrainer(s_lesions) { Configure = Small }, In("study")) { Only = ["unet"] }.Run();
        StudyTrainer fewer = new(new SyntheticLesions(seed: 3, 50, Side, Side)) { Configure = Small };
        Assert.That(
            () => new StudyRunner(study, fewer, In("study")).Run(),
            Throws.TypeOf<StudyException>().With.Message.StartsWith(
                "ul-vm-unet-slice-0: its images are not those of unet-slice-0, which has ended: its split has other names"));
        Assert.That(In("study", "runs", "ul-vm-unet-slice-0"), Does.Not.Exist);
        Assert.That(Runner(study).Run().Runs.Select(run => run.Test is not null), Is.All.True);
    }

    [Test]
    public void The_papers_figures_stand_only_beside_runs_that_do_what_it_did()
    {
        Study study = Lesions("unet") with
        {
            IsPaper = true,
            Protocols = [SplitProtocol.Image, SplitProtocol.Patient],
            Models = [new StudyModel("unet"), new StudyModel("unet") { Id = "copy", Of = "unet", Then = [["copy", "{in}", "{out}"]] }],
        };
        StudyResults results = new StudyRunner(study, new FailingTrainer(""), In("study")) { Stages = new CopyingStages() }.Run();
        Assert.That(results.Runs.Select(run => run.Paper?.Score), Is.EqualTo(new double?[] { 0.8929, null, null, null }));
        Assert.That(Runner(study with { IsPaper = false, Models = [new StudyModel("unet")] }, "other").Run().Runs[0].Paper, Is.Null);
    }

    [Test]
    public void The_time_that_is_left_follows_the_budget_and_the_runs_that_have_ended()
    {
        Study study = Lesions("unet", "ul-vm-unet") with { Seeds = [0, 1] };
        StudyClock timed = new((study with { Budget = new StudyBudget { Minutes = 2 } }).Plan(), new long[4]);
        Assert.That((timed.IsTimed, timed.Expect(3)), Is.EqualTo((true, 120.0)));
        timed.Add(0, training: 120, whole: 150);
        Assert.That((timed.Expect(0), timed.Expect(1)), Is.EqualTo((150.0, 150.0)), "with reading and measuring");

        StudyClock counted = new(study.Plan(), [100, 300, 100, 300]);
        Assert.That((counted.IsTimed, counted.Expect(1) / counted.Expect(0)), Is.EqualTo((false, 3.0)));
        counted.Add(0, training: 10, whole: 12);
        Assert.That(counted.IsTimed);
        Assert.That(counted.Expect(2), Is.EqualTo(12), "the same model");
        Assert.That(counted.Expect(1), Is.EqualTo(32).Within(1e-9), "three times the multiply-adds");
    }

    private string In(params string[] parts) => Path.Combine([_folder.Root, .. parts]);

    private StudyRunner Runner(Study study, string folder = "study") =>
        new(study, new StudyTrainer(s_lesions) { Configure = Small }, In(folder));

    private static Study Lesions(params string[] models) =>
        new("s", "d", new StudyBudget { Epochs = 2 }, [SplitProtocol.Image], [.. models.Select(model => new StudyModel(model))]);

    /// <summary>A model and images as small as they may be.</summary>
    private static RunArguments Small(StudyRun run, RunArguments arguments) => arguments with
    {
        Height = Side,
        Width = Side,
        Batch = 8,
        LearningRate = 2e-3,
        Config = arguments.Config with
        {
            Width = arguments.Config.Width is null ? null : arguments.Config.Patch is null ? 4 : 24,
            Depth = arguments.Config.Depth is null ? null : 2,
            ImageSize = arguments.Config.ImageSize is null ? null : Side,
        },
    };

    /// <summary>The results as text, without times.</summary>
    private string Text(StudyResults results)
    {
        string path = In("text.json");
        (results with
        {
            Runs =
            [
                .. results.Runs.Select(run => run with
                {
                    TrainingSeconds = 0,
                    ImagesPerSecond = 0,
                    InferenceMilliseconds = 0,
                    InferencePeakBytes = 0,
                    Epochs = [.. run.Epochs.Select(epoch => epoch with { Seconds = 0 })],
                }),
            ],
        }).Write(path);
        return File.ReadAllText(path);
    }

    /// <summary>Trains all runs except those of one model.</summary>
    private sealed class FailingTrainer(string fails) : IStudyTrainer
    {
        private readonly StudyTrainer _trainer = new(s_lesions) { Configure = Small };

        public string Fails { get; set; } = fails;

        public List<string> Trained { get; } = [];

        public PlannedModel Check(StudyRun run) => _trainer.Check(run);

        public TrainedRun Train(StudyRun run, StudyPlace place, CancellationToken stop)
        {
            if (run.Model.Id == Fails) throw new TrainingException("the loss is NaN");
            Trained.Add(run.Id);
            return _trainer.Train(run, place, stop);
        }
    }

    /// <summary>A command line that copies files.</summary>
    private sealed class CopyingStages : IStudyStages
    {
        public List<string> Lines { get; } = [];

        public void Check(IReadOnlyList<string> words)
        {
        }

        public void Run(IReadOnlyList<string> words, CancellationToken stop)
        {
            Lines.Add(string.Join(' ', words));
            if (words[0] == "copy") File.Copy(words[1], words[2]);
        }
    }
}
