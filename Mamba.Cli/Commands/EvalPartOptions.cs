using System.CommandLine;
using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Models.Data.Splits;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>The options of <c>mamba eval</c> for several processes that share its images, and what they do.</summary>
internal sealed class EvalPartOptions
{
    private readonly Option<JobPart?> _part = Options.Part();
    private readonly Option<string?> _output = Options.Text("--out", "DIR", "Folder that all parts write to.");
    private readonly Option<string?> _merge = Options.Text("--merge", "DIR", "Score what all parts have measured.");

    /// <summary>Whether this program measures parts; native ones do not (eng/aot/NativeSubstitutions.xml).</summary>
    private static bool IsIncluded => true;

    /// <summary>The options.</summary>
    public Option[] All => [_part, _output, _merge];

    /// <summary>Whether the scores of parts are asked for.</summary>
    /// <exception cref="ArgumentException">There is an option that says how to measure, where everything is measured.</exception>
    public bool IsMerge(ParseResult parsed, params Option[] allowed)
    {
        if (parsed.GetValue(_merge) is null) return false;
        foreach (Option option in parsed.CommandResult.Command.Options)
            if (option != _merge && !allowed.Contains(option) && parsed.GetResult(option) is { Implicit: false })
                throw new ArgumentException($"{option.Name} is for measuring; --merge takes what the parts have measured");
        return true;
    }

    /// <summary>Whether a part is asked for.</summary>
    /// <exception cref="ArgumentException">There is a folder without a part.</exception>
    public bool IsPart(ParseResult parsed) => parsed.GetValue(_part) is not null
        || (parsed.GetValue(_output) is null ? false : throw new ArgumentException(
            "--out goes with --part I/N, which leaves there what it measured; without --part the scores are printed"));

    /// <summary>Measures a part of the images and leaves what was measured in the folder.</summary>
    /// <param name="terminal">Where a line goes.</param>
    /// <param name="parsed">What was typed.</param>
    /// <param name="request">What to measure.</param>
    /// <param name="runs">The weights.</param>
    /// <param name="apart">Options that change no result, or whose content counts instead.</param>
    /// <param name="stop">Stops between batches; nothing is left then.</param>
    /// <exception cref="ArgumentException">Something does not go with a part.</exception>
    public int Measure(
        Terminal terminal, ParseResult parsed, EvalRequest request, EvalRun[] runs, Option[] apart, CancellationToken stop) =>
        IsIncluded ? MeasurePart(terminal, parsed, request, runs, apart, stop) : throw LeftOut();

    /// <summary>Prints the scores of all parts together.</summary>
    /// <exception cref="IOException">A part is missing, or is of another evaluation.</exception>
    public int Merge(Terminal terminal, ParseResult parsed, bool json, string? perImage) =>
        IsIncluded ? MergeParts(terminal, parsed, json, perImage) : throw LeftOut();

    private static ArgumentException LeftOut() => new("native programs leave out parts of eval; the portable build of mamba has them");

    private int MeasurePart(
        Terminal terminal, ParseResult parsed, EvalRequest request, EvalRun[] runs, Option[] apart, CancellationToken stop)
    {
        JobPart part = parsed.GetValue(_part)!.Value;
        string folder = parsed.GetValue(_output)
            ?? throw new ArgumentException("--part goes with --out DIR, the folder that all parts write to");
        EvalRun run = runs is [var only] ? only : throw new ArgumentException(string.Create(
            CultureInfo.InvariantCulture, $"--part takes one weight file, and there are {runs.Length}; give each a folder of its own"));
        if (request.PerImage is not null) throw new ArgumentException("--per-image goes with --merge, which has the images of all parts");
        if (request.Json) throw new ArgumentException("--json goes with --merge, which has the scores of all parts");
        OutputPath.ThrowIfNoFolder(folder);
        run.Open(stop);
        string job = PartJob.Digest(parsed, [.. apart, .. All], run.Weights, run.Keys(), stop);
        EvalPartDocument measured = run.Measure(part, job, stop);
        string file = new EvalParts(folder).Write(part, measured);
        int images = measured.Measured.Sum(segment => segment.Images.Count);
        terminal.Out.WriteLine(PlainText.Printable(string.Create(
            CultureInfo.InvariantCulture, $"part {part}: {images} of {measured.Images} {measured.Heading.Unit}, in {file}")));
        terminal.Out.WriteLine(PlainText.Printable($"when all parts have ended, 'mamba eval --merge {folder}' prints the scores"));
        return ExitCode.Success;
    }

    private int MergeParts(Terminal terminal, ParseResult parsed, bool json, string? perImage)
    {
        EvalParts files = new(parsed.GetValue(_merge)!);
        EvalPartDocument[] parts = files.Read();
        Evaluation result = files.Join(parts, perImage is not null);
        if (perImage is not null && ScoreReport.Detail(result.Scores) is null)
            throw new ArgumentException($"--per-image is for segmentation; {parts[0].Heading.Model} is for classification");
        foreach (string note in parts[0].Notes) terminal.Error.WriteLine(PlainText.Printable($"note: {note}"));
        string[] vectors = [.. parts.Select(part => part.Vectors).Distinct()];
        if (vectors.Length > 1)
            terminal.Error.WriteLine(PlainText.Printable(
                $"note: parts were computed with vectors of {string.Join(" and ", vectors)}: last digits may differ from one machine's"));
        EvalCommand.Report(terminal, json, perImage, parts[0].Heading, result, parts[0].Skipped);
        return ExitCode.Success;
    }
}
