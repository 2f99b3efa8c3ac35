using System.Globalization;
using System.Text.Json;
using Mamba.Cli;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Metrics;
using Mamba.Models.Training;
using Mamba.Models.Zoo;
using Spectre.Console;

namespace Mamba.Tests.Cli;

/// <summary>What commands print: JSON is a contract to the byte, tables fit into 80 columns.</summary>
internal sealed class ReportTests : CliTest
{
    [Test]
    public void Scores_of_a_segmentation_in_JSON()
    {
        SegmentationScores scores = new(0.5, 0.25, 1e-7, 1, 0, double.NaN);
        Assert.That(Written(ScoreReport.Document(new Evaluation(3, 1 / 3.0, scores, 2), skipped: 1)), Is.EqualTo("""
            {
              "images": 3,
              "skipped": 1,
              "loss": 0.3333333333333333,
              "dice": {
                "global": 0.5,
                "image": 0.25,
                "paper": 1E-07
              },
              "iou": {
                "global": 1,
                "image": 0,
                "paper": null
              },
              "ms_per_image": 2
            }

            """));
    }

    [Test]
    public void Scores_of_several_classes_in_JSON_with_null_for_what_is_not_defined()
    {
        string json = Written(ScoreReport.Document(new Evaluation(2, 0.5, ThreeClasses(), 1), skipped: 0));
        JsonElement root = JsonDocument.Parse(json).RootElement;
        Assert.That(root.GetProperty("mean_dice").GetDouble(), Is.EqualTo(2 / 3.0));
        Assert.That(root.GetProperty("images_with_foreground").GetInt32(), Is.EqualTo(1));
        Assert.That(root.GetProperty("pixel_accuracy").GetDouble(), Is.EqualTo(0.75));
        JsonElement[] classes = [.. root.GetProperty("classes").EnumerateArray()];
        Assert.That(classes.Select(c => c.GetProperty("label").GetString()), Is.EqualTo(new[] { "background", "disc", "absent" }));
        Assert.That(classes[1].GetProperty("dice").GetDouble(), Is.EqualTo(2 / 3.0));
        Assert.That(classes[1].GetProperty("hausdorff_95").GetDouble(), Is.EqualTo(0.95));
        Assert.That(classes[1].GetProperty("hausdorff_images").GetInt32(), Is.EqualTo(1));
        foreach (string name in new[] { "dice", "iou", "sensitivity", "hausdorff_95" })
            Assert.That(classes[2].GetProperty(name).ValueKind, Is.EqualTo(JsonValueKind.Null), name);
        Assert.That(root.GetProperty("groups")[1].GetProperty("group").GetString(), Is.EqualTo("p2"));
        Assert.That(root.TryGetProperty("dice", out _) || root.TryGetProperty("accuracy", out _), Is.False, "those of other tasks");
    }

    [Test]
    public void Scores_of_several_classes_as_a_table_and_in_a_line()
    {
        MultiClassScores scores = ThreeClasses();
        using StringWriter output = new();
        ScoreReport.Table(new Terminal(output, TextWriter.Null), scores);
        string[] lines = output.ToString().TrimEnd().Split('\n');
        Assert.That(lines[0].TrimEnd(), Is.EqualTo("class         Dice     IoU   sens.   spec.   prec.   HD95 px  images"));
        Assert.That(lines[2].TrimEnd(), Is.EqualTo("disc        0.6667  0.5000  1.0000  0.8571  0.5000  0.95 (1)       1"));
        Assert.That(lines[3].TrimEnd(), Is.EqualTo("absent           -       -       -  0.8750  0.0000         -       0"));
        Assert.That(lines[4].TrimEnd(), Is.EqualTo("foreground in 1 of 2 images; mean Dice 0.6667 over 2 groups"));
        Assert.That(lines[5].TrimEnd(), Is.EqualTo("mean Dice 0.6667 (background out), mean IoU 0.6071 (in), pixel accuracy 0.7500"));
        Assert.That(lines, Is.All.Length.LessThanOrEqualTo(80));
        Assert.That(ScoreReport.Line(scores), Is.EqualTo("mean Dice 0.6667 mean IoU 0.6071 pixel accuracy 0.7500"));
        Assert.That(ScoreReport.Short(scores), Is.EqualTo("Dice 0.6667  IoU 0.6071"));
        Assert.That(ScoreReport.Markdown(scores), Does.Contain("| absent | - | - | - | 0.8750 | 0.0000 | - | 0 |"));
    }

    [Test]
    public void A_set_without_a_lesion_reads_as_nothing_and_not_as_perfect()
    {
        SegmentationMetrics metrics = new(16);
        metrics.Add([0, 0, 0, 0], [0, 0, 0, 0]);
        SegmentationScores scores = metrics.Result();
        Assert.That(ScoreReport.Line(scores), Is.EqualTo("Dice -, no lesion in the truth of 1 image: nothing to measure"));
        Assert.That(ScoreReport.Short(scores), Is.EqualTo("Dice - - -"));
        using StringWriter output = new();
        ScoreReport.Table(new Terminal(output, TextWriter.Null), scores);
        Assert.That(output.ToString(), Does.Contain("no lesion in the truth of 1 image").And.Not.Contain("NaN").And.Not.Contain("1.0000 "));
        Assert.That(ScoreReport.Markdown(scores), Does.Contain("| Dice | - | - | - |").And.Contains("no lesion").And.Not.Contain("NaN"));
        string json = Written(ScoreReport.Document(new Evaluation(1, 0.5, scores, 1), skipped: 0));
        Assert.That(json, Does.Contain("\"global\": null").And.Contains("\"images_with_foreground\": 0"));
    }

    private static MultiClassScores ThreeClasses()
    {
        MultiClassMetrics metrics = new(["background", "disc", "absent"], new MetricOptions { Distances = true });
        // One pixel of disc, of which two are predicted; then background, of which one pixel is predicted as the class that is nowhere.
        metrics.Add([0, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0], [1, 0, 0, 0], new MetricImage(2, 2, "a", "p1"));
        metrics.Add([0, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 0], [0, 0, 0, 0], new MetricImage(2, 2, "b", "p2"));
        return metrics.Result();
    }

    [Test]
    public void Scores_of_a_classification_in_JSON()
    {
        ClassificationScores scores = new(
            0.75, double.PositiveInfinity, 0.875, [new ClassScores("cat", 0.5, 0.25, double.NaN, 4)], new long[0, 0]);
        Assert.That(Written(ScoreReport.Document(new Evaluation(3, double.NaN, scores, 2), skipped: 0)), Is.EqualTo("""
            {
              "images": 3,
              "skipped": 0,
              "loss": null,
              "accuracy": 0.75,
              "macro_f1": null,
              "top5": 0.875,
              "class_scores": [
                {
                  "label": "cat",
                  "precision": 0.5,
                  "recall": 0.25,
                  "f1": null,
                  "images": 4
                }
              ],
              "ms_per_image": 2
            }

            """));
        using StringWriter output = new();
        ScoreReport.Table(new Terminal(output, TextWriter.Null), scores);
        Assert.That(output.ToString(), Does.Contain("accuracy 0.7500, top-5 accuracy 0.8750"));
    }

    [Test, Exercises("models", "--json")]
    public void Models_lists_the_zoo()
    {
        JsonElement json = Json("models", "--json");
        Assert.That(json.EnumerateArray().Select(m => m.GetProperty("name").GetString()), Is.EqualTo(Registry.Models.Select(m => m.Name)));
        Assert.That(json[0].GetRawText().ReplaceLineEndings("\n"), Is.EqualTo("""
            {
                "name": "ul-vm-unet",
                "task": "segmentation",
                "parameters": 49457,
                "macs": 70910976,
                "input": [
                  3,
                  256,
                  256
                ]
              }
            """.ReplaceLineEndings("\n")));
        string[] lines = Succeeds("models").Out.Split(Environment.NewLine);
        Assert.That(lines[0], Is.EqualTo("name             task             parameters  multiply-adds  input"));
        Assert.That(lines[8], Is.EqualTo("unet             segmentation      7,765,985     12,071.2 M  3 x 256 x 256"));
        Assert.That(lines, Has.All.Length.LessThanOrEqualTo(80));
        Assert.That(lines[Registry.Models.Count + 1], Is.Empty, "the weights that ship follow");
    }

    [Test, Exercises("inspect", "--json")]
    public void Tensors_and_metadata_in_JSON()
    {
        string path = In("w.safetensors");
        Safetensors.Write(
            path, [("w", Tensor.Zeros(2, 1)), ("bn.running_mean", Tensor.Zeros(3))], new Dictionary<string, string> { ["note"] = "<1>" });
        Assert.That(Succeeds("inspect", path, "--json").Out, Is.EqualTo($$"""
            {
              "file": "{{path}}",
              "form": "safetensors",
              "parameters": 2,
              "elements": 5,
              "bytes": 20,
              "metadata": {
                "note": "\u003C1\u003E"
              },
              "tensors": [
                {
                  "name": "w",
                  "dtype": "F32",
                  "shape": [
                    2,
                    1
                  ],
                  "bytes": 8
                },
                {
                  "name": "bn.running_mean",
                  "dtype": "F32",
                  "shape": [
                    3
                  ],
                  "bytes": 12
                }
              ]
            }

            """));
    }

    [Test]
    public void The_options_of_a_run_in_JSON()
    {
        Succeeds("train", "--limit", "10", "--size", "32", "--epochs", "1", "--threads", "1", "--ema", "0.9", "--patience", "3", "--out",
            In("run"));
        Assert.That(File.ReadAllText(In("run", "args.json")), Is.EqualTo("""
            {
              "model": "ul-vm-unet",
              "data": "synthetic",
              "protocol": "slice",
              "epochs": 1,
              "batch": 2,
              "lr": 0.002,
              "schedule": "cosine",
              "optimizer": "adamw",
              "weight-decay": 0.01,
              "loss": "bce-dice",
              "label-smoothing": 0,
              "mixup": null,
              "ema": 0.9,
              "drop-path": null,
              "clip-norm": null,
              "patience": 3,
              "augment": "none",
              "normalize": "none",
              "seed": 0,
              "threads": 1,
              "size": "32x32",
              "channels": 3,
              "patch": null,
              "width": null,
              "depth": null,
              "init": null,
              "limit": 10,
              "intensity": "none",
              "resize": "bilinear",
              "on-bad-image": "fail",
              "cache-mb": 2048,
              "checkpoint-every": "5m",
              "keep": 2,
              "on-nonfinite": "stop"
            }
            """));
    }

    [Test]
    public void A_table_of_classes_is_aligned_and_has_no_colors()
    {
        ClassScores[] classes = [new("cat", 1, 0.5, 2 / 3.0, 12345), new("a\u001b[31m", 0, 0, 0, 1)];
        using StringWriter output = new();
        ScoreReport.Table(new Terminal(output, TextWriter.Null), new ClassificationScores(0.5, 1 / 3.0, null, classes, new long[2, 2]));
        Assert.That(output.ToString(), Is.EqualTo("""
            class   precision  recall      F1  images
            cat        1.0000  0.5000  0.6667   12345
            a?[31m     0.0000  0.0000  0.0000       1
            macro F1 0.3333, accuracy 0.5000

            """));
    }

    [Test]
    public void A_long_cell_is_whole_in_a_file_and_folded_on_a_terminal()
    {
        Column[] columns = [new("name"), new("n") { Number = true }];
        string name = string.Join('.', Enumerable.Repeat("block", 30));
        using StringWriter file = new(), screen = new();
        TableReport.Write(new Terminal(file, TextWriter.Null), columns, [[name, "1"]]);
        Assert.That(file.ToString().Split(Environment.NewLine)[1], Is.EqualTo($"{name}  1"));

        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(screen),
            Interactive = InteractionSupport.Yes,
            Ansi = AnsiSupport.No,
            ColorSystem = ColorSystemSupport.NoColors,
            Enrichment = new ProfileEnrichment { UseDefaultEnrichers = false },
        });
        console.Profile.Width = 80;
        TableReport.Write(new Terminal(screen, TextWriter.Null, results: console), columns, [[name, "1"]]);
        string[] lines = screen.ToString().Split('\n');
        Assert.That(lines, Has.All.Length.LessThanOrEqualTo(80));
        Assert.That(
            string.Concat(lines.Skip(1).Select(line => line.Replace(" 1", "", StringComparison.Ordinal).Trim())), Is.EqualTo(name),
            "nothing is lost");
    }

    [Test]
    public void A_row_that_is_wider_than_its_column_is_not_cut()
    {
        Column[] columns = [new("model", 6), new("ms", 5) { Number = true }];
        Assert.That(TableReport.Header(columns), Is.EqualTo("model      ms"));
        Assert.That(TableReport.Row(columns, "vim", "1.5"), Is.EqualTo("vim       1.5"));
        Assert.That(TableReport.Row(columns, "a-long-name", "1234567"), Is.EqualTo("a-long-name  1234567"));
        Assert.That(TableReport.Row(columns, "[red]", ""), Is.EqualTo("[red]"), "no markup");
    }

    private static string Written(EvalDocument document)
    {
        using StringWriter output = new(CultureInfo.InvariantCulture);
        JsonReport.Write(output, document, ReportJson.Default.EvalDocument);
        return output.ToString();
    }
}
