using System.CommandLine;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Files;
using Mamba.Models.Tasks;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>The options that say what a folder of images cannot say about itself; those of <c>train</c> and <c>eval</c>.</summary>
internal sealed class DataSetOptions
{
    public Option<string?> Images { get; } = Options.Text("--images", "DIR", "Folder of the images, below --data.", "found");

    public Option<string?> Masks { get; } = Options.Text("--masks", "DIR", "Folder of the masks, below --data.", "found");

    public Option<string?> MaskSuffix { get; } = Options.Text("--mask-suffix", "TEXT", "Ending of a mask's name.", "found");

    public Option<string?> Labels { get; } =
        Options.Text("--labels", "FILE", "Class names, with mask values or colors.", "found");

    public Option<OnMissingMask?> OnMissingMask { get; } =
        Options.Choice<OnMissingMask>("--on-missing-mask", "Reaction to an image without a mask.", "fail");

    public Option<string?> Patients { get; } = Options.Text("--patients", "FILE", "CSV of NAME,PATIENT.", "folders");

    public Option<string?> PatientPattern { get; } =
        Options.Text("--patient-pattern", "REGEX", "Patient: first group in an image's name.", "folders");

    public Option<SliceAxis?> Axis { get; } = Options.Axis();

    /// <summary>Those that say where images and masks are and what masks mean.</summary>
    public IEnumerable<Option> Layout => [Images, Masks, MaskSuffix, Labels, OnMissingMask];

    public IEnumerable<Option> All => [.. Layout, Patients, PatientPattern, Axis];

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

    /// <summary>Refuses options that a data set does not have.</summary>
    /// <param name="name">What errors call the data.</param>
    /// <param name="options">What was typed.</param>
    /// <param name="data">The data set.</param>
    /// <exception cref="ArgumentException">There is one.</exception>
    public static void ThrowIfUnused(string name, DataOptions options, IImageData data)
    {
        if (data is IMaskedFolder) return;
        bool annotated = data is AnnotatedFolder; // its files say all but who the patients are
        string? unused = options.Images is not null ? "--images"
            : options.Masks is not null ? "--masks"
            : options.MaskSuffix is not null ? "--mask-suffix"
            : options.Labels is not null && data.Task == ModelTask.Segmentation ? "--labels" // else names of classes
            : options.OnMissingMask != default ? "--on-missing-mask"
            : options.Patients is not null && !annotated ? "--patients"
            : options.PatientPattern is not null && !annotated ? "--patient-pattern"
            : null;
        if (unused is not null) throw new ArgumentException($"{unused} is for folders of images with masks; {name} holds none");
    }

    /// <summary>Refuses an axis where there are no volumes.</summary>
    /// <param name="name">What errors call the data.</param>
    /// <param name="axis">What was typed.</param>
    /// <param name="data">The data set.</param>
    /// <exception cref="ArgumentException">One was typed for pictures.</exception>
    public static void ThrowIfNoVolumes(string name, SliceAxis? axis, IImageData data)
    {
        if (axis is not null && data is not VolumeFolder) throw new ArgumentException($"--axis is for volumes; {name} holds pictures");
    }

    /// <summary>The axis of volumes for trained weights: theirs.</summary>
    /// <exception cref="ArgumentException">Another one was typed than that of the training.</exception>
    public static SliceAxis? AxisOf(SliceAxis? typed, ModelInfo info, string weights) =>
        typed is { } axis && info.Data.Axis is { } trained && axis != trained
            ? throw new ArgumentException(
                $"--axis is {RunArguments.Name(axis)}, and {weights} was trained on slices along {RunArguments.Name(trained)}")
            : typed ?? info.Data.Axis;

    private static string? FullPath(string? path) => path is null ? null : Path.GetFullPath(path);
}
