using Mamba.Models.Data;
using Mamba.Models.Data.Formats;

namespace Mamba.Tests.Cli;

/// <summary>Images that are not those of the training, or were seen by other weights: what may be compared, and what is said.</summary>
[NonParallelizable]
internal sealed class OtherImagesTests : CliTest
{
    private static readonly string[] s_vit =
    [
        "train", "--model", "vit", "--width", "16", "--depth", "1", "--size", "16", "--patch", "8", "--batch", "8", "--epochs", "1",
        "--augment", "none", "--threads", "1",
    ];

    private static readonly string[] s_unet = ["train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "32", "--epochs", "1"];

    [Test]
    public void Weights_of_synthetic_images_measure_all_images_of_a_folder()
    {
        Succeeds([.. s_unet, "--limit", "20", "--out", In("run")]);
        WriteLesions(In("data"), 13);
        Result all = Succeeds("eval", "--weights", In("run"), "--data", In("data"));
        Assert.That(all.Out, Does.Contain("13 images"));
        Assert.That(all.Error, Does.Contain("the weights do not say which of these images they were trained on; all are measured"));
        Result test = Mamba("eval", "--weights", In("run"), "--data", In("data"), "--split", "test");
        Assert.That(test.Code, Is.EqualTo(2));
        Assert.That(test.Error, Does.Contain("--split all measures all of them"));
        Assert.That(Succeeds("eval", "--weights", In("run"), "--data", "synthetic").Out, Does.Contain("2 images"), "its own test images");
    }

    [Test]
    public void Weights_of_a_folder_measure_all_synthetic_images()
    {
        WriteLesions(In("data"), 12);
        Succeeds([.. s_unet, "--data", In("data"), "--out", In("run")]);
        Assert.That(Succeeds("eval", "--weights", In("run"), "--data", "synthetic").Error, Does.Contain("all are measured"));
    }

    [Test, Exercises("train", "--init", "--teacher")]
    public void Test_images_that_other_weights_were_trained_on_are_counted()
    {
        WriteClasses(In("data"), 20);
        Succeeds([.. s_vit, "--data", In("data"), "--out", In("first")]);
        string[] again = [.. s_vit, "--data", In("data"), "--out"];
        Assert.That(Succeeds([.. again, In("same"), "--init", BestOf("first")]).Out, Does.Not.Contain("were trained on"));
        Assert.That(
            Succeeds([.. again, In("init"), "--init", BestOf("first"), "--seed", "7"]).Out,
            Does.Match("note: [1-4] of 4 test images were trained on by --init, which flatters the scores"));
        Assert.That(
            Succeeds([.. again, In("taught"), "--teacher", BestOf("first"), "--seed", "7"]).Out,
            Does.Match("note: [1-4] of 4 test images were trained on by --teacher, which flatters the scores"));
    }

    [Test, Exercises("train", "--fold", "--protocol")]
    public void Folds_do_not_mix_the_parts_of_an_official_split()
    {
        WriteClasses(In("data", "train"), 10);
        WriteClasses(In("data", "test"), 4, first: 10);
        string[] folds = [.. s_vit, "--data", In("data"), "--fold", "1/3"];
        Result refused = Mamba([.. folds, "--out", In("refused")]);
        Assert.That(refused.Code, Is.EqualTo(2));
        Assert.That(refused.Error, Does.Contain("--protocol slice does so"));
        Succeeds([.. folds, "--protocol", "slice", "--out", In("anew")]);
    }

    [Test, Exercises("train", "--labels", "--axis")]
    public void What_is_about_masks_and_volumes_is_refused_for_classes()
    {
        WriteClasses(In("data"), 10);
        File.WriteAllLines(In("labels.txt"), ["one", "two"]);
        Refused("--labels says what the values of masks are; the classes of ", "--labels", In("labels.txt"));
        Refused("--axis is for volumes; ", "--axis", "x");

        void Refused(string because, params string[] words)
        {
            Result result = Mamba([.. s_vit, "--data", In("data"), "--out", In("run"), .. words]);
            Assert.That(result.Code, Is.EqualTo(2));
            Assert.That(result.Error, Does.StartWith($"mamba: {because}").And.Contain(In("data")));
        }
    }

    [Test, Exercises("train", "--recipe")]
    public void A_recipe_of_CIFAR_splits_a_folder_without_an_official_split_at_random()
    {
        WriteClasses(In("data"), 10);
        Assert.That(
            Succeeds("train", "--recipe", "resnet8", "--data", In("data"), "--epochs", "1", "--out", In("run")).Out,
            Does.Contain("split by slice"));
    }

    [Test]
    public void Classes_that_a_part_lacks_are_named()
    {
        WriteClasses(In("data"), 10);
        Directory.CreateDirectory(In("data", "rare"));
        Image image = new(16, 16, 3);
        image.Pixels.AsSpan().Fill(7);
        ImageFile.SavePng(In("data", "rare", "one.png"), image);
        string said = Succeeds([.. s_vit, "--data", In("data"), "--out", In("run")]).Out;
        Assert.That(
            said, Does.Contain("note: no training image of 1 of 3 classes: rare; a model learns nothing of them")
                .Or.Contain("note: no test image of 1 of 3 classes: rare; how well they are found is not measured"));
    }

    [Test, Exercises("infer", "--top")]
    public void A_classifier_tells_of_bits_that_it_was_not_trained_on()
    {
        WriteClasses(In("data"), 10);
        Succeeds([.. s_vit, "--data", In("data"), "--out", In("run")]);
        ushort[] samples = [.. Enumerable.Range(0, 16 * 16).Select(i => (ushort)(i % 256 * 16))];
        Directory.CreateDirectory(In("twelve"));
        for (int i = 0; i < 3; i++) ImageFile.SavePng16(In("twelve", $"{i}.png"), 16, 16, samples);
        string[] infer = ["infer", "--weights", In("run"), "--top", "1", "--out"];
        const string Bits = ": 12 bits in a file of 16, and the weights were trained on whole ranges; expected images of the same bits";
        Assert.That(Succeeds([.. infer, In("one"), In("twelve", "0.png")]).Error, Does.Contain($"note: 0{Bits}"));
        string[] said = Succeeds([.. infer, In("all"), In("twelve")]).Error.Trim().Split('\n');
        Assert.That(said, Has.Length.EqualTo(2).And.All.StartsWith("note: 0 and 2 more: "), "each of both once");
        Assert.That(said[1].TrimEnd(), Does.EndWith(Bits));
    }

    [Test]
    public void A_folder_that_holds_no_run_has_no_weights()
    {
        Directory.CreateDirectory(In("runs"));
        Result result = Mamba("infer", "--weights", In("runs"), In("none.png"));
        Assert.That(result.Code, Is.EqualTo(2));
        Assert.That(result.Error, Does.StartWith($"mamba: {In("runs")}: a folder, but not that of a run"));
    }
}
