using System.Globalization;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Inference;

namespace Mamba.Cli.Commands;

/// <summary>Segments an image and writes its mask, and on demand an overlay and probabilities.</summary>
/// <param name="output">The folder of the results.</param>
/// <param name="name">The name of the image, with '/' between folders.</param>
/// <param name="labels">The classes: that of a mask, or all with the background first.</param>
internal sealed class SegmentationWriter(InferOutput output, string name, IReadOnlyList<string> labels)
{
    /// <summary>Whether to write the probability of each class as PNG of 16 bits.</summary>
    public bool Probabilities { get; init; }

    /// <summary>Whether to write the image with the mask on it.</summary>
    public bool Overlay { get; init; }

    private bool Several => labels.Count > 1;

    /// <summary>The first line of the table.</summary>
    public static string Header(IReadOnlyList<string> labels)
    {
        IEnumerable<string> columns = Foreground(labels).SelectMany(label =>
            new[] { $"{label}_pixels", $"{label}_share", $"{label}_largest" });
        return $"image,width,height,{string.Join(',', columns.Select(Csv.Quoted))},confidence,ms_decode,ms_model,ms_write";
    }

    /// <summary>Runs the model and writes the files.</summary>
    public InferRun.Result Write(Segmenter segmenter, Image image)
    {
        ProbabilityPlanes planes = new(Probabilities ? labels.Count : 0, image.Width, image.Height);
        Segmentation result = segmenter.Segment(image, planes.Observer);
        if (Several) ImageFile.SaveLabels(output.FileOf($"{name}{InferInputs.Mask}.png"), result.Classes, ColorsOf(labels.Count));
        else ImageFile.SavePng(output.FileOf($"{name}{InferInputs.Mask}.png"), result.Mask);
        for (int c = 0; c < planes.Count; c++)
            ImageFile.SavePng16(
                output.FileOf($"{name}{InferInputs.Probability}{planes.Suffix(c)}.png"), image.Width, image.Height, planes[c]);
        if (Overlay) ImageFile.SavePng(output.FileOf($"{name}{InferInputs.Overlay}.png"), Overlaid(image, result));
        string? bits = segmenter.Info.BitsNote(image);
        return new InferRun.Result(Line(image, result), [Row(image, result)], result.Milliseconds)
        {
            Timed = true,
            Note = bits,
        };
    }

    /// <summary>The image with the mask on it. It may be painted over: a large one does not fit into memory twice.</summary>
    private Image Overlaid(Image image, Segmentation result)
    {
        Image overlay = Overlays.Plain(image);
        Overlays.Paint(overlay, result.Classes, Several ? null : Overlays.Prediction);
        bool large = (long)image.Width * image.Height > InferRun.LargePixels;
        return Several && !large ? Overlays.WithLegend(overlay, Overlays.Legend(labels, result.Classes)) : overlay;
    }

    private string Line(Image image, Segmentation result)
    {
        IEnumerable<string> areas = Foreground(labels)
            .Select((label, i) => string.Create(CultureInfo.InvariantCulture, $"{label} {result.Areas[i + 1]} pixels"));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{name}: {image.Width} x {image.Height}, {string.Join(", ", areas)}, {result.Milliseconds:F1} ms");
    }

    private string Row(Image image, Segmentation result)
    {
        double all = (double)image.Width * image.Height;
        IEnumerable<string> areas = Foreground(labels).Select((_, i) => string.Create(
            CultureInfo.InvariantCulture,
            $"{result.Areas[i + 1]},{result.Areas[i + 1] / all:F6},{result.LargestComponent(i + 1)}"));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Csv.Quoted(name)},{image.Width},{image.Height},{string.Join(',', areas)},{result.Confidence:F6}");
    }

    /// <summary>The classes without the background.</summary>
    public static IEnumerable<string> Foreground(IReadOnlyList<string> labels) => labels.Count > 1 ? labels.Skip(1) : labels;

    private static int[] ColorsOf(int classes) => [.. Enumerable.Range(0, classes).Select(c =>
    {
        (byte r, byte g, byte b) = c == 0 ? default : ClassColors.Of(c);
        return r << 16 | g << 8 | b;
    })];
}
