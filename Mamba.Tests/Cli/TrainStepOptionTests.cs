using System.Globalization;
using System.Text.RegularExpressions;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cli;

/// <summary>The options of <c>mamba train</c> that change its steps: what they are set to is what happens.</summary>
[NonParallelizable]
internal sealed partial class TrainStepOptionTests : CliTest
{
    private static readonly string[] s_unet =
        ["train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "32", "--limit", "20", "--epochs", "1", "--threads", "1"];

    /// <summary>A model without batch norm, on 16 training images that stay as they are.</summary>
    private static readonly string[] s_vit =
    [
        "train", "--model", "vit", "--width", "16", "--depth", "1", "--size", "16", "--patch", "8", "--limit", "20", "--epochs", "1",
        "--augment", "none", "--optimizer", "sgd", "--lr", "0.1", "--weight-decay", "0", "--schedule", "constant", "--threads", "1",
    ];

    [Test, Exercises("train", "--accumulate", "--batch", "--threads")]
    public void Two_half_batches_make_the_step_of_a_whole_one()
    {
        Succeeds([.. s_vit, "--batch", "16", "--out", In("whole")]);
        string[] halves = [.. s_vit, "--batch", "8", "--accumulate", "2"], uneven = [.. s_vit, "--batch", "6", "--accumulate", "3"];
        Succeeds([.. halves, "--out", In("halves")]);
        Succeeds([.. uneven, "--out", In("uneven")]);
        Succeeds([.. s_vit, "--batch", "8", "--out", In("two")]);
        Assert.That(Argument("halves", "accumulate"), Is.EqualTo("2"));
        using SafetensorsFile whole = Weights("whole");
        foreach (string run in new[] { "halves", "uneven" })
        {
            Assert.That(Results(run, "train_loss")[0], Is.EqualTo(Results("whole", "train_loss")[0]).Within(1e-6), run);
            using SafetensorsFile parts = Weights(run);
            foreach (string name in whole.Names)
                Assert.That(parts.ReadFloats(name), Is.EqualTo(whole.ReadFloats(name)).Within(1e-6f), $"{run}: {name}");
        }
        using SafetensorsFile two = Weights("two");
        Assert.That(two.ReadFloats("pos_embedding"), Is.Not.EqualTo(whole.ReadFloats("pos_embedding")).Within(1e-6f), "two steps differ");

        foreach ((string run, string[] arguments) in new[] { ("halves", halves), ("uneven", uneven) })
        {
            Succeeds([.. With(arguments, "--threads", "3"), "--out", In(run + "3")]);
            Assert.That(Last(run + "3"), Is.EqualTo(Last(run)), "the same bits on three threads");
        }
    }

    [Test, Exercises("train", "--shard", "--batch", "--accumulate", "--resume")]
    public void A_batch_of_shards_is_that_of_as_many_accumulated_batches()
    {
        Succeeds([.. s_vit, "--batch", "6", "--accumulate", "3", "--out", In("batches")]);
        Succeeds([.. s_vit, "--batch", "18", "--shard", "6", "--out", In("shards")]);
        Assert.That(Last("shards"), Is.EqualTo(Last("batches")));
        Assert.That((Argument("shards", "batch"), Argument("shards", "accumulate")), Is.EqualTo(("6", "3")));
        Succeeds("train", "--resume", In("shards"), "--epochs", "2");
        Succeeds([.. With(s_vit, "--epochs", "2"), "--batch", "18", "--shard", "6", "--out", In("longer")]);
        Assert.That(Last("shards"), Is.EqualTo(Last("longer")));
        Result odd = Mamba([.. s_vit, "--batch", "16", "--shard", "6"]), both = Mamba([.. s_vit, "--shard", "4", "--accumulate", "4"]);
        Assert.That((odd.Code, both.Code), Is.EqualTo((2, 2)));
        Assert.That(odd.Error, Does.Contain("expected a divisor of --batch, which is 16"));
        Assert.That(both.Error, Does.Contain("expected one of them"));
    }

    [Test, Exercises("train", "--warmup", "--schedule", "--lr")]
    public void The_learning_rate_rises_over_the_epochs_of_the_warmup()
    {
        string[] train = [.. With(s_unet, "--epochs", "4"), "--lr", "0.01", "--schedule"];
        Succeeds([.. train, "constant", "--warmup", "2", "--out", In("run")]);
        Assert.That(Results("run", "lr"), Is.EqualTo(new[] { 0.005, 0.01, 0.01, 0.01 }).Within(1e-9), "after the last step of each epoch");
        Assert.That(Argument("run", "warmup"), Is.EqualTo("2"));
        Succeeds([.. train, "constant", "--warmup", "0", "--out", In("none")]);
        Assert.That(Results("none", "lr"), Is.All.EqualTo(0.01).Within(1e-9));
        Succeeds([.. train, "cosine", "--warmup", "3", "--out", In("cosine")]);
        Assert.That(Results("cosine", "lr")[..3], Is.EqualTo(new[] { 0.01 / 3, 0.02 / 3, 0.01 }).Within(1e-7));
        Assert.That(Results("cosine", "lr")[3], Is.EqualTo(0.005).Within(1e-7), "half of the cosine after the first of its two steps");
        Result all = Mamba([.. train, "constant", "--warmup", "4", "--out", In("no")]);
        Assert.That(all.Code, Is.EqualTo(2));
        Assert.That(all.Error, Does.Contain("--warmup is 4 epochs of 4; expected fewer than all"));
        Assert.That(In("no"), Does.Not.Exist);
    }

    [Test, Exercises("train", "--min-lr", "--schedule", "--lr")]
    public void The_learning_rate_does_not_fall_below_the_lowest()
    {
        string[] train = [.. With(s_unet, "--epochs", "6"), "--lr", "0.01", "--min-lr", "0.002", "--schedule"];
        Succeeds([.. train, "cosine", "--warmup", "0", "--out", In("cosine")]);
        // 2 steps an epoch; the last of 12 has not quite arrived.
        double last = 0.002 + 0.004 * (1 + Math.Cos(Math.PI * 11 / 12));
        Assert.That(Results("cosine", "lr")[^1], Is.EqualTo(last).Within(1e-7));
        Assert.That(Results("cosine", "lr"), Is.Ordered.Descending);
        Succeeds([.. train, "step", "--out", In("step")]);
        Assert.That(Results("step", "lr"), Is.EqualTo(new[] { 0.01, 0.01, 0.002, 0.002, 0.002, 0.002 }).Within(1e-9));
        Assert.That(Argument("step", "min-lr"), Is.EqualTo("0.002"));
        Assert.That(
            Mamba([.. With(train, "--min-lr", "0.02"), "cosine", "--out", In("no")]).Error,
            Does.Contain("--min-lr is 0.02, above --lr 0.01; expected a lower one"));
        WriteLesions(In("data"), 12);
        string[] real = [.. s_unet, "--min-lr", "0.002", "--data", In("data")]; // whose schedule is constant unless another is given
        foreach (string[] constant in new[] { [.. train, "constant"], real })
            Assert.That(
                Mamba([.. constant, "--out", In("no")]).Error,
                Does.Contain("--min-lr is for the schedules step and cosine, and this run's is constant; expected --schedule cosine"));
        Assert.That(In("no"), Does.Not.Exist);
    }

    [Test, Exercises("train", "--momentum", "--optimizer", "--batch")]
    public void Momentum_carries_a_step_over_to_the_next()
    {
        foreach (string batch in new[] { "16", "8" })
            foreach (string momentum in new[] { "0", "0.9" })
                Succeeds([.. s_vit, "--batch", batch, "--momentum", momentum, "--out", In($"{batch}-{momentum}")]);
        Succeeds([.. s_vit, "--batch", "8", "--out", In("default")]);
        Assert.That(Argument("8-0", "momentum"), Is.EqualTo("0"));
        Assert.That(Last("default"), Is.EqualTo(Last("8-0.9")), "the default is 0.9");
        Assert.That(Last("16-0"), Is.EqualTo(Last("16-0.9")), "the first step has none");
        Assert.That(Last("8-0"), Is.Not.EqualTo(Last("8-0.9")), "the second has");
        Result adam = Mamba([.. With(s_vit, "--optimizer", "adam"), "--momentum", "0.5", "--out", In("no")]);
        Assert.That(adam.Error, Does.Contain("--momentum is for SGD; expected --optimizer sgd beside it"));
        Assert.That(In("no"), Does.Not.Exist);
    }

    [Test, Exercises("train", "--class-weights", "--loss")]
    public void Class_weights_are_given_or_made_from_the_training_images()
    {
        WriteLesions(In("data"), 12);
        string[] train = [.. s_unet, "--data", In("data"), "--loss", "bce"];
        foreach ((string run, string weights) in new[] { ("ones", "1,1"), ("more", "1,5"), ("auto", "auto") })
            Succeeds([.. train, "--class-weights", weights, "--out", In(run)]);
        Succeeds([.. train, "--out", In("none")]);
        Assert.That(Argument("none", "class-weights"), Is.Null);
        Assert.That(Argument("more", "class-weights"), Is.EqualTo("1,5"));
        Assert.That(Results("ones", "train_loss")[0], Is.EqualTo(Results("none", "train_loss")[0]).Within(1e-6), "1 each is no weight");
        Assert.That(
            Results("more", "train_loss")[0], Is.GreaterThan(1.2 * Results("none", "train_loss")[0]), "missed pixels count 5 times");
        double lesion = Part("auto", "train").Average(
            name => ImageFile.Load(In("data", name + "_mask.png")).Pixels.Average(p => p / 255.0));
        double[] auto = [.. Argument("auto", "class-weights")!.Split(',').Select(w => double.Parse(w, CultureInfo.InvariantCulture))];
        Assert.That(auto[1] / auto[0], Is.EqualTo((1 - lesion) / lesion).Within(1e-4));
        Assert.That((1 - lesion) * auto[0] + lesion * auto[1], Is.EqualTo(1).Within(1e-4), "1 on average over the pixels");
        foreach ((string weights, string message) in new[]
        {
            ("1,-2", "--class-weights is '1,-2'; expected auto, or positive numbers with commas between"),
            ("1,2,3", "class weights 1, 2, 3; expected 2 positive numbers, one for each class"),
        })
            Assert.That(Mamba([.. train, "--class-weights", weights, "--out", In("no")]).Error, Does.Contain(message));
        Assert.That(
            Mamba([.. With(train, "--loss", "dice"), "--class-weights", "1,2", "--out", In("no")]).Error,
            Does.Contain("class weights do not change loss dice; expected bce, bce-dice, focal with them"));
        Assert.That(In("no"), Does.Not.Exist);
    }

    [Test, Exercises("train", "--class-weights", "--balance")]
    public void Rare_classes_are_made_up_for_once()
    {
        WriteLesions(In("data"), 12);
        string[] train = [.. s_unet, "--data", In("data"), "--loss", "bce", "--balance"];
        Result twice = Mamba([.. train, "--class-weights", "auto", "--out", In("no")]);
        Assert.That((twice.Code, twice.Error.Trim()), Is.EqualTo(
            (2, "mamba: --balance and --class-weights auto make up for rare classes twice; expected one of them")));
        Assert.That(In("no"), Does.Not.Exist);
        Succeeds([.. train, "--class-weights", "1,1", "--out", In("given")]);
    }

    [Test, Exercises("train", "--balance", "--normalize", "--augment")]
    public void Balanced_epochs_draw_each_class_equally_often()
    {
        WriteClasses(In("data"), 20);
        for (int i = 5; i < 20; i++) File.Delete(In("data", "across", $"{i}.png"));
        // At such a rate the model stays as it was made, so that the loss of an epoch is a mean over the images that it draws.
        string[] train = [.. With(With(s_vit, "--lr", "1e-12"), "--limit", "100"), "--data", In("data"), "--normalize", "half"];
        Succeeds([.. train, "--out", In("plain")]);
        Succeeds([.. train, "--balance", "--out", In("balanced")]);
        Assert.That(Argument("balanced", "balance"), Is.EqualTo("true"));
        Assert.That(Part("balanced", "train"), Is.EqualTo(Part("plain", "train")));

        Succeeds("infer", "--weights", BestOf("plain"), In("data"), "--out", In("out"));
        string[] names = Part("plain", "train");
        (string Label, double Loss)[] losses =
        [
            .. File.ReadLines(In("out", "predictions.csv")).Skip(1).Select(row => row.Split(','))
                .Where(row => names.Contains(row[0]) && row[0].StartsWith(row[2] + "/", StringComparison.Ordinal))
                .Select(row => (row[2], -Math.Log(double.Parse(row[3], CultureInfo.InvariantCulture)))),
        ];
        Assert.That(losses, Has.Length.EqualTo(names.Length));
        double across = losses.Where(l => l.Label == "across").Average(l => l.Loss),
            along = losses.Where(l => l.Label == "along").Average(l => l.Loss);
        Assert.That(Math.Abs(across - along), Is.GreaterThan(0.05), "else the test tells nothing");
        Assert.That(Results("plain", "train_loss")[0], Is.EqualTo(losses.Average(l => l.Loss)).Within(1e-3));
        Assert.That(
            Mamba([.. s_vit, "--balance", "--out", In("no")]).Error,
            Does.Contain("--balance is for folders of images; synthetic does not say which classes its images have"));
        Assert.That(In("no"), Does.Not.Exist);
        Assert.That(Results("balanced", "train_loss")[0], Is.EqualTo((across + along) / 2).Within(0.1 * Math.Abs(across - along)));
    }

    [Test, Exercises("train", "--monitor", "--epochs", "--lr")]
    public void The_best_epoch_is_that_of_the_monitored_score()
    {
        string[] train = [.. With(s_unet, "--epochs", "6"), "--lr", "0.02"];
        foreach (string measure in new[] { "loss", "iou_image", "dice_paper" })
        {
            Result run = Succeeds([.. train, "--monitor", measure, "--out", In(measure)]);
            double[] scores = [.. Results(measure, measure == "loss" ? "val_loss" : measure).Select(s => measure == "loss" ? -s : s)];
            int best = 1 + Array.IndexOf(scores, scores.Max());
            Assert.That(run.Out, Does.Contain($"best epoch {best}; "), measure);
            string name = measure.Replace('_', ' '), value = Math.Abs(scores.Max()).ToString("F4", CultureInfo.InvariantCulture);
            Assert.That(
                File.ReadAllText(In(measure, "summary.md")),
                Does.Contain($"| epochs | 6 of 6, best {best} with validation {name} {value} |"));
            EvalAgrees(measure, best);
        }
        Result unknown = Mamba([.. train, "--monitor", "dice", "--out", In("no")]);
        Assert.That(unknown.Code, Is.EqualTo(2));
        Assert.That(
            unknown.Error,
            Does.Contain("--monitor is 'dice'; expected loss, dice_global, dice_image, dice_paper, iou_global, iou_image, iou_paper"));
        Assert.That(In("no"), Does.Not.Exist);

        // The weights that are kept are those of that epoch.
        void EvalAgrees(string run, int best) => Assert.That(
            Json("eval", "--weights", BestOf(run), "--data", "synthetic", "--split", "val", "--metrics-at", "model", "--json")
                .GetProperty("loss").GetDouble(),
            Is.EqualTo(Results(run, "val_loss")[best - 1]).Within(1e-5));
    }

    [Test, Exercises("train", "--intensity", "--data")]
    public void Intensity_says_which_values_become_0_to_1()
    {
        WriteLesions(In("data"), 12);
        string[] train = [.. s_unet, "--data", In("data")];
        Succeeds([.. train, "--out", In("default")]);
        Succeeds([.. train, "--intensity", "none", "--out", In("none")]);
        Assert.That(Last("none"), Is.EqualTo(Last("default")));
        foreach (string kind in new[] { "range", "zscore", "percentile:0.5,99.5", "window:40,210", "window:0,255" })
        {
            string run = kind.Replace(':', '-');
            Succeeds([.. train, "--intensity", kind, "--out", In(run)]);
            Assert.That(Argument(run, "intensity"), Is.EqualTo(kind));
            using SafetensorsFile file = SafetensorsFile.Open(BestOf(run));
            Assert.That(file.Metadata["intensity"], Is.EqualTo(kind), "eval and infer find it there");
        }
        string[] runs = ["default", "range", "zscore", "percentile-0.5,99.5", "window-40,210"];
        Assert.That(runs.Select(run => Results(run, "train_loss")[0]), Is.Unique);
        Assert.That(
            Results("window-0,255", "train_loss")[0], Is.EqualTo(Results("default", "train_loss")[0]).Within(1e-4),
            "as images of 8 bits are");
        Result wrong = Mamba([.. train, "--intensity", "percentile:9", "--out", In("no")]);
        Assert.That(wrong.Error, Does.Contain("--intensity: intensity 'percentile:9'; expected none, range, percentile:A,B"));
        Assert.That(In("no"), Does.Not.Exist);
    }

    [Test, Exercises("train", "--intensity")]
    public void Twelve_bits_in_files_of_sixteen_are_used_as_such()
    {
        Directory.CreateDirectory(In("data"));
        for (int i = 0; i < 10; i++)
        {
            byte[] mask = Pictures.Disc(32, 32).Pixels;
            ImageFile.SavePng16(In("data", $"{i}.png"), 32, 32, [.. mask.Select((m, p) => (ushort)(m > 0 ? 4000 - i : 500 + p % 90))]);
            ImageFile.SavePng(In("data", $"{i}_mask.png"), Pictures.Disc(32, 32));
        }
        string[] train = [.. s_unet, "--data", In("data")];
        Result told = Succeeds([.. train, "--out", In("run")]);
        Assert.That(told.Out, Does.Contain("intensity: values 0 to 4095 become 0 to 1 (--intensity window:0,4095)"));
        Assert.That(Argument("run", "intensity"), Is.EqualTo("window:0,4095"));
        Assert.That(Succeeds([.. train, "--intensity", "none", "--out", In("none")]).Out, Does.Not.Contain("intensity:"));
        Assert.That(Last("none"), Is.Not.EqualTo(Last("run")));
        Succeeds([.. train, "--intensity", "window:0,4095", "--out", In("typed")]);
        Assert.That(Last("typed"), Is.EqualTo(Last("run")));
        Succeeds("train", "--recipe", In("none", "args.json"), "--out", In("again"));
        Assert.That(Last("again"), Is.EqualTo(Last("none")), "the arguments of a run make it again");

        ImageFile.SavePng(In("data", "0.png"), Pictures.Marked(32, 32, 1, 0));
        Result mixed = Mamba([.. train, "--out", In("no")]);
        Assert.That(mixed.Code, Is.EqualTo(2));
        Assert.That(mixed.Error, Does.Contain("9 of 10 images have 12 bits in files of 16, the others 8; say how to compare them"));
        Assert.That(In("no"), Does.Not.Exist);
    }

    [Test, Exercises("train", "--resize", "--size", "--recipe")]
    public void Images_of_another_size_are_resized_as_is_asked_for()
    {
        WriteLesions(In("large"), 12, 64, 64);
        WriteLesions(In("same"), 12, 32, 32);
        foreach (string data in new[] { "large", "same" })
        {
            string[] train = [.. s_unet, "--data", In(data)];
            Succeeds([.. train, "--out", In(data + "-default")]);
            foreach (string kind in new[] { "antialias", "bilinear" })
                Succeeds([.. train, "--resize", kind, "--out", In($"{data}-{kind}")]);
        }
        Assert.That(Argument("large-antialias", "resize"), Is.EqualTo("antialias"));
        Assert.That(Last("large-default"), Is.EqualTo(Last("large-antialias")));
        Assert.That(Results("large-bilinear", "train_loss")[0], Is.Not.EqualTo(Results("large-antialias", "train_loss")[0]));
        Assert.That(
            Results("same-bilinear", "train_loss")[0], Is.EqualTo(Results("same-antialias", "train_loss")[0]), "nothing is resized");
        using (SafetensorsFile file = SafetensorsFile.Open(BestOf("large-antialias")))
            Assert.That(file.Metadata["resize"], Is.EqualTo("antialias"));
        Succeeds("train", "--recipe", In("large-bilinear", "args.json"), "--out", In("again"));
        Assert.That(Last("again"), Is.EqualTo(Last("large-bilinear")), "the arguments of a run make it again");
        Assert.That(
            Mamba([.. s_unet, "--resize", "cubic", "--out", In("no")]).Error,
            Does.Contain("--resize is 'cubic'; expected bilinear or antialias"));
    }

    [Test, Exercises("train", "--freeze", "--init")]
    public void Frozen_parameters_keep_every_bit_and_the_others_learn()
    {
        Succeeds([.. s_unet, "--out", In("first")]);
        string[] train = [.. s_unet, "--init", BestOf("first"), "--lr", "0.01"];
        Result run = Succeeds([.. train, "--freeze", "encoder*,bottleneck*", "--out", In("run")]);
        Match told = Frozen().Match(run.Out);
        Assert.That(told.Success, run.Out);
        Assert.That(Argument("run", "freeze"), Is.EqualTo("encoder*,bottleneck*"));
        using SafetensorsFile before = SafetensorsFile.Open(BestOf("first")), after = Weights("run");
        long frozen = 0;
        foreach (string name in before.Names)
        {
            if (name.Contains("running_", StringComparison.Ordinal) || name.Contains("num_batches", StringComparison.Ordinal)) continue;
            bool kept = name.StartsWith("encoder", StringComparison.Ordinal) || name.StartsWith("bottleneck", StringComparison.Ordinal);
            if (kept) frozen += before.ReadFloats(name).Length;
            Assert.That(after.ReadFloats(name), kept ? Is.EqualTo(before.ReadFloats(name)) : Is.Not.EqualTo(before.ReadFloats(name)), name);
        }
        Assert.That(long.Parse(told.Groups[1].Value, NumberStyles.AllowThousands, CultureInfo.InvariantCulture), Is.EqualTo(frozen));

        Assert.That(
            Mamba([.. train, "--freeze", "backbone*", "--out", In("no")]).Error,
            Does.Contain("--freeze: no parameter of unet is named 'backbone*'; its first is '"));
        Assert.That(
            Mamba([.. train, "--freeze", "*", "--out", In("no")]).Error, Does.Contain("--freeze: '*' leaves no parameter to train"));
        Assert.That(In("no"), Does.Not.Exist);
    }

    [Test, Exercises("train", "--loss")]
    public void Losses_of_one_class_and_of_several_are_learned_from()
    {
        WriteShapes(In("shapes"), 12);
        File.WriteAllText(In("labels.txt"), "0 background\n1 disc\n2 square\n");
        string[] one = [.. With(s_unet, "--epochs", "3"), "--lr", "0.01"],
            several = [.. one, "--data", In("shapes"), "--labels", In("labels.txt")];
        foreach ((string loss, string[] train) in new[]
        {
            ("focal", one), ("tversky", one), ("ce-dice", several), ("ce", several), ("focal", several), ("tversky", several),
        })
        {
            string run = $"{loss}-{train.Length}";
            Succeeds([.. train, "--loss", loss, "--out", In(run)]);
            Assert.That(Argument(run, "loss"), Is.EqualTo(loss));
            double[] losses = Results(run, "train_loss");
            Assert.That(losses[^1], Is.LessThan(losses[0]), run);
            Assert.That(
                Json("eval", "--weights", BestOf(run), "--data", train == one ? "synthetic" : In("shapes"), "--split", "val", "--json")
                    .GetProperty("loss").GetDouble(),
                Is.AnyOf(Array.ConvertAll(Results(run, "val_loss"), l => (object)l))
                    .Using<double>((a, b) => Math.Abs(a - b) < 1e-5 ? 0 : 1),
                "the weight file says which loss it was");
        }
        Result wrong = Mamba([.. one, "--loss", "ce-dice", "--out", In("no")]);
        Assert.That(wrong.Error, Does.Contain("loss ce-dice does not fit one class; expected dice, bce, bce-dice, focal, tversky"));
    }

    private SafetensorsFile Weights(string run) => SafetensorsFile.Open(In(run, "weights", "last.safetensors"));

    [GeneratedRegex(@"(?m)^frozen: ([\d,]+) of [\d,]+ parameters, named encoder\*,bottleneck\*\r?$")]
    private static partial Regex Frozen();
}
