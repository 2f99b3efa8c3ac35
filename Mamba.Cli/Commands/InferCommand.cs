using System.CommandLine;
using System.Globalization;
using System.Text;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Sets;
using Mamba.Models.Files;
using Mamba.Models.Inference;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba infer</c>: masks, or classes, for images.</summary>
internal static class InferCommand
{
    private const int DefaultTop = 5;

    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Argument<string[]> inputs =
            new("IMAGE|DIR") { Description = "Images or folders; *_mask.* is skipped.", Arity = ArgumentArity.OneOrMore };
        Option<string> weights = Options.Weights();
        Option<int?> top = Options.Integer("--top", "Classes to print per image.", $"{DefaultTop}", 1);
        Option<string?> output = Options.Text("--out", "DIR", "Folder of the results.", "runs/infer[-n]");
        Option<bool> checkNumerics = Options.CheckNumerics();
        Option<int?> threads = Options.Threads();
        Command command = new(
            "infer",
            "Run trained weights on images. Segmentation writes NAME_pred.png and NAME_overlay.png.\n" +
            "Classification prints the most probable classes and writes predictions.csv.\n\n" +
            "Example: mamba infer --weights best.safetensors scans/ --out masks")
        {
            inputs, weights, top, output, checkNumerics, threads,
        };
        command.SetAction(parsed =>
        {
            Options.Apply(parsed, threads);
            Request request = new(parsed.GetRequiredValue(weights), parsed.GetValue(top) ?? DefaultTop, parsed.GetValue(checkNumerics));
            return Run(terminal, request, parsed.GetRequiredValue(inputs), parsed.GetValue(output), stop);
        });
        return command;
    }

    private static int Run(Terminal terminal, Request request, string[] inputs, string? output, CancellationToken stop)
    {
        (VisionModel model, ModelInfo info) = ModelFile.Load(request.Weights, stop);
        Options.NotePrefix(terminal, request.Weights, info);
        Input[] images = Named(Find(inputs, stop));
        foreach (Input input in images)
        {
            stop.ThrowIfCancellationRequested();
            ImageFile.Load(input.Path); // what cannot be read is refused before anything is written
        }
        output ??= RunFolder.NextFree("runs", "infer");
        if (File.Exists(output)) throw new IOException($"{output}: is a file; expected a folder");
        Directory.CreateDirectory(output);
        if (info.Entry.Task == ModelTask.Classification)
        {
            using Classifier classifier = new(model, info) { CheckNumerics = request.CheckNumerics };
            Classify(terminal, classifier, images, request.Top, output, stop);
        }
        else
        {
            using Segmenter segmenter = new(model, info) { CheckNumerics = request.CheckNumerics };
            Segment(terminal, segmenter, images, output, stop);
        }
        terminal.Out.WriteLine($"{images.Length} {(images.Length == 1 ? "image" : "images")}, results in {output}");
        return ExitCode.Success;
    }

    private static void Segment(Terminal terminal, Segmenter segmenter, Input[] images, string output, CancellationToken stop)
    {
        segmenter.Segment(ImageFile.Load(images[0].Path)); // the first pass compiles the kernels, and is not timed
        foreach ((string path, string name) in images)
        {
            stop.ThrowIfCancellationRequested();
            Image image = ImageFile.Load(path);
            Segmentation result = segmenter.Segment(image);
            ImageFile.SavePng(Path.Combine(output, name + "_pred.png"), result.Mask);
            ImageFile.SavePng(Path.Combine(output, name + "_overlay.png"), Overlays.Overlay(image, result.Mask, Overlays.Prediction));
            terminal.Out.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{name}: {image.Width} x {image.Height}, lesion {result.Area} pixels, {result.Milliseconds:F1} ms"));
        }
    }

    private static void Classify(Terminal terminal, Classifier classifier, Input[] images, int top, string output, CancellationToken stop)
    {
        classifier.Classify(ImageFile.Load(images[0].Path)); // compiles the kernels, as above
        StringBuilder table = new("image,rank,class,probability\n");
        foreach ((string path, string name) in images)
        {
            stop.ThrowIfCancellationRequested();
            Classification result = classifier.Classify(ImageFile.Load(path));
            ClassProbability[] best = [.. result.Classes.Take(top)];
            for (int rank = 0; rank < best.Length; rank++)
                table.Append(
                    CultureInfo.InvariantCulture, $"{Quoted(name)},{rank + 1},{Quoted(best[rank].Label)},{best[rank].Probability:F6}\n");
            string classes =
                string.Join(", ", best.Select(c => string.Create(CultureInfo.InvariantCulture, $"{c.Label} {100 * c.Probability:F1} %")));
            terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: {classes}, {result.Milliseconds:F1} ms"));
        }
        AtomicFile.Write(Path.Combine(output, "predictions.csv"), stream => stream.Write(Encoding.UTF8.GetBytes(table.ToString())));
    }

    /// <summary>A field of a CSV file (RFC 4180).</summary>
    private static string Quoted(string text) => text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"")}\"";

    private static List<string> Find(string[] inputs, CancellationToken stop)
    {
        List<string> images = [];
        foreach (string input in inputs)
        {
            if (File.Exists(input)) images.Add(input);
            else if (!Directory.Exists(input)) throw new FileNotFoundException($"{input}: no such file or folder");
            else
            {
                string[] found = [.. ImageFile.Find(input, stop).Where(p => !SegmentationFolder.IsMask(p))];
                if (found.Length == 0)
                    throw new FileNotFoundException($"{input}: no image in it; expected {string.Join(", ", ImageFile.Extensions)}");
                images.AddRange(found);
            }
        }
        images.RemoveAll(SegmentationFolder.IsMask);
        if (images.Count == 0) throw new FileNotFoundException("only masks were given; expected images");
        return images;
    }

    /// <summary>Names for the results: the file's name, with its folder's in front where two files share one.</summary>
    private static Input[] Named(List<string> paths)
    {
        string[] distinct = [.. paths.Select(Path.GetFullPath).Distinct()];
        HashSet<string> shared = [.. distinct.GroupBy(Stem).Where(g => g.Count() > 1).Select(g => g.Key)];
        Input[] named = [.. distinct
            .Select(p => new Input(p, shared.Contains(Stem(p)) ? $"{Path.GetFileName(Path.GetDirectoryName(p))}_{Stem(p)}" : Stem(p)))];
        if (named.GroupBy(n => n.Name).FirstOrDefault(g => g.Count() > 1) is { } twice)
        {
            string files = string.Join(" and ", twice.Select(t => t.Path));
            throw new ArgumentException($"{files} would both be written as {twice.Key}; run them one by one, each with its own --out");
        }
        return named;

        static string Stem(string path) => Path.GetFileNameWithoutExtension(path);
    }

    /// <summary>An image, and the name of its results.</summary>
    private sealed record Input(string Path, string Name);

    /// <summary>How to run.</summary>
    private sealed record Request(string Weights, int Top, bool CheckNumerics);
}
