using System.Text.Json;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Files;
using Mamba.Models.Zoo;
using Tensor = Mamba.Core.Tensor;

namespace Mamba.Tests.Cli;

/// <summary><c>mamba quantize</c>: a file in fewer bits that the other verbs take.</summary>
[NonParallelizable]
internal sealed class QuantizeTests : CliTest
{
    private string[] Quantize => ["quantize", "--weights", BestOf("run"), "--data", In("data"), "--out", In("small.safetensors")];

    [Test, Exercises("quantize", "--weights", "--data", "--out", "--json", "--calibration-images", "--threads")]
    public void Products_in_int8_keep_the_scores_and_the_file_is_used_like_any_other()
    {
        Train();
        Result table = Succeeds([.. Quantize, "--calibration-images", "5", "--threads", "2"]);
        Assert.That(table.Error, Does.Match(
            "calibration: 5 images of training; relative error of outputs: minmax .*, percentile .*, mse .*; .* is taken"));
        Assert.That(table.Out, Does.Match(@"(?s)unet on 2 images \(test\), int8; score: dice_global\n.*before .*after "));
        byte[] first = File.ReadAllBytes(In("small.safetensors"));
        JsonElement report = Json([.. Quantize, "--calibration-images", "5", "--threads", "1", "--json"]);
        Assert.That(File.ReadAllBytes(In("small.safetensors")), Is.EqualTo(first), "the same bytes at any number of threads");
        long before = new FileInfo(BestOf("run")).Length, after = first.Length;
        Assert.That(report.GetProperty("bytes_before").GetInt64(), Is.EqualTo(before));
        Assert.That(report.GetProperty("bytes_after").GetInt64(), Is.EqualTo(after).And.LessThan(before));
        Assert.That(report.GetProperty("mode").GetString(), Is.EqualTo("int8"));
        Assert.That(report.GetProperty("calibration_images").GetInt32(), Is.EqualTo(5));

        JsonElement own = Json("eval", "--weights", In("small.safetensors"), "--data", In("data"), "--json");
        double loss = own.GetProperty("loss").GetDouble(), exact = report.GetProperty("before").GetProperty("loss").GetDouble();
        Assert.That(loss, Is.EqualTo(report.GetProperty("after").GetProperty("loss").GetDouble()));
        Assert.That(loss, Is.EqualTo(exact).Within(0.02).And.Not.EqualTo(exact));
        Succeeds("infer", "--weights", In("small.safetensors"), In("data", "slice1.png"), "--out", In("masks"));
        Assert.That(In("masks", "slice1_pred.png"), Does.Exist);
        Assert.That(
            Succeeds("inspect", In("small.safetensors")).Out,
            Does.Contain(".weight.int8").And.Contain("quantization: {\"mode\":\"int8\""));

        Result twice = Mamba(With(With(Quantize, "--weights", In("small.safetensors")), "--out", In("smaller.safetensors")));
        Assert.That(twice.Code, Is.EqualTo(2));
        Assert.That(twice.Error, Does.Contain("is int8 already; expected the float32 weights"));
        Result init = Mamba(
            "train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "32", "--epochs", "1", "--data", In("data"), "--init",
            In("small.safetensors"), "--out", In("tuned"));
        Assert.That(init.Code, Is.EqualTo(2));
        Assert.That(init.Error, Does.Contain("holds int8 codes"));
    }

    [Test, Exercises("quantize", "--mode", "--calibration")]
    public void Each_mode_has_its_types_and_refuses_what_it_does_not_use()
    {
        Train();
        foreach ((string mode, string type) in new[] { ("int8-weights", "I8"), ("fp16", "F16") })
        {
            JsonElement report = Json([.. Quantize, "--mode", mode, "--json"]);
            Assert.That(report.GetProperty("mode").GetString(), Is.EqualTo(mode));
            Assert.That(report.GetProperty("calibration").ValueKind, Is.EqualTo(JsonValueKind.Null));
            using WeightFile file = WeightFile.Open(In("small.safetensors"));
            Assert.That(file.Names.Select(file.DType), Has.Some.EqualTo(type));
            Result refused = Mamba([.. Quantize, "--mode", mode, "--calibration", "mse"]);
            Assert.That(refused.Code, Is.EqualTo(2));
            Assert.That(refused.Error, Does.Contain("for --mode int8"));
        }
        File.Move(In("small.safetensors"), In("half.safetensors"));
        string[] half = With(Quantize, "--weights", In("half.safetensors"));
        Assert.That(
            Succeeds([.. half, "--mode", "fp16"]).Error,
            Does.Contain($"note: {In("half.safetensors")} is in float16 already; {In("small.safetensors")} has the same numbers"));
        Assert.That(
            Succeeds([.. half, "--mode", "int8-weights"]).Error,
            Does.Contain($"note: {In("half.safetensors")} is in float16; what is not stored in int8 is stored in float32"));
        Assert.That(
            Succeeds("prune", "--weights", In("half.safetensors"), "--sparsity", "0.5", "--out", In("pruned")).Error,
            Does.Contain($"note: {In("half.safetensors")} is in float16, {In("pruned")} in float32; 'mamba convert {In("pruned")} FILE "));
        Assert.That(
            Succeeds([.. Quantize, "--calibration", "minmax"]).Error, Does.Contain("minmax").And.Not.Contain("percentile"));
    }

    [Test]
    public void Times_before_and_after_are_those_of_passes_that_are_warm()
    {
        Train();
        long scored = Count("eval", "--weights", BestOf("run"), "--data", In("data"));
        using VisionModel model = ModelFile.Load(BestOf("run")).Model;
        using MultiplyAdds one = new();
        using (new MemoryScope()) model.Segment(Tensor.Zeros(1, 32, 32, 3));
        Assert.That(
            Count([.. Quantize, "--mode", "fp16"]), Is.GreaterThanOrEqualTo(2 * scored + 4 * one.Count),
            "beside the images of the test, each has passes to warm up and to be timed");

        static long Count(params string[] words)
        {
            using MultiplyAdds count = new();
            Succeeds(words);
            return count.Count;
        }
    }

    [Test, Exercises("quantize", "--split", "--split-file")]
    public void Images_that_were_not_trained_on_are_measured_and_calibrate_where_no_others_are_known()
    {
        Train();
        Assert.That(Json([.. Quantize, "--split", "val", "--json"]).GetProperty("after").GetProperty("images").GetInt32(), Is.EqualTo(2));
        Result listed = Succeeds([.. Quantize, "--split", "train", "--split-file", In("run", "split.json")]);
        Assert.That(listed.Out, Does.Contain("on 16 images (train)"));

        WriteLesions(In("other"), 3, width: 48);
        foreach (string path in Directory.GetFiles(In("other"))) File.Move(path, path.Replace("slice", "new", StringComparison.Ordinal));
        Result other = Succeeds(With(Quantize, "--data", In("other")));
        Assert.That(other.Error, Does.Contain("calibration: 3 images of all, since the training images are not known here"));
    }

    [Test, Exercises("quantize", "--images", "--masks", "--mask-suffix", "--labels", "--on-missing-mask")]
    public void Folders_and_classes_are_as_they_are_named()
    {
        WriteShapes(In("flat"), 12);
        foreach (string path in Directory.GetFiles(In("flat")))
        {
            bool mask = path.EndsWith("_mask.png", StringComparison.Ordinal);
            Directory.CreateDirectory(In("data", mask ? "outlines" : "scans"));
            string name = Path.GetFileName(path).Replace("_mask", "-x", StringComparison.Ordinal);
            File.Move(path, In("data", mask ? "outlines" : "scans", name));
        }
        File.WriteAllText(In("labels.txt"), "0 background\n1 disc\n2 square\n");
        string[] named =
            ["--images", "scans", "--masks", "outlines", "--mask-suffix", "-x", "--labels", In("labels.txt"), "--on-missing-mask", "skip"];
        Succeeds([
            "train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "32", "--epochs", "1", "--data", In("data"), "--out",
            In("run"), .. named,
        ]);
        Result report = Succeeds([.. Quantize, .. named]);
        Assert.That(report.Out, Does.Contain("score: mean_dice"));
    }

    [Test]
    public void Weights_that_describe_nothing_and_an_output_that_is_the_input_are_refused()
    {
        Train();
        Result same = Mamba(With(Quantize, "--out", BestOf("run")));
        Assert.That(same.Code, Is.EqualTo(2));
        Assert.That(same.Error, Does.Contain("is the input"));
        foreach ((string output, string message) in new[]
        {
            (In("nowhere", "q"), $"there is no folder {In("nowhere")}; expected one that exists, so make it first"),
            (In("data"), "is a folder; expected the name of a file to write"),
        })
            foreach (string[] verb in new[]
            {
                Quantize, ["prune", "--weights", BestOf("run"), "--sparsity", "0.5", "--data", In("data"), "--out", ""],
                ["convert", BestOf("run"), "", "--dtype", "fp16"],
                ["eval", "--weights", BestOf("run"), "--data", In("data"), "--per-image", ""],
            })
            {
                string[] words = verb == Quantize || verb[0] == "quantize" ? With(verb, "--out", output)
                    : [.. verb.Select(word => word.Length == 0 ? output : word)];
                Result late = Mamba(words);
                Assert.That((late.Code, late.Out, late.Error.Trim()), Is.EqualTo((2, "", $"mamba: {output}: {message}")));
            }
        using (WeightFile file = WeightFile.Open(BestOf("run"))) Safetensors.Write(In("bare"), file, new Dictionary<string, string>());
        Result bare = Mamba(With(Quantize, "--weights", In("bare")));
        Assert.That(bare.Code, Is.EqualTo(2));
        Assert.That(bare.Error, Does.Contain("mamba convert"));
        Assert.That(In("small.safetensors"), Does.Not.Exist);
    }

    private void Train()
    {
        WriteLesions(In("data"), 20);
        Succeeds(
            "train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "32", "--epochs", "3", "--lr", "0.01",
            "--data", In("data"), "--out", In("run"));
    }
}
