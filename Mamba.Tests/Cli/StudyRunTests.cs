using Mamba.Cli;
using Mamba.Cli.Commands;
using Mamba.Core;
using Mamba.Models.Studies;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Tests.Cli;

/// <summary><c>mamba study run</c>.</summary>
[NonParallelizable]
internal sealed class StudyRunTests : CliTest
{
    private const string Two =
        """
        {
          "name": "two", "data": "synthetic", "budget": { "epochs": 2 }, "protocols": ["slice"],
          "options": { "limit": 40, "size": "16x16", "batch": 8, "checkpoint-every": "1ms" },
          "models": [{ "model": "unet", "options": { "width": 4, "depth": 2 } }, "ul-vm-unet"]
        }
        """;

    [Test, Exercises("study run", "--only", "--epochs", "--out", "--threads")]
    public void The_quick_study_runs_in_parts()
    {
        string[] quick = ["study", "run", "quick", "--epochs", "1", "--out", In("quick"), "--threads", "2"];
        Result first = Succeeds([.. quick, "--only", "unet-small-slice-0,ul-vm-unet-patient-1"]);
        Assert.That(Workers.Count, Is.EqualTo(2));
        string[] lines = [.. first.Out.Split('\n').Where(line => line.StartsWith("run 1/", StringComparison.Ordinal)
            || line.StartsWith("run 2/", StringComparison.Ordinal))];
        Assert.That(lines, Has.Length.EqualTo(4));
        Assert.That(lines[0], Does.StartWith("run 1/2 unet-small-slice-0: U-Net, 8 channels by slice, seed 0"));
        Assert.That(lines[1], Does.StartWith("run 1/2 unet-small-slice-0: dice global 0."));
        Assert.That(lines[2], Does.Match(@"^run 2/2 ul-vm-unet-patient-1: ul-vm-unet by patient, seed 1; [\d.]+ (s|min) left"));
        Assert.That(first.Out, Does.Contain("14 of 16 runs are still to do; 'mamba study run quick --out"));
        StudyResults results = Results("quick");
        Assert.That(results.Runs, Has.Count.EqualTo(16));
        RunResult[] ended = [.. results.Runs.Where(run => run.Test is not null)];
        Assert.That(ended.Select(run => (run.Id, run.Protocol, run.PlannedEpochs)), Is.EqualTo(new[]
        {
            ("unet-small-slice-0", "slice", 1), ("ul-vm-unet-patient-1", "patient", 1),
        }));
        Assert.That(results.Runs.Single(run => run.Id == "ul-vm-unet-patient-1").Split!.SharedGroups, Is.Zero);
        Assert.That(results.Command, Is.EqualTo($"mamba study run quick --out {In("quick")} --epochs 1"));
        Assert.That((results.Machine.Threads, results.Labels), Is.EqualTo((2, new[] { "lesion" })));

        Result second = Succeeds([.. quick, "--only", "unet-small-slice-0,unet-small-slice-1"]);
        Assert.That(second.Out, Does.Contain("run 1/2 unet-small-slice-0: has ended before; dice global").And.Contain("13 of 16 runs are"));
        Result other = Mamba([.. With(quick, "--epochs", "2"), "--only", "ul-vm-unet"]);
        Assert.That(other.Code, Is.EqualTo(2));
        Assert.That(other.Error, Does.Contain("$.budget.epochs: 1 there, 2 now"));
    }

    [Test]
    public void A_run_of_a_study_has_the_bits_of_its_command_line()
    {
        Write(Two);
        Succeeds("study", "run", In("two.json"), "--out", In("study"));
        foreach (RunResult run in Results("study").Runs)
        {
            string[] words = run.Command.Split(' ')[1..];
            Succeeds([.. words, "--out", In(run.Id)]);
            Assert.That(Last(Path.Combine("study", "runs", run.Id)), Is.EqualTo(Last(run.Id)), run.Command);
            Assert.That(File.ReadAllBytes(BestOf(Path.Combine("study", "runs", run.Id))), Is.EqualTo(File.ReadAllBytes(BestOf(run.Id))));
            Assert.That(Results(run.Id, "dice_global"), Is.EqualTo(Results(Path.Combine("study", "runs", run.Id), "dice_global")));
        }
    }

    [Test]
    public void An_interrupted_study_continues_inside_its_run_to_the_same_results([Values("epoch   1", "run folder")] string at)
    {
        Write(Two);
        string[] study = ["study", "run", In("two.json"), "--out"];
        Succeeds([.. study, In("whole")]);
        using CancellationTokenSource stop = new();
        int seen = 0;
        Result half = Mamba([.. study, In("half")], stop.Token, line =>
        {
            if (line.StartsWith(at, StringComparison.Ordinal) && ++seen == 2) stop.Cancel(); // in the second run
        });
        Assert.That(half.Code, Is.EqualTo(130), half.Error);
        Assert.That(half.Out.TrimEnd(), Does.EndWith(
            $"stopped in run 2/2 ul-vm-unet-slice-0; continue with 'mamba study run {In("two.json")} --out {In("half")}'"));
        Assert.That(half.Out, Does.Not.Contain("mamba train --resume"));
        Assert.That(Results("half").Runs.Select(run => run.Test is not null), Is.EqualTo(new[] { true, false }));
        Assert.That(Succeeds("study", "report", In("half"), "--out", In("report")).Out, Does.StartWith("1 of 2 runs ended"));
        bool one = at != "run folder"; // an epoch
        Assert.That(
            File.ReadAllText(In("report", "tables", "runs.csv")),
            Does.Contain($"\nul-vm-unet-slice-0,ul-vm-unet,slice,0,–,{(one ? 1 : 0)},2,not ended,"));
        Assert.That(
            File.ReadAllText(In("report", "index.html")), Does.Contain($"ul-vm-unet-slice-0 (not ended{(one ? ", 1 of 2 epochs" : "")})"));
        Result rest = Succeeds([.. study, In("half")]);
        Assert.That(rest.Out, Does.Contain("run 1/2 unet-slice-0: has ended before").And.Contain("resumes in epoch "));
        foreach (string run in new[] { "unet-slice-0", "ul-vm-unet-slice-0" })
            Assert.That(Last(Path.Combine("half", "runs", run)), Is.EqualTo(Last(Path.Combine("whole", "runs", run))), run);
        StudyResults whole = Results("whole"), again = Results("half");
        foreach ((RunResult expected, RunResult actual) in whole.Runs.Zip(again.Runs))
        {
            Assert.That(actual.Test!.Measures, Is.EqualTo(expected.Test!.Measures));
            Assert.That(actual.Test.Images, Is.EqualTo(expected.Test.Images));
            Assert.That(actual.Test.Calibration, Is.EqualTo(expected.Test.Calibration));
            Assert.That(actual.Split, Is.EqualTo(expected.Split));
            Assert.That(actual.Images, Is.Not.Null.And.EqualTo(expected.Images));
            Assert.That(Timeless(actual), Is.EqualTo(Timeless(expected)));
        }
    }

    [Test]
    public void A_run_that_was_killed_before_it_learned_anything_starts_again()
    {
        Write(Two);
        string[] study = ["study", "run", In("two.json"), "--only", "unet", "--out"];
        Succeeds([.. study, In("whole")]);
        string killed = In("half", "runs", "unet-slice-0");
        Directory.CreateDirectory(killed);
        File.Copy(In("whole", "runs", "unet-slice-0", "args.json"), Path.Combine(killed, "args.json"));
        Succeeds([.. study, In("half")]);
        Assert.That(Last(Path.Combine("half", "runs", "unet-slice-0")), Is.EqualTo(Last(Path.Combine("whole", "runs", "unet-slice-0"))));
    }

    [Test]
    public void A_run_that_fails_is_said_and_the_study_goes_on()
    {
        Write(Two.Replace("\"depth\": 2", "\"depth\": 2, \"lr\": 1e30"));
        string[] study = ["study", "run", In("two.json"), "--out", In("study")];
        Result result = Mamba(study);
        Assert.That(result.Code, Is.EqualTo(1), result.Error);
        Assert.That(result.Out, Does.Match(@"run 1/2 unet-slice-0: failed: .* is (NaN|infinite)"));
        Assert.That(result.Out, Does.Contain("run 2/2 ul-vm-unet-slice-0: dice global").And.Contain("1 of 2 runs failed"));
        Assert.That(Results("study").Runs.Select(run => run.Failure is null), Is.EqualTo(new[] { false, true }));
    }

    [Test, Exercises("study run", "--minutes", "--data"), Exercises("train", "--minutes", "--steps")]
    public void A_budget_ends_each_run()
    {
        WriteLesions(In("data"), 20);
        Write(Two.Replace("\"limit\": 40, ", ""));
        Succeeds("study", "run", In("two.json"), "--minutes", "0.0001", "--data", In("data"), "--only", "unet", "--out", In("minutes"));
        RunResult run = Results("minutes").Runs[0];
        Assert.That((run.EndedBy, run.Epochs.Count, run.PlannedEpochs), Is.EqualTo(("the budget of 0.0001 minutes, in epoch 1", 1, 1)));
        Assert.That(
            File.ReadAllText(In("minutes", "runs", run.Id, "summary.md")), Does.Contain("| ended by | the budget of 0.0001 minutes"));
        Assert.That(Argument(Path.Combine("minutes", "runs", run.Id), "minutes"), Is.EqualTo("0.0001"));
        Assert.That(Argument(Path.Combine("minutes", "runs", run.Id), "data"), Is.EqualTo(In("data")));

        Write(Two.Replace("\"epochs\": 2", "\"steps\": 6"));
        Succeeds("study", "run", In("two.json"), "--only", "unet", "--out", In("steps"));
        run = Results("steps").Runs[0];
        Assert.That((run.EndedBy, run.Epochs.Count, run.PlannedEpochs), Is.EqualTo(((string?)null, 2, 2)), "as planned");
        Assert.That(
            Path.GetFileName(Directory.GetFiles(In("steps", "runs", run.Id, "checkpoints")).Order(StringComparer.Ordinal).Last()),
            Is.EqualTo("epoch0000003-batch0000000.safetensors"));
        Assert.That(File.ReadAllText(In("steps", "runs", run.Id, "summary.md")), Does.Contain("| epochs | 2 of 2"));

        string[] train = ["train", "--limit", "40", "--size", "16", "--batch", "8"];
        string[] bounds = ["--steps", "3", "--minutes", "60"];
        Assert.That(Succeeds([.. train, .. bounds, "--out", In("run")]).Out, Does.Contain("epoch   1/1 "));
        Assert.That(
            Mamba([.. train, "--minutes", "1", "--schedule", "cosine", "--out", In("no")]).Error,
            Does.Contain("--schedule cosine needs to know when training ends; expected --epochs beside --minutes"));
    }

    [Test, Exercises("study run", "--list")]
    public void A_list_of_the_runs_trains_none()
    {
        Write(Two);
        Result list = Succeeds("study", "run", In("two.json"), "--list", "--out", In("study"));
        string row = list.Out.Split('\n').Single(line => line.StartsWith("unet-slice-0", StringComparison.Ordinal));
        VisionModel model = Registry.Find("unet").Create(new ModelConfig { Width = 4, Depth = 2 });
        Assert.That(row, Does.Contain($"{model.Parameters.ParameterCount:N0}").And.Contain(
            "mamba train --model=unet --data=synthetic --limit=40 --size=16x16 --batch=8 --checkpoint-every=1ms --width=4 --depth=2 "
                + "--protocol=slice --seed=0 --epochs=2"));
        Assert.That(In("study"), Does.Not.Exist);
    }

    [Test]
    public void The_studies_that_are_built_in_make_sense([ValueSource(nameof(Shipped))] string name)
    {
        Study study = ShippedStudies.Load(name) with { Data = RunArguments.Synthetic };
        if (study.Models.Any(model => model.Teacher is not null) && !new TrainOptions().All.Any(option => option.Name == "--teacher"))
            Assert.Ignore("'mamba train' knows no teacher yet");
        StudyTraining training = new(new Terminal(TextWriter.Null, TextWriter.Null), CommandLine.AllVerbs);
        Assert.That(new StudyRunner(study, training, In("none")) { Stages = training }.Check(), Has.Count.EqualTo(study.Plan().Count));
        Assert.That(study.Name, Is.EqualTo(name));
        if (study.IsPaper) Assert.That(study.Models.Select(model => model.Model), Is.SubsetOf(PaperFigures.Models));
    }

    private static IReadOnlyList<string> Shipped => ShippedStudies.Names;

    [Test]
    public void All_segmentation_models_take_part_in_the_studies_of_all() => Assert.That(
        ShippedStudies.Load("equal-budget").Models.Select(model => model.Model),
        Is.EquivalentTo(PaperFigures.Models.Except(["vim", "vit"])).And.EquivalentTo(
            ShippedStudies.Load("paper-segmentation").Models.Select(model => model.Model)));

    [TestCase("\"depth\": 2", "\"depth\": 2, \"learning-rate\": 1", "unet-slice-0: --learning-rate: unknown option of 'train'")]
    [TestCase("\"ul-vm-unet\"", "\"ul-vm-unett\"", "ul-vm-unett-slice-0: unknown model 'ul-vm-unett'; did you mean 'ul-vm-unet'?")]
    [TestCase("\"ul-vm-unet\"", "\"vit\"", "unet-slice-0 is for segmentation, vit-slice-0 for classification; expected models")]
    [TestCase("\"ul-vm-unet\"", "\"mamba-lm\"", "mamba-lm-slice-0: mamba-lm on synthetic is for sequences; expected images")]
    [TestCase("\"depth\": 2", "\"patch\": 2", "unet-slice-0: --patch cannot be chosen for unet")]
    [TestCase("\"synthetic\"", "\"\"", "--data is missing: two is a study of your images")]
    [TestCase("\"synthetic\"", "\"/nowhere\"", "nowhere: no such folder; expected images for two")]
    [TestCase("\"unet\", ", "\"unet\", \"then\": [[\"quantize\", \"--weihgts\", \"FILE\"]], ", "--weihgts: unknown option of 'quantize'")]
    public void A_mistake_in_any_run_is_said_before_the_first_one_trains(string from, string to, string message)
    {
        Write(Two.Replace(from, to));
        Result result = Mamba("study", "run", In("two.json"), "--out", In("study"));
        Assert.That(result.Code, Is.EqualTo(2), result.Out);
        Assert.That(result.Error, Does.Contain(message));
        Assert.That(result.Error.Trim().Split('\n'), Has.Length.EqualTo(1));
        Assert.That(In("study"), Does.Not.Exist);
    }

    [TestCase("did you mean quick?", "quik"), TestCase("expected a file, or one of compression", "nothing-like-it")]
    [TestCase("--minutes and --epochs bound a run both; expected one", "quick", "--minutes", "1", "--epochs", "1")]
    [TestCase("has no run 'unet'", "quick", "--only", "unet")]
    [TestCase("--minuts: unknown option of 'study run'; did you mean --minutes? See mamba study run --help", "quick", "--minuts", "3")]
    [TestCase("'more': unexpected argument of 'study run'; see mamba study run --help", "quick", "more")]
    public void A_mistake_in_the_command_is_one_line(string message, params string[] words)
    {
        Result result = Mamba(["study", "run", .. words, "--out", In("study")]);
        Assert.That(result.Code, Is.EqualTo(2), result.Out);
        Assert.That(result.Error, Does.Contain(message));
        Assert.That(result.Error.Trim().Split('\n'), Has.Length.EqualTo(1));
        Assert.That(In("study"), Does.Not.Exist);
    }

    [Test]
    public void A_command_line_after_the_training_makes_the_weights_that_are_measured()
    {
        const string Quantize =
            """
            , {
              "model": "unet", "id": "fp16", "of": "unet",
              "then": [["quantize", "--weights", "{best}", "--data", "{data}", "--mode", "fp16", "--out", "{out}"]]
            }]
            """;
        Write(Two.Replace(", \"ul-vm-unet\"]", Quantize));
        Succeeds("study", "run", In("two.json"), "--out", In("study"));
        StudyResults results = Results("study");
        Assert.That(results.Runs[1].Bytes, Is.LessThan(results.Runs[0].Bytes));
        Assert.That(File.Exists(In("study", "runs", "fp16-slice-0", "stage1.safetensors")));
        Assert.That(results.Runs[1].TrainingSeconds, Is.EqualTo(results.Runs[0].TrainingSeconds));
        Write(Two.Replace(", \"ul-vm-unet\"]", Quantize.Replace("fp16\", \"--out", "fp16\", \"--split-file\", \"none.json\", \"--out")));
        Result failed = Mamba("study", "run", In("two.json"), "--out", In("other"));
        Assert.That(failed.Code, Is.EqualTo(1));
        Assert.That(Results("other").Runs[1].Failure, Does.Contain("ended with exit code 2: mamba: ").And.Contain("none.json"));
    }

    [TestCase("ul-vm-unet-slice-0", "images, masks or classes of the same names are others")]
    [TestCase("unet-slice-1", "they are other images")]
    public void Runs_on_other_images_are_refused_and_on_moved_ones_are_not(string run, string difference)
    {
        WriteLesions(In("a"), 12);
        WriteLesions(In("b"), 12, first: 3); // of the same names
        Write(Two.Replace("\"limit\": 40, ", "").Replace("\"slice\"]", "\"slice\"], \"seeds\": [0, 1]"));
        string[] study = ["study", "run", In("two.json"), "--out", In("study"), "--epochs", "1", "--data"];
        Succeeds([.. study, In("a"), "--only", "unet-slice-0"]);
        string[] before = Array.ConvertAll(["study.json", "results.json"], file => File.ReadAllText(In("study", file)));
        Result other = Mamba([.. study, In("b"), "--only", run]);
        Assert.That(other.Code, Is.EqualTo(2), other.Out);
        Assert.That(other.Error.Trim(), Is.EqualTo(
            $"mamba: {run}: its images are not those of unet-slice-0, which has ended: {difference}; expected the same --data, or "
                + $"another --out than {In("study")}"));
        Assert.That(In("study", "runs", run), Does.Not.Exist);
        Assert.That(
            Array.ConvertAll(["study.json", "results.json"], file => File.ReadAllText(In("study", file))), Is.EqualTo(before),
            "nothing says b");
        Directory.Move(In("a"), In("moved"));
        File.WriteAllText(In("moved", "README.md"), "harmless");
        Succeeds([.. study, In("moved"), "--only", run]);
        Assert.That(Results("study").Runs.Count(one => one.Test is not null), Is.EqualTo(2));
        Assert.That(Results("study").Command, Does.Contain(In("moved")));
    }

    [Test]
    public void Runs_with_other_options_for_images_are_not_compared()
    {
        WriteLesions(In("data"), 14);
        const string Fewer = "{ \"model\": \"ul-vm-unet\", \"options\": { \"limit\": 12 } }]";
        Write(Two.Replace("\"limit\": 40, ", "").Replace("\"ul-vm-unet\"]", Fewer));
        Succeeds("study", "run", In("two.json"), "--out", In("study"), "--epochs", "1", "--data", In("data"));
        Assert.That(Results("study").Runs.Select(run => run.Images!.Options), Is.EqualTo(new[]
        {
            "split random, on-missing-mask fail, on-bad-image fail",
            "split random, on-missing-mask fail, on-bad-image fail, limit 12 of seed 0",
        }));
    }

    private static EpochPoint[] Timeless(RunResult run) => [.. run.Epochs.Select(epoch => epoch with { Seconds = 0 })];

    private void Write(string study) => File.WriteAllText(In("two.json"), study);

    private StudyResults Results(string folder) => StudyResults.Read(In(folder, "results.json"));
}
