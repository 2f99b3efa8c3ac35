using System.Xml;
using System.Xml.Linq;
using Mamba.Cli.Reports.Study;
using Mamba.Models.Studies;
using Mamba.Models.Tasks;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cli;

/// <summary><c>mamba study report</c>: its files, and what it does not print.</summary>
internal sealed class StudyReportTests : CliTest
{

    [Test, Exercises("study report", "--out")]
    public void A_study_becomes_a_page_tables_and_figures()
    {
        StudyFixture.Segmentation(In("study"), models: 3, images: 120, size: 32, seeds: 2);
        Result result = Succeeds("study", "report", In("study"), "--out", In("report"));
        Assert.That(result.Out, Does.Match(@"^9 of 10 runs ended, \d+ figures\r?\n").And.Contain("index.html"));
        Assert.That(result.Error, Is.Empty);
        XDocument page = Page(In("report", "index.html"));
        string[] ids = [.. page.Descendants().Attributes("id").Select(id => id.Value)];
        Assert.That(ids, Is.Unique);
        string[] links = [.. page.Descendants().Attributes("href").Select(a => a.Value).Where(a => a.StartsWith('#')).Distinct()];
        Assert.That(links.Select(link => link[1..]), Is.SubsetOf(ids).And.Not.Empty);
        Assert.That(page.Descendants("table").Select(table => table.Attribute("id")!.Value), Is.EqualTo(
            new[] { "table-scores", "table-cost", "table-protocols", "table-pairs", "table-splits", "table-runs" }));
        string text = page.Root!.Value;
        Assert.That(text, Does.Contain("104 of them have images both in training and test"));
        Assert.That(text, Does.Contain("of 110 patients. No patient is both in training and test."));
        Assert.That(text, Does.Contain("unet-patient-9 (not ended, 17 of 100 epochs)"));
        Assert.That(text, Does.Contain("10,000 bootstrap draws of patients with all their images;"));
        string[] figures = [.. Directory.GetFiles(In("report", "figures")).Select(f => Path.GetFileName(f)!).Order(StringComparer.Ordinal)];
        Assert.That(figures, Is.SupersetOf(new[]
        {
            "parameters-slice.svg", "parameters-patient.svg", "frontier-slice.svg", "time-slice.svg", "splits.svg", "masks-slice-1.svg",
            "masks-patient-6.svg", "curves-01-unet-slice.svg", "confusion-01-unet-slice.svg", "reliability-06-resnet50-seg-patient.svg",
            "pairs-slice.svg",
        }));
        foreach (string figure in figures)
            Assert.That(Page(In("report", "figures", figure)).Root!.Name.LocalName, Is.EqualTo("svg"), figure);
        Assert.That(
            File.ReadAllText(In("report", "figures", "masks-slice-1.svg")), Does.Contain("data:image/png;base64,").And.Contain("truth"));
        foreach (string table in new[] { "table", "tables/pairs", "tables/protocols", "tables/splits", "tables/runs" })
            foreach (string form in new[] { ".md", ".csv", ".tex" }) Assert.That(In("report", table + form), Does.Exist);
    }

    [Test]
    public void A_study_without_its_masks_shows_none()
    {
        StudyFixture.Segmentation(In("study"), models: 2, images: 120, size: 32);
        Directory.Delete(In("study", "masks"), recursive: true);
        Succeeds("study", "report", In("study"));
        Assert.That(Directory.GetFiles(In("study", "report", "figures"), "masks*"), Is.Empty);
        Assert.That(Page(In("study", "report", "index.html")).Root!.Value, Does.Not.Contain("Where the models disagree"));
    }

    [Test]
    public void The_same_study_gives_the_same_bytes()
    {
        StudyFixture.Segmentation(In("study"), models: 2, images: 120, size: 32);
        Succeeds("study", "report", In("study"));
        Succeeds("study", "report", In("study"), "--out", In("again"));
        string[] files = [.. Directory.GetFiles(In("again"), "*", SearchOption.AllDirectories)];
        Assert.That(files, Has.Length.GreaterThan(20));
        foreach (string file in files)
            Assert.That(
                File.ReadAllBytes(Path.Combine(In("study", "report"), Path.GetRelativePath(In("again"), file))),
                Is.EqualTo(File.ReadAllBytes(file)), file);
    }

    [Test]
    public void Classes_have_confusions_and_images_are_drawn_where_there_are_no_patients()
    {
        StudyFixture.Classification(In("study"), images: 300);
        Succeeds("study", "report", In("study"));
        string text = Page(In("study", "report", "index.html")).Root!.Value;
        Assert.That(text, Does.Contain("10,000 bootstrap draws of images;"));
        Assert.That(text, Does.Contain("the test chose the epoch of the weights").And.Not.Contain("Who the patients are"));
        Assert.That(text, Does.Contain("cat taken for dog"));
        string[] table = File.ReadAllLines(In("study", "report", "table.csv"));
        Assert.That(
            table[0],
            Does.StartWith("model,split,runs,macro_f1,macro_f1_sd,macro_f1_low,macro_f1_high,paper,difference,accuracy,accuracy_sd,"));
        string[] vim = table[1].Split(',');
        Assert.That(vim[..3], Is.EqualTo(new[] { "vim", "official", "3" }));
        Assert.That(Number(vim[5]), Is.LessThan(Number(vim[3])));
        Assert.That(Number(vim[6]), Is.GreaterThan(Number(vim[3])));

        static double Number(string field) => double.Parse(field, System.Globalization.CultureInfo.InvariantCulture);
    }

    [Test]
    public void A_training_shorter_than_the_papers_is_not_measured_by_its_score()
    {
        StudyResults whole = StudyFixture.Classification(In("whole"), images: 50);
        StudyFixture.Save(In("short"), whole with { Runs = [.. whole.Runs.Select(run => run with { Epochs = [.. run.Epochs.Take(10)] })] });
        Assert.That(Text("whole"), Does.Contain("Mean distance to the paper").And.Not.Contain("The paper trained"));
        Assert.That(
            Text("short"), Does.Contain("The paper trained 100 epochs. Its scores are no measure for those who had fewer: vim 10, vit 10.")
                .And.Not.Contain("Mean distance to the paper").And.Not.Contain("A short line is the paper’s score"));
        Assert.That(Bubbles("whole"), Does.Contain(", the paper 0."));
        Assert.That(Bubbles("short"), Does.Contain("multiply-adds").And.Not.Contain("the paper"));

        string Bubbles(string study) => File.ReadAllText(In(study, "report", "figures", "parameters.svg"));

        string Text(string study)
        {
            Succeeds("study", "report", In(study));
            return Page(In(study, "report", "index.html")).Root!.Value;
        }
    }

    [Test]
    public void Test_sets_that_lack_a_class_have_no_mean_over_classes()
    {
        StudyResults all = StudyFixture.Classification(In("all"), images: 50);
        TestScores test = all.Runs[0].Test!, lacking = test with { Confusion = [new int[10], .. test.Confusion.Skip(1)] };
        StudyFixture.Save(In("lacking"), all with { Runs = [all.Runs[0] with { Test = lacking }, .. all.Runs.Skip(1)] });
        Succeeds("study", "report", In("lacking"));
        string[] rows = [.. File.ReadAllLines(In("lacking", "report", "table.csv")).Skip(1)];
        Assert.That(rows[0], Does.StartWith("vim,official,3,,,"));
        Assert.That(rows[1], Does.Match(@"^vit,official,3,0\.\d+,0\.\d+,"));
        Assert.That(
            Page(In("lacking", "report", "index.html")).Root!.Value,
            Does.Contain("No mean over classes for vim: some of their test sets lack a class that others have."));
    }

    [Test]
    public void Tables_are_Markdown_CSV_and_LaTeX()
    {
        ReportTable table = new("t", "A|B_&", new TableColumn("Model", false, "model"), new TableColumn("Dice", true, "dice", "dice_sd"));
        table.Add(TableCell.Of("a,\"b\"|_c"), TableCell.Mean(0.5, 0.125, Units.Score));
        table.Add(TableCell.Of("<x> & 5 %"), TableCell.Mean(double.NaN, double.NaN, Units.Score));
        Assert.That(
            TableFormats.Markdown(table),
            Is.EqualTo(
                "**A\\|B\\_&amp;**\n\n| Model | Dice |\n| --- | ---: |\n"
                    + "| a,\"b\"\\|\\_c | 0.5000 ± 0.1250 |\n| &lt;x> &amp; 5 % | – |\n"));
        Assert.That(TableFormats.Csv(table), Is.EqualTo("model,dice,dice_sd\n\"a,\"\"b\"\"|_c\",0.5,0.125\n<x> & 5 %,,\n"));
        Assert.That(TableFormats.Csv(table, table), Is.EqualTo(TableFormats.Csv(table)), "no field twice");
        Assert.That(
            TableFormats.Latex(table),
            Does.Contain("\\begin{tabular}{lr}\n\\toprule\nModel & Dice \\\\\n\\midrule\n")
                .And.Contain("a,\"b\"|\\_c & 0.5000 $\\pm$ 0.1250 \\\\\n").And.Contain("$<$x$>$ \\& 5 \\% & -- \\\\\n\\bottomrule"));
        Assert.That(() => table.Add(TableCell.Of("one")), Throws.ArgumentException);
    }

    [Test]
    public void Names_are_text_whatever_stands_in_them()
    {
        const string Hostile = "</style><script>alert(1)</script>&amp;\"'\u0007\uD800 x";
        ImageCounts[] images = [.. Enumerable.Range(0, 8).Select(i => new ImageCounts($"{Hostile}{i}", $"{Hostile}{i}", 8 - i, 9, 10))];
        RunResult[] runs =
        [
            .. new[] { "a", "b" }.Select(name => StudyFixture.Tested(Hostile + name, 0, images) with
            {
                Id = "../../" + name,
                Epochs = [new EpochPoint(1, 0.5, 0.4, 0.3, 1)],
                EndedBy = Hostile,
                Parameters = 10,
                Split = new SplitSizes(1, 1, 1, 0, 0, 0, 0, 0, Hostile),
            }),
        ];
        runs[1] = runs[1] with
        {
            Test = StudyFixture.Scores([.. images.Select(i => i with { Both = i.Both / 2 })], 16) with { Masks = "../../secret" },
        };
        runs[0] = runs[0] with { Test = runs[0].Test! with { Masks = "/etc" } };
        StudyFixture.Save(In("study"), new StudyResults(
            Hostile, Hostile, ModelTask.Segmentation, [Hostile], Hostile,
            new StudyMachine(Hostile, 1, 256, Hostile, Hostile, Hostile), runs));
        Result result = Succeeds("study", "report", In("study"));
        Assert.That(result.Error, Does.Contain("note: masks without their picture: '../../a' is no name of a run"));
        string path = In("study", "report", "index.html");
        XDocument page = Page(path);
        XElement script = page.Descendants("script").Single();
        Assert.That(script.Value, Is.EqualTo(PageStyle.Script));
        Assert.That(page.Descendants("h1").Single().Value, Does.StartWith("</style><script>alert(1)</script>&amp;\"'\uFFFD\uFFFD x"));
        Assert.That(File.ReadAllText(path), Does.Not.Contain("<script>alert"));
        Assert.That(
            page.Descendants("meta").Attributes("content").Select(a => a.Value), Has.One.StartsWith("default-src 'none'; img-src data:;"));
        foreach (string figure in Directory.GetFiles(In("study", "report", "figures"))) Page(figure);
    }

    [Test]
    public void What_has_not_ended_has_no_score()
    {
        StudyResults results = StudyFixture.Segmentation(In("study"), models: 1, images: 40, size: 32);
        RunResult[] runs = [.. results.Runs.Select(run => run with { Test = null })];
        runs[0] = runs[0] with { Epochs = [], PlannedEpochs = 0 };
        Directory.Delete(In("study", "runs", runs[0].Id), recursive: true);
        StudyFixture.Save(In("study"), results with { Runs = runs });
        Succeeds("study", "report", In("study"));
        XDocument page = Page(In("study", "report", "index.html"));
        Assert.That(page.Root!.Value, Does.Contain("No run has ended yet").And.Contain($"{runs[0].Id} (not begun)"));
        Assert.That(
            page.Descendants("table").Select(table => table.Attribute("id")!.Value), Is.EqualTo(new[] { "table-splits", "table-runs" }));
        Assert.That(File.ReadAllLines(In("study", "report", "table.csv")), Has.Length.EqualTo(1));
    }

    [Test]
    public void Two_patients_make_no_interval_and_the_page_says_so()
    {
        StudyFixture.Segmentation(In("study"), models: 2, images: 40, size: 32);
        Succeeds("study", "report", In("study"));
        Assert.That(
            Page(In("study", "report", "index.html")).Root!.Value,
            Does.Contain("No interval for").And.Contain("2 patients are too few; expected at least 5").And.Not.Contain("95 % interval"));
    }

    [Test]
    public void Bad_input_is_one_line()
    {
        Result missing = Mamba("study", "report", In("nowhere"));
        Assert.That(missing.Code, Is.EqualTo(2));
        Assert.That(missing.Error.TrimEnd().Split('\n'), Has.Length.EqualTo(1));
        Assert.That(missing.Error, Does.Contain("results.json").And.Contain("mamba study run"));
        Directory.CreateDirectory(In("study"));
        File.WriteAllText(In("study", "results.json"), "{\"name\": 1}");
        Assert.That(Mamba("study", "report", In("study")).Code, Is.EqualTo(2));
        Assert.That(Directory.Exists(In("study", "report")), Is.False);
        Assert.That(Mamba("study", "report").Code, Is.EqualTo(2));
        Result misspelt = Mamba("study", "report", In("study"), "--ot", "x");
        Assert.That(misspelt.Error, Does.Contain("unknown option of 'study report'; did you mean --out?"));
    }

    [Test]
    public void Names_of_bubbles_do_not_lie_on_each_other()
    {
        LabelPlacer placer = new(new Area(0, 0, 600, 400));
        for (int i = 0; i < 13; i++) placer.Add(200 + 12 * (i % 4), 200 + 7 * (i / 4), 6 + i, $"a-model-{i}");
        Markup to = new();
        placer.Draw(to);
        Area[] labels =
        [
            .. XElement.Parse($"<g>{to}</g>").Elements("text").Select(text =>
            {
                double x = (double)text.Attribute("x")!, y = (double)text.Attribute("y")!, half = LabelPlacer.Width(text.Value) / 2;
                return new Area(x - half, y - 10, x + half, y + 3);
            }),
        ];
        Assert.That(labels, Has.Length.EqualTo(13));
        for (int i = 0; i < labels.Length; i++)
            for (int j = 0; j < i; j++) Assert.That(labels[i].Shared(labels[j]), Is.Zero, $"{i} and {j}");
    }

    [Test]
    public void A_region_is_drawn_as_rectangles_of_equal_rows()
    {
        bool[] pixels = [.. ("..##.##." + "..##.#.." + "###.....").Select(c => c == '#')];
        Assert.That(MaskShapes.Path(8, 3, i => pixels[i]), Is.EqualTo("M5 0h2v1H5zM2 0h2v2H2zM5 1h1v1H5zM0 2h3v1H0z"));
        Assert.That(MaskShapes.Path(2, 2, _ => false), Is.Empty);
    }

    [TestCase(0.9, 1.7, new[] { 1.0, 1.2, 1.4, 1.6 }), TestCase(0, 100, new[] { 0.0, 20, 40, 60, 80, 100 })]
    public void Ticks_are_round_numbers(double low, double high, double[] expected) =>
        Assert.That(PlotAxis.Linear(low, high, 5, whole: false, "").Ticks, Is.EqualTo(expected).Within(1e-9));

    [Test]
    public void Logarithmic_ticks_are_powers_of_ten_over_a_wide_range()
    {
        double[] wide = PlotAxis.Logarithmic(40_000, 35e6, "", Units.Short).Ticks;
        Assert.That(wide.Select(Units.Short), Is.EqualTo(new[] { "100 k", "1 M", "10 M" }));
        Assert.That(PlotAxis.Logarithmic(9, 60, "", Units.Short).Ticks, Is.EqualTo(new[] { 10.0, 20, 50 }));
        Assert.That(PlotAxis.Logarithmic(3.7, 3.7, "", Units.Short).Ticks, Is.EqualTo(new[] { 3.0, 4 }));
        Assert.That(PlotAxis.Logarithmic(5, 5, "", Units.Short).Place(5), Is.EqualTo(0.5).Within(1e-12));
    }

    private static XDocument Page(string path)
    {
        XmlReaderSettings settings = new() { DtdProcessing = DtdProcessing.Ignore, XmlResolver = null };
        using XmlReader reader = XmlReader.Create(path, settings);
        return XDocument.Load(reader);
    }
}
