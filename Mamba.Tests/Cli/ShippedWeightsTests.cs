using Mamba.Cli.Commands;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Sets;
using Mamba.Models.Files;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cli;

/// <summary>The weights and pictures that come with the program: found by name, small, described, and good on the first try.</summary>
internal sealed class ShippedWeightsTests : CliTest
{
    private const int MostBytes = 6_000_000;

    private static string[] Names => [.. NamedWeights.Shipped.Select(shipped => shipped.Name)];

    private static string Pictures => Path.Combine(SourceTree.Root, "samples", "pictures");

    [Test]
    public void They_are_small_and_each_has_a_card()
    {
        string folder = Path.Combine(SourceTree.Root, "weights");
        FileInfo[] files = [.. new DirectoryInfo(folder).GetFiles("*.safetensors")];
        Assert.That(files.Select(file => Path.GetFileNameWithoutExtension(file.Name)), Is.EquivalentTo(Names).And.Not.Empty);
        Assert.That(files.Sum(file => file.Length), Is.LessThanOrEqualTo(MostBytes));
        foreach (FileInfo file in files)
        {
            string card = File.ReadAllText(Path.ChangeExtension(file.FullName, ".md"));
            string hash = Convert.ToHexStringLower(Sha256.HashData(File.ReadAllBytes(file.FullName)));
            foreach (string part in new[] { "## Data", "## Scores", "## Limits", "## Repeat", hash })
                Assert.That(card, Does.Contain(part), file.Name);
        }
    }

    [TestCaseSource(nameof(Names))]
    public void They_load_and_describe_themselves(string name)
    {
        ModelInfo info = ModelFile.Load(NamedWeights.Find(name)).Info;
        Assert.That(name, Does.StartWith(info.Model));
        Assert.That(info.Labels, Is.Not.Empty);
    }

    [Test]
    public void The_pictures_are_of_no_image_that_was_trained_on()
    {
        SyntheticLesions made = new(2026, 400);
        foreach (string path in Directory.GetFiles(Pictures, "*.png"))
        {
            int index = int.Parse(Path.GetFileNameWithoutExtension(path).Split('-')[1], System.Globalization.CultureInfo.InvariantCulture);
            Assert.That(ImageFile.Load(path).Pixels, Is.EqualTo(made.Load(index).Image.Pixels), path);
        }
    }

    [Test]
    public void A_name_finds_the_lesions_of_the_pictures()
    {
        Succeeds("infer", "--weights", "ul-vm-unet-synthetic", Pictures, "--out", In("masks"));
        SyntheticLesions made = new(2026, 400);
        string[] masks = Directory.GetFiles(In("masks"), "*_pred.png");
        Assert.That(masks, Has.Length.EqualTo(3));
        int both = 0, sum = 0;
        foreach (string path in masks)
        {
            int index = int.Parse(Path.GetFileName(path).Split('-', '_')[1], System.Globalization.CultureInfo.InvariantCulture);
            ReadOnlySpan<byte> truth = made.Load(index).Mask.Classes;
            Image mask = ImageFile.Load(path);
            for (int i = 0; i < truth.Length; i++)
            {
                bool t = truth[i] != 0, p = mask.Pixels[i] != 0;
                both += t && p ? 1 : 0;
                sum += (t ? 1 : 0) + (p ? 1 : 0);
            }
        }
        Assert.That(2.0 * both / sum, Is.GreaterThan(0.75), "Dice over the pixels of all three");
    }

    [Test]
    public void Models_lists_them_and_a_wrong_name_is_answered_with_them()
    {
        Assert.That(Succeeds("models").Out, Does.Contain("ul-vm-unet-synthetic  ul-vm-unet"));
        foreach (string verb in new[] { "infer", "eval", "quantize" })
        {
            Result result = verb switch
            {
                "infer" => Mamba(verb, "--weights", "ul-vm-unet-synthetc", Pictures),
                "eval" => Mamba(verb, "--weights", "ul-vm-unet-synthetc", "--data", "synthetic"),
                _ => Mamba(verb, "--weights", "ul-vm-unet-synthetc", "--data", "synthetic", "--out", In("q")),
            };
            Assert.That(result.Code, Is.EqualTo(2), verb);
            Assert.That(result.Error, Does.Contain("nor the name of weights that come with").And.Contain("ul-vm-unet-synthetic"));
        }
    }

    [Test]
    public void A_file_and_a_run_folder_go_before_a_name()
    {
        string file = In("ul-vm-unet-synthetic");
        File.WriteAllText(file, "not weights");
        Assert.That(NamedWeights.Find(file), Is.EqualTo(file));
        Assert.That(NamedWeights.Find(In("nowhere.safetensors")), Is.EqualTo(In("nowhere.safetensors")), "its reader says what is wrong");
        Assert.That(() => NamedWeights.Find("nowhere"), Throws.TypeOf<CheckpointException>());
    }
}
