using System.Globalization;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Sequences;

namespace Mamba.Cli.Commands;

/// <summary>Which recordings of a folder are measured: never some that were trained on without a word.</summary>
/// <param name="Indices">Their indices.</param>
/// <param name="Part">The part of the training's split, or of the folder's own, that they are; All for all that are there.</param>
/// <param name="Notes">What the user should know about the choice.</param>
internal sealed record EvalRecordings(IReadOnlyList<int> Indices, SplitPart Part, IReadOnlyList<string> Notes)
{
    /// <summary>Opens a folder and chooses recordings.</summary>
    /// <param name="name">The folder.</param>
    /// <param name="trained">What the model was trained on.</param>
    /// <param name="asked">The part that the user asks for; null for none.</param>
    /// <param name="stop">Stops between files.</param>
    /// <returns>The task, whose test part are the recordings, and the choice.</returns>
    /// <exception cref="DatasetException">The recordings do not fit the model, or the part cannot be told.</exception>
    public static (RecordedSignals Task, EvalRecordings Choice) Open(
        string name, Training trained, SplitPart? asked, CancellationToken stop)
    {
        (SequenceArguments arguments, SequenceShape shape, SignalRecord? record) = trained;
        SignalFolder folder = new(name, record?.Labels, shape.Channels, stop);
        if (shape.Vocabulary is not null || (folder.Channels, folder.Labels.Count) != (shape.Channels, shape.Classes)
            || arguments.Data != SequenceTasks.Signals)
            throw new DatasetException(
                $"{name}: recordings of {folder.Channels} channels and {folder.Labels.Count} classes; {arguments.Model} was trained on "
                    + $"{arguments.Data}, {shape.Channels} channels and {shape.Classes} classes; expected the same"
                    + string.Concat(folder.TextNotes.Select(note => $"; {note}")));
        List<string> notes = [.. Fit(name, folder, record), .. folder.Notes];
        bool recorded = record?.Train is not null || (record is null && arguments.Steps is null);
        EvalRecordings choice = asked == SplitPart.All ? Whole(folder, record, recorded)
            : record?.Train is not null ? ByContent(name, folder, record, asked)
            : recorded && !HasPart(folder, SplitPart.Test) ? BySeed(name, folder, trained, asked ?? SplitPart.Test)
            : ByFolder(name, folder, asked, recorded);
        choice = choice with { Notes = [.. notes, .. folder.TextNotes, .. choice.Notes] };
        return (new RecordedSignals(folder, shape.Length, choice.Indices), choice);
    }

    /// <summary>What the files and the model do not have in common.</summary>
    private static IEnumerable<string> Fit(string name, SignalFolder folder, SignalRecord? record)
    {
        if (record is null)
        {
            yield return "the weights are of an older version: names of classes and the rate are not compared";
            yield break;
        }
        if (record.Rate is { } rate && folder.Rate is { } other && rate != other)
            throw new DatasetException(
                $"{name}: recordings of {other} Hz; the model was trained at {rate} Hz; expected recordings resampled to {rate} Hz");
        if (record.Rate != folder.Rate)
            yield return folder.Rate is { } known
                ? $"the recordings have {known} Hz; those of the training did not say their rate"
                : $"the recordings do not say their rate; those of the training had {record.Rate} Hz";
        if (folder.Missing.Count > 0) yield return $"no recordings of {PlainText.Few(folder.Missing)}";
    }

    private static EvalRecordings Whole(SignalFolder folder, SignalRecord? record, bool recorded)
    {
        int[] all = [.. Enumerable.Range(0, folder.Signals.Count)];
        return new EvalRecordings(all, SplitPart.All, record?.Train is not null ? Copies(folder, record, all)
            : recorded ? ["the weights do not say which recordings they were trained on"] : []);
    }

    /// <summary>The parts by the hashes that the weight file keeps.</summary>
    private static EvalRecordings ByContent(string name, SignalFolder folder, SignalRecord record, SplitPart? asked)
    {
        SplitPart part = asked ?? SplitPart.Test;
        SplitPart?[] parts = record.PartsOf([.. folder.Signals.Select(entry => entry.Content)]);
        int recorded = record.Count(SplitPart.Train) + record.Count(SplitPart.Val) + record.Count(SplitPart.Test);
        int known = parts.Count(there => there is not null), gone = recorded - known, added = parts.Length - known;
        string differ = string.Create(
            CultureInfo.InvariantCulture,
            $"{gone} of the training's {recorded} recordings are gone or changed, {added} of {parts.Length} are new");
        int[] same = [.. Enumerable.Range(0, parts.Length).Where(i => parts[i] == part)];
        if (same.Length == record.Count(part))
        {
            string[] changed = gone + added == 0 ? [] : [$"{differ}; the training's {same.Length} {NameOf(part)} recordings are measured"];
            return new EvalRecordings(same, part, [.. changed, .. part == SplitPart.Train ? [] : Copies(folder, record, same)]);
        }
        bool official = HasPart(folder, part);
        int[] others = [.. Enumerable.Range(0, parts.Length).Where(i => !official || folder.Signals[i].Part == part)];
        if ((official || asked is null) && Trained(folder, record, others) == 0)
            return new EvalRecordings(
                others, official ? part : SplitPart.All,
                [$"none of these recordings was trained on; {(official ? $"those in {NameOf(part)}/" : "all")} are measured"]);
        throw new DatasetException(
            $"{name}: {differ}, and {Trained(folder, record, Enumerable.Range(0, parts.Length))} of {parts.Length} were trained on; "
                + $"expected all {record.Count(part)} {NameOf(part)} recordings of the training; --split all measures all that are there");
    }

    /// <summary>The parts by splitting again, as a training of an older version did.</summary>
    private static EvalRecordings BySeed(string name, SignalFolder folder, Training trained, SplitPart part)
    {
        int longest = folder.Signals.Max(entry => entry.Signal.Length);
        if (trained.Arguments.Length is null && longest != trained.Shape.Length)
            throw new DatasetException(
                $"{name}: the longest recording has {longest} samples, that of the training had {trained.Shape.Length}; the weights "
                    + "name no recordings, so that their test cannot be found; --split all measures all that are there");
        if (HasPart(folder, SplitPart.Val)) // older versions drew the test from both folders
            throw new DatasetException(
                $"{name}: has val/ and no test/, and the weights name no recordings, so that their test cannot be found; "
                    + "--split all measures all that are there");
        IReadOnlyList<int> drawn;
        try
        {
            drawn = new RecordedSignals(folder, trained.Shape.Length, trained.Arguments.Seed).Samples(part);
        }
        catch (DatasetException e)
        {
            throw new DatasetException($"{e.Message.TrimEnd('.')}; --split all measures all that are there", e);
        }
        return new EvalRecordings(drawn, part, [string.Create(
            CultureInfo.InvariantCulture,
            $"the weights name no recordings; the split is drawn again from seed {trained.Arguments.Seed}, and holds only if no recording "
                + $"was added, removed or renamed since")]);
    }

    /// <summary>The folder's own parts: nothing else tells them.</summary>
    private static EvalRecordings ByFolder(string name, SignalFolder folder, SplitPart? asked, bool recorded)
    {
        string[] notes = recorded ? ["the weights do not say which recordings they were trained on"] : [];
        SplitPart part = asked ?? (HasPart(folder, SplitPart.Test) ? SplitPart.Test : SplitPart.All);
        if (part != SplitPart.All && !HasPart(folder, part))
            throw new DatasetException($"{name}: has no folder {NameOf(part)}/; --split all measures all recordings");
        return new EvalRecordings(
            [.. Enumerable.Range(0, folder.Signals.Count).Where(i => part == SplitPart.All || folder.Signals[i].Part == part)], part,
            notes);
    }

    private static bool HasPart(SignalFolder folder, SplitPart part) => folder.Signals.Any(entry => entry.Part == part);

    private static int Trained(SignalFolder folder, SignalRecord record, IEnumerable<int> indices) =>
        record.CountTrained(indices.Select(i => folder.Signals[i].Content));

    private static string[] Copies(SignalFolder folder, SignalRecord record, int[] measured) =>
        Trained(folder, record, measured) is > 0 and var copies
            ? [$"{copies} of {measured.Length} recordings have the samples of training recordings, which flatters the scores"] : [];

    private static string NameOf(SplitPart part) => part.ToString().ToLowerInvariant();

    /// <summary>What a weight file says of the training.</summary>
    /// <param name="Arguments">Its options.</param>
    /// <param name="Shape">The shape of its sequences.</param>
    /// <param name="Record">Classes, rate and recordings; null in files of older versions.</param>
    internal sealed record Training(SequenceArguments Arguments, SequenceShape Shape, SignalRecord? Record);
}
