using System.Globalization;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cli;

/// <summary>The options of <c>mamba infer</c>, each against what it must be equal to.</summary>
[NonParallelizable]
internal sealed class InferOptionTests : CliTest
{
    private const int Side = 32;

    private string[] Infer => ["infer", "--weights", In("w.safetensors")];

    [SetUp]
    public void SaveModel()
    {
        // Logits from about -4 to 4 on a picture, so that masks have both values and probabilities many.
        ModelEntry entry = Registry.Find("unet");
        ModelConfig config = entry.Config with { Width = 4, Depth = 2 };
        VisionModel model = entry.Create(config, seed: 3);
        model.Parameters.Training = false;
        Tensor input = Tensor.Zeros(1, Side, Side, 3);
        Image image = Pictures.Random(Side, Side, 3);
        for (int i = 0; i < input.Count; i++) input.Span[i] = image.Pixels[i] / 255f;
        float[] logits;
        using (new MemoryScope()) logits = model.Forward(input).Span.ToArray();
        float mean = logits.Average(), deviation = MathF.Sqrt(logits.Average(v => (v - mean) * (v - mean)));
        foreach ((string name, Tensor tensor) in model.Parameters.All.Select(p => (p.Name, p.Tensor)))
        {
            if (!name.StartsWith("conv.", StringComparison.Ordinal)) continue;
            if (tensor.Count == 1) tensor.Span[0] -= mean;
            for (int i = 0; i < tensor.Count; i++) tensor.Span[i] *= 2f / deviation;
        }
        ModelInfo info = new(
            entry.Name, config, ["lesion"], Normalization.None(3), new RunData(SplitProtocol.Image, 0, null, Side, Side));
        ModelFile.Save(In("w.safetensors"), model, info);
    }

    [Test, Exercises("infer", "--out", "--probabilities")]
    public void Results_of_an_earlier_run_in_another_folder_are_no_inputs()
    {
        Directory.CreateDirectory(In("data", "p1"));
        Save(Path.Combine("data", "scan.png"), Pictures.Random(Side, Side, 3));
        Save(Path.Combine("data", "p1", "t1_overlay.png"), Pictures.Random(Side, Side, 3)); // an image of the user's own
        Succeeds([.. Infer, In("data"), "--probabilities", "--out", In("data", "first")]);
        Result second = Succeeds([.. Infer, In("data"), "--out", In("second")]);
        Assert.That(second.Out, Does.Contain($"2 images, results in {In("second")}"));
        Assert.That(second.Error, Does.Contain($"note: {In("data")}: 6 results of infer are left out, the first "));
        Assert.That(File.ReadAllLines(In("second", "predictions.csv"))[1..].Select(line => line.Split(',')[0]),
            Is.EqualTo(new[] { "p1/t1_overlay", "scan" }));
        File.Delete(In("data", "first", "predictions.csv"));
        Assert.That(Succeeds([.. Infer, In("data"), "--out", In("third")]).Out, Does.Contain("8 images"), "nothing says whose they are");
    }

    [Test, Exercises("infer", "--threshold", "--probabilities", "--no-overlay", "--out")]
    public void Pixels_from_the_threshold_are_in_the_mask()
    {
        Save("scan.png", Pictures.Random(Side, Side, 3));
        foreach (string threshold in new[] { "0.2", "0.5", "0.8" })
        {
            string[] options = threshold == "0.5" ? [] : ["--threshold", threshold];
            Succeeds([.. Infer, In("scan.png"), "--probabilities", "--no-overlay", .. options, "--out", In(threshold)]);
            Assert.That(
                Directory.GetFiles(In(threshold)).Select(path => Path.GetFileName(path)),
                Is.EquivalentTo(new[] { "scan_pred.png", "scan_prob.png", "predictions.csv" }));
        }
        ushort[] probabilities = Wide(In("0.5", "scan_prob.png"));
        Assert.That(Wide(In("0.2", "scan_prob.png")), Is.EqualTo(probabilities));
        Assert.That(probabilities.Distinct().Count(), Is.GreaterThan(100), "else the test tells little");
        foreach (string threshold in new[] { "0.2", "0.5", "0.8" })
        {
            double level = 65535 * double.Parse(threshold, CultureInfo.InvariantCulture);
            Image mask = ImageFile.Load(In(threshold, "scan_pred.png"));
            for (int i = 0; i < mask.Pixels.Length; i++)
                if (Math.Abs(probabilities[i] - level) > 1) Assert.That(mask.Pixels[i], Is.EqualTo(probabilities[i] > level ? 255 : 0));
            string[] row = File.ReadAllLines(In(threshold, "predictions.csv"))[1].Split(',');
            int inside = mask.Pixels.Count(p => p == 255);
            Assert.That(row[..4], Is.EqualTo(new[] { "scan", "32", "32", $"{inside}" }));
            Assert.That(double.Parse(row[4], CultureInfo.InvariantCulture), Is.EqualTo(inside / 1024.0).Within(1e-6));
            double confidence = probabilities.Zip(mask.Pixels, (p, m) => (m == 255 ? p : 65535 - p) / 65535.0).Average();
            Assert.That(double.Parse(row[6], CultureInfo.InvariantCulture), Is.EqualTo(confidence).Within(1e-4));
        }
        Assert.That(Mamba([.. Infer, In("scan.png"), "--threshold", "0", "--out", In("no")]).Error, Does.Contain("above 0 and below 1"));
        Assert.That(
            Mamba([.. Infer, In("scan.png"), "--threshold", "2", "--out", In("no")]).Error,
            Does.Contain("--threshold is '2'; expected a number from 0 to 1"));
        Assert.That(In("no"), Does.Not.Exist);
    }

    [Test, Exercises("infer", "--tta", "--probabilities")]
    public void With_mirror_images_a_mirrored_picture_has_the_mirrored_probabilities()
    {
        Image scan = Pictures.Random(Side, Side, 3);
        Save("scan.png", scan);
        Save("across.png", Transformed(scan, (x, y) => (Side - 1 - x, y)));
        Save("down.png", Transformed(scan, (x, y) => (x, Side - 1 - y)));
        string[] images = [In("scan.png"), In("across.png"), In("down.png")];
        Succeeds([.. Infer, .. images, "--tta", "flips", "--probabilities", "--out", In("flips")]);
        Succeeds([.. Infer, .. images, "--tta", "none", "--probabilities", "--out", In("none")]);
        Succeeds([.. Infer, .. images, "--probabilities", "--out", In("default")]);
        Assert.That(Wide(In("default", "scan_prob.png")), Is.EqualTo(Wide(In("none", "scan_prob.png"))));
        ushort[] mean = Wide(In("flips", "scan_prob.png")), across = Wide(In("flips", "across_prob.png")),
            down = Wide(In("flips", "down_prob.png"));
        for (int y = 0; y < Side; y++)
            for (int x = 0; x < Side; x++)
            {
                Assert.That(across[y * Side + Side - 1 - x], Is.EqualTo(mean[y * Side + x]).Within(2));
                Assert.That(down[(Side - 1 - y) * Side + x], Is.EqualTo(mean[y * Side + x]).Within(2));
            }
        ushort[] plain = Wide(In("none", "scan_prob.png")), mirrored = Wide(In("none", "across_prob.png"));
        Assert.That(
            Enumerable.Range(0, Side * Side).Max(i => Math.Abs(mirrored[i / Side * Side + Side - 1 - i % Side] - plain[i])),
            Is.GreaterThan(1000), "which does not hold without them");
    }

    [Test, Exercises("infer", "--tile", "--overlap", "--no-overlay", "--probabilities")]
    public void Tiles_are_seen_as_they_are()
    {
        Image scan = Pictures.Random(2 * Side, 2 * Side, 3);
        Save("scan.png", scan);
        string[] infer = [.. Infer, In("scan.png"), "--probabilities", "--no-overlay"];
        Succeeds([.. infer, "--tile", "32", "--overlap", "0", "--out", In("tiles")]);
        ushort[] whole = Wide(In("tiles", "scan_prob.png"));
        for (int q = 0; q < 4; q++)
        {
            (int left, int top) = (q % 2 * Side, q / 2 * Side);
            Save($"part{q}.png", Transformed(scan, (x, y) => (x + left, y + top), Side));
            Succeeds([.. Infer, In($"part{q}.png"), "--probabilities", "--out", In($"out{q}")]);
            ushort[] part = Wide(In($"out{q}", $"part{q}_prob.png"));
            for (int i = 0; i < part.Length; i++)
                Assert.That(whole[(top + i / Side) * 2 * Side + left + i % Side], Is.EqualTo(part[i]).Within(1));
        }
        Succeeds([.. infer, "--tile", "32", "--out", In("quarter")]);
        Succeeds([.. infer, "--tile", "32", "--overlap", "8", "--out", In("eight")]);
        Succeeds([.. infer, "--out", In("resized")]);
        Assert.That(Wide(In("quarter", "scan_prob.png")), Is.EqualTo(Wide(In("eight", "scan_prob.png"))), "a quarter is the default");
        Assert.That(Wide(In("eight", "scan_prob.png")), Is.Not.EqualTo(whole));
        Assert.That(Wide(In("resized", "scan_prob.png")), Is.Not.EqualTo(whole));

        Result wide = Mamba([.. infer, "--tile", "32", "--overlap", "32", "--out", In("no")]);
        Assert.That(wide.Code, Is.EqualTo(2));
        Assert.That(wide.Error, Does.Contain("tiles of 32 that overlap by 32"));
        Assert.That(Mamba([.. infer, "--overlap", "4", "--out", In("no")]).Error, Does.Contain("--overlap goes with --tile"));
        Assert.That(In("no"), Does.Not.Exist);
    }

    [Test, Exercises("infer", "--tile", "--overlap", "--probabilities")]
    public void A_picture_of_more_than_four_times_the_training_size_is_tiled()
    {
        Save("long.png", Pictures.Random(5 * Side, Side, 3));
        Succeeds([.. Infer, In("long.png"), "--probabilities", "--out", In("long")]);
        Succeeds([.. Infer, In("long.png"), "--probabilities", "--tile", "32", "--overlap", "8", "--out", In("tiles")]);
        Assert.That(Wide(In("long", "long_prob.png")), Is.EqualTo(Wide(In("tiles", "long_prob.png"))));
    }

    [Test, Exercises("infer", "--letterbox", "--probabilities")]
    public void A_letterbox_keeps_the_aspect_ratio()
    {
        // The same picture with zeros around it is a square; resized by half, both are the same input, beside the border of the picture.
        Image scan = Pictures.Random(2 * Side, Side, 3), square = new(2 * Side, 2 * Side, 3);
        scan.Pixels.CopyTo(square.Pixels, Side / 2 * 2 * Side * 3);
        Save("scan.png", scan);
        Save("square.png", square);
        Succeeds([.. Infer, In("scan.png"), "--letterbox", "--probabilities", "--out", In("box")]);
        Succeeds([.. Infer, In("scan.png"), In("square.png"), "--probabilities", "--out", In("plain")]);
        ushort[] box = Wide(In("box", "scan_prob.png")), padded = Wide(In("plain", "square_prob.png"));
        for (int y = 2; y < Side - 2; y++)
            for (int x = 0; x < 2 * Side; x++)
                Assert.That(box[y * 2 * Side + x], Is.EqualTo(padded[(y + Side / 2) * 2 * Side + x]).Within(2), $"{x}, {y}");
        Assert.That(Wide(In("plain", "scan_prob.png")), Is.Not.EqualTo(box));
        Result both = Mamba([.. Infer, In("scan.png"), "--letterbox", "--tile", "32", "--out", In("no")]);
        Assert.That(both.Error, Does.Contain("--letterbox and --tile exclude each other"));
        Assert.That(In("no"), Does.Not.Exist);
    }

    [Test, Exercises("infer", "--on-bad-image", "--out")]
    public void A_bad_image_takes_the_results_back_or_is_skipped()
    {
        WriteLesions(In("data", "deep"), 5);
        File.WriteAllBytes(In("data", "deep", "slice3.png"), File.ReadAllBytes(In("data", "deep", "slice3.png"))[..100]);
        foreach (string[] choice in new[] { Array.Empty<string>(), ["--on-bad-image", "fail"] })
        {
            Result fail = Mamba([.. Infer, In("data"), .. choice, "--out", In("new", "masks")]);
            Assert.That(fail.Code, Is.EqualTo(2));
            Assert.That(fail.Error, Does.Contain("slice3.png"));
            Assert.That(In("new"), Does.Not.Exist, "nothing is left of a run that failed");
        }
        Directory.CreateDirectory(In("mine"));
        File.WriteAllText(In("mine", "notes.txt"), "mine");
        Assert.That(Mamba([.. Infer, In("data"), "--out", In("mine")]).Code, Is.EqualTo(2));
        Assert.That(Directory.GetFileSystemEntries(In("mine")), Is.EqualTo(new[] { In("mine", "notes.txt") }), "but what was there is");

        Result skip = Succeeds([.. Infer, In("data"), "--on-bad-image", "skip", "--out", In("masks")]);
        Assert.That(skip.Out, Does.Contain($"4 images, results in {In("masks")}"));
        Assert.That(skip.Error, Does.Contain("skipped 1 of 5 images").And.Contain("slice3.png"));
        Assert.That(
            File.ReadLines(In("masks", "predictions.csv")).Skip(1).Select(row => row.Split(',')[0]),
            Is.EqualTo(new[] { "deep/slice0", "deep/slice1", "deep/slice2", "deep/slice4" }));
        Assert.That(Directory.GetFiles(In("masks", "deep")), Has.Length.EqualTo(8));
    }

    [Test, Exercises("infer", "--overwrite", "--out", "--threshold")]
    public void Results_that_are_there_are_replaced_only_on_demand()
    {
        WriteLesions(In("data"), 2);
        string[] infer = [.. Infer, In("data"), "--out", In("masks")];
        Succeeds(infer);
        Dictionary<string, byte[]> before = Contents("masks");
        Result again = Mamba(infer);
        Assert.That(again.Code, Is.EqualTo(2));
        Assert.That(again.Error, Does.Contain("is there already; --overwrite replaces it, another --out keeps it"));
        Assert.That(Contents("masks"), Is.EqualTo(before));

        // A table alone, or a mask alone, is kept as well, and nothing is left beside it.
        foreach (string kept in new[] { "predictions.csv", "slice1_pred.png" })
        {
            Directory.CreateDirectory(In(kept + "-alone"));
            File.WriteAllText(In(kept + "-alone", kept), "mine");
            Assert.That(Mamba([.. Infer, In("data"), "--out", In(kept + "-alone")]).Error, Does.Contain($"{kept}: is there already"));
            Assert.That(Contents(kept + "-alone").Single().Value, Is.EqualTo("mine"u8.ToArray()));
        }
        Succeeds([.. infer, "--threshold", "0.9", "--overwrite"]);
        Dictionary<string, byte[]> after = Contents("masks");
        Assert.That(after.Keys, Is.EquivalentTo(before.Keys));
        Assert.That(after[In("masks", "slice0_pred.png")], Is.Not.EqualTo(before[In("masks", "slice0_pred.png")]));
    }

    [Test, Exercises("infer", "--out", "--overwrite", "--probabilities")]
    public void Own_results_are_no_images()
    {
        WriteLesions(In("data", "a"), 2);
        string[] infer = [.. Infer, In("data"), "--probabilities", "--overwrite"];
        foreach (string output in new[] { In("data"), In("data", "results") })
        {
            string[] first = [.. Lines(Succeeds([.. infer, "--out", output]))];
            Assert.That(first, Is.EqualTo(new[] { "a/slice0", "a/slice1" }), output);
            Assert.That(Lines(Succeeds([.. infer, "--out", output])), Is.EqualTo(first), "the second time finds the same images");
        }
        Assert.That(In("data", "a", "slice0_pred.png"), Does.Exist);
        Assert.That(In("data", "results", "a", "slice0_prob.png"), Does.Exist);

        static string[] Lines(Result result) =>
        [
            .. result.Out.Split('\n').Where(line => line.Contains(" pixels, ", StringComparison.Ordinal))
                .Select(line => line.Split(':')[0]),
        ];
    }

    [Test, Exercises("infer", "--weights")]
    public void Each_run_has_a_folder_of_its_own()
    {
        Save("scan.png", Pictures.Random(Side, Side, 3));
        File.WriteAllText(In("bad.png"), "no image");
        string here = Directory.GetCurrentDirectory();
        try
        {
            Directory.SetCurrentDirectory(In());
            Assert.That(Mamba([.. Infer, "bad.png"]).Code, Is.EqualTo(2));
            Assert.That(In("runs"), Does.Not.Exist, "a run that failed leaves no folder");
            foreach (string run in new[] { "infer", "infer-2" })
                Assert.That(Succeeds([.. Infer, "scan.png"]).Out.TrimEnd(), Does.EndWith($"results in {Path.Combine("runs", run)}"));
        }
        finally
        {
            Directory.SetCurrentDirectory(here);
        }
        foreach (string run in new[] { "infer", "infer-2" }) Assert.That(In("runs", run, "scan_pred.png"), Does.Exist);
        Assert.That(Directory.GetDirectories(In("runs")), Has.Length.EqualTo(2), "and nothing half made");
    }

    [Test, Exercises("infer", "--out", "--threads")]
    public void The_table_has_a_row_for_each_image_in_order_at_any_number_of_threads()
    {
        WriteLesions(In("data", "b"), 7);
        WriteLesions(In("data", "a"), 3, first: 10);
        File.Copy(In("data", "a", "slice0.png"), In("data", "a, \"first\".png"));
        foreach (string threads in new[] { "1", "3" })
            Succeeds([.. Infer, In("data"), "--threads", threads, "--out", In(threads)]);
        string[] one = Rows("1"), three = Rows("3");
        Assert.That(one[0], Is.EqualTo("image,width,height,lesion_pixels,lesion_share,lesion_largest,confidence"));
        Assert.That(one, Has.Length.EqualTo(12));
        Assert.That(three, Is.EqualTo(one));
        Assert.That(one, Has.One.StartsWith("\"a, \"\"first\"\"\",40,32,"));
        Assert.That(one.Skip(1).Select(row => row.Trim('"').Split(",40,")[0]), Is.Ordered.Using((IComparer<string>)StringComparer.Ordinal));
        foreach (string path in Directory.GetFiles(In("1"), "*.png", SearchOption.AllDirectories))
            Assert.That(
                File.ReadAllBytes(path.Replace(In("1"), In("3"), StringComparison.Ordinal)), Is.EqualTo(File.ReadAllBytes(path)), path);
        foreach (string row in File.ReadLines(In("1", "predictions.csv")).Skip(1))
            Assert.That(row, Does.Match(@"(,\d+\.\d\d){3}$"), "milliseconds for decoding, model and writing");

        // Without the times, which differ from run to run.
        string[] Rows(string run) =>
            [.. File.ReadLines(In(run, "predictions.csv")).Select(row => string.Join(',', row.Split(',')[..^3]))];
    }

    [Test, Exercises("infer", "--threshold", "--tta")]
    public void Options_of_masks_are_refused_for_classes()
    {
        Succeeds(
            "train", "--model", "vit", "--width", "16", "--depth", "1", "--size", "16", "--patch", "8", "--limit", "20", "--epochs", "1",
            "--out", In("run"));
        Save("scan.png", Pictures.Random(Side, Side, 3));
        foreach (string[] option in new string[][] { ["--threshold", "0.4"], ["--tta", "flips"], ["--probabilities"], ["--tile", "32"],
            ["--letterbox"], ["--no-overlay"] })
        {
            Result result = Mamba(["infer", "--weights", BestOf("run"), In("scan.png"), .. option, "--out", In("no")]);
            Assert.That(result.Code, Is.EqualTo(2));
            Assert.That(result.Error.Trim(), Is.EqualTo($"mamba: {option[0]} is for segmentation; vit is for classification"));
        }
        Assert.That(Mamba([.. Infer, In("scan.png"), "--top", "3", "--out", In("no")]).Error, Does.Contain("--top is for classification"));
        Assert.That(In("no"), Does.Not.Exist);
    }

    private void Save(string name, Image image) => ImageFile.SavePng(In(name), image);

    private Dictionary<string, byte[]> Contents(string folder) =>
        Directory.GetFiles(In(folder), "*", SearchOption.AllDirectories).ToDictionary(path => path, File.ReadAllBytes);

    /// <summary>The samples of a gray PNG of 16 bits, without loss.</summary>
    private static ushort[] Wide(string path)
    {
        Image image = ImageFile.Load(path);
        Assert.That((image.Is16Bit, image.Channels), Is.EqualTo((true, 1)));
        return image.Samples16;
    }

    private static Image Transformed(Image image, Func<int, int, (int X, int Y)> from, int? side = null)
    {
        Image result = new(side ?? image.Width, side ?? image.Height, 3);
        for (int y = 0, at = 0; y < result.Height; y++)
            for (int x = 0; x < result.Width; x++)
            {
                (int sx, int sy) = from(x, y);
                for (int c = 0; c < 3; c++) result.Pixels[at++] = image.Pixels[(sy * image.Width + sx) * 3 + c];
            }
        return result;
    }
}
