using Mamba.Models.Data.Splits;
using Mamba.Models.Training;

namespace Mamba.Models.Studies;

/// <summary>What tells the images of a run from those of others: runs of a study are compared only on the same ones.</summary>
/// <param name="Options">The options that choose among images and masks: runs that have others may have other images.</param>
/// <param name="Names">A hash of the names of each part of the split.</param>
/// <param name="Digest">A hash of the names and the content of all images and masks, whatever part they are in.</param>
public sealed record StudyImages(string Options, string Names, string Digest)
{
    /// <summary>The images of a run.</summary>
    /// <param name="arguments">Its options.</param>
    /// <param name="content">Its images.</param>
    /// <exception cref="IOException">An image or a mask cannot be read.</exception>
    internal static StudyImages Of(RunArguments arguments, SplitContent content) =>
        new(OptionsOf(arguments), content.Names, content.Digest);

    /// <summary>What another run's images have that these have not.</summary>
    /// <param name="other">The other run's.</param>
    /// <param name="sameSplit">Whether both runs have the same protocol, seed and fold.</param>
    /// <returns>A few words; null where nothing tells them apart, or the options do.</returns>
    internal string? Difference(StudyImages other, bool sameSplit)
    {
        if (Options != other.Options) return null;
        if (sameSplit && Names != other.Names) return "its split has other names";
        if (Digest == other.Digest) return null;
        return sameSplit ? "images, masks or classes of the same names are others" : "they are other images";
    }

    private static string OptionsOf(RunArguments run)
    {
        // A limit draws other images for each seed. An official split may have more images than a random one, or fewer.
        bool official = run.Protocol is SplitProtocol.Official or SplitProtocol.Holdout;
        (string Name, string? Value)[] options =
        [
            ("split", official ? "official" : "random"), ("images", run.DataOptions.Images), ("masks", run.DataOptions.Masks),
            ("mask-suffix", run.DataOptions.MaskSuffix), ("labels", Path.GetFileName(run.DataOptions.Labels)),
            ("on-missing-mask", RunArguments.Name(run.DataOptions.OnMissingMask)), ("patients", Path.GetFileName(run.DataOptions.Patients)),
            ("patient-pattern", run.DataOptions.PatientPattern), ("axis", run.DataOptions.Axis?.ToString()),
            ("split-file", Path.GetFileName(run.SplitFile)), ("on-bad-image", RunArguments.Name(run.OnBadImage)),
            ("limit", run.Limit is { } limit ? FormattableString.Invariant($"{limit} of seed {run.Seed}") : null),
        ];
        return string.Join(", ", options.Where(option => option.Value is not null).Select(option => $"{option.Name} {option.Value}"));
    }
}
