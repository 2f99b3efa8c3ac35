using System.Globalization;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Zoo;

namespace Mamba.Tests.Cli;

/// <summary><c>mamba infer</c>: the pixels that it writes, and their names.</summary>
[NonParallelizable]
internal sealed class InferTests : CliTest
{
    private const int Width = 40, Height = 32;

    [Test, Exercises("infer", "--weights", "--out", "--threads")]
    public void The_mask_is_the_models_and_the_overlay_tints_and_outlines_it()
    {
        WriteLesions(In("data"), 3, Width, Height);
        Image image = ImageFile.Load(In("data", "slice1.png"));
        bool[] expected = SaveModelThatSplits(image, In("weights.safetensors"));
        Result infer = Succeeds("infer", "--weights", In("weights.safetensors"), In("data"), "--out", In("masks"), "--threads", "1");
        Assert.That(Directory.GetFiles(In("masks")).Select(path => Path.GetFileName(path)), Is.EquivalentTo(new[]
        {
            "slice0_pred.png", "slice0_overlay.png", "slice1_pred.png", "slice1_overlay.png", "slice2_pred.png", "slice2_overlay.png",
            "predictions.csv",
        }));
        Assert.That(Workers.Count, Is.EqualTo(1));

        Image mask = ImageFile.Load(In("masks", "slice1_pred.png")), overlay = ImageFile.Load(In("masks", "slice1_overlay.png"));
        Assert.That((mask.Width, mask.Height, mask.Channels), Is.EqualTo((Width, Height, 1)));
        Assert.That(mask.Pixels, Is.EqualTo(expected.Select(inside => (byte)(inside ? 255 : 0))));
        Assert.That(
            expected.Count(inside => inside), Is.EqualTo(Width * Height / 2), "the weights are made so that half of the pixels are inside");
        Assert.That(
            infer.Out, Does.Contain($"slice1: 40 x 32, lesion {Width * Height / 2} pixels, ")
                .And.Contain($"3 images, results in {In("masks")}"));
        Assert.That(overlay.Pixels, Is.EqualTo(Tinted(image, expected, 255, 64, 48)));
    }

    [Test]
    public void Results_lie_in_the_folders_of_their_images()
    {
        WriteLesions(In("data", "a"), 2, Width, Height);
        WriteLesions(In("data", "b"), 1, Width, Height);
        SaveModelThatSplits(ImageFile.Load(In("data", "a", "slice0.png")), In("w.safetensors"));
        Result infer = Succeeds("infer", "--weights", In("w.safetensors"), In("data"), In("data", "a", "slice0.png"), "--out", In("masks"));
        Assert.That(Predictions("masks"), Is.EqualTo(new[] { "a/slice0_pred.png", "a/slice1_pred.png", "b/slice0_pred.png" }));
        Assert.That(
            File.ReadAllBytes(In("masks", "b", "slice0_pred.png")), Is.EqualTo(File.ReadAllBytes(In("masks", "a", "slice0_pred.png"))),
            "one image, twice");
        Assert.That(infer.Out, Does.Contain("3 images, results in "), "a file that is given twice is run once");
        Assert.That(
            File.ReadLines(In("masks", "predictions.csv")).Skip(1).Select(row => row.Split(',')[0]),
            Is.EqualTo(new[] { "a/slice0", "a/slice1", "b/slice0" }), "in the order of the images");
    }

    [Test]
    public void Files_of_one_name_have_results_of_their_own()
    {
        WriteLesions(In("data"), 1, Width, Height);
        SaveModelThatSplits(ImageFile.Load(In("data", "slice0.png")), In("w.safetensors"));
        File.Copy(In("data", "slice0.png"), In("data", "slice0.bmp"));
        WriteLesions(In("more"), 1, Width, Height);
        string[] infer = ["infer", "--weights", In("w.safetensors"), In("data"), "--out"];
        Result formats = Succeeds([.. infer, In("formats")]);
        Assert.That(Predictions("formats"), Is.EqualTo(new[] { "slice0.bmp_pred.png", "slice0.png_pred.png" }));
        Assert.That(
            formats.Error, Does.Contain("note: 2 images are called slice0; their results are called slice0.bmp, slice0.png")
                .And.Contain($"note: left out 1 file named like masks: {In("data", "slice0_mask.png")}"));
        Assert.That(
            File.ReadLines(In("formats", "predictions.csv")).Skip(1).Select(row => row.Split(',')[0]),
            Is.EqualTo(new[] { "slice0.bmp", "slice0.png" }));
        File.Delete(In("data", "slice0.bmp"));
        Succeeds([.. infer, In("folders"), In("more")]);
        Assert.That(Predictions("folders"), Is.EqualTo(new[] { "data/slice0_pred.png", "more/slice0_pred.png" }));
        Succeeds([.. infer, In("files"), In("more", "slice0.png")]);
        Assert.That(Predictions("files"), Is.EqualTo(new[] { "data/slice0_pred.png", "more/slice0_pred.png" }));
    }

    [Test]
    public void A_path_that_ends_as_another_one_gives_results_in_their_folder()
    {
        WriteLesions(In("data"), 1, Width, Height);
        SaveModelThatSplits(ImageFile.Load(In("data", "slice0.png")), In("w.safetensors"));
        string path = Path.GetFullPath(In("data", "slice0.png")), longer = In("more") + path, longest = In("most", "a") + path;
        foreach (string copy in new[] { longer, longest })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(path, copy);
        }
        Succeeds("infer", "--weights", In("w.safetensors"), path, longer, longest, "--out", In("out"));
        Assert.That(Predictions("out"), Has.Length.EqualTo(3));
        Assert.That(Directory.GetFiles(In("data")), Has.Length.EqualTo(2), "nothing is written beside the image");
    }

    [Test]
    public void Names_that_cannot_be_told_apart_are_refused()
    {
        WriteLesions(In("data"), 1, Width, Height);
        SaveModelThatSplits(ImageFile.Load(In("data", "slice0.png")), In("w.safetensors"));
        foreach (string name in new[] { "slice0.bmp", "slice0.png.bmp" }) File.Copy(In("data", "slice0.png"), In("data", name));
        Result infer = Mamba("infer", "--weights", In("w.safetensors"), In("data"), "--out", In("masks"));
        Assert.That(infer.Code, Is.EqualTo(2));
        Assert.That(infer.Error, Does.Contain("would both be written as slice0.png; run them one by one, each with its own --out"));
        Assert.That(In("masks"), Does.Not.Exist);
        Assert.That(
            Mamba("infer", "--weights", In("w.safetensors"), In("data", "slice0_mask.png"), "--out", In("masks")).Error,
            Does.Contain("only masks were given; expected images"));
    }

    [Test, Exercises("infer", "--top", "--out", "--check-numerics"), Exercises("train", "--model")]
    public void A_classifier_prints_as_many_classes_as_are_asked_for()
    {
        Succeeds("train", "--model", "vit", "--width", "16", "--depth", "1", "--size", "16", "--patch", "8", "--limit", "20", "--epochs",
            "1", "--out", In("run"));
        WriteClasses(In("data"), 1);
        string[] infer = ["infer", "--weights", In("run", "weights", "last.safetensors"), In("data", "along", "0.png"), "--check-numerics"];
        Result three = Succeeds([.. infer, "--top", "3", "--out", In("three")]),
            all = Succeeds([.. infer, "--top", "99", "--out", In("all")]);
        Assert.That(three.Out, Does.Match(@"^0: \w+ \d+\.\d %, \w+ \d+\.\d %, \w+ \d+\.\d %, \d+\.\d ms\s+1 image, results in "));
        string[] rows = File.ReadAllLines(In("all", "predictions.csv"));
        Assert.That(rows, Has.Length.EqualTo(11));
        Assert.That(File.ReadAllLines(In("three", "predictions.csv")), Is.EqualTo(rows[..4]));
        double[] probabilities = [.. rows[1..].Select(row => double.Parse(row.Split(',')[3], CultureInfo.InvariantCulture))];
        Assert.That(probabilities, Is.Ordered.Descending);
        Assert.That(probabilities.Sum(), Is.EqualTo(1).Within(1e-5));
    }

    /// <summary>The masks below a folder, with '/' between folders, in order.</summary>
    private string[] Predictions(string folder) =>
    [
        .. Directory.GetFiles(In(folder), "*_pred.png", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(In(folder), path).Replace(Path.DirectorySeparatorChar, '/')).Order(StringComparer.Ordinal),
    ];

    /// <summary>Saves a small model whose last bias is such that half of an image is inside, and tells which pixels.</summary>
    private static bool[] SaveModelThatSplits(Image image, string path)
    {
        ModelEntry entry = Registry.Find("unet");
        ModelConfig config = entry.Config with { Width = 4, Depth = 2 };
        VisionModel model = entry.Create(config, seed: 1);
        Tensor bias = model.Parameters.All.Last(p => p.Tensor.Count == 1).Tensor, input = Tensor.Zeros(1, Height, Width, 3);
        for (int i = 0; i < input.Count; i++) input.Span[i] = image.Pixels[i] / 255f;
        float[] logits;
        using (new MemoryScope())
        {
            model.Parameters.Training = false;
            logits = model.Forward(input).Span.ToArray();
        }
        float[] sorted = [.. logits.Order()];
        float middle = (sorted[logits.Length / 2 - 1] + sorted[logits.Length / 2]) / 2;
        bias.Span[0] -= middle;
        RunData data = new(SplitProtocol.Image, 0, null, Height, Width);
        ModelFile.Save(path, model, new ModelInfo(entry.Name, config, ["lesion"], Normalization.None(3), data));
        return Array.ConvertAll(logits, v => v > middle);
    }

    /// <summary>What an overlay is: color on the outline, 30 % of it inside, the image elsewhere.</summary>
    internal static byte[] Tinted(Image image, bool[] inside, params byte[] color)
    {
        byte[] pixels = [.. image.Pixels];
        for (int y = 0; y < image.Height; y++)
            for (int x = 0; x < image.Width; x++)
            {
                if (!Inside(x, y)) continue;
                bool outline = !(Inside(x - 1, y) && Inside(x + 1, y) && Inside(x, y - 1) && Inside(x, y + 1));
                for (int c = 0; c < 3; c++)
                {
                    ref byte pixel = ref pixels[(y * image.Width + x) * 3 + c];
                    pixel = outline ? color[c] : (byte)((pixel * 70 + color[c] * 30) / 100);
                }
            }
        return pixels;

        bool Inside(int x, int y) => x >= 0 && y >= 0 && x < image.Width && y < image.Height && inside[y * image.Width + x];
    }
}
