using System.Text.Json;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cli;

/// <summary>The options that say where images and masks are, what masks mean, and how images are split.</summary>
[NonParallelizable]
internal sealed class DataOptionTests : CliTest
{
    private string[] Train =>
    [
        "train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "32", "--epochs", "1", "--threads", "1", "--data", In("data"),
    ];

    [Test]
    [Exercises("train", "--images", "--masks", "--mask-suffix"), Exercises("eval", "--images", "--masks", "--mask-suffix")]
    public void Folders_and_endings_are_as_they_are_named()
    {
        for (int i = 0; i < 12; i++)
        {
            Save(["data", "scans", $"{i}.png"], Pictures.Marked(32, 32, 1, i));
            Save(["data", "outlines", $"{i}-x.png"], Pictures.Disc(32, 32));
        }
        Result found = Mamba([.. Train, "--out", In("run")]);
        Assert.That(found.Code, Is.EqualTo(2));
        Assert.That(found.Error, Does.Contain("holds images for classification").And.Contain("--masks DIR names the folder of masks"));
        Assert.That(In("run"), Does.Not.Exist);

        string[] named = ["--images", "scans", "--masks", "outlines", "--mask-suffix", "-x"];
        Result train = Succeeds([.. Train, .. named, "--out", In("run")]);
        Assert.That(train.Out, Does.Contain("images: scans/ beside outlines/; 12 images").And.Contain("9 training, 1 validation, 2 test"));
        Assert.That(
            new[] { "images", "masks", "mask-suffix" }.Select(option => Argument("run", option)),
            Is.EqualTo(new[] { "scans", "outlines", "-x" }));
        Assert.That(Part("run", "train").Concat(Part("run", "val")).Concat(Part("run", "test")).Order(), Is.EqualTo(
            Enumerable.Range(0, 12).Select(i => $"{i}").Order()));

        string[] eval = ["eval", "--weights", BestOf("run"), "--data", In("data"), "--json"];
        Assert.That(Mamba(eval).Code, Is.EqualTo(2));
        Assert.That(Json([.. eval, .. named]).GetProperty("images").GetInt32(), Is.EqualTo(2), "the test images");
        Result other = Mamba([.. eval, "--images", "scans", "--masks", "nowhere"]);
        Assert.That(other.Error, Does.Contain("12 images in 'scans' and 0 masks in 'nowhere'"));
    }

    [Test]
    [Exercises("train", "--labels", "--class-weights", "--loss"), Exercises("eval", "--labels", "--per-image", "--split", "--json")]
    public void A_run_of_three_classes_from_labels_to_masks()
    {
        WriteShapes(In("data"), 20);
        File.WriteAllText(In("labels.txt"), "0 background\n1 disc\n2 square\n");
        string[] train = [.. With(With(Train, "--epochs", "12"), "--width", "8"), "--lr", "0.01", "--labels", In("labels.txt")];
        Result run = Succeeds([.. train, "--class-weights", "auto", "--out", In("run")]);
        Assert.That(run.Out, Does.Contain("masks: values 0, 1 and 2 in 20 files; class 1 'disc' covers ").And.Contain("class 2 'square'"));
        Assert.That(File.ReadLines(In("run", "results.csv")).First(), Does.Contain("mean_dice").And.Contain("dice_disc"));
        Assert.That(Results("run", "mean_dice").Max(), Is.GreaterThan(0.8), "the shapes are easy to tell");
        Assert.That(Argument("run", "loss"), Is.EqualTo("ce-dice"), "the default for several classes");
        using (SafetensorsFile file = SafetensorsFile.Open(BestOf("run")))
            Assert.That(file.Metadata["labels"], Is.EqualTo("""{"labels":["background","disc","square"]}"""));

        // Inversely proportional to the pixels of the training masks, 1 on average over them.
        double[] pixels = new double[3];
        foreach (string name in Part("run", "train"))
            foreach (byte value in ImageFile.Load(In("data", name + "_mask.png")).Pixels) pixels[value]++;
        double[] weights = [.. Argument("run", "class-weights")!.Split(',').Select(double.Parse)];
        Assert.That(weights.Zip(pixels, (weight, count) => weight * count).Sum() / pixels.Sum(), Is.EqualTo(1).Within(1e-5));
        Assert.That(weights[1] / weights[0], Is.EqualTo(pixels[0] / pixels[1]).Within(1e-4));
        Assert.That(weights[2] / weights[0], Is.EqualTo(pixels[0] / pixels[2]).Within(1e-4));

        string[] eval = ["eval", "--weights", BestOf("run"), "--data", In("data"), "--labels", In("labels.txt"), "--split", "all"];
        JsonElement scores = Json([.. eval, "--json", "--per-image", In("rows.csv")]);
        Assert.That(scores.GetProperty("mean_dice").GetDouble(), Is.GreaterThan(0.8));
        Assert.That(
            scores.GetProperty("classes").EnumerateArray().Select(c => c.GetProperty("label").GetString()),
            Is.EqualTo(new[] { "background", "disc", "square" }));
        Assert.That(File.ReadLines(In("rows.csv")).Count(), Is.EqualTo(1 + 20 * 2), "a row for each class beside the background");

        Succeeds("infer", "--weights", BestOf("run"), In("data", "shapes3.png"), "--out", In("masks"));
        Image mask = ImageFile.Load(In("masks", "shapes3_pred.png"));
        RawMask classes = ImageFile.LoadMask(In("masks", "shapes3_pred.png"));
        Assert.That((mask.Width, mask.Height), Is.EqualTo((32, 32)));
        byte[] truth = ImageFile.Load(In("data", "shapes3_mask.png")).Pixels;
        Assert.That(truth.Zip(classes.Values, (t, v) => t == v ? 1 : 0).Average(), Is.GreaterThan(0.9), "a palette's index is the class");
        string[] rows = File.ReadAllLines(In("masks", "predictions.csv"));
        Assert.That(rows[0], Does.StartWith("image,width,height,disc_pixels,disc_share,disc_largest,square_pixels,"));
        Assert.That(rows[1].Split(',')[3], Is.EqualTo($"{classes.Values.Count(v => v == 1)}"));

        Result both = Mamba([.. train, "--loss", "bce", "--out", In("no")]);
        Assert.That(both.Error, Does.Contain("loss bce does not fit 3 classes; expected ce-dice, ce, dice, focal, tversky"));
        Result threshold = Mamba("infer", "--weights", BestOf("run"), In("data"), "--threshold", "0.3", "--out", In("no"));
        Assert.That(threshold.Error, Does.Contain("--threshold is for one class; unet has 3"));
    }

    [Test, Exercises("train", "--labels")]
    public void Labels_can_join_values_to_one_class()
    {
        WriteShapes(In("data"), 12);
        File.WriteAllText(In("labels.txt"), "0 background\n1-2 shape\n");
        Succeeds([.. Train, "--labels", In("labels.txt"), "--out", In("run")]);
        using SafetensorsFile file = SafetensorsFile.Open(BestOf("run"));
        Assert.That(file.Metadata["labels"], Is.EqualTo("""{"labels":["shape"]}"""));
        Assert.That(Argument("run", "labels"), Is.EqualTo(In("labels.txt")));
        Result value = Mamba([.. Train, "--labels", Written("some.txt", "0 background\n1 disc\n"), "--out", In("no")]);
        Assert.That(value.Code, Is.EqualTo(2), "the square has no name");
        Assert.That(value.Error, Does.Contain("2"));
        Assert.That(In("no"), Does.Not.Exist);
    }

    [Test, Exercises("train", "--on-missing-mask"), Exercises("eval", "--on-missing-mask")]
    public void Images_without_a_mask_are_an_error_or_left_out_or_background()
    {
        WriteLesions(In("data"), 14);
        File.Delete(In("data", "slice3_mask.png"));
        File.Delete(In("data", "slice5_mask.png"));
        Result fail = Mamba([.. Train, "--on-missing-mask", "fail", "--out", In("fail")]);
        Assert.That(fail.Code, Is.EqualTo(2));
        Assert.That(fail.Error, Does.Contain("2 images without a mask: slice3.png, slice5.png").And.Contain("--on-missing-mask skip"));
        Assert.That(Mamba([.. Train, "--out", In("fail")]), Is.EqualTo(fail), "as without the option");
        Assert.That(In("fail"), Does.Not.Exist);

        Result skip = Succeeds([.. Train, "--on-missing-mask", "skip", "--out", In("skip")]);
        Assert.That(skip.Out, Does.Contain("note: 2 images without a mask: slice3.png, slice5.png left out").And.Contain("; 12 images"));
        Result empty = Succeeds([.. Train, "--on-missing-mask", "empty", "--out", In("empty")]);
        Assert.That(empty.Out, Does.Contain("taken for background").And.Contain("; 14 images"));
        Assert.That(Argument("empty", "on-missing-mask"), Is.EqualTo("empty"));

        string[] eval = ["eval", "--weights", BestOf("skip"), "--data", In("data"), "--split", "all", "--json"];
        Assert.That(Mamba([.. eval, "--on-missing-mask", "fail"]).Code, Is.EqualTo(2));
        Assert.That(Json([.. eval, "--on-missing-mask", "skip"]).GetProperty("images").GetInt32(), Is.EqualTo(12));
        JsonElement all = Json([.. eval, "--on-missing-mask", "empty"]);
        Assert.That(all.GetProperty("images").GetInt32(), Is.EqualTo(14));
        Assert.That(all.GetProperty("images_with_foreground").GetInt32(), Is.EqualTo(12));
    }

    [Test]
    [Exercises("train", "--patients", "--patient-pattern", "--protocol"), Exercises("eval", "--patients", "--patient-pattern")]
    public void Patients_are_told_by_a_table_or_by_a_pattern()
    {
        Directory.CreateDirectory(In("data"));
        for (int i = 0; i < 15; i++)
        {
            Save(["data", $"p{i / 3}_s{i}.png"], Pictures.Marked(32, 32, 1, i));
            Save(["data", $"p{i / 3}_s{i}_mask.png"], Pictures.Disc(32, 32));
        }
        string[] train = [.. Train, "--protocol", "patient"];
        Result none = Mamba([.. train, "--out", In("none")]);
        Assert.That(none.Code, Is.EqualTo(2));
        Assert.That(none.Error, Does.Contain("--patients FILE.csv with NAME,PATIENT, or --patient-pattern REGEX"));
        Assert.That(In("none"), Does.Not.Exist);

        string table = Written("patients.csv", string.Concat(Enumerable.Range(0, 15).Select(i => $"p{i / 3}_s{i}.png,person {i / 3}\n")));
        foreach ((string option, string value) in new[] { ("--patients", table), ("--patient-pattern", "^(p[0-9])_") })
        {
            string run = option[2..];
            Result result = Succeeds([.. train, option, value, "--out", In(run)]);
            Assert.That(result.Out, Does.Contain("15 images of 5 patients").And.Contain("9 training, 3 validation, 3 test images"));
            Assert.That(Argument(run, run), Is.EqualTo(value));
            IEnumerable<string> patients =
                new[] { "train", "val", "test" }.SelectMany(part => Part(run, part).Select(name => name[..2]).Distinct());
            Assert.That(patients, Is.Unique, "no patient is on two sides");
            JsonElement all = Json("eval", "--weights", BestOf(run), "--data", In("data"), option, value, "--split", "all", "--json");
            Assert.That(all.GetProperty("groups").GetArrayLength(), Is.EqualTo(5));
            string? name = all.GetProperty("groups")[0].GetProperty("group").GetString();
            Assert.That(name, Is.EqualTo(option == "--patients" ? "person 0" : "p0"));
        }
        Result unknown = Mamba([.. train, "--patient-pattern", "^p([0-2])_", "--out", In("none")]);
        Assert.That(unknown.Error, Does.Contain("names no patient of 6 of 15 images: p3_s10, p3_s11, p3_s9"));
    }

    [Test, Exercises("train", "--fold")]
    public void Each_image_is_tested_in_one_fold()
    {
        WriteLesions(In("data"), 14);
        for (int k = 1; k <= 3; k++)
        {
            Result fold = Succeeds([.. Train, "--fold", $"{k}/3", "--out", In($"fold{k}")]);
            Assert.That(fold.Out, Does.Contain($"of 32 x 32, split by slice, fold {k}/3"));
            Assert.That(Argument($"fold{k}", "fold"), Is.EqualTo($"{k}/3"));
            string[][] parts = [Part($"fold{k}", "train"), Part($"fold{k}", "val"), Part($"fold{k}", "test")];
            Assert.That(parts.SelectMany(part => part).Order(), Is.EqualTo(Enumerable.Range(0, 14).Select(i => $"slice{i}").Order()));
            Assert.That(
                Json("eval", "--weights", BestOf($"fold{k}"), "--data", In("data"), "--json").GetProperty("images").GetInt32(),
                Is.EqualTo(parts[2].Length));
        }
        string[] tested = [.. Enumerable.Range(1, 3).SelectMany(k => Part($"fold{k}", "test"))];
        Assert.That(tested, Is.Unique.And.Length.EqualTo(14));
        foreach (string wrong in new[] { "0/3", "4/3", "3", "1/1" })
            Assert.That(
                Mamba([.. Train, "--fold", wrong, "--out", In("no")]).Error, Does.Contain($"--fold is '{wrong}'; expected k/K, as 1/5"));
        Assert.That(
            Mamba([.. Train, "--fold", "1/15", "--out", In("no")]).Error, Does.Contain("expected at least 15 images, one for each fold"));
        Assert.That(In("no"), Does.Not.Exist);
    }

    [Test, Exercises("train", "--split-file", "--seed"), Exercises("eval", "--split-file", "--split", "--json")]
    public void A_file_says_which_images_are_in_each_part()
    {
        WriteLesions(In("data"), 12);
        string split = Written(
            "split.json", """{"train": ["slice7", "slice0", "slice3"], "val": ["slice1"], "test": ["slice2", "slice11"]}""");
        string[] train = [.. Train, "--split-file", split, "--seed", "5"];
        Result run = Succeeds([.. train, "--out", In("run")]);
        Assert.That(run.Out, Does.Contain($"3 training, 1 validation, 2 test images of 32 x 32, split from {split}"));
        Assert.That(Part("run", "train"), Is.EquivalentTo(new[] { "slice0", "slice3", "slice7" }));
        Assert.That(Part("run", "val"), Is.EqualTo(new[] { "slice1" }));
        Assert.That(Part("run", "test"), Is.EquivalentTo(new[] { "slice11", "slice2" }));
        Assert.That(
            File.ReadAllText(In("run", "summary.md")), Does.Contain($"| split | from {split}: 3 training, 1 validation, 2 test images |"));
        Assert.That(Succeeds("eval", "--weights", BestOf("run"), "--data", In("data")).Out, Does.Contain("(test, split from a file, "));
        Succeeds([.. With(train, "--split-file", In("run", "split.json")), "--out", In("again")]);
        Assert.That(Last("again"), Is.EqualTo(Last("run")), "a run's split.json is such a file");

        string files = Written(
            "files.json",
            """{"train": ["slice7.png", "slice0", "data/slice3.png"], "val": ["slice1.png"], "test": ["slice2.png", "slice11"]}""");
        Succeeds([.. With(train, "--split-file", files), "--out", In("files")]);
        Assert.That(Last("files"), Is.EqualTo(Last("run")), "names of files");

        string[] eval = ["eval", "--weights", BestOf("run"), "--data", In("data"), "--json"];
        Assert.That(Images([.. eval, "--split-file", split]), Is.EqualTo(2));
        Assert.That(Images([.. eval, "--split-file", split, "--split", "train"]), Is.EqualTo(3));
        string other = Written(
            "other.json", """{"train": ["slice0"], "val": ["slice1"], "test": ["slice4", "slice5", "slice6", "slice8"]}""");
        Assert.That(Images([.. eval, "--split-file", other]), Is.EqualTo(4));
        Assert.That(Succeeds([.. eval, "--split-file", other]).Error, Does.Not.Contain("trained on"));
        string seen = Written("seen.json", """{"train": ["slice1"], "val": ["slice2"], "test": ["slice0", "slice4", "slice7"]}""");
        Assert.That(
            Succeeds([.. eval, "--split-file", seen]).Error,
            Does.Contain("note: 2 of 3 images were trained on, which flatters the scores"));

        foreach ((string text, string message) in new[]
        {
            ("""{"train": ["slice0"], "val": ["slice1"], "test": ["slice2", "slice99"]}""", "1 of its images are not in the data: slice99"),
            ("""{"train": ["slice0"], "val": ["slice0"], "test": ["slice2"]}""", "'slice0' is listed twice"),
            ("""{"train": ["slice0"], "val": ["slice1"], "test": ["slice2.jpg"]}""", "slice2.jpg; expected names such as slice0"),
            ("""{"train": ["slice0"], "val": ["slice0.png"], "test": ["slice2"]}""", "'slice0' is listed twice"),
            ("""{"train": ["slice0"]}""", """no split: it has no "val" and no "test"; expected {"train": [NAMES], "val": """),
            ("""{"train": ["slice0"], "val": ["slice1"], "test": ["slice2", "slice2.png"]}""", "'slice2' is listed twice"),
            ("""["slice0"]""", """; expected {"train": [NAMES], "val": [NAMES], "test": [NAMES]}"""),
        })
        {
            string wrong = Written("wrong.json", text);
            foreach (Result result in new[] { Mamba([.. With(train, "--split-file", wrong), "--out", In("no")]),
                Mamba([.. eval, "--split-file", wrong]) })
            {
                Assert.That(result.Code, Is.EqualTo(2));
                Assert.That(result.Error, Does.Contain(wrong).And.Contain(message));
            }
        }
        Assert.That(Mamba([.. train, "--limit", "3", "--out", In("no")]).Error, Does.Contain("without --fold and --limit"));
        Assert.That(
            Mamba([.. eval, "--split-file", In("none.json"), "--split", "all"]).Error, Does.Contain("it goes without --split all"));
        File.Copy(In("data", "slice0.png"), In("data", "slice2.png"), overwrite: true);
        File.Copy(In("data", "slice0.png"), In("data", "slice3.png"), overwrite: true);
        Result shared = Mamba([.. train, "--out", In("no")]);
        Assert.That(shared.Code, Is.EqualTo(2));
        Assert.That(shared.Error, Does.Contain(
            $"{split}: 'slice2' has the same pixels as 'slice0', and one of them is in train; expected both in one part"));
        File.Copy(In("data", "slice1.png"), In("data", "slice2.png"), overwrite: true);
        Assert.That(Mamba([.. train, "--out", In("copies")]).Code, Is.Zero, "copies inside a part are the user's business");

        int Images(string[] arguments) => Json(arguments).GetProperty("images").GetInt32();
    }

    [Test, Exercises("train", "--split-file"), Exercises("eval", "--split", "--data")]
    public void Images_that_are_in_no_folder_are_remembered_by_their_names_too()
    {
        string[] train = [.. With(With(Train, "--data", "synthetic"), "--limit", "20")];
        Succeeds([.. train, "--out", In("run")]);
        string split = Written(
            "split.json",
            JsonSerializer.Serialize(new Dictionary<string, string[]>
            {
                ["train"] = [.. Part("run", "val"), .. Part("run", "test")],
                ["val"] = Part("run", "train")[..1],
                ["test"] = Part("run", "train")[1..],
            }));
        string[] listed = [.. train[..^2], "--split-file", split]; // as many synthetic images as there are by default
        Succeeds([.. listed, "--out", In("listed")]);
        string[] eval = ["eval", "--weights", BestOf("listed"), "--data", "synthetic"];
        Result test = Succeeds(eval);
        Assert.That(test.Out, Does.Contain("unet on 15 images (test, split from a file, "));
        Assert.That(test.Error, Does.Contain("images are in no part of the file that split the training"));
        Assert.That(
            Succeeds([.. eval, "--split", "all"]).Error, Does.Contain("note: 4 of "), "the training images of the file, not of the seed");
        Assert.That(Json([.. eval, "--split-file", split, "--json"]).GetProperty("images").GetInt32(), Is.EqualTo(15));
    }

    [Test, Exercises("train", "--data")]
    public void Pictures_of_the_same_pixels_are_used_once()
    {
        WriteLesions(In("data"), 12);
        File.Copy(In("data", "slice4.png"), In("data", "slice4b.png"));
        File.Copy(In("data", "slice4_mask.png"), In("data", "slice4b_mask.png"));
        Result run = Succeeds([.. Train, "--out", In("run")]);
        Assert.That(run.Out, Does.Contain("1 of 13 images are duplicates").And.Contain("slice4b is slice4"));
        JsonElement leftOut = JsonFile(In("run", "split.json")).GetProperty("left_out");
        Assert.That(leftOut.GetProperty("slice4b").GetString(), Is.EqualTo("the same pixels as slice4"));
        Assert.That(new[] { "train", "val", "test" }.SelectMany(part => Part("run", part)), Has.Exactly(12).Items);
    }

    [Test]
    public void Options_of_masks_are_refused_where_there_are_none()
    {
        WriteClasses(In("data"), 6);
        string[] vit = ["train", "--model", "vit", "--width", "16", "--depth", "1", "--size", "16", "--patch", "8", "--data", In("data")];
        foreach (string[] option in new string[][] { ["--mask-suffix", "-x"], ["--on-missing-mask", "skip"],
            ["--patients", In("patients.csv")], ["--patient-pattern", "."] })
        {
            Result classes = Mamba([.. vit, .. option, "--out", In("no")]);
            Assert.That(classes.Code, Is.EqualTo(2));
            Assert.That(classes.Error.Trim(), Is.EqualTo(
                $"mamba: {option[0]} is for folders of images with masks; {In("data")} holds none"));
            Result synthetic = Mamba(["train", .. option, "--out", In("no")]);
            Assert.That(synthetic.Error.Trim(), Is.EqualTo(
                $"mamba: {option[0]} is for folders of images with masks; synthetic holds none"));
        }
        Assert.That(
            Mamba("train", "--labels", In("labels.txt"), "--out", In("no")).Error,
            Does.Contain("--labels is for folders of images with masks; synthetic holds none"));
        Assert.That(In("no"), Does.Not.Exist);
    }

    private string Written(string name, string text)
    {
        File.WriteAllText(In(name), text);
        return In(name);
    }

    private void Save(string[] path, Image image)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(In(path))!);
        ImageFile.SavePng(In(path), image);
    }
}
