using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using Mamba.Core.Measurement;
using Mamba.Core.Simd;

namespace Mamba.Benchmarks;

/// <summary>
/// <c>Results/&lt;cpu&gt;.md</c> beside this file. A benchmark class has a section, a case a row, a vector width and number of threads a
/// column. A run replaces the sections of its classes and keeps the others.
/// </summary>
internal static partial class ResultsFile
{
    /// <summary>Writes the tables of a run.</summary>
    /// <param name="summaries">What BenchmarkDotNet returned.</param>
    public static void Add(IEnumerable<Summary> summaries)
    {
        foreach (Summary summary in summaries)
            if (summary.Reports.Any(r => r.ResultStatistics is not null))
                Put(summary.BenchmarksCases[0].Descriptor.Type.Name, Table(summary));
    }

    /// <summary>Replaces the section of this title, or inserts it in alphabetical order.</summary>
    /// <param name="title">The title.</param>
    /// <param name="markdown">The text below the title.</param>
    public static void Put(string title, string markdown)
    {
        string processor = NotInNames().Replace(Processor.Name.ToLowerInvariant(), "-").Trim('-');
        VectorWidth widest = Isa.Supported.Max(w => w == VectorWidth.Portable ? VectorWidth.Scalar : w);
        string path = Path.Combine(Folder(), $"{processor}-{widest.ToString().ToLowerInvariant()}.md");
        SortedDictionary<string, string> sections = new(StringComparer.Ordinal);
        if (File.Exists(path))
            foreach (string section in File.ReadAllText(path).Split("\n## ")[1..])
                sections[section[..section.IndexOf('\n')]] = section[(section.IndexOf('\n') + 1)..].Trim();
        sections[title] = markdown.Trim();
        StringBuilder text = new(
            $"# {Processor.Name}\n\nA cell is the median time of a call and its share of the peak: "
            + "that of the FMA where operations are counted, else of copying in memory. "
            + "A column is a vector width and a number of threads.\n");
        foreach ((string name, string body) in sections) text.Append(CultureInfo.InvariantCulture, $"\n## {name}\n{body}\n");
        Directory.CreateDirectory(Folder());
        File.WriteAllText(path, text.ToString());
        Console.WriteLine($"{title}: {path}");
    }

    private static string Table(Summary summary)
    {
        var cells = summary.Reports.Where(r => r.ResultStatistics is not null)
            .Select(r => (Report: r, KernelBench.Of(r.BenchmarkCase).Bench, Yardstick: KernelBench.Of(r.BenchmarkCase).Yardstick!))
            .ToArray();
        var columns = cells.Select(c => (c.Bench.Width, c.Bench.Threads)).Distinct().OrderBy(c => c.Threads).ThenByDescending(
            c => c.Width).ToArray();
        StringBuilder text = new();
        text.Append("Peaks, GFLOP/s and GB/s: ");
        text.AppendJoin("; ", columns.Select(column =>
        {
            Yardstick[] yardsticks = [.. cells.Where(c => (c.Bench.Width, c.Bench.Threads) == column).Select(c => c.Yardstick)];
            return string.Create(CultureInfo.InvariantCulture,
                $"{Column(column)} {Median(yardsticks, y => y.FmaPeak):F0} and {Median(yardsticks, y => y.CopyBandwidth):F1}");
        }));
        text.Append(CultureInfo.InvariantCulture, $".\n\n| | work | {string.Join(" | ", columns.Select(Column))} | bytes allocated |\n");
        text.Append(CultureInfo.InvariantCulture, $"|---|---|{string.Concat(columns.Select(_ => "---|"))}---|\n");
        foreach (var row in cells.GroupBy(c => c.Bench.Label))
        {
            text.Append(CultureInfo.InvariantCulture, $"| {row.Key} | {Amount(row.First().Yardstick)} |");
            foreach (var column in columns)
            {
                var cell = row.FirstOrDefault(c => (c.Bench.Width, c.Bench.Threads) == column);
                text.Append(cell.Report is null ? " |" : $" {Cell(cell.Yardstick, cell.Report.ResultStatistics!.Median)} |");
            }
            text.Append(CultureInfo.InvariantCulture, $" {row.Max(c => c.Yardstick.Allocated)} |\n");
        }
        return text.ToString();
    }

    private static string Cell(Yardstick yardstick, double nanoseconds)
    {
        CultureInfo invariant = CultureInfo.InvariantCulture;
        string time = nanoseconds < 1e6
            ? string.Create(invariant, $"{nanoseconds / 1e3:G3} us")
            : string.Create(invariant, $"{nanoseconds / 1e6:G4} ms");
        return string.Create(invariant, $"{time} ({100 * yardstick.Share(nanoseconds):F0} %)");
    }

    private static string Amount(Yardstick y) =>
        string.Create(CultureInfo.InvariantCulture,
            $"{(y.Operations > 0 ? y.Operations : y.Bytes) / 1e6:G3} {(y.Operations > 0 ? "MFLOP" : "MB")}");

    private static string Column((VectorWidth Width, int Threads) c) => $"{c.Width} x {c.Threads}";

    private static double Median(Yardstick[] yardsticks, Func<Yardstick, double> value) =>
        yardsticks.Select(value).Order().ElementAt(yardsticks.Length / 2);

    private static string Folder([CallerFilePath] string source = "") => Path.Combine(Path.GetDirectoryName(source)!, "Results");

    [GeneratedRegex("[^a-z0-9]+")]
    private static partial Regex NotInNames();
}
