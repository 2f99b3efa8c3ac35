using System.Diagnostics;
using System.Globalization;
using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Inference;

namespace Mamba.Cli.Commands;

/// <summary>Segments a volume slice by slice, on all threads, and writes its mask with the geometry of the volume.</summary>
/// <param name="output">The folder of the results.</param>
/// <param name="name">The name of the volume, with '/' between folders.</param>
/// <param name="labels">The classes: that of a mask, or all with the background first.</param>
internal sealed class VolumeWriter(InferOutput output, string name, IReadOnlyList<string> labels)
{
    /// <summary>Whether to write the probability of each class, too.</summary>
    public bool Probabilities { get; init; }

    private IEnumerable<string> Foreground => SegmentationWriter.Foreground(labels);

    /// <summary>The first line of the table.</summary>
    public static string Header(IReadOnlyList<string> labels)
    {
        IEnumerable<string> columns = SegmentationWriter.Foreground(labels)
            .SelectMany(label => new[] { $"{label}_voxels", $"{label}_share", $"{label}_mm3" });
        return $"volume,shape,{string.Join(',', columns.Select(Csv.Quoted))},confidence,ms_decode,ms_model,ms_write";
    }

    /// <summary>Runs the model and writes the mask, and the probabilities if they are asked for.</summary>
    /// <param name="segmenter">The segmenter for a slice: whole or in tiles.</param>
    /// <param name="scan">The volume.</param>
    /// <param name="stop">Stops between slices.</param>
    public InferRun.Result Write(Func<Image, Segmenter> segmenter, SliceStack scan, CancellationToken stop)
    {
        long start = Stopwatch.GetTimestamp();
        Segmentation[] slices = new Segmentation[scan.Count];
        ProbabilityPlanes[] probabilities = [.. slices.Select(_ => new ProbabilityPlanes(
            Probabilities ? labels.Count : 0, scan.Width, scan.Height))];
        // With fewer slices than threads, all threads work on each.
        if (slices.Length < Workers.Count)
            for (int i = 0; i < slices.Length; i++) Segment(i);
        else Workers.ForEach(slices.Length, (Action<int>)Segment, static (segment, i) => segment(i));
        double milliseconds = Stopwatch.GetElapsedTime(start).TotalMilliseconds;

        // A TIFF mask is white, as that of a picture is; NIfTI viewers and tools expect the numbers of classes.
        bool white = labels.Count == 1 && scan.MaskExtension == ".tif";
        scan.SaveMask(
            output.FileOf($"{name}{InferInputs.Mask}{scan.MaskExtension}"),
            [.. slices.Select(slice => white ? slice.Mask.Pixels : slice.Classes.Classes)]);
        for (int c = 0; c < probabilities[0].Count; c++)
            scan.SaveProbabilities(
                output.FileOf($"{name}{InferInputs.Probability}{probabilities[0].Suffix(c)}{scan.MaskExtension}"),
                [.. probabilities.Select(slice => slice[c])]);
        long[] voxels = [.. Foreground.Select((_, c) => slices.Sum(slice => (long)slice.Areas[c + 1]))];
        double confidence = slices.Average(slice => slice.Confidence);
        return new InferRun.Result(Line(scan, voxels, milliseconds), [Row(scan, voxels, confidence)], milliseconds) { Timed = true };

        void Segment(int i)
        {
            stop.ThrowIfCancellationRequested();
            Image slice = scan.Slice(i);
            slices[i] = segmenter(slice).Segment(slice, probabilities[i].Observer);
        }
    }

    private string Line(SliceStack scan, long[] voxels, double milliseconds)
    {
        IEnumerable<string> areas = Foreground.Select((label, c) => $"{label} {voxels[c]} voxels{Volume(scan, voxels[c])}");
        return string.Create(CultureInfo.InvariantCulture, $"{name}: {scan.Shape}, {string.Join(", ", areas)}, {milliseconds:F1} ms");
    }

    private static string Volume(SliceStack scan, long voxels) => scan.VoxelVolume is not { } volume ? ""
        : string.Create(CultureInfo.InvariantCulture, $" ({voxels * volume:F0} mm3)");

    private string Row(SliceStack scan, long[] voxels, double confidence)
    {
        double all = (double)scan.Count * scan.Height * scan.Width;
        IEnumerable<string> areas = voxels.Select(count => string.Create(
            CultureInfo.InvariantCulture, $"{count},{count / all:F6},{(scan.VoxelVolume is { } volume ? count * volume : null):F3}"));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Csv.Quoted(name)},{scan.Shape},{string.Join(',', areas)},{confidence:F6}");
    }
}
