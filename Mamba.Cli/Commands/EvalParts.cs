using System.Globalization;
using System.Text.Json;
using Mamba.Cli.Reports;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data.Splits;
using Mamba.Models.Metrics;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary>A folder in which the parts of an evaluation leave what they measured, a file each.</summary>
/// <param name="folder">The folder.</param>
internal sealed class EvalParts(string folder)
{
    private const string Prefix = "eval-", Extension = ".json";
    private const long MostBytes = 1L << 30;

    /// <summary>Writes what a part measured; the file appears whole or not at all.</summary>
    /// <returns>The file.</returns>
    public string Write(JobPart part, EvalPartDocument document)
    {
        Directory.CreateDirectory(folder);
        string path = PathOf(part);
        AtomicFile.Write(path, stream => JsonSerializer.Serialize(stream, document, EvalPartJson.Default.EvalPartDocument));
        return path;
    }

    /// <summary>Reads the files of all parts.</summary>
    /// <returns>The parts in order.</returns>
    /// <exception cref="IOException">A part is missing, is of another evaluation, or its file is malformed.</exception>
    public EvalPartDocument[] Read()
    {
        JobPart[] there = [.. Files().OrderBy(part => part.Count).ThenBy(part => part.Number)];
        if (there.Length == 0)
            throw new FileNotFoundException(
                $"{folder}: no part of an evaluation; expected eval-1-of-N.json, as 'mamba eval --part 1/N --out {folder}' writes it");
        int count = there[0].Count;
        if (there[^1].Count != count)
            throw new IOException($"{folder}: parts of {count} and of {there[^1].Count}; expected those of one evaluation");
        if (there.Length < count)
        {
            int[] missing = [.. Enumerable.Range(1, count).Except(there.Select(part => part.Number))];
            throw new IOException(
                $"{folder}: part {string.Join(", ", missing.Take(10).Select(number => new JobPart(number, count)))}"
                    + $"{(missing.Length > 10 ? ", ..." : "")} missing; run it, for there is no score without");
        }
        EvalPartDocument[] parts = Array.ConvertAll(there, ReadOne);
        int other = Array.FindIndex(parts, part =>
            part.Job != parts[0].Job || (part.Images, part.BatchSize) != (parts[0].Images, parts[0].BatchSize));
        if (other > 0)
            throw new IOException(
                $"{PathOf(there[other])}: is of other weights, images or options than {PathOf(there[0])}; run part {there[other]} again");
        return parts;
    }

    /// <summary>The scores of all images, to the bit those of one process.</summary>
    /// <param name="parts">All parts, in order.</param>
    /// <param name="perImage">Whether the scores of each image are kept.</param>
    /// <exception cref="IOException">A part does not say what its model measures.</exception>
    public Evaluation Join(EvalPartDocument[] parts, bool perImage)
    {
        EvalPartDocument first = parts[0];
        try
        {
            ModelEntry entry = Registry.Find(first.Heading.Model);
            ObjectiveOptions options = new(ObjectiveOptions.DefaultLoss(entry, first.Classes)) { Classes = first.Classes };
            IMetrics metrics = Objective.Of(entry, options).NewMetrics(
                first.Labels, new MetricOptions { Distances = true, DistanceUnit = first.DistanceUnit, PerImage = perImage });
            return Evaluator.Join(metrics, Batches(parts), parts.Sum(part => part.Milliseconds));
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            throw new IOException($"{folder}: not what the parts of one evaluation measure: {e.Message}", e);
        }
    }

    /// <summary>The batches in their order, as one process adds them up: a sum in another order has other last bits.</summary>
    /// <exception cref="IOException">A batch is not whole, or two parts have measured it differently.</exception>
    private List<MeasuredBatch> Batches(EvalPartDocument[] parts)
    {
        (int images, int size) = (parts[0].Images, parts[0].BatchSize);
        ILookup<int, EvalSegment> segments = parts.SelectMany(part => part.Measured).ToLookup(segment => segment.Batch);
        List<MeasuredBatch> batches = [];
        for (int first = 0; first < images; first += size)
        {
            List<MeasuredImage> whole = [];
            float? loss = null;
            foreach (EvalSegment segment in segments[first / size].OrderBy(segment => segment.First))
            {
                if (segment.First != whole.Count || !segment.Loss.Equals(loss ?? segment.Loss))
                    throw Broken(first / size, "has images twice, or losses that differ");
                loss = segment.Loss;
                whole.AddRange(segment.Images);
            }
            if (whole.Count != Math.Min(size, images - first)) throw Broken(first / size, $"has {whole.Count} images");
            batches.Add(new MeasuredBatch(loss!.Value, whole));
        }
        int all = parts.Sum(part => part.Measured.Sum(segment => segment.Images.Count));
        return all == images ? batches : throw Broken(batches.Count, $"is the last, and there are {all - images} more images");

        IOException Broken(int batch, string what) =>
            new(string.Create(CultureInfo.InvariantCulture, $"{folder}: batch {batch + 1} {what}; run all parts again, in a new folder"));
    }

    private string PathOf(JobPart part) => Path.Combine(folder, $"{Prefix}{part.Word}{Extension}");

    private IEnumerable<JobPart> Files()
    {
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"{folder}: no such folder; expected that of 'mamba eval --part'");
        foreach (string path in Directory.EnumerateFiles(folder, $"{Prefix}*{Extension}"))
            if (JobPart.Parse(Path.GetFileName(path)[Prefix.Length..^Extension.Length].Replace("-of-", "/")) is { } part) yield return part;
    }

    private EvalPartDocument ReadOne(JobPart part)
    {
        string path = PathOf(part);
        if (new FileInfo(path).Length > MostBytes) throw new IOException($"{path}: is larger than {MostBytes} bytes");
        return Parse(path, File.ReadAllBytes(path), part);
    }

    /// <summary>Reads the file of a part.</summary>
    /// <exception cref="IOException">It is malformed, or of another part.</exception>
    internal static EvalPartDocument Parse(string path, byte[] bytes, JobPart part)
    {
        try
        {
            EvalPartDocument document = JsonSerializer.Deserialize(bytes, EvalPartJson.Default.EvalPartDocument)
                ?? throw new IOException($"{path}: null; expected what a part measured");
            bool whole = document.Measured.All(segment => segment is not null && segment.Images.All(image => image is not null));
            return whole && document.Part == part.ToString() && document.BatchSize > 0 ? document
                : throw new IOException(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{path}: says part {document.Part} with batches of {document.BatchSize}; expected part {part} with images in each"));
        }
        catch (JsonException e)
        {
            throw new IOException($"{path}: not what a part of an evaluation writes: {e.Message}; run part {part} again", e);
        }
    }
}
