using System.Globalization;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>Which images of a data set are measured: never some that were trained on without a word.</summary>
/// <param name="Indices">Their indices.</param>
/// <param name="Part">The part of the training's split that they are; All for all images that are there.</param>
/// <param name="Note">What the user should know about the choice; null for nothing.</param>
internal sealed record EvalImages(int[] Indices, SplitPart Part, string? Note)
{
    /// <summary>How many of them were trained on, as far as that is known.</summary>
    public int Trained { get; private init; }

    /// <summary>Chooses images.</summary>
    /// <param name="name">What errors call the data.</param>
    /// <param name="data">The data.</param>
    /// <param name="info">What the weight file says about the training.</param>
    /// <param name="asked">The part that the user asks for; null for none.</param>
    /// <param name="splitFile">A file that lists the parts; null for the training's.</param>
    /// <exception cref="ArgumentException">A file lists the parts, and all images are asked for.</exception>
    /// <exception cref="DatasetException">The data are not those of the training, and the part cannot be told.</exception>
    public static EvalImages Choose(string name, IImageData data, ModelInfo info, SplitPart? asked, string? splitFile)
    {
        if (asked == SplitPart.All)
            return splitFile is null ? Counted(All(data), SplitPart.All)
                : throw new ArgumentException("--split-file lists the images of parts; it goes without --split all");
        if (splitFile is not null)
            return Counted(SplitFile.Read(splitFile).Of(splitFile, data)[asked ?? SplitPart.Test], asked ?? SplitPart.Test);
        if (info.Split is { Hashes: not null } record && (data is IImageFolder || IsListed(data, info)))
            return ByNames(name, data, record, asked, info.Data.IsSplitFromFile);
        if (info.Data.IsForeign || IsOtherKind(data, info)) return ByOfficialSplit(name, data, asked);
        return BySeed(name, data, info, asked ?? SplitPart.Test);

        EvalImages Counted(int[] measured, SplitPart part)
        {
            int trained = CountTrained(data, info, measured);
            bool tell = trained > 0 && part != SplitPart.Train;
            return new EvalImages(
                measured, part, tell ? $"{trained} of {measured.Length} images were trained on, which flatters the scores" : null)
            {
                Trained = trained,
            };
        }
    }

    /// <summary>Whether a file split these data, which are not in a folder: the record has their names then.</summary>
    private static bool IsListed(IImageData data, ModelInfo info) =>
        data is not IImageFolder && info is { Data.IsSplitFromFile: true, Split: { Hashes: not null } record }
        && IsMade(data) == (info.Data.SyntheticImages is not null)
        && Enumerable.Range(0, data.Count).Any(i => record.PartOf(data.Fingerprint(i)) is not null);

    private static bool IsMade(IImageData data) => data is SyntheticLesions or SyntheticShapes;

    /// <summary>
    /// Whether the data cannot be those of the training: a folder for weights of synthetic images or of a known set in files, or the other
    /// way round. Weights of older versions do not say what they were trained on.
    /// </summary>
    private static bool IsOtherKind(IImageData data, ModelInfo info)
    {
        if (data is IImageFolder) return info.Data.SyntheticImages is not null || info.Split is { Hashes: null };
        bool synthetic = info.Data.SyntheticImages is not null;
        return info.Split is { Hashes: not null } || (IsMade(data) ? !synthetic && info.Split is null : synthetic);
    }

    /// <summary>
    /// The parts of the data's own split: nothing else tells what weights of other programs were trained on. The images that come to test
    /// with are measured, or all where the data has no split.
    /// </summary>
    private static EvalImages ByOfficialSplit(string name, IImageData data, SplitPart? asked)
    {
        ILookup<SplitPart?, int> parts = All(data).ToLookup(data.Part);
        SplitPart part = asked
            ?? (parts.Contains(SplitPart.Test) ? SplitPart.Test : parts.Contains(SplitPart.Val) ? SplitPart.Val : SplitPart.All);
        const string Unknown = "the weights do not say which of these images they were trained on";
        if (part == SplitPart.All) return new EvalImages(All(data), part, $"{Unknown}; all are measured");
        if (!parts.Contains(part))
            throw new DatasetException(
                $"{name}: has no official {RunArguments.Name(part)} images, and the weights do not say how images were split; "
                    + "--split all measures all of them, --split-file FILE those that a file lists");
        string? note = asked is null ? $"{Unknown}; the official {RunArguments.Name(part)} images are measured" : null;
        return new EvalImages([.. parts[part]], part, note);
    }

    /// <summary>The parts by the names that the weight file keeps; a file that listed them may have left some images out.</summary>
    private static EvalImages ByNames(string name, IImageData data, SplitRecord record, SplitPart? asked, bool listed)
    {
        SplitPart?[] parts = [.. Enumerable.Range(0, data.Count).Select(i => record.PartOf(data.Fingerprint(i)))];
        bool sharesTest = record.Digests[1] == record.Digests[2]; // as in the paper: the test images chose the best epoch
        int recorded = record.Counts.Sum() - (sharesTest ? record.Counts[1] : 0), known = parts.Count(part => part is not null);
        int removed = recorded - known, added = data.Count - known, trained = parts.Count(part => part == SplitPart.Train);
        if (removed == 0 && (added == 0 || listed))
        {
            SplitPart part = asked ?? SplitPart.Test, there = part == SplitPart.Val && sharesTest ? SplitPart.Test : part;
            string? note = added == 0 ? null : string.Create(
                CultureInfo.InvariantCulture, $"{added} of {data.Count} images are in no part of the file that split the training");
            return new EvalImages([.. All(data).Where(i => parts[i] == there)], part, note);
        }
        if (asked is null && trained == 0)
            return new EvalImages(All(data), SplitPart.All, "no image of these names and sizes was trained on; all are measured");
        string differ = string.Create(
            CultureInfo.InvariantCulture,
            $"{removed + added} files differ from those of the training ({removed} of {recorded} gone or changed, {added} of "
                + $"{data.Count} new), "
                + $"and {trained} of {data.Count} were trained on");
        throw new DatasetException(
            $"{name}: {differ}; --split all measures all of them, --split-file FILE those that a run's split.json lists");
    }

    /// <summary>The parts by splitting again, as the training did.</summary>
    private static EvalImages BySeed(string name, IImageData data, ModelInfo info, SplitPart part)
    {
        RunData run = info.Data;
        Split split = SplitOf(data, info);
        bool random = run.Protocol is not SplitProtocol.Official;
        if (random && info.Split is { } record && !record.Matches(data, split))
            throw new DatasetException(
                $"{name}: not the images that the weights were trained on, {record.Counts[0]} training, {record.Counts[1]} validation and "
                    + $"{record.Counts[2]} test images; --split all measures all of them");
        string? note = data is IImageFolder && info.Split is null
            ? "the weights are of an older version; the split holds only if no image was added or removed since" : null;
        return new EvalImages(split[part], part, note);
    }

    /// <summary>How many of the images were trained on, as far as that is known.</summary>
    private static int CountTrained(IImageData data, ModelInfo info, int[] measured)
    {
        if (data is IImageFolder || IsListed(data, info)) return info.Split?.CountTrained(data, measured) ?? 0;
        bool known = !info.Data.IsForeign && !IsOtherKind(data, info) && (info.Data.SyntheticImages is not null || info.Split is not null);
        return known ? measured.Intersect(SplitOf(data, info).Train).Count() : 0;
    }

    /// <summary>The split of the training, if these are its data.</summary>
    private static Split SplitOf(IImageData data, ModelInfo info) => Split.Of(data, new SplitOptions
    {
        Protocol = info.Data.Protocol,
        Seed = info.Data.Seed,
        Limit = info.Data.Limit,
        Fold = info.Data.Fold,
        Stratified = info.Split is not null, // weights without a record are of synthetic images, or of a version without strata
    });

    private static int[] All(IImageData data) => [.. Enumerable.Range(0, data.Count)];
}
