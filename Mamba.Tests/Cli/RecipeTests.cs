using System.CommandLine;
using Mamba.Cli;
using Mamba.Cli.Commands;
using Mamba.Models.Data;
using Mamba.Models.Data.Augmentation;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Splits;
using Mamba.Models.Recipes;
using Mamba.Models.Training;

namespace Mamba.Tests.Cli;

/// <summary>The paper's fifteen recipes and that of MLPerf Tiny's classifier, as they are built in.</summary>
[NonParallelizable]
internal sealed class RecipeTests : CliTest
{
    // Typed from the paper's tables and notebooks, apart from the recipes.
    private static readonly Expected s_ultraLight = new(2, 3e-4, ScheduleKind.Constant, OptimizerKind.AdamW, 0.01, LossKind.BceDice, 256);
    private static readonly Expected s_unet = new(64, 3e-4, ScheduleKind.Constant, OptimizerKind.Adam, 0, LossKind.Dice, 256);
    private static readonly Expected s_classifier = new(64, 1e-3, ScheduleKind.Constant, OptimizerKind.Adam, 0, LossKind.CrossEntropy, 32)
    {
        Augment = AugmentKind.RandAugment,
        Normalization = NormalizationKind.Cifar,
        Patch = 4,
    };

    private static readonly Dictionary<string, Expected> s_expected = new()
    {
        ["resnet18-seg"] = s_unet,
        ["resnet50-seg"] = s_unet,
        ["resnet8"] = new(64, 0.1, ScheduleKind.Cosine, OptimizerKind.Sgd, 2e-4, LossKind.CrossEntropy, 32) // MLPerf Tiny's, by our recipe
        {
            Augment = AugmentKind.Basic,
            Normalization = NormalizationKind.Cifar,
        },
        ["segformer"] = new(16, 1e-4, ScheduleKind.Plateau, OptimizerKind.AdamW, 5e-5, LossKind.BceWithLogits, 224),
        ["ul-vm-unet"] = s_ultraLight,
        ["ul-vm-unet-v1"] = s_ultraLight,
        ["ul-vm-unet-v2"] = s_ultraLight,
        ["ul-vm-unet-v3"] = s_ultraLight,
        ["ul-vm-unet-v4"] = s_ultraLight,
        ["ul-vm-unet-v5"] = s_ultraLight,
        ["ul-vm-unet-v6"] = s_ultraLight,
        ["umambabot"] = s_unet with { Batch = 32 },
        ["umambabot-pp"] = s_unet,
        ["unet"] = s_unet,
        ["vim"] = s_classifier with { DropPath = 0.1 },
        ["vit"] = s_classifier with { DropPath = 0 },
    };

    public static IReadOnlyList<string> Names => Recipe.Names;

    [Test]
    public void There_are_sixteen() => Assert.That(Names, Is.EqualTo(s_expected.Keys));

    [TestCaseSource(nameof(Names)), Exercises("train", "--recipe")]
    public void A_recipe_has_the_papers_values_and_trains_its_model(string name)
    {
        Terminal silent = new(TextWriter.Null, TextWriter.Null);
        TrainOptions options = new();
        Command command = new("train");
        foreach (Option option in options.All) command.Add(option);
        RunArguments run = options.Resolve(
            Recipe.Apply(name, command.Parse([]), silent),
            (images, request) => new DataPreparation(silent, images, request, default).Read(), default).Arguments;
        Assert.That(run.Model, Is.EqualTo(name));
        Assert.That(run.Epochs, Is.EqualTo(100));
        Assert.That(Expected.Of(run), Is.EqualTo(s_expected[name]));

        // One step of a narrow model.
        string[] narrow = run.Config.Width is null ? [] : ["--width", "8"], shallow = run.Config.Depth is null ? [] : ["--depth", "2"];
        string size = run.Config.Patch is null ? "64" : "16";
        Result train = Succeeds([
            "train", "--recipe", name, .. narrow, .. shallow, "--size", size, "--batch", "1", "--limit", "3", "--epochs", "1", "--protocol",
            "slice",
            "--out", In("run"),
        ]);
        Assert.That(train.Out, Does.Match(@"(?m)^epoch   1/1  loss \d+\.\d{4}  val \d+\.\d{4}  "));
        Assert.That(
            train.Out.Contains("--init WEIGHTS", StringComparison.Ordinal), Is.EqualTo(name is "resnet18-seg" or "resnet50-seg"),
            "the note");
        Assert.That(JsonFile(In("run", "args.json")).GetProperty("lr").GetDouble(), Is.EqualTo(s_expected[name].LearningRate));
    }

    [Test]
    public void Another_name_is_refused_with_those_that_there_are()
    {
        Result train = Mamba("train", "--recipe", "no-such");
        Assert.That(train.Code, Is.EqualTo(2));
        Assert.That(train.Error, Does.Contain($"no such recipe; expected a file, or one of {string.Join(", ", s_expected.Keys)}"));
    }

    private sealed record Expected(
        int Batch, double LearningRate, ScheduleKind Schedule, OptimizerKind Optimizer, double WeightDecay, LossKind Loss, int Size)
    {
        public SplitProtocol Protocol { get; init; } = SplitProtocol.Image;

        public AugmentChoice Augment { get; init; } = AugmentKind.None;

        public NormalizationKind Normalization { get; init; } = NormalizationKind.None;

        public int? Patch { get; init; }

        public double? DropPath { get; init; }

        public static Expected Of(RunArguments run)
        {
            Assert.That(run.Height, Is.EqualTo(run.Width));
            return new Expected(run.Batch, run.LearningRate, run.Schedule, run.Optimizer, run.WeightDecay, run.Loss, run.Height)
            {
                Protocol = run.Protocol,
                Augment = run.Augment,
                Normalization = run.Normalization,
                Patch = run.Config.Patch,
                DropPath = run.Config.DropPath,
            };
        }
    }
}
