using System.IO.Compression;
using System.Text.Json;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Files;
using Mamba.Models.Metrics;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cli;

/// <summary>Volumes from training to masks, as a user types it.</summary>
[NonParallelizable]
internal sealed class VolumeTests : CliTest
{
    private static readonly string[] s_small =
        ["--model", "unet", "--width", "4", "--depth", "2", "--size", "16", "--epochs", "2", "--batch", "8", "--lr", "1e-2"];

    [Test, Exercises("train", "--data"), Exercises("eval", "--split", "--json", "--per-image"), Exercises("infer", "--out")]
    public void A_mask_has_the_volumes_geometry_and_the_score_that_eval_says()
    {
        WriteVolumes(In("data"), 6);
        Result train = Succeeds(["train", "--data", In("data"), "--out", In("run"), .. s_small]);
        Assert.That(train.Out, Does.Contain("volumes: NAME_mask beside NAME; 36 slices along z of 6 volumes of 6 patients")
            .And.Contain("intensity: percentile:0.5,99.5, of each volume as a whole")
            .And.Contain("split: by patient, so that all slices of a volume are in one part")
            .And.Contain("masks: values 0 and 1 in 36 slices; class 1 'lesion' covers"));
        JsonElement split = JsonFile(In("run", "split.json"));
        string[][] parts = [.. new[] { "train", "val", "test" }.Select(part => split.GetProperty(part).EnumerateArray()
            .Select(name => name.GetString()!.Split('/')[0]).Distinct().ToArray())];
        Assert.That(parts.Sum(part => part.Length), Is.EqualTo(6), "no volume is in two parts");

        string weights = In("run", "weights", "best.safetensors");
        (_, ModelInfo info) = ModelFile.Load(weights);
        Assert.That((info.Intensity, info.Data.Axis), Is.EqualTo((Intensity.Percentile(0.5, 99.5), (SliceAxis?)SliceAxis.Z)));
        JsonElement eval = Json(
            "eval", "--weights", weights, "--data", In("data"), "--split", "all", "--json", "--per-image", In("rows.csv"));
        Result infer = Succeeds("infer", "--weights", weights, In("data"), "--out", In("masks"));
        Assert.That(infer.Out, Does.Contain($"6 volumes, results in {In("masks")}"));
        Assert.That(File.ReadAllLines(In("masks", "predictions.csv"))[0], Is.EqualTo(
            "volume,shape,lesion_voxels,lesion_share,lesion_mm3,confidence,ms_decode,ms_model,ms_write"));
        foreach (JsonElement group in eval.GetProperty("groups").EnumerateArray())
        {
            string name = group.GetProperty("group").GetString()!;
            byte[] mask = Unpacked(In("masks", $"{name}_pred.nii.gz")), scan = File.ReadAllBytes(In("data", $"{name}.nii"));
            byte[] truth = File.ReadAllBytes(In("data", $"{name}_mask.nii"));
            Assert.That(mask[40..56], Is.EqualTo(scan[40..56]), "extents");
            Assert.That(mask[76..108], Is.EqualTo(scan[76..108]), "spacing");
            Assert.That(mask[252..344], Is.EqualTo(scan[252..344]), "both transformations");
            double both = 0, sum = 0;
            for (int i = 352; i < truth.Length; i++) (both, sum) = (both + (mask[i] & truth[i]), sum + mask[i] + truth[i]);
            double dice = group.GetProperty("classes")[0].GetProperty("dice").GetDouble();
            Assert.That(dice, Is.EqualTo(2 * both / sum).Within(1e-9), "the Dice of a volume is that of all of its voxels");
        }
    }

    [Test, Exercises("infer", "--probabilities", "--no-overlay")]
    public void Probabilities_of_a_volume_are_a_volume()
    {
        WriteVolumes(In("data"), 4);
        Succeeds(["train", "--data", In("data"), "--out", In("run"), .. s_small]);
        byte[][] pages =
            [.. Enumerable.Range(0, 3).Select(p => Enumerable.Range(0, 320).Select(i => (byte)(i % 16 > 8 ? 200 + p : 20)).ToArray())];
        Directory.CreateDirectory(In("scans"));
        File.WriteAllBytes(In("scans", "stack.tif"), Pictures.TiffStack(16, 20, pages));
        foreach (int i in new[] { 0, 1 }) File.Copy(In("data", $"v{i}.nii"), In("scans", $"v{i}.nii")); // of both byte orders
        Result run = Succeeds(
            "infer", "--weights", BestOf("run"), In("scans"), "--probabilities", "--no-overlay", "--out", In("masks"));
        Assert.That(run.Error, Does.Contain("note: --no-overlay changes nothing: volumes have no overlay"));
        foreach (int i in new[] { 0, 1 })
        {
            Volume p = NiftiFile.Load(In("masks", $"v{i}_prob.nii.gz")), mask = NiftiFile.Load(In("masks", $"v{i}_pred.nii.gz"));
            Assert.That((p.X, p.Y, p.Z, p.Spacing), Is.EqualTo((mask.X, mask.Y, mask.Z, mask.Spacing)));
            Assert.That(p.Values.Distinct().Count(), Is.GreaterThan(50));
            Assert.That(p.Values.Max(), Is.LessThanOrEqualTo(1f));
            int differ = p.Values.Zip(mask.Values)
                .Count(pair => Math.Abs(pair.First - 0.5f) > 1e-4 && pair.First > 0.5f != pair.Second > 0);
            Assert.That(differ, Is.Zero, "the mask is where the probability is one half");
        }
        IReadOnlyList<Image> planes = ImageFile.LoadPages(In("masks", "stack_prob.tif")),
            masks = ImageFile.LoadPages(In("masks", "stack_pred.tif"));
        for (int i = 0; i < 3; i++)
            Assert.That(
                planes[i].Samples16.Zip(masks[i].Pixels)
                    .Count(pair => Math.Abs(pair.First - 32767.5) > 2 && pair.First > 32767 != pair.Second > 0),
                Is.Zero);
    }

    [Test, Exercises("eval", "--data", "--json", "--split", "--metrics-at")]
    public void Distances_are_those_of_volumes_in_millimeters()
    {
        WriteVolumes(In("data"), 4);
        Succeeds(["train", "--data", In("data"), "--out", In("run"), .. With(s_small, "--epochs", "12")]);
        string[] eval = ["eval", "--weights", BestOf("run"), "--data", In("data"), "--split", "all", "--json"];
        JsonElement all = Json(eval);
        Assert.That(all.GetProperty("hausdorff_unit").GetString(), Is.EqualTo("mm"));
        Succeeds("infer", "--weights", BestOf("run"), In("data"), "--out", In("masks"));
        List<double> distances = [];
        foreach (JsonElement group in all.GetProperty("groups").EnumerateArray())
        {
            string name = group.GetProperty("group").GetString()!;
            Volume truth = NiftiFile.Load(In("data", $"{name}_mask.nii")), mask = NiftiFile.Load(In("masks", $"{name}_pred.nii.gz"));
            double expected = HausdorffDistance.Measure(
                Array.ConvertAll(mask.Values, v => (byte)v), Array.ConvertAll(truth.Values, v => (byte)v), (truth.Z, truth.Y, truth.X),
                new VoxelSpacing(truth.Spacing.Z, truth.Spacing.Y, truth.Spacing.X));
            JsonElement lesion = group.GetProperty("classes")[0];
            if (double.IsNaN(expected)) Assert.That(lesion.GetProperty("hausdorff_images").GetInt32(), Is.Zero);
            else
            {
                Assert.That(lesion.GetProperty("hausdorff_95").GetDouble(), Is.EqualTo(expected).Within(1e-9), name);
                Assert.That(lesion.GetProperty("hausdorff_images").GetInt32(), Is.EqualTo(1), "one volume");
                distances.Add(expected);
            }
        }
        Assert.That(distances, Is.Not.Empty, "else the test tells nothing");
        Assert.That(
            all.GetProperty("classes")[0].GetProperty("hausdorff_95").GetDouble(), Is.EqualTo(distances.Average()).Within(1e-9));
        Assert.That(Json([.. eval, "--metrics-at", "model"]).GetProperty("hausdorff_unit").GetString(), Is.EqualTo("px"));
    }

    [Test, Exercises("train", "--axis", "--intensity"), Exercises("eval", "--axis"), Exercises("infer", "--axis")]
    public void Weights_keep_the_axis_and_another_is_refused()
    {
        WriteVolumes(In("data"), 4);
        Succeeds(["train", "--data", In("data"), "--axis", "x", "--intensity", "zscore", "--out", In("run"), .. s_small]);
        Succeeds("train", "--resume", In("run"), "--epochs", "3");
        Assert.That(JsonFile(In("run", "args.json")).GetProperty("axis").GetString(), Is.EqualTo("x"));
        string weights = In("run", "weights", "last.safetensors");
        Result eval = Succeeds("eval", "--weights", weights, "--data", In("data"));
        Assert.That(eval.Out, Does.Contain("slices").And.Match(@"v\d +16 +\d\.\d{4}"), "a line for each volume");
        Assert.That(Mamba("eval", "--weights", weights, "--data", In("data"), "--axis", "z"), Is.EqualTo(new Result(
            2, "", $"mamba: --axis is z, and {weights} was trained on slices along x{Environment.NewLine}")));
        string file = In("data", "v0.nii");
        Assert.That(Succeeds("infer", "--weights", weights, file, "--axis", "x", "--out", In("a")).Out, Is.Not.Empty);
        Assert.That(Mamba("infer", "--weights", weights, file, "--axis", "y", "--out", In("b")).Code, Is.EqualTo(2));
        Assert.That(In("b"), Does.Not.Exist);
    }

    [Test]
    public void Stacks_come_out_as_stacks()
    {
        WriteVolumes(In("data"), 4);
        Succeeds(["train", "--data", In("data"), "--out", In("run"), .. s_small]);
        string weights = In("run", "weights", "last.safetensors");
        byte[][] pages =
            [.. Enumerable.Range(0, 3).Select(p => Enumerable.Range(0, 320).Select(i => (byte)(i % 16 > 8 ? 200 + p : 20)).ToArray())];
        File.WriteAllBytes(In("stack.tif"), Pictures.TiffStack(16, 20, pages));
        Succeeds("infer", "--weights", weights, In("stack.tif"), "--out", In("masks"));
        IReadOnlyList<Image> mask = ImageFile.LoadPages(In("masks", "stack_pred.tif"));
        Assert.That(mask.Select(page => (page.Width, page.Height)), Is.EqualTo(Enumerable.Repeat((16, 20), 3)));
        Assert.That(mask.SelectMany(page => page.Pixels).Distinct(), Is.SubsetOf(new byte[] { 0, 255 }));
        long inside = mask.Sum(page => page.Pixels.LongCount(v => v == 255));
        string row = File.ReadAllLines(In("masks", "predictions.csv"))[1];
        Assert.That(row, Does.StartWith($"stack,16 x 20 x 3,{inside},").And.Match(@",\d\.\d{6},,"), "without a spacing there are no mm3");
    }

    [Test]
    public void What_does_not_go_together_is_refused_in_a_line()
    {
        WriteVolumes(In("data"), 4);
        WriteLesions(In("pictures"), 1);
        Succeeds(["train", "--data", In("data"), "--out", In("run"), .. s_small]);
        string weights = In("run", "weights", "last.safetensors"), scan = In("data", "v0.nii"), picture = In("pictures", "slice0.png");
        Refuses("is a volume, and", "infer", "--weights", weights, scan, picture, "--out", In("out"));
        Refuses("--axis is for volumes", "infer", "--weights", weights, picture, "--axis", "z", "--out", In("out"));
        Directory.CreateDirectory(In("scanner"));
        File.WriteAllBytes(In("scanner", "1.dcm"), [.. new byte[128], .. "DICM"u8]);
        Refuses("dcm2niix", "infer", "--weights", weights, In("scanner"), "--out", In("out"));
        Refuses("dcm2niix", "infer", "--weights", weights, In("scanner", "1.dcm"), "--out", In("out"));
        Refuses("dcm2niix", "train", "--data", In("scanner"), "--out", In("other"));
        Assert.That(In("out"), Does.Not.Exist);
        Result slices = Succeeds(["train", "--data", In("data"), "--protocol", "slice", "--out", In("slices"), .. s_small]);
        Assert.That(slices.Out, Does.Contain("note: --protocol slice puts neighboring slices of one volume into training and test"));

        static void Refuses(string says, params string[] arguments)
        {
            Result result = Mamba(arguments);
            Assert.That(result.Code, Is.EqualTo(2));
            Assert.That(result.Error, Does.Contain(says));
            Assert.That(result.Error.TrimEnd().Split('\n'), Has.Length.EqualTo(1));
        }
    }

    private static byte[] Unpacked(string path)
    {
        using GZipStream gzip = new(File.OpenRead(path), CompressionMode.Decompress);
        using MemoryStream bytes = new();
        gzip.CopyTo(bytes);
        return bytes.ToArray();
    }

    private static void WriteVolumes(string folder, int count)
    {
        Directory.CreateDirectory(folder);
        for (int i = 0; i < count; i++)
        {
            File.WriteAllBytes(Path.Combine(folder, $"v{i}.nii"), Volumes.Scan(i, big: i % 2 == 1));
            File.WriteAllBytes(Path.Combine(folder, $"v{i}_mask.nii"), Volumes.Mask(i));
        }
    }
}
