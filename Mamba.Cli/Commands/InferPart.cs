using System.Globalization;
using System.Text;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data.Splits;

namespace Mamba.Cli.Commands;

/// <summary>
/// One of several processes that write to one folder of results: it runs its share of the images and writes a table of its own. The part
/// that ends last joins the tables. Beside each table stands the job it is of, so that results of other weights, images or options are
/// neither taken for those of this run nor joined with them.
/// </summary>
/// <param name="part">The part.</param>
/// <param name="folder">The folder of all parts.</param>
/// <param name="job">What tells this job from others.</param>
/// <param name="names">The names of all images, in order.</param>
internal sealed class InferPart(JobPart part, string folder, string job, IReadOnlyList<string> names)
{
    private const string Prefix = "predictions-", Extension = ".csv", JobExtension = ".job";

    /// <summary>The table of this part.</summary>
    public string Table => TableOf(part);

    /// <summary>Whether an earlier process of this part has ended: there is nothing left to run.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Whether an earlier process of this part was killed: what it wrote may be replaced.</summary>
    public bool HasBegun { get; private set; }

    private string Joined => Path.Combine(folder, InferRun.Table);

    /// <summary>Whether a folder holds a table of a part, whether the others have ended or not.</summary>
    public static bool IsIn(string folder, Func<string, bool> isTable) =>
        Directory.Exists(folder) && Directory.EnumerateFiles(folder, $"{Prefix}*-of-*{Extension}").Any(isTable);

    /// <summary>Finds out whether this part has begun or ended before, and claims it.</summary>
    /// <param name="overwrite">Whether results that are there may be replaced.</param>
    /// <exception cref="IOException">There are results of another run, and they may not be replaced.</exception>
    public void Claim(bool overwrite)
    {
        string mark = Path.Combine(folder, MarkOf(part)), table = Path.Combine(folder, Table);
        if (!overwrite && IsOfThisJob(part))
        {
            HasBegun = true;
            HasEnded = File.Exists(table);
            return;
        }
        foreach (string path in new[] { mark, table, Joined })
        {
            if (!File.Exists(path)) continue;
            if (!overwrite)
                throw new IOException($"{path}: is there already, of another run; --overwrite replaces it, another --out keeps it");
            File.Delete(path);
        }
        AtomicFile.Write(mark, stream => stream.Write(Encoding.UTF8.GetBytes(job)));
    }

    /// <summary>Gives the part back, which has failed, unless files of an earlier process are still there to be replaced.</summary>
    public void Release()
    {
        if (!HasBegun) File.Delete(Path.Combine(folder, MarkOf(part)));
    }

    /// <summary>The images of this part.</summary>
    public InferInput[] Own(InferInput[] images) => [.. images.Where((_, i) => part.Owns(i))];

    /// <summary>Joins the tables of all parts, if all have ended. Two parts that end at once write the same file.</summary>
    /// <returns>What to tell: the joined table, or which parts have not ended.</returns>
    /// <exception cref="IOException">A table is not what a part writes.</exception>
    public string Join()
    {
        List<JobPart> open = [], others = [];
        for (int number = 1; number <= part.Count; number++)
        {
            JobPart one = part with { Number = number };
            if (!File.Exists(Path.Combine(folder, TableOf(one)))) open.Add(one);
            else if (!IsOfThisJob(one)) others.Add(one);
        }
        if (others.Count > 0)
            return $"no {InferRun.Table} yet: {Words(others)} is of other weights, images or options; run it again with --overwrite";
        if (open.Count > 0) return $"{InferRun.Table} comes with the last one; {Words(open)} not yet ended";
        AtomicFile.Write(Joined, stream => stream.Write(Encoding.UTF8.GetBytes(Rows())));
        return string.Create(CultureInfo.InvariantCulture, $"all {part.Count} parts have ended; their table is {Joined}");
    }

    private static string TableOf(JobPart part) => $"{Prefix}{part.Word}{Extension}";

    private static string MarkOf(JobPart part) => $"{Prefix}{part.Word}{JobExtension}";

    private static string Words(List<JobPart> parts)
    {
        const int Most = 5;
        string more = parts.Count > Most ? string.Create(CultureInfo.InvariantCulture, $" and {parts.Count - Most} more") : "";
        return $"part {string.Join(", ", parts.Take(Most))}{more}";
    }

    private bool IsOfThisJob(JobPart one)
    {
        string mark = Path.Combine(folder, MarkOf(one));
        return File.Exists(mark) && File.ReadAllText(mark) == job;
    }

    /// <summary>The rows of all tables in the order of the images; a skipped image has none, one of a classifier several.</summary>
    private string Rows()
    {
        Queue<string>[] tables = [.. Enumerable.Range(1, part.Count).Select(number =>
            new Queue<string>(Csv.Records(File.ReadAllText(Path.Combine(folder, TableOf(part with { Number = number }))))))];
        string header = "";
        foreach (Queue<string> table in tables) header = table.Count > 0 ? table.Dequeue() : "";
        StringBuilder rows = new(header);
        for (int i = 0; i < names.Count; i++)
        {
            string begin = Csv.Quoted(names[i]) + ",";
            Queue<string> table = tables[i % tables.Length];
            while (table.TryPeek(out string? row) && row.StartsWith(begin, StringComparison.Ordinal)) rows.Append(table.Dequeue());
        }
        int wrong = Array.FindIndex(tables, table => table.Count > 0);
        return wrong < 0 ? rows.ToString() : throw new IOException(
            $"{Path.Combine(folder, TableOf(part with { Number = wrong + 1 }))}: '{tables[wrong].Peek().Trim()}' is a row of no image of "
                + "this part; expected the table as the part wrote it; run it again with --overwrite");
    }
}
