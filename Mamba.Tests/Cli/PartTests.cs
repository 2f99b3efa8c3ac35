using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Zoo;

namespace Mamba.Tests.Cli;

/// <summary>Processes that share a job, as tests of all three verbs see them.</summary>
internal abstract class PartTests : CliTest
{
    protected string Weights => In("w.safetensors");

    /// <summary>Saves a small model of masks, of three classes or of pictures, without a training.</summary>
    protected void SaveModel(string kind = "mask", int? crop = null, ulong seed = 1, int batch = 2, Intensity? intensity = null)
    {
        ModelEntry entry = Registry.Find(kind == "pictures" ? "vit" : "unet");
        ModelConfig config = kind == "pictures"
            ? entry.Config with { Width = 16, Depth = 1, Patch = 8, ImageSize = 16, Classes = 2 }
            : entry.Config with { Width = 4, Depth = 2, Classes = kind == "mask" ? 1 : 3 };
        string[] labels = kind switch
        {
            "mask" => ["lesion"],
            "pictures" => ["across", "along"],
            _ => ["background", "1", "2"],
        };
        int side = kind == "pictures" ? 16 : 32;
        RunData data = new(SplitProtocol.Image, 0, null, side, side) { Batch = batch, Crop = crop };
        ModelInfo info = new(entry.Name, config, labels, Normalization.None(3), data) { Intensity = intensity ?? Intensity.None };
        ModelFile.Save(Weights, entry.Create(config, seed), info);
    }

    /// <summary>A command that must fail with one line.</summary>
    protected static void Refuses(string says, params string[] arguments)
    {
        Result result = Mamba(arguments);
        Assert.That((result.Code, result.Out), Is.EqualTo((2, "")), says);
        Assert.That(result.Error, Does.StartWith("mamba: ").And.Contain(says));
        Assert.That(result.Error.TrimEnd().Split('\n'), Has.Length.EqualTo(1));
    }
}
