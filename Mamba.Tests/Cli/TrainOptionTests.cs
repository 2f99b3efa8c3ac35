using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data.Splits;

namespace Mamba.Tests.Cli;

/// <summary>Each option of <c>mamba train</c>, from what is typed to what it changes.</summary>
[NonParallelizable]
internal sealed class TrainOptionTests : CliTest
{
    private static readonly string[] s_vit =
    [
        "train", "--model", "vit", "--width", "16", "--depth", "1", "--size", "16", "--patch", "8", "--batch", "8", "--limit", "40",
        "--epochs", "1",
    ];

    private static readonly string[] s_unet =
        ["train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "32", "--limit", "20", "--epochs", "1"];

    [Test, Exercises("train", "--out")]
    public void A_place_that_is_no_folder_is_refused_before_images_are_read()
    {
        File.WriteAllText(In("file"), "");
        foreach (string[] verb in new[] { new[] { "train", "--data", In("none") }, ["bench", "--scaling"] })
        {
            Result late = Mamba([.. verb, "--out", In("file", "run")]);
            Assert.That((late.Code, late.Out), Is.EqualTo((2, "")));
            Assert.That(late.Error.Trim(), Is.EqualTo($"mamba: {In("file", "run")}: {In("file")} is a file; expected a folder"));
        }
    }

    [Test]
    [Exercises(
        "train", "--batch", "--lr", "--schedule", "--optimizer", "--weight-decay", "--label-smoothing", "--mixup", "--ema", "--drop-path",
        "--clip-norm")]
    [Exercises("train", "--augment", "--normalize", "--seed", "--limit", "--epochs")]
    public void Options_of_the_recipe_are_kept_in_args_json_and_change_the_weights()
    {
        // Decay tells Adam from AdamW; of one block alone none is dropped.
        string[] vit = [.. s_vit, "--weight-decay", "0.1"], vim = With(With(vit, "--model", "vim"), "--depth", "2");
        Run("plain", vit);
        Run("plain-vim", vim);
        string plain = Last("plain"), plainVim = Last("plain-vim");
        Assert.Multiple(() =>
        {
            foreach (string option in new[]
            {
                "batch 4", "lr 0.01", "schedule constant", "schedule step", "optimizer sgd", "optimizer adamw", "weight-decay 0.2",
                "label-smoothing 0.1", "mixup 0.4",
                "ema 0.9", "clip-norm 0.01", "augment none", "augment crop", "augment basic", "normalize half", "normalize mnist", "seed 7",
                "limit 30", "epochs 2",
                "drop-path 0.5",
            })
            {
                (string name, string value) = (option.Split(' ')[0], option.Split(' ')[1]);
                string run = option.Replace(' ', '-');
                Run(run, With(name == "drop-path" ? vim : vit, "--" + name, value));
                Assert.That(JsonFile(In(run, "args.json")).GetProperty(name).ToString(), Is.EqualTo(value), option);
                Assert.That(Last(run), Is.Not.EqualTo(name == "drop-path" ? plainVim : plain), option);
            }
        });

        void Run(string run, string[] arguments) => Succeeds([.. arguments, "--out", In(run)]);
    }

    [Test, Exercises("train", "--loss", "--optimizer", "--lr", "--weight-decay")]
    public void The_loss_is_what_is_learned_from()
    {
        // Plain descent without decay: the weights of one step differ by the gradient of the loss alone.
        foreach (string loss in new[] { "dice", "bce", "bce-dice" })
            Assert.That(
                Mamba([.. s_unet, "--optimizer", "sgd", "--lr", "0.01", "--weight-decay", "0", "--loss", loss, "--out", In(loss)]).Code,
                Is.Zero, loss);
        Assert.That(new[] { "dice", "bce", "bce-dice" }.Select(Last), Is.Unique);
        Assert.That(JsonFile(In("bce", "args.json")).GetProperty("loss").GetString(), Is.EqualTo("bce"));
        Assert.That(Mamba([.. s_unet, "--loss", "cross-entropy", "--out", In("no")]).Error, Does.Contain("loss"));
    }

    [Test, Exercises("train", "--augment", "--crop", "--size", "--resume", "--recipe")]
    public void A_list_of_augmentations_and_a_crop_are_kept_and_resumed()
    {
        WriteLesions(In("data"), 10, width: 64, height: 48);
        string[] train = [.. s_unet[..5], "--epochs", "2", "--data", In("data"), "--batch", "4"];
        Run("whole", "--size", "32");
        Assert.That(
            Run("crop", "--crop", "32").Out,
            Does.Contain("crop: random 32 x 32 of each training image; validation on 4 of 4 tiles of that size, test on all 4")
                .And.Match(@"best epoch \d; on 4 test tiles"), "an image of 64 x 48 has four, which overlap");
        Result eval = Succeeds("eval", "--weights", In("crop"), "--data", In("data"), "--metrics-at", "model");
        Assert.That(eval.Error, Does.Contain("note: the model was trained on crops: 1 images are measured in 4 tiles of 32 x 32"));
        Assert.That(eval.Out, Does.Match(@"^unet on 4 tiles \(test, split slice, at 32 x 32\): loss"));
        double[] dice = [.. new[] { Summary("crop"), eval.Out }.Select(text => double.Parse(
            System.Text.RegularExpressions.Regex.Match(text, @"Dice[ |]+(\d\.\d{4})").Groups[1].Value, CultureInfo.InvariantCulture))];
        Assert.That(dice[0], Is.EqualTo(dice[1]), "as the summary says");
        Run("list", "--crop", "32", "--augment", "noise,flips,rotate,elastic:2");
        Run("sized", "--crop", "24", "--size", "32");
        Assert.That(new[] { "whole", "crop", "list", "sized" }.Select(Last), Is.Unique);
        JsonElement list = JsonFile(In("list", "args.json")), sized = JsonFile(In("sized", "args.json"));
        Assert.That(list.GetProperty("augment").GetString(), Is.EqualTo("flips,rotate:15,elastic:2,noise:0.05"));
        Assert.That((list.GetProperty("crop").GetInt32(), list.GetProperty("size").GetString()), Is.EqualTo((32, "32x32")));
        Assert.That((sized.GetProperty("crop").GetInt32(), sized.GetProperty("size").GetString()), Is.EqualTo((24, "32x32")));
        Assert.That(JsonFile(In("whole", "args.json")).TryGetProperty("crop", out _), Is.False, "so that older runs keep their identity");

        // The file is a recipe; and a run of one epoch goes on to the same weights.
        Succeeds("train", "--recipe", In("list", "args.json"), "--out", In("again"));
        Assert.That(Last("again"), Is.EqualTo(Last("list")));
        Succeeds("train", "--recipe", In("list", "args.json"), "--epochs", "1", "--out", In("half"));
        Succeeds("train", "--resume", In("half"), "--epochs", "2");
        Assert.That(Last("half"), Is.EqualTo(Last("list")));

        Result Run(string run, params string[] options) => Succeeds([.. train, .. options, "--out", In(run)]);
        string Summary(string run) => File.ReadAllText(In(run, "summary.md"));
    }

    [TestCase("--augment: unknown operation 'rotat'; did you mean rotate?", "--augment", "flips,rotat:10")]
    [TestCase("--augment: rotate:200; expected a number from 0 to 180, as rotate:15", "--augment", "rotate:200")]
    [TestCase("--augment: unknown word 'basik'; did you mean basic?", "--augment", "basik")]
    [TestCase("--crop is '8'; expected a whole number from 16 to", "--crop", "8")]
    [TestCase("--crop is for segmentation; vit is for classification", "--crop", "32", "--model", "vit")]
    public void An_augmentation_that_makes_no_sense_is_refused(string message, params string[] options)
    {
        Result train = Mamba(["train", "--limit", "20", "--epochs", "1", "--out", In("run"), .. options]);
        Assert.That(train.Code, Is.EqualTo(2));
        Assert.That(train.Error, Does.Contain(message));
        Assert.That(train.Error.Trim().Split('\n'), Has.Length.EqualTo(1));
        Assert.That(In("run"), Does.Not.Exist);
    }

    [Test]
    [Exercises("train", "--model", "--size", "--channels", "--patch", "--width", "--depth", "--normalize")]
    public void The_sizes_of_the_model_are_those_of_its_weight_file()
    {
        Succeeds([.. s_vit, "--channels", "1", "--normalize", "half", "--out", In("run")]);
        using SafetensorsFile file = SafetensorsFile.Open(In("run", "weights", "last.safetensors"));
        Assert.That(file.Metadata["model"], Is.EqualTo("vit"));
        Assert.That(
            file.Metadata["config"], Is.EqualTo("""{"input_channels":1,"classes":10,"image_size":16,"patch":8,"width":16,"depth":1}"""));
        Assert.That(file.Metadata["normalization"], Is.EqualTo("""{"mean":[0.5],"std":[0.5]}"""));
        Assert.That(file.Metadata["data"], Is.EqualTo("""{"protocol":"slice","seed":0,"synthetic":40,"height":16,"width":16,"batch":8}"""));
        Assert.That(file.Shape("pos_embedding"), Is.EqualTo(new[] { 5, 16 }), "four patches of 8 x 8 and the class token, 16 wide");
        Assert.That(
            file.Names.Count(n => n.StartsWith("transformer.layers.", StringComparison.Ordinal) && n.Contains(".0.0.")), Is.Positive);
        Assert.That(file.Names, Has.None.Contain(".layers.1."), "one block");
    }

    [Test]
    [Exercises("train", "--mixer")]
    public void Another_mixer_is_kept_with_the_weights()
    {
        string[] vim = With(s_vit, "--model", "vim");
        Succeeds([.. vim, "--mixer", "mamba2", "--out", In("run")]);
        Succeeds([.. vim, "--mixer", "mamba", "--out", In("mamba")]);
        using (SafetensorsFile file = SafetensorsFile.Open(In("run", "weights", "last.safetensors")))
        {
            Assert.That(file.Metadata["config"], Does.EndWith(""","depth":1,"mixer":"mamba2"}"""));
            Assert.That(file.Names, Has.Some.EqualTo("layers.0.mixer.dt_bias").And.Some.EqualTo("layers.0.mixer_b.dt_bias"));
        }
        using (SafetensorsFile file = SafetensorsFile.Open(In("mamba", "weights", "last.safetensors")))
            Assert.That(file.Metadata["config"], Does.Not.Contain("mixer"), "as in older files");
        Assert.That(JsonFile(In("run", "args.json")).GetProperty("mixer").GetString(), Is.EqualTo("mamba2"));
        Assert.That(JsonFile(In("mamba", "args.json")).TryGetProperty("mixer", out _), Is.False);
        Succeeds("eval", "--weights", BestOf("run"), "--data", "synthetic");
        Result refused = Mamba([.. With(s_vit, "--model", "unet"), "--mixer", "s4d", "--out", In("unet")]);
        Assert.That(refused.Code, Is.EqualTo(2));
    }

    [Test, Exercises("train", "--protocol", "--data")]
    public void Holdout_validates_on_training_images_and_keeps_the_test_images_for_the_end()
    {
        WriteClasses(In("data", "train"), 20);
        WriteClasses(In("data", "test"), 3, first: 20);
        string[] train = [.. s_vit[..^4], "--epochs", "1", "--data", In("data")];
        Assert.That(
            Succeeds([.. train, "--protocol", "holdout", "--out", In("holdout")]).Out,
            Does.Contain("36 training, 4 validation, 6 test images of 16 x 16"));
        Assert.That(
            Succeeds([.. train, "--protocol", "official", "--out", In("official")]).Out,
            Does.Contain("40 training, 6 test images (also for validation) of 16 x 16"));
        Assert.That(
            Succeeds([.. train, "--protocol", "slice", "--out", In("slice")]).Out,
            Does.Contain("36 training, 4 validation, 6 test images"));
        Assert.That(JsonFile(In("holdout", "args.json")).GetProperty("protocol").GetString(), Is.EqualTo("holdout"));
        Assert.That(File.ReadAllText(In("official", "summary.md")), Does.Contain("chosen on the test images"));
        Assert.That(File.ReadAllText(In("holdout", "summary.md")), Does.Not.Contain("chosen on the test images"));
        string resumed = Succeeds("train", "--resume", In("official"), "--epochs", "2").Out;
        Assert.That(resumed, Does.Contain("(also for validation)"), "the split is read from a file then");
        Assert.That(File.ReadAllText(In("official", "summary.md")), Does.Contain("chosen on the test images"));

        // Evaluation finds the same split in the weights, and gets the scores that training saw.
        JsonElement val = Json("eval", "--weights", BestOf("holdout"), "--data", In("data"), "--split", "val", "--json");
        Assert.That(val.GetProperty("images").GetInt32(), Is.EqualTo(4));
        Assert.That(val.GetProperty("loss").GetDouble(), Is.EqualTo(Results("holdout", "val_loss")[0]).Within(1e-5));
    }

    [Test, Exercises("train", "--protocol")]
    public void A_split_by_patient_keeps_the_images_of_a_patient_together()
    {
        for (int patient = 0; patient < 5; patient++) WriteLesions(In("data", $"patient{patient}"), 4, first: 4 * patient);
        Result result =
            Succeeds("train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "32", "--epochs", "1", "--data", In("data"),
            "--protocol", "patient", "--out", In("run"));
        Assert.That(result.Out, Does.Contain("12 training, 4 validation, 4 test images"), "three patients, one and one");
        Assert.That(
            Directory.GetFiles(In("run", "samples")).Select(path => Path.GetFileName(path)[3..].Split('_')[0]).Distinct().Count(),
            Is.EqualTo(1));
    }

    [Test, Exercises("train", "--on-nonfinite", "--lr")]
    public void A_step_whose_loss_is_not_finite_stops_the_run_or_is_skipped()
    {
        // After one step at such a rate no loss is finite any more.
        string[] train = [.. s_unet, "--optimizer", "sgd", "--lr", "1e30", "--batch", "4"];
        Result stop = Mamba([.. train, "--on-nonfinite", "stop", "--out", In("stop")]);
        Assert.That(stop.Code, Is.EqualTo(2));
        Assert.That(stop.Error, Does.Contain("in step 2 of epoch 1, after 4 images"));
        Result skip = Mamba([.. train, "--on-nonfinite", "skip", "--out", In("skip")]);
        Assert.That(
            skip.Out.Split(Environment.NewLine).Where(line => line.StartsWith("skipped a step", StringComparison.Ordinal)),
            Has.Exactly(3).Items);
        Assert.That(skip.Out, Does.Contain("skipped a step of epoch 1 at 8 images: the "));
        Assert.That(JsonFile(In("skip", "args.json")).GetProperty("on-nonfinite").GetString(), Is.EqualTo("skip"));
    }

    [Test, Exercises("train", "--patience", "--epochs", "--lr")]
    public void Patience_ends_a_run_that_does_not_get_better()
    {
        Succeeds([.. s_vit[..^2], "--epochs", "9", "--lr", "1e-12", "--schedule", "constant", "--patience", "2", "--out", In("run")]);
        Assert.That(Results("run", "epoch"), Is.EqualTo(new[] { 1.0, 2, 3 }), "the first is the best, and two more are waited for");
        Assert.That(File.ReadAllText(In("run", "summary.md")), Does.Contain("| epochs | 3 of 9, best 1 "));
    }

    [Test, Exercises("train", "--checkpoint-every", "--keep")]
    public void Checkpoints_are_written_as_often_and_kept_as_long_as_is_asked_for()
    {
        string[] train = [.. s_vit[..^2], "--epochs", "3"];
        Succeeds([.. train, "--checkpoint-every", "epoch", "--keep", "100", "--out", In("epochs")]);
        Succeeds([.. train, "--checkpoint-every", "1ms", "--keep", "100", "--out", In("steps")]);
        Succeeds([.. train, "--checkpoint-every", "1ms", "--keep", "1", "--out", In("one")]);
        Assert.That(
            Checkpoints("epochs"),
            Is.EqualTo(new[] { "epoch0000002-batch0000000", "epoch0000003-batch0000000", "epoch0000004-batch0000000" }));
        Assert.That(Checkpoints("steps"), Is.SupersetOf(Checkpoints("epochs")).And.Some.Not.EndsWith("batch0000000"));
        Assert.That(Checkpoints("one"), Is.EqualTo(new[] { "epoch0000004-batch0000000" }));
    }

    [Test, Exercises("train", "--cache-mb", "--threads")]
    public void Memory_and_threads_change_no_bit()
    {
        Result one = Succeeds([.. s_unet, "--cache-mb", "0", "--threads", "1", "--out", In("one")]);
        Result three = Succeeds([.. s_unet, "--cache-mb", "64", "--threads", "3", "--out", In("three")]);
        Assert.That(Workers.Count, Is.EqualTo(3));
        Assert.That(one.Out, Does.Contain(" parameters, 1 thread"));
        Assert.That(three.Out, Does.Contain(" parameters, 3 threads"));
        Assert.That(JsonFile(In("one", "args.json")).GetProperty("cache-mb").GetInt32(), Is.Zero);
        Assert.That(Last("three"), Is.EqualTo(Last("one")));
    }

    [Test, Exercises("train", "--on-bad-image", "--data", "--out")]
    public void A_bad_image_ends_the_run_or_is_skipped()
    {
        WriteLesions(In("data"), 20);
        File.WriteAllBytes(In("data", "slice7.png"), File.ReadAllBytes(In("data", "slice7.png"))[..100]);
        string[] train = [.. s_unet[..^4], "--epochs", "1", "--data", In("data"), "--out", In("run")];
        Result fail = Mamba([.. train, "--on-bad-image", "fail"]);
        Assert.That((fail.Code, Directory.Exists(In("run"))), Is.EqualTo((2, false)));
        Assert.That(fail.Error, Does.Contain("slice7.png"));
        Assert.That(Succeeds([.. train, "--on-bad-image", "skip"]).Out, Does.Contain("skipped 1 of 20 images").And.Contain("slice7.png"));
    }

    [Test, Exercises("train", "--recipe", "--init", "--check-numerics", "--resume", "--threads")]
    public void A_run_is_a_recipe_a_start_and_can_be_resumed()
    {
        Succeeds([.. s_vit, "--out", In("first")]);
        Succeeds("train", "--recipe", In("first", "args.json"), "--out", In("again"));
        Assert.That(Last("again"), Is.EqualTo(Last("first")));
        Assert.That(File.ReadAllText(In("again", "args.json")), Is.EqualTo(File.ReadAllText(In("first", "args.json"))));

        Result second = Succeeds(
            "train", "--recipe", In("first", "args.json"), "--lr", "1e-12", "--init", BestOf("first"), "--check-numerics", "--out",
            In("second"));
        Assert.That(second.Out, Does.Match(@"(?m)^.*best\.safetensors: all \d+ tensors loaded\r?$"));
        using (SafetensorsFile before = SafetensorsFile.Open(BestOf("first")), after = SafetensorsFile.Open(BestOf("second")))
            foreach (string name in before.Names)
                Assert.That(after.ReadFloats(name), Is.EqualTo(before.ReadFloats(name)).Within(1e-6f), name);

        Assert.That(Succeeds("train", "--resume", In("first"), "--threads", "1").Out, Does.Contain("the run is finished, after 1 epochs"));
    }

    private string[] Checkpoints(string run) =>
        [.. Directory.GetFiles(In(run, "checkpoints")).Select(path => Path.GetFileNameWithoutExtension(path)!)
            .Order(StringComparer.Ordinal)];
}
