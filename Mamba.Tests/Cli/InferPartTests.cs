using Mamba.Cli;
using Mamba.Models.Data;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cli;

/// <summary><c>mamba infer --part</c>: parts together write what one process writes.</summary>
[NonParallelizable]
internal sealed class InferPartTests : PartTests
{
    private string[] Infer => ["infer", In("data"), "--weights", Weights, "--out"];

    [Test, Exercises("infer", "--part", "--out")]
    public void Parts_write_what_one_process_writes_and_each_image_is_of_one()
    {
        WriteLesions(In("data", "a"), 4);
        WriteLesions(In("data", "b"), 3, first: 9);
        SaveModel();
        Succeeds([.. Infer, In("whole"), "--probabilities"]);
        for (int part = 1; part <= 3; part++)
        {
            Result result = Succeeds([.. Infer, In("parts"), "--probabilities", "--part", $"{part}/3"]);
            Assert.That(result.Out, Does.Contain($"{(part == 1 ? "3 images" : "2 images")}, results in {In("parts")}"));
            Assert.That(result.Out, Does.Contain(part < 3 ? "predictions.csv comes with the last one; part " : "all 3 parts have ended"));
            Assert.That(File.Exists(In("parts", "predictions.csv")), Is.EqualTo(part == 3));
        }
        AssertSame("whole", "parts", tables: 3);
        string[] rows = [.. Enumerable.Range(1, 3).SelectMany(part =>
            File.ReadLines(In("parts", $"predictions-{part}-of-3.csv")).Skip(1))];
        Assert.That(rows.Select(row => row.Split(',')[0]), Is.Unique);
        Assert.That(rows.Order(), Is.EqualTo(File.ReadLines(In("parts", "predictions.csv")).Skip(1).Order()));
    }

    [Test, Exercises("infer", "--part", "--on-bad-image")]
    public void Parts_of_a_classifier_join_their_rows_without_those_of_bad_images()
    {
        WriteClasses(In("data"), 3);
        File.Move(In("data", "along", "1.png"), In("data", "along", "a \"quoted\", name.png"));
        File.WriteAllText(In("data", "across", "1.png"), "no picture");
        SaveModel("pictures");
        string[] skip = ["--on-bad-image", "skip"];
        Succeeds([.. Infer, In("whole"), .. skip]);
        foreach (int part in new[] { 2, 1 }) Succeeds([.. Infer, In("parts"), .. skip, "--part", $"{part}/2"]);
        string[] rows = File.ReadAllLines(In("parts", "predictions.csv"));
        Assert.That(rows, Is.EqualTo(File.ReadAllLines(In("whole", "predictions.csv"))));
        Assert.That(rows, Has.Length.EqualTo(1 + 2 * 5), "two classes of five pictures");
        Assert.That(File.ReadAllBytes(In("parts", "predictions.csv")), Is.EqualTo(File.ReadAllBytes(In("whole", "predictions.csv"))));
    }

    [Test]
    public void Parts_of_volumes_write_the_masks_of_one_process()
    {
        Directory.CreateDirectory(In("data"));
        for (int i = 0; i < 3; i++) File.WriteAllBytes(In("data", $"v{i}.nii"), Volumes.Scan(i, big: false));
        SaveModel(intensity: Intensity.Percentile(0.5, 99.5));
        Succeeds([.. Infer, In("whole")]);
        foreach (int part in new[] { 2, 1 }) Succeeds([.. Infer, In("parts"), "--part", $"{part}/2"]);
        AssertSame("whole", "parts", tables: 2);
    }

    [Test, Exercises("infer", "--part")]
    public void More_parts_than_images_end_well()
    {
        WriteLesions(In("data"), 2);
        SaveModel();
        Succeeds([.. Infer, In("whole")]);
        for (int part = 4; part >= 1; part--)
            Assert.That(
                Succeeds([.. Infer, In("parts"), "--part", $"{part}/4"]).Out,
                Does.Contain(part > 2 ? "0 images, results" : "1 image, results"));
        AssertSame("whole", "parts", tables: 4);
    }

    [TestCase("0/3"), TestCase("4/3"), TestCase("3"), TestCase("1/0"), TestCase("a/b"), TestCase("-1/3")]
    public void A_part_that_is_none_is_refused(string part) => Refuses(
        $"--part is '{part}'; expected I/N with I from 1 to N, as 3/8", "infer", "x.png", "--weights", "w", "--out", "o", $"--part={part}");

    [Test]
    public void A_part_needs_a_folder_that_all_share()
    {
        WriteLesions(In("data"), 1);
        SaveModel();
        Refuses("--part goes with --out DIR", "infer", In("data"), "--weights", Weights, "--part", "1/2");
    }

    [TestCase("data"), TestCase("data/masks")]
    public void The_images_are_the_same_however_far_other_parts_are(string output)
    {
        WriteLesions(In("data"), 5);
        // An image whose name is like that of a result: one, unless a table of another run stands there.
        File.Move(In("data", "slice4.png"), In("data", "scan_pred.png"));
        File.Move(In("data", "slice4_mask.png"), In("data", "scan_mask.png"));
        SaveModel();
        Succeeds([.. Infer, In("whole")]);
        for (int part = 1; part <= 3; part++) Succeeds([.. Infer, In(output), "--part", $"{part}/3"]);
        AssertSame("whole", output, tables: 3);
        Result again = Succeeds([.. Infer, In(output), "--part", "2/3"]);
        Assert.That(again.Out, Does.Contain("part 2/3 has ended before; all 3 parts have ended"), "they are known to be of this job");
    }

    [Test]
    public void Results_of_parts_are_not_images_of_a_later_run()
    {
        WriteLesions(In("data"), 2);
        SaveModel();
        Succeeds([.. Infer, In("data", "masks"), "--part", "1/2"]); // the other one never runs
        Result later = Succeeds([.. Infer, In("later")]);
        Assert.That(later.Out, Does.Contain("2 images, results in"));
        Assert.That(later.Error, Does.Contain("2 results of infer are left out"));
    }

    [Test]
    public void Parts_that_run_at_once_do_not_disturb_one_another()
    {
        WriteLesions(In("data"), 9);
        SaveModel();
        Succeeds([.. Infer, In("whole")]);
        AtOnce(3, part => [.. Infer, In("data", "parts"), "--part", $"{part}/3"]);
        AssertSame("whole", "data/parts", tables: 3);
    }

    [Test]
    public void A_part_that_was_killed_runs_again_and_the_others_wait()
    {
        WriteLesions(In("data"), 6);
        SaveModel();
        Succeeds([.. Infer, In("whole")]);
        using CancellationTokenSource stop = new();
        string[] first = [.. Infer, In("parts"), "--part", "1/2", "--threads", "1"];
        Assert.That(Mamba(first, stop.Token, _ => stop.Cancel()).Code, Is.EqualTo(130));
        Assert.That(In("parts", "predictions-1-of-2.csv"), Does.Not.Exist, "a table says that its part has ended");
        Result second = Succeeds([.. Infer, In("parts"), "--part", "2/2"]);
        Assert.That(second.Out, Does.Contain("part 2/2 has ended; predictions.csv comes with the last one; part 1/2 not yet ended"));
        Assert.That(Succeeds(first).Out, Does.Contain("3 images, results in").And.Contain("all 2 parts have ended"), "without --overwrite");
        AssertSame("whole", "parts", tables: 2);
    }

    [Test, Exercises("infer", "--overwrite", "--part")]
    public void Results_of_other_jobs_are_neither_replaced_nor_joined()
    {
        WriteLesions(In("data"), 4);
        SaveModel();
        Succeeds([.. Infer, In("whole")]);
        Succeeds([.. Infer, In("parts"), "--part", "1/2", "--threshold", "0.4"]);
        Assert.That(Succeeds([.. Infer, In("parts"), "--part", "2/2"]).Out, Does.Contain(
            "no predictions.csv yet: part 1/2 is of other weights, images or options; run it again with --overwrite"));
        Refuses("predictions-1-of-2.job: is there already, of another run", [.. Infer, In("parts"), "--part", "1/2"]);
        Succeeds([.. Infer, In("parts"), "--part", "1/2", "--overwrite"]);
        AssertSame("whole", "parts", tables: 2);
        Refuses("predictions.csv: is there already, of another run", [.. Infer, In("whole"), "--part", "1/2"]);
    }

    [Test]
    public void A_part_that_fails_takes_its_files_back_and_can_run_again()
    {
        WriteLesions(In("data"), 3);
        SaveModel();
        byte[] good = File.ReadAllBytes(In("data", "slice2.png"));
        File.WriteAllText(In("data", "slice2.png"), "no picture");
        Assert.That(Mamba([.. Infer, In("parts"), "--part", "1/2"]).Code, Is.EqualTo(2));
        Assert.That(Directory.GetFiles(In("parts")), Is.Empty);
        File.WriteAllBytes(In("data", "slice2.png"), good);
        foreach (int part in new[] { 1, 2 }) Succeeds([.. Infer, In("parts"), "--part", $"{part}/2"]);
        Succeeds([.. Infer, In("whole")]);
        AssertSame("whole", "parts", tables: 2);
    }

    [Test]
    public void A_part_that_was_killed_and_then_failed_can_still_run_again()
    {
        WriteLesions(In("data"), 6);
        SaveModel();
        Succeeds([.. Infer, In("whole")]);
        using CancellationTokenSource stop = new();
        string[] part = [.. Infer, In("parts"), "--part", "1/1", "--threads", "1"];
        Assert.That(Mamba(part, stop.Token, _ => stop.Cancel()).Code, Is.EqualTo(130));
        byte[] good = File.ReadAllBytes(In("data", "slice5.png"));
        File.WriteAllText(In("data", "slice5.png"), "no picture");
        Assert.That(Mamba(part).Code, Is.EqualTo(2));
        File.WriteAllBytes(In("data", "slice5.png"), good);
        Succeeds(part);
        AssertSame("whole", "parts", tables: 1);
    }

    [Test]
    public void A_table_that_no_part_wrote_is_refused()
    {
        WriteLesions(In("data"), 2);
        SaveModel();
        Succeeds([.. Infer, In("parts"), "--part", "1/2"]);
        File.AppendAllText(In("parts", "predictions-1-of-2.csv"), "stranger,1,2\n");
        Result second = Mamba([.. Infer, In("parts"), "--part", "2/2"]);
        Assert.That(second.Code, Is.EqualTo(2));
        Assert.That(second.Error, Does.Contain("predictions-1-of-2.csv: 'stranger,1,2' is a row of no image of this part"));
    }

    [TestCase("a,b\n1,2\n", 2), TestCase("a\n\"x\ny\",1\nlast", 3), TestCase("\"q\"\"\n\"\n", 1), TestCase("", 0)]
    public void Records_of_a_table_end_outside_of_quotes(string table, int count)
    {
        List<string> records = Csv.Records(table);
        Assert.That(records, Has.Count.EqualTo(count));
        Assert.That(string.Concat(records), Is.EqualTo(table));
    }

    /// <summary>Runs the parts on threads of their own.</summary>
    private static void AtOnce(int count, Func<int, string[]> command)
    {
        Result[] results = new Result[count];
        Thread[] threads = [.. Enumerable.Range(0, count).Select(i => new Thread(() => results[i] = Mamba(command(i + 1))))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        Assert.That(results.Select(result => result.Code), Is.All.Zero, string.Join('\n', results.Select(result => result.Error)));
    }

    /// <summary>All pictures are the same bytes, and the joined table has the same rows apart from times.</summary>
    private void AssertSame(string whole, string parts, int tables)
    {
        string[] paths = Directory.GetFiles(In(whole), "*_pred.*", SearchOption.AllDirectories);
        paths = [.. paths, .. Directory.GetFiles(In(whole), "*.png", SearchOption.AllDirectories)];
        Assert.That(paths, Is.Not.Empty);
        foreach (string name in paths.Select(path => Path.GetRelativePath(In(whole), path)))
            Assert.That(File.ReadAllBytes(In(parts, name)), Is.EqualTo(File.ReadAllBytes(In(whole, name))), name);
        Assert.That(Rows(parts), Is.EqualTo(Rows(whole)));
        Assert.That(Directory.GetFiles(In(parts), "predictions-*.csv"), Has.Length.EqualTo(tables));
        Assert.That(Directory.GetFiles(In(parts), "*.tmp", SearchOption.AllDirectories), Is.Empty);
    }

    private string[] Rows(string folder) =>
        [.. File.ReadLines(In(folder, "predictions.csv")).Select(row => string.Join(',', row.Split(',')[..^3]))];
}
