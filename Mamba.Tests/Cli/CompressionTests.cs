using System.Text.Json;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data.Formats;
using Mamba.Models.Files;
using Mamba.Models.Inference;

namespace Mamba.Tests.Cli;

/// <summary>A teacher, <c>mamba prune</c> and <c>mamba convert --dtype</c>.</summary>
[NonParallelizable]
internal sealed class CompressionTests : CliTest
{
    private string[] Unet =>
    [
        "train", "--model", "unet", "--width", "8", "--depth", "2", "--size", "32", "--data", In("data"), "--schedule", "constant",
        "--lr", "0.01", "--threads", "1", "--epochs",
    ];

    private string[] Student =>
    [
        "train", "--model", "ul-vm-unet", "--size", "32", "--data", In("data"), "--schedule", "constant", "--threads", "1", "--teacher",
        BestOf("run"), "--epochs",
    ];

    private string[] Prune => ["prune", "--weights", BestOf("run"), "--sparsity", "0.5", "--out", In("small.safetensors")];

    [Test]
    [Exercises("train", "--teacher", "--temperature", "--distill-weight", "--teacher-sha256", "--resume", "--threads", "--accumulate")]
    public void A_student_learns_from_a_teacher_and_is_resumed_with_the_same_one()
    {
        TrainTeacher();
        Result whole = Succeeds([.. Student, "2", "--out", In("whole")]);
        Assert.That(whole.Out, Does.Match(@"teacher: unet, [\d,]+ parameters, temperature 4, 50 % of the loss"));
        Assert.That(Argument("whole", "temperature"), Is.EqualTo("4"));
        Assert.That(Argument("whole", "distill-weight"), Is.EqualTo("0.5"));
        Assert.That(Argument("whole", "teacher"), Is.EqualTo(BestOf("run")));
        string hash = Argument("whole", "teacher-sha256")!;
        Assert.That(hash, Is.EqualTo(Convert.ToHexStringLower(Sha256.HashData(File.ReadAllBytes(BestOf("run"))))));

        Succeeds([.. With(Student, "--threads", "3"), "1", "--out", In("parts")]);
        string first = Last("parts");
        Succeeds("train", "--resume", In("parts"), "--epochs", "2", "--threads", "2");
        Assert.That(Last("parts"), Is.EqualTo(Last("whole")), "at any number of threads, interrupted or not");
        Succeeds([.. Student, "1", "--temperature", "2", "--distill-weight", "0.9", "--teacher-sha256", hash, "--out", In("other")]);
        Assert.That(Last("other"), Is.Not.EqualTo(first));
        Succeeds([.. Student, "1", "--accumulate", "2", "--out", In("groups")]);
        Assert.That(Last("groups"), Is.Not.EqualTo(first));

        File.Copy(In("run", "weights", "last.safetensors"), BestOf("run"), overwrite: true);
        Refused("another teacher", ["train", "--resume", In("whole"), "--epochs", "3"], $"expected {hash}, the teacher that the run began");
        Refused("a hash that is not the teacher's", [.. Student, "1", "--teacher-sha256", hash, "--out", In("no")], "SHA-256");
        Assert.That(In("no"), Does.Not.Exist);
    }

    [Test, Exercises("train", "--teacher", "--temperature", "--distill-weight", "--teacher-sha256", "--keep-zeros")]
    public void A_teacher_that_does_not_fit_is_refused_before_anything_is_created()
    {
        TrainTeacher();
        string[] none = [.. Unet, "1", "--out", In("no")];
        foreach ((string option, string value) in new[] { ("--temperature", "2"), ("--distill-weight", "0.5"), ("--teacher-sha256", "00") })
            Refused(option, [.. none, option, value], $"{option} is about --teacher, which is not given");
        Refused("zeros", [.. none, "--keep-zeros"], "--keep-zeros is about the weights of --init");
        string[] student = [.. Student, "1", "--out", In("no")];
        Refused("size", With(student, "--size", "64"), "expected --size 32x32");
        Refused("normalization", [.. student, "--normalize", "half"], "--normalize");
        Refused("channels", [.. student, "--channels", "1"], "expected --channels 3");
        Refused("file", With(student, "--teacher", In("data")), "");
        Refused("weight", [.. student, "--distill-weight", "2"], "a number from 0 to 1");
        Refused("sequences", ["train", "--data", "induction", "--teacher", BestOf("run"), "--out", In("no")], "--teacher is for images");
        Assert.That(In("no"), Does.Not.Exist);
    }

    [Test]
    [Exercises("prune", "--weights", "--sparsity", "--out", "--data", "--json", "--threads"), Exercises("train", "--init", "--widths")]
    public void A_pruned_file_is_used_like_any_other_and_trained_further()
    {
        TrainTeacher();
        Result table = Succeeds(Prune);
        Assert.That(table.Out, Does.Match(@"(?s)unet: sparsity 0.5 of channels, 11 layers, multiply-adds of 32 x 32\n.*before .*after "));
        Assert.That(table.Out, Does.Match(@"encoder1\.0 +8 +4\n"));
        Assert.That(table.Out, Does.Contain($"mamba train --init {In("small.safetensors")} --model unet --data DIR"));
        byte[] bytes = File.ReadAllBytes(In("small.safetensors"));
        JsonElement report = Json([.. Prune, "--data", In("data"), "--json", "--threads", "2"]);
        Assert.That(File.ReadAllBytes(In("small.safetensors")), Is.EqualTo(bytes), "the same bytes at any number of threads");
        JsonElement before = report.GetProperty("before"), after = report.GetProperty("after");
        foreach (string size in new[] { "parameters", "non_zero", "macs" })
            Assert.That(after.GetProperty(size).GetDouble() / before.GetProperty(size).GetDouble(), Is.InRange(0.2, 0.35), size);
        Assert.That(after.GetProperty("bytes").GetInt64(), Is.EqualTo(bytes.LongLength));
        double loss = after.GetProperty("scores").GetProperty("loss").GetDouble();
        Assert.That(loss, Is.Not.EqualTo(before.GetProperty("scores").GetProperty("loss").GetDouble()));
        Assert.That(report.GetProperty("layers").GetArrayLength(), Is.EqualTo(11));

        Assert.That(
            Json("eval", "--weights", In("small.safetensors"), "--data", In("data"), "--json").GetProperty("loss").GetDouble(),
            Is.EqualTo(loss));
        Succeeds("infer", "--weights", In("small.safetensors"), In("data", "slice1.png"), "--out", In("masks"));
        Succeeds("quantize", "--weights", In("small.safetensors"), "--data", In("data"), "--out", In("int8.safetensors"));
        Succeeds("convert", In("small.safetensors"), In("half.safetensors"), "--dtype", "fp16");
        foreach (string file in new[] { "small", "int8", "half" })
        {
            using Segmenter segmenter = Segmenter.Load(In(file + ".safetensors"));
            Assert.That(segmenter.Segment(ImageFile.Load(In("data", "slice1.png"))).Width, Is.EqualTo(40), file);
        }
        FineTune(loss);
    }

    [Test, Exercises("prune", "--unstructured", "--json"), Exercises("train", "--keep-zeros", "--init")]
    public void Single_weights_become_zero_and_stay_so()
    {
        TrainTeacher();
        Result table = Succeeds([.. Prune, "--unstructured"]);
        Assert.That(table.Out, Does.Contain("sparsity 0.5 of weights").And.Contain("--keep-zeros"));
        Assert.That(table.Out, Does.Match(@"encoder1\.0\.weight +216 +\d+\n"));
        JsonElement report = Json([.. Prune, "--unstructured", "--json"]);
        long zeros = report.GetProperty("before").GetProperty("non_zero").GetInt64()
            - report.GetProperty("after").GetProperty("non_zero").GetInt64();
        Assert.That(zeros, Is.GreaterThan(10_000).And.EqualTo(Zeros("small.safetensors") - Zeros(BestOf("run"))));

        string[] tune = [.. Unet, "2", "--init", In("small.safetensors")];
        Result kept = Succeeds([.. tune, "--keep-zeros", "--out", In("kept")]);
        Assert.That(kept.Out, Does.Contain("zeros: 50.0 % of the weights are zero and stay so"));
        Assert.That(Zeros(BestOf("kept")), Is.GreaterThanOrEqualTo(zeros));
        Succeeds([.. tune, "--out", In("free")]);
        Assert.That(Zeros(BestOf("free")), Is.LessThan(zeros / 2));
        Succeeds([.. With(tune, "--epochs", "1"), "--keep-zeros", "--out", In("parts")]);
        Succeeds("train", "--resume", In("parts"), "--epochs", "2");
        Assert.That(Last("parts"), Is.EqualTo(Last("kept")));
    }

    [Test]
    [Exercises("prune", "--split", "--split-file", "--images", "--masks", "--mask-suffix", "--labels", "--on-missing-mask")]
    public void Pruning_measures_the_images_that_are_named_and_refuses_what_it_cannot_do()
    {
        TrainTeacher();
        string[] scored = [.. Prune, "--data", In("data"), "--json"];
        Assert.That(Images([.. scored, "--split", "val"]), Is.EqualTo(2));
        Assert.That(Images([.. scored, "--split", "train", "--split-file", In("run", "split.json")]), Is.EqualTo(16));
        foreach (string kind in new[] { "scans", "outlines" }) Directory.CreateDirectory(In("named", kind));
        foreach (string path in Directory.GetFiles(In("data")))
        {
            string name = Path.GetFileName(path);
            bool mask = name.Contains("_mask", StringComparison.Ordinal);
            File.Copy(path, In("named", mask ? "outlines" : "scans", name.Replace("_mask", "-x", StringComparison.Ordinal)));
        }
        File.WriteAllText(In("labels.txt"), "0 background\n255 lesion\n");
        string[] named =
        [
            "--images", "scans", "--masks", "outlines", "--mask-suffix", "-x", "--labels", In("labels.txt"), "--on-missing-mask", "skip",
        ];
        Assert.That(Images([.. With(scored, "--data", In("named")), .. named, "--split", "all"]), Is.EqualTo(20));

        File.Delete(In("small.safetensors"));
        Refused("no data", [.. Prune, "--split", "val"], "--split is about the images of --data");
        Refused("nothing", With(Prune, "--sparsity", "0"), "between 0 and 1");
        Refused("all", With(Prune, "--sparsity", "1"), "between 0 and 1");
        Refused("too little", With(Prune, "--sparsity", "0.001"), "expected a larger --sparsity");
        Refused("itself", With(Prune, "--out", BestOf("run")), "is the input");
        using (WeightFile file = WeightFile.Open(BestOf("run"))) Safetensors.Write(In("bare"), file, new Dictionary<string, string>());
        Refused("no description", With(Prune, "--weights", In("bare")), "mamba convert");
        Assert.That(In("small.safetensors"), Does.Not.Exist);
    }

    [Test, Exercises("convert", "--dtype")]
    public void Float16_is_half_the_size_and_read_everywhere()
    {
        TrainTeacher();
        Result half = Succeeds("convert", BestOf("run"), In("half.safetensors"), "--dtype", "fp16");
        Assert.That(half.Out, Does.Match(@"fp16: [\d,]+ numbers; the largest rounding error is \d\.\de-\d in '.+'"));
        Assert.That(new FileInfo(In("half.safetensors")).Length, Is.LessThan(0.6 * new FileInfo(BestOf("run")).Length));
        double exact = Loss(BestOf("run")), rounded = Loss(In("half.safetensors"));
        Assert.That(rounded, Is.EqualTo(exact).Within(1e-3).And.Not.EqualTo(exact));
        Succeeds("infer", "--weights", In("half.safetensors"), In("data", "slice1.png"), "--out", In("masks"));
        Succeeds([.. Unet, "1", "--init", In("half.safetensors"), "--out", In("tuned")]);
        Succeeds([.. With(Student, "--teacher", In("half.safetensors")), "1", "--out", In("student")]);
        Succeeds(With(With(Prune, "--weights", In("half.safetensors")), "--out", In("pruned-half.safetensors")));
        Succeeds("quantize", "--weights", In("half.safetensors"), "--data", In("data"), "--out", In("half-int8.safetensors"));
        Refused("codes", With(Prune, "--weights", In("half-int8.safetensors")), "is int8 already");

        Result wide = Succeeds("convert", In("half.safetensors"), In("wide.safetensors"), "--dtype", "fp32");
        Assert.That(wide.Out, Does.Contain("none was rounded"));
        Assert.That(Loss(In("wide.safetensors")), Is.EqualTo(rounded));
        Succeeds("quantize", "--weights", BestOf("run"), "--data", In("data"), "--out", In("int8.safetensors"));
        Refused("codes", ["convert", In("int8.safetensors"), In("no"), "--dtype", "fp16"], "holds int8 codes");
        Assert.That(In("no"), Does.Not.Exist);

        double Loss(string weights) => Json("eval", "--weights", weights, "--data", In("data"), "--json").GetProperty("loss").GetDouble();
    }

    /// <summary>The pruned weights give the sizes, which no other option may contradict; args.json has the widths.</summary>
    private void FineTune(double loss)
    {
        string[] tune =
        [
            "train", "--model", "unet", "--size", "32", "--data", In("data"), "--lr", "0.01", "--threads", "1", "--schedule", "constant",
            "--init", In("small.safetensors"), "--epochs", "2", "--out",
        ];
        Result tuned = Succeeds([.. tune, In("tuned")]);
        Assert.That(tuned.Out, Does.Match(@"all \d+ tensors loaded").And.Contain("pruned: 11 layers with other channels than unet has"));
        (_, ModelInfo info) = ModelFile.Load(BestOf("tuned"));
        Assert.That((info.Config.Width, info.Config.Depth), Is.EqualTo((8, 2)));
        Assert.That(Argument("tuned", "widths"), Is.EqualTo(info.Config.Widths!.ToString()));
        Assert.That(
            Json("eval", "--weights", BestOf("tuned"), "--data", In("data"), "--json").GetProperty("loss").GetDouble(), Is.LessThan(loss));

        Succeeds([.. With(tune, "--epochs", "1"), In("parts")]);
        File.Move(In("small.safetensors"), In("moved.safetensors"));
        Succeeds("train", "--resume", In("parts"), "--epochs", "2");
        Assert.That(Last("parts"), Is.EqualTo(Last("tuned")), "resumed without the file that it began from");
        File.Move(In("moved.safetensors"), In("small.safetensors"));

        string[] scratch = [.. Unet, "1", "--widths", info.Config.Widths.ToString(), "--out"];
        Succeeds([.. scratch, In("scratch")]);
        Assert.That(ModelFile.Load(BestOf("scratch")).Info.Config.Widths, Is.EqualTo(info.Config.Widths));
        Refused("another model", [.. With(tune, "--model", "ul-vm-unet"), In("no")], "is a pruned unet; expected --model unet");
        Refused("another width", [.. tune, In("no"), "--width", "16"], "--width is 16; ");
        Refused("no width", [.. With(scratch, "--widths", "encoder1.0"), In("no")], "'encoder1.0' is no width");
        Refused("no layer", [.. With(scratch, "--widths", "encoder1.9=3"), In("no")], "'encoder1.9'");
        Assert.That(In("no"), Does.Not.Exist);
    }

    private static void Refused(string what, string[] arguments, string expected)
    {
        Result result = Mamba(arguments);
        Assert.That(result.Code, Is.EqualTo(2), what);
        Assert.That(result.Error, Does.Contain(expected), what);
        Assert.That(result.Error.Trim().Split('\n'), Has.Length.EqualTo(1), what);
    }

    private static int Images(string[] arguments) =>
        Json(arguments).GetProperty("after").GetProperty("scores").GetProperty("images").GetInt32();

    private long Zeros(string path)
    {
        using WeightFile file = WeightFile.Open(Path.Combine(In(), path));
        return file.Names.Where(name => name.EndsWith("weight", StringComparison.Ordinal) && file.Shape(name).Length > 1)
            .Sum(name => file.ReadFloats(name).LongCount(value => value == 0));
    }

    private void TrainTeacher()
    {
        WriteLesions(In("data"), 20);
        Succeeds([.. Unet, "3", "--out", In("run")]);
    }
}
