using System.Globalization;
using System.Xml.Linq;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Metrics;
using Mamba.Models.Recipes;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Tests.Cli;

/// <summary>The pictures of a run folder: sample sheets, the confusion matrix, the curves.</summary>
[NonParallelizable]
internal sealed class RunPicturesTests : CliTest
{
    private const int Side = 32, Gap = 4;

    [Test]
    public void A_sample_sheet_shows_image_truth_prediction_and_errors()
    {
        WriteLesions(In("data"), 20, Side, Side);
        string[] sizes = ["--width", "4", "--depth", "2", "--size", "32"];
        Succeeds(["train", "--model", "unet", .. sizes, "--data", In("data"), "--epochs", "4", "--lr", "0.01", "--out", In("run")]);
        string[] sheets = [.. Directory.GetFiles(In("run", "samples")).Order()];
        Assert.That(sheets, Has.Length.EqualTo(2), "one for each test image");
        Succeeds("infer", "--weights", In("run", "weights", "best.safetensors"), In("data"), "--out", In("masks"));
        double worse = 0;
        for (int rank = 0; rank < sheets.Length; rank++)
        {
            string stem = Path.GetFileNameWithoutExtension(sheets[rank]), name = stem[3..];
            Assert.That(stem[..3], Is.EqualTo($"0{rank + 1}_"));
            Image sheet = ImageFile.Load(sheets[rank]), image = ImageFile.Load(In("data", name + ".png")),
                mask = ImageFile.Load(In("data", name + "_mask.png"));
            Assert.That((sheet.Width, sheet.Height), Is.EqualTo((4 * Side + 3 * Gap, Side + 13 + 2 * 10 + 3)), "with caption and legend");
            Assert.That(Panel(sheet, 0), Is.EqualTo(image.Pixels));
            Assert.That(Panel(sheet, 1), Is.EqualTo(InferTests.Tinted(image, Array.ConvertAll(mask.Pixels, p => p == 255), 64, 220, 96)));
            Assert.That(Panel(sheet, 2), Is.EqualTo(ImageFile.Load(In("masks", name + "_overlay.png")).Pixels), "as infer draws it");
            LabelMap truth = Map(mask), prediction = Map(ImageFile.Load(In("masks", name + "_pred.png")));
            Assert.That(Panel(sheet, 3), Is.EqualTo(Overlays.Errors(image, truth, prediction).Pixels));
            for (int y = 0; y < Side; y++)
                Assert.That(sheet.Pixels.AsSpan((y * sheet.Width + Side) * 3, Gap * 3).ToArray(), Is.All.EqualTo(255), "the gap");
            PixelCounts[] counts = new PixelCounts[2];
            PixelCounts.Count(prediction.Classes, truth.Classes, counts);
            Assert.That(counts[1].Dice, Is.GreaterThanOrEqualTo(worse), "the worst first");
            worse = counts[1].Dice;
        }

        static LabelMap Map(Image mask) => new(Side, Side, Array.ConvertAll(mask.Pixels, p => (byte)(p >> 7)));
    }

    [Test]
    public void Samples_of_several_classes_are_ranked_and_replace_those_of_the_epoch_before()
    {
        string[] labels = ["background", "disc", "square"];
        MapsOfClasses data = new(labels);
        using RunFolder folder = RunFolder.Create(In("run"), new RunArguments
        {
            Model = "unet",
            Data = "synthetic",
            Epochs = 1,
            Batch = 2,
            LearningRate = 1,
            WeightDecay = 0,
            Optimizer = OptimizerKind.Adam,
            Loss = LossKind.CeDice,
            Height = Side,
            Width = Side,
            Threads = 1,
            Config = new ModelConfig(),
        });
        SampleSheet first = new(data, Normalization.None(3)), second = new(data, Normalization.None(3));
        for (int start = 0; start < data.Count; start += 2) first.Add(Batch(start), Probabilities(start));
        first.Save(folder);
        Assert.That(Names(), Is.EqualTo(new[] { "01_worst", "02_middle", "03_best", "04_nothing but predicted" }), "none of the empty one");
        Image sheet = ImageFile.Load(In("run", "samples", "01_worst.png"));
        LabelMap truth = data.Map(0);
        Assert.That(Panel(sheet, 1), Is.EqualTo(Overlays.Overlay(new Image(Side, Side, 3), truth).Pixels));
        second.Add(Batch(2), Probabilities(2));
        second.Save(folder);
        Assert.That(Names(), Is.EqualTo(new[] { "01_best" }));

        string[] Names() => [.. Directory.GetFiles(In("run", "samples")).Select(p => Path.GetFileNameWithoutExtension(p)!).Order()];

        Batch Batch(int start)
        {
            Tensor targets = Tensor.Empty(2, Side, Side, 1);
            for (int i = 0; i < targets.Count; i++) targets.Span[i] = data.Map(start + i / Side / Side).Classes[i % (Side * Side)];
            return new Batch(Tensor.Zeros(2, Side, Side, 3), targets, [start, start + 1]);
        }

        Tensor Probabilities(int start)
        {
            Tensor p = Tensor.Zeros(2, Side, Side, 3);
            for (int i = 0; i < 2 * Side * Side; i++) p.Span[3 * i + data.Predicted(start + i / Side / Side, i % (Side * Side))] = 1;
            return p;
        }
    }

    [Test]
    public void Samples_of_a_classifier_are_its_mistakes_and_the_confusion_matrix_counts_them()
    {
        string[] sizes = ["--width", "16", "--depth", "1", "--size", "16", "--patch", "8"];
        Succeeds(["train", "--model", "vit", .. sizes, "--limit", "100", "--epochs", "1", "--out", In("run")]);
        string[] samples = [.. Directory.GetFiles(In("run", "samples")).Select(path => Path.GetFileNameWithoutExtension(path)!)];
        SyntheticShapes shapes = new(0, 100, 16, 16);
        Assert.That(samples, Is.Not.Empty);
        foreach (string sample in samples)
        {
            Assert.That(sample, Does.Match(@"^\w+ taken for \w+ \d+ % shape_\d{5}$"));
            string[] words = sample.Split(' ');
            int index = int.Parse(words[^1]["shape_".Length..], CultureInfo.InvariantCulture) - 1;
            ClassificationSample truth = shapes.Load(index);
            Assert.That(words[0], Is.EqualTo(shapes.Labels[truth.Label]).And.Not.EqualTo(words[3]));
            byte[] pixels = ImageFile.Load(In("run", "samples", sample + ".png")).Pixels;
            Assert.That(pixels.Zip(truth.Image.Pixels, (a, e) => Math.Abs(a - e)), Is.All.LessThanOrEqualTo(1), "normalized and back");
        }
        XElement[] texts = [.. Svg(File.ReadAllText(In("run", "confusion.svg"))).Descendants().Where(e => e.Name.LocalName == "text")];
        Assert.That(
            texts.Select(t => int.TryParse(t.Value, out int n) ? n : 0).Sum(), Is.EqualTo(10), "each test image stands in one cell");
        Assert.That(texts.Count(t => shapes.Labels.Contains(t.Value)), Is.EqualTo(20), "each class names a row and a column");
        string[] taken = [.. samples.Select(s => s.Split(' ')).Select(words => $"{words[0]} taken for {words[3]}")];
        Assert.That(Mistakes(texts, shapes.Labels), Is.EquivalentTo(taken), "beside the diagonal stand the samples");
        Assert.That(File.ReadAllText(In("run", "summary.md")), Does.Contain("![confusion](confusion.svg)"));
    }

    [Test]
    public void The_confusion_matrix_shades_by_the_share_of_the_true_class()
    {
        long[,] counts = { { 90, 10, 0 }, { 0, 0, 4 }, { 0, 0, 9 } };
        ClassScores[] classes =
            [new("cat", 1, 0.9, 0.9, 100), new("<dog> & \"fox\"", 0, 0, 0, 4), new("a label that is far too long to be read", 1, 1, 1, 9)];
        XElement svg = Svg(ConfusionPlot.Draw("vit", new ClassificationScores(0.9, 0.6, null, classes, counts))!);
        XElement[] texts = [.. svg.Descendants().Where(e => e.Name.LocalName == "text")];
        string[] words = [.. texts.Select(t => t.Value)];
        Assert.That(
            words, Has.Exactly(2).EqualTo("cat").And.Exactly(2).EqualTo("<dog> & \"fox\"")
                .And.Exactly(2).EqualTo("a label that is far too\u2026"));
        Assert.That(words, Is.SupersetOf(new[] { "true", "predicted", "90", "10", "4", "9" }).And.None.EqualTo("0"));

        // A cell's color under its number: blue on the diagonal, red beside it, in square roots of the share.
        Assert.That(Cell("9"), Is.EqualTo((31, 119, 180)));
        Assert.That(Cell("4"), Is.EqualTo((214, 39, 40)));
        double share = Math.Sqrt(0.1);
        (int red, int green, int blue) = Cell("10");
        Assert.That(red, Is.EqualTo(255 + share * (214 - 255)).Within(2));
        Assert.That(green, Is.EqualTo(255 + share * (39 - 255)).Within(3));
        Assert.That(blue, Is.EqualTo(255 + share * (40 - 255)).Within(3));
        Assert.That(At("90").Y, Is.EqualTo(At("10").Y).Within(1e-3), "a row");
        Assert.That(At("4").X, Is.EqualTo(At("9").X).Within(1e-3), "a column");
        Assert.That(At("90").Y, Is.LessThan(At("4").Y), "the first class is at the top");
        Assert.That(At("90").X, Is.LessThan(At("10").X));

        (double X, double Y) At(string number) => Position(texts.Single(t => t.Value == number));

        (int Red, int Green, int Blue) Cell(string number)
        {
            (double x, double y) = At(number);
            XElement cell =
                svg.Descendants().Last(e => e.Name.LocalName == "rect" && e.Attribute("style")?.Value.Contains("fill:rgb") == true
                && Number(e.Attribute("x")!.Value) < x && x < Number(e.Attribute("x")!.Value) + Number(e.Attribute("width")!.Value)
                && Number(e.Attribute("y")!.Value) < y && y < Number(e.Attribute("y")!.Value) + Number(e.Attribute("height")!.Value));
            string style = cell.Attribute("style")!.Value, color = style[(style.IndexOf("fill:rgb(", StringComparison.Ordinal) + 9)..];
            int[] parts = [.. color[..color.IndexOf(')')].Split(',').Select(p => int.Parse(p, CultureInfo.InvariantCulture))];
            return (parts[0], parts[1], parts[2]);
        }
    }

    [TestCase(20, true), TestCase(21, false), TestCase(100, false)]
    public void Numbers_are_left_out_where_they_have_no_room(int classes, bool numbers)
    {
        long[,] counts = new long[classes, classes];
        for (int c = 0; c < classes; c++) counts[c, c] = 777;
        ClassScores[] scores = [.. Enumerable.Range(0, classes).Select(c => new ClassScores($"c{c}", 1, 1, 1, 777))];
        string svg = ConfusionPlot.Draw("many", new ClassificationScores(1, 1, null, scores, counts))!;
        Assert.That(svg.Contains(">777<", StringComparison.Ordinal), Is.EqualTo(numbers));
    }

    [Test]
    public void Too_many_classes_are_not_drawn()
    {
        ClassScores[] scores = [.. Enumerable.Range(0, 101).Select(c => new ClassScores($"c{c}", 1, 1, 1, 1))];
        Assert.That(ConfusionPlot.Draw("many", new ClassificationScores(1, 1, null, scores, new long[101, 101])), Is.Null);
    }

    private static byte[] Panel(Image sheet, int index)
    {
        byte[] pixels = new byte[Side * Side * 3];
        for (int y = 0; y < Side; y++)
            sheet.Pixels.AsSpan((y * sheet.Width + index * (Side + Gap)) * 3, Side * 3).CopyTo(pixels.AsSpan(y * Side * 3));
        return pixels;
    }

    private static XElement Svg(string text) => XDocument.Parse(text[text.IndexOf("<svg", StringComparison.Ordinal)..]).Root!;

    /// <summary>What a drawn matrix counts beside its diagonal, an image an entry; labels of columns are turned.</summary>
    private static IEnumerable<string> Mistakes(XElement[] texts, IReadOnlyList<string> labels)
    {
        XElement[] classes = [.. texts.Where(t => labels.Contains(t.Value))];
        XElement[] columns = [.. classes.Where(t => t.Attribute("transform")!.Value.Contains("rotate(-90", StringComparison.Ordinal))];
        XElement[] rows = [.. classes.Except(columns)];
        foreach (XElement cell in texts)
        {
            if (!int.TryParse(cell.Value, CultureInfo.InvariantCulture, out int count)) continue;
            string truth = rows.MinBy(row => Math.Abs(Position(row).Y - Position(cell).Y))!.Value;
            string predicted = columns.MinBy(column => Math.Abs(Position(column).X - Position(cell).X))!.Value;
            for (int i = 0; i < count && truth != predicted; i++) yield return $"{truth} taken for {predicted}";
        }
    }

    private static (double X, double Y) Position(XElement text)
    {
        string at = text.Attribute("transform")!.Value["translate(".Length..];
        string[] parts = at[..at.IndexOf(')')].Split(',');
        return (Number(parts[0]), Number(parts[1]));
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    /// <summary>Maps of known errors: the upper half is a disc, the lower quarter a square.</summary>
    private sealed class MapsOfClasses(string[] labels) : IImageData
    {
        private static readonly string[] s_names = ["worst", "middle", "best", "empty", "nothing but predicted", "empty, too"];

        public ModelTask Task => ModelTask.Segmentation;

        public IReadOnlyList<string> Labels => labels;

        public int Count => s_names.Length;

        public string Name(int index) => s_names[index];

        public Sample Load(int index) => throw new NotSupportedException();

        public LabelMap Map(int index)
        {
            LabelMap map = new(Side, Side);
            for (int i = 0; i < map.Classes.Length && index < 3; i++)
                map.Classes[i] = i < Side * Side / 2 ? (byte)1 : i % 4 == 3 ? (byte)2 : (byte)0;
            return map;
        }

        public int Predicted(int index, int pixel) => index switch
        {
            0 => 0,
            1 => Map(1).Classes[pixel] == 1 ? 1 : 0,
            2 => Map(2).Classes[pixel],
            4 => pixel == 5 ? 1 : 0,
            _ => 0,
        };
    }
}
