using System.Text.RegularExpressions;
using Mamba.Models.Data;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cli;

/// <summary><c>mamba eval --part</c> and <c>--merge</c>: parts together have the scores of one process, to the bit.</summary>
[NonParallelizable]
internal sealed partial class EvalPartTests : PartTests
{
    private string[] Eval => ["eval", "--weights", Weights, "--data", In("data"), "--split", "all"];

    [TestCase("mask", 3, null), TestCase("classes", 2, null), TestCase("pictures", 3, null), TestCase("mask", 4, 16)]
    [Exercises("eval", "--part", "--out", "--merge", "--json")]
    public void Parts_have_the_scores_of_one_process(string kind, int parts, int? crop)
    {
        Write(kind);
        SaveModel(kind, crop);
        string[] eval = kind == "pictures" || crop is not null ? Eval : [.. Eval, "--patient-pattern", "(\\d)$"];
        string whole = Succeeds([.. eval, "--json"]).Out;
        int images = 0;
        for (int part = parts; part >= 1; part--)
        {
            Result result = Succeeds([.. eval, "--part", $"{part}/{parts}", "--out", In("parts")]);
            Match line = Line().Match(result.Out);
            Assert.That(line.Success, result.Out);
            images += int.Parse(line.Groups[1].Value);
        }
        Assert.That(Timeless(Succeeds("eval", "--merge", In("parts"), "--json").Out), Is.EqualTo(Timeless(whole)));
        Assert.That(images, Is.EqualTo(Json("eval", "--merge", In("parts"), "--json").GetProperty("images").GetInt32()), "each once");
        string table = Succeeds(eval).Out, merged = Succeeds("eval", "--merge", In("parts")).Out;
        Assert.That(Milliseconds().Replace(merged, ""), Is.EqualTo(Milliseconds().Replace(table, "")));
    }

    [Test, Exercises("eval", "--per-image", "--merge", "--metrics-at")]
    public void The_rows_of_all_images_are_written_at_the_merge([Values("image", "model")] string at)
    {
        Write("mask");
        SaveModel();
        string[] eval = [.. Eval, "--metrics-at", at];
        Succeeds([.. eval, "--per-image", In("whole.csv")]);
        foreach (int part in new[] { 1, 2 }) Succeeds([.. eval, "--part", $"{part}/2", "--out", In("parts")]);
        Succeeds("eval", "--merge", In("parts"), "--per-image", In("merged.csv"));
        Assert.That(File.ReadAllBytes(In("merged.csv")), Is.EqualTo(File.ReadAllBytes(In("whole.csv"))));
        Assert.That(File.ReadAllLines(In("merged.csv")), Has.Length.EqualTo(8));
    }

    [Test]
    public void A_part_that_is_missing_is_named_and_there_is_no_score()
    {
        Write("mask");
        SaveModel();
        foreach (int part in new[] { 1, 3, 5 }) Succeeds([.. Eval, "--part", $"{part}/5", "--out", In("parts")]);
        Refuses("parts: part 2/5, 4/5 missing", "eval", "--merge", In("parts"));
        Refuses("no such folder", "eval", "--merge", In("none"));
        Refuses("is a file; expected a folder", [.. Eval, "--part", "2/5", "--out", In("data", Directory.GetFiles(In("data"))[0])]);
        Refuses("no part of an evaluation", "eval", "--merge", In("data"));
    }

    [Test]
    public void More_parts_than_batches_end_well()
    {
        Write("mask");
        SaveModel();
        for (int part = 1; part <= 6; part++)
        {
            string line = Succeeds([.. Eval, "--part", $"{part}/6", "--out", In("parts")]).Out;
            Assert.That(line, Does.StartWith($"part {part}/6: {(part > 4 ? 0 : part == 4 ? 1 : 2)} of 7 images, in "));
        }
        string whole = Succeeds([.. Eval, "--json"]).Out;
        Assert.That(Timeless(Succeeds("eval", "--merge", In("parts"), "--json").Out), Is.EqualTo(Timeless(whole)));
    }

    [Test]
    public void Parts_of_other_weights_options_or_numbers_are_not_merged()
    {
        Write("mask");
        SaveModel();
        Succeeds([.. Eval, "--part", "1/2", "--out", In("parts")]);
        Succeeds([.. Eval, "--part", "2/2", "--out", In("parts"), "--metrics-at", "model"]);
        Refuses("eval-2-of-2.json: is of other weights, images or options", "eval", "--merge", In("parts"));
        SaveModel(seed: 2);
        Succeeds([.. Eval, "--part", "2/2", "--out", In("parts")]);
        Refuses("eval-2-of-2.json: is of other weights, images or options", "eval", "--merge", In("parts"));
        SaveModel();
        Succeeds([.. Eval, "--part", "2/2", "--out", In("parts"), "--threads", "1"]); // started again, as after a kill
        Succeeds("eval", "--merge", In("parts"));
        Succeeds([.. Eval, "--part", "2/3", "--out", In("parts")]);
        Refuses("parts of 2 and of 3; expected those of one evaluation", "eval", "--merge", In("parts"));
    }

    [Test]
    public void A_file_that_no_part_wrote_is_refused()
    {
        Write("mask");
        SaveModel();
        foreach (int part in new[] { 1, 2 }) Succeeds([.. Eval, "--part", $"{part}/2", "--out", In("parts")]);
        string file = In("parts", "eval-2-of-2.json"), good = File.ReadAllText(file);
        foreach ((string from, string to, string says) in new[]
        {
            ("{", "[", "not what a part of an evaluation writes"), ("\"part\":\"2/2\"", "\"part\":\"1/2\"", "says part 1/2"),
            ("\"measured\":[", "\"measured\":[],\"more\":[", "batch 2 has 0 images"),
            ("\"measured\":[", "\"measured\":null,\"more\":[", "not what a part"),
            ("\"measured\":[", "\"measured\":[null,", "says part 2/2"),
            ("\"images\":[", "\"images\":[null,", "says part 2/2"), ("\"counts\":[", "\"counts\":[1,", "not what the parts"),
            ("\"job\":\"", "\"job\":\"0", "is of other weights"), ("\"first\":0", "\"first\":1", "batch 2 has images twice"),
            ("\"batch\":1", "\"batch\":0", "batch 1 has images twice"), ("\"batch\":3", "\"batch\":9", "batch 4 has 0 images"),
            ("\"batchSize\":2", "\"batchSize\":0", "with batches of 0"), ("\"images\":7", "\"images\":6", "is of other weights"),
        })
        {
            Assert.That(good, Does.Contain(from));
            File.WriteAllText(file, new Regex(Regex.Escape(from)).Replace(good, to.Replace("$", "$$"), 1));
            Refuses(says, "eval", "--merge", In("parts"));
        }
    }

    [Test]
    public void What_does_not_go_with_parts_is_refused_in_a_line()
    {
        Write("mask");
        SaveModel();
        string[] part = [.. Eval, "--part", "1/2"];
        File.Copy(Weights, In("again.safetensors"));
        Refuses("--part goes with --out DIR", part);
        Refuses("--out goes with --part I/N", [.. Eval, "--out", In("parts")]);
        Refuses("--per-image goes with --merge", [.. part, "--out", In("parts"), "--per-image", In("rows.csv")]);
        Refuses("--json goes with --merge", [.. part, "--out", In("parts"), "--json"]);
        Refuses(
            "--part takes one weight file, and there are 2",
            ["eval", "--weights", Weights, In("again.safetensors"), "--data", In("data"), "--part", "1/2", "--out", In("parts")]);
        Refuses("--weights is for measuring", ["eval", "--merge", In("parts"), "--weights", Weights]);
        Refuses("--part is '3/2'; expected I/N", [.. Eval, "--out", In("parts"), "--part", "3/2"]);
        Assert.That(In("parts"), Does.Not.Exist);
        WriteClasses(In("pictures"), 2);
        SaveModel("pictures");
        Succeeds("eval", "--weights", Weights, "--data", In("pictures"), "--split", "all", "--part", "1/1", "--out", In("parts"));
        Refuses("--per-image is for segmentation", "eval", "--merge", In("parts"), "--per-image", In("rows.csv"));
    }

    [Test]
    public void Volumes_have_the_distances_of_one_process([Values("image", "model")] string at, [Values(2, 4)] int parts)
    {
        Directory.CreateDirectory(In("data"));
        for (int i = 0; i < 3; i++)
        {
            File.WriteAllBytes(In("data", $"v{i}.nii"), Volumes.Scan(i, big: false));
            File.WriteAllBytes(In("data", $"v{i}_mask.nii"), Volumes.Mask(i));
        }
        SaveModel(batch: 4, intensity: Intensity.Percentile(0.5, 99.5)); // a batch has slices of two volumes
        string[] eval = [.. Eval, "--axis", "z", "--metrics-at", at];
        for (int part = 1; part <= parts; part++) Succeeds([.. eval, "--part", $"{part}/{parts}", "--out", In("parts")]);
        string whole = Succeeds([.. eval, "--json", "--per-image", In("whole.csv")]).Out;
        Result merged = Succeeds("eval", "--merge", In("parts"), "--json", "--per-image", In("merged.csv"));
        Assert.That(Timeless(merged.Out), Is.EqualTo(Timeless(whole)));
        Assert.That(whole, Does.Contain(at == "image" ? "\"hausdorff_unit\": \"mm\"" : "\"hausdorff_unit\": \"px\""));
        Assert.That(File.ReadAllBytes(In("merged.csv")), Is.EqualTo(File.ReadAllBytes(In("whole.csv"))));
    }

    [Test, Exercises("eval", "--on-bad-image", "--part")]
    public void Images_that_cannot_be_read_are_left_out_as_in_one_process()
    {
        Write("mask");
        SaveModel();
        File.WriteAllText(In("data", "slice3.png"), "no picture");
        string[] eval = [.. Eval, "--on-bad-image", "skip"];
        foreach (int part in new[] { 1, 2 }) Succeeds([.. eval, "--part", $"{part}/2", "--out", In("parts")]);
        string whole = Succeeds([.. eval, "--json"]).Out, merged = Succeeds("eval", "--merge", In("parts"), "--json").Out;
        Assert.That(Timeless(merged), Is.EqualTo(Timeless(whole)).And.Contains("\"skipped\": 1"));
    }

    [GeneratedRegex(@"^part \d/\d: (\d+) of \d+ (images|tiles), in ")]
    private static partial Regex Line();

    [GeneratedRegex(@"[\d.]+ ms/image")]
    private static partial Regex Milliseconds();

    [GeneratedRegex(@"""ms_per_image"": [\d.E-]+")]
    private static partial Regex Times();

    private static string Timeless(string json) => Times().Replace(json, "");

    /// <summary>Seven images, so that the last batch of two is smaller; six pictures.</summary>
    private void Write(string kind)
    {
        if (kind == "mask") WriteLesions(In("data"), 7);
        else if (kind == "classes") WriteShapes(In("data"), 7);
        else WriteClasses(In("data"), 3);
    }
}
