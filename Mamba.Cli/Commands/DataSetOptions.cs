using System.CommandLine;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Files;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>The options that say what a folder of images cannot say about itself; those of <c>train</c> and <c>eval</c>.</summary>
internal sealed class DataSetOptions
{
    public Option<string?> Images { get; } = Options.Text("--images", "DIR", "Folder of the images, below --data.", "found");

    public Option<string?> Masks { get; } = Options.Text("--masks", "DIR", "Folder of the masks, below --data.", "found");

    public Option<string?> MaskSuffix { get; } = Options.Text("--mask-suffix", "TEXT", "Ending of a mask's name.", "found");

    public Option<string?> Labels { get; } =
        Options.Text("--labels", "FILE", "Mask values or colors and names, a line per class.", "found");

    public Option<OnMissingMask?> OnMissingMask { get; } =
        Options.Choice<OnMissingMask>("--on-missing-mask", "What to do with an image without a mask.", "fail");

    public Option<string?> Patients { get; } = Options.Text("--patients", "FILE", "CSV of NAME,PATIENT.", "folders");

    public Option<string?> PatientPattern { get; } =
        Options.Text("--patient-pattern", "REGEX", "Patient in an image's name: the first group.", "folders");

    public Option<SliceAxis?> Axis { get; } = Options.Axis();

    public IEnumerable<Option> All => [Images, Masks, MaskSuffix, Labels, OnMissingMask, Patients, PatientPattern, Axis];

    /// <summary>What was typed. Files are given as full paths, folders as they are below the data's root.</summary>
    public DataOptions Of(ParseResult parsed) => new()
    {
        Images = parsed.GetValue(Images),
        Masks = parsed.GetValue(Masks),
        MaskSuffix = parsed.GetValue(MaskSuffix),
        Labels = FullPath(parsed.GetValue(Labels)),
        OnMissingMask = parsed.GetValue(OnMissingMask) ?? default,
        Patients = FullPath(parsed.GetValue(Patients)),
        PatientPattern = parsed.GetValue(PatientPattern),
        Axis = parsed.GetValue(Axis),
    };

    /// <summary>The axis of volumes for trained weights: theirs.</summary>
    /// <exception cref="ArgumentException">Another one was typed than that of the training.</exception>
    public static SliceAxis? AxisOf(SliceAxis? typed, ModelInfo info, string weights) =>
        typed is { } axis && info.Data.Axis is { } trained && axis != trained
            ? throw new ArgumentException(
                $"--axis is {RunArguments.Name(axis)}, and {weights} was trained on slices along {RunArguments.Name(trained)}")
            : typed ?? info.Data.Axis;

    private static string? FullPath(string? path) => path is null ? null : Path.GetFullPath(path);
}
