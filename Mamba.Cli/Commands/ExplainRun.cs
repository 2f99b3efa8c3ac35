using System.Globalization;
using System.Text;
using System.Text.Json;
using Mamba.Cli.Reports;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Explanation;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>Explains images one after another, and writes maps, page and JSON.</summary>
/// <param name="terminal">Where lines go.</param>
/// <param name="output">The folder of the results.</param>
/// <param name="explainer">The model.</param>
/// <param name="options">What is explained; its methods are given.</param>
internal sealed class ExplainRun(Terminal terminal, InferOutput output, Explainer explainer, ExplanationOptions options)
{
    private int _empty;

    /// <summary>The weight file, for the page.</summary>
    public required string Weights { get; init; }

    /// <summary>Steps of the curves; 0 for none.</summary>
    public required int Steps { get; init; }

    /// <summary>Whether JSON takes the place of the lines.</summary>
    public required bool Json { get; init; }

    /// <summary>Explains the images.</summary>
    public void Execute(InferInput[] images, CancellationToken stop)
    {
        string page = output.FileOf("index.html"), json = output.FileOf("explain.json"); // refused before any work is done
        ExplainedImage[] explained = new ExplainedImage[images.Length];
        List<FaithfulnessCurves>[] curves = [.. options.Methods!.Select(_ => new List<FaithfulnessCurves>())];
        LiveProgress.Show(terminal, "explain", images.Length, report =>
        {
            for (int i = 0; i < images.Length; i++)
            {
                stop.ThrowIfCancellationRequested();
                explained[i] = One(images[i], curves, stop);
                report(i + 1);
            }
            return 0;
        });
        if (_empty > 0) Note($"{_empty} of {images.Length} images have no prediction to explain, and are left out of the curves");
        FaithfulnessCurves?[] means = [.. curves.Select(list => list.Count == 0 ? null : FaithfulnessCurves.MeanOf(list))];
        ExplainDocument document = new()
        {
            Model = explainer.Info.Model,
            Weights = Weights,
            Methods = [.. options.Methods!.Select((method, i) => new ExplainedMethod
            {
                Method = RunArguments.Name(method),
                TimeInvariant = IsTimeInvariant(method),
                Faithfulness = means[i] is { } mean ? FaithfulnessDocument.Of(mean, curves[i].Count) : null,
            })],
            Images = explained,
        };
        Write(json, JsonSerializer.Serialize(document, ExplainJson.Default.ExplainDocument));
        Write(page, new ExplainPage(document, output.Path).Write(Describe, [.. means.Select(mean => mean?.ToString() ?? "")]));
        Tell(document, means);
    }

    private ExplainedImage One(InferInput input, List<FaithfulnessCurves>[] curves, CancellationToken stop)
    {
        ImageWithNotes read = ImageFile.Read(input.Path);
        foreach (string note in read.Notes) Note($"{input.Name}: {note}");
        if (explainer.Info.BitsNote(read.Image) is { } bits) Note($"{input.Name}: {bits}");
        ImageExplanation seen = explainer.Explain(read.Image, options);
        if (Steps > 0) Measure(seen, curves, stop);
        string picture = $"{input.Name}_picture.png";
        ImageFile.SavePng(output.FileOf(picture), HeatMap.Picture(seen));
        ExplainedImage result = new()
        {
            Image = input.Name,
            Target = seen.Target.Description,
            Probability = seen.Target.Score,
            Pixel = seen.Target.Pixel is { } pixel ? [pixel.X, pixel.Y] : null,
            File = picture,
            Maps = [.. seen.Methods.SelectMany(method => Maps(input.Name, seen, method))],
        };
        string from = result.Pixel is [int x, int y] ? $", seen from pixel {x},{y}" : "";
        if (!Json)
            terminal.WriteLine(PlainText.Printable(string.Create(
                CultureInfo.InvariantCulture, $"{input.Name}: {result.Target}, probability {result.Probability:F2}{from}")));
        return result;
    }

    private void Measure(ImageExplanation seen, List<FaithfulnessCurves>[] curves, CancellationToken stop)
    {
        if (seen.Target.IsEmpty) // a score near 0 has nothing to lose
        {
            _empty++;
            return;
        }
        if (seen.Methods.All(IsFlat)) return;
        IReadOnlyList<FaithfulnessCurves> measured = explainer.Measure(seen, Steps, stop);
        for (int i = 0; i < curves.Length; i++)
            if (!IsFlat(seen.Methods[i])) curves[i].Add(measured[i]);
    }

    /// <summary>A constant names no place that could be right or wrong.</summary>
    private bool IsFlat(MethodExplanation method) => method.Method == ExplanationMethod.Delta && explainer.IsTimeInvariant;

    private bool IsTimeInvariant(ExplanationMethod method) =>
        explainer.IsTimeInvariant && method is ExplanationMethod.Delta or ExplanationMethod.Influence;

    /// <summary>Writes the mean map of a method, and that of each layer where there are several.</summary>
    private IEnumerable<ExplainedMap> Maps(string name, ImageExplanation seen, MethodExplanation method)
    {
        string word = RunArguments.Name(method.Method);
        yield return Save(seen, method.Mean, word, $"{name}_{word}.png");
        if (method.Maps.Count == 1) yield break;
        foreach (ExplanationMap map in method.Maps)
        {
            string layer = $"{map.Layer} {map.Direction}".TrimEnd().Replace(' ', '-');
            yield return Save(seen, map, word, $"{name}_{word}_{layer}.png");
        }
    }

    private ExplainedMap Save(ImageExplanation seen, ExplanationMap map, string method, string file)
    {
        ImageFile.SavePng(output.FileOf(file), HeatMap.Overlay(seen, map));
        double min = double.PositiveInfinity, max = double.NegativeInfinity, sum = 0;
        foreach (float value in map.Values) (min, max, sum) = (Math.Min(min, value), Math.Max(max, value), sum + value);
        return new ExplainedMap
        {
            Method = method,
            Layer = map.Layer,
            Direction = map.Direction,
            Height = map.Height,
            Width = map.Width,
            Min = min,
            Max = max,
            Mean = sum / map.Values.Count,
            File = file,
        };
    }

    /// <summary>What a method shows, and its source.</summary>
    private string Describe(string method) => method switch
    {
        "delta" => DescribeDelta(),
        "influence" => DescribeInfluence(),
        "rollout" => "The attention of all layers multiplied, as seen from the marked token or the class token: the mean over the heads, "
            + "half of it the identity for the residual connection. Keys of a smaller image stand for the tokens that they were made of, "
            + "and each stage of such a model has a map of its own. "
            + "Source: Abnar and Zuidema 2020, Quantifying Attention Flow in Transformers.",
        _ => $"The channels of the feature map {options.Layer ?? explainer.DefaultLayer}, weighted by the mean of their gradients, and the "
            + "positive part of their sum. The gradients are those of the class's logit, or of the sum of the logits of all pixels of the "
            + "explained region. Source: Selvaraju et al. 2017, Grad-CAM; Vinogradova et al. 2020 for segmentation.",
    };

    private string DescribeDelta()
    {
        string channels = options.Delta == DeltaChannels.Max ? "the largest" : "the mean";
        return explainer.IsTimeInvariant
            ? $"The step size Delta of each S4D layer, {channels} of its channels. It is a learned constant, the same for every token and "
                + "image: S4D has no selection. So the map is flat, and its faithfulness is not measured. "
                + "Source: Gu et al. 2022, On the Parameterization and Initialization of Diagonal State Space Models."
            : $"The step size Delta of each Mamba layer, {channels} of its channels or heads: where it is large, a token is written into "
                + "the state; where it is small, the token is passed over. Source: Gu and Dao 2023, Mamba, section 3.5.1.";
    }

    private string DescribeInfluence() =>
        "How strongly each token has influenced the scan of a layer at the marked token, or at the class token: the mean over the channels "
            + "or heads of the magnitudes in a row of the scan's implicit attention matrix, without gate and skip. A forward scan has seen "
            + "the tokens before that one alone, row by row, and a backward scan those after it. "
            + (explainer.IsTimeInvariant
                ? "S4D has no selection: the matrix is the layer's convolution kernel, which depends on the distance in the scan alone. "
                    + "So, seen from one pixel, the map is the same for every image. "
                : "")
            + "Source: Ali, Zimerman and Wolf 2024, The Hidden Attention of Mamba Models.";

    private void Tell(ExplainDocument document, FaithfulnessCurves?[] means)
    {
        if (Json)
        {
            JsonReport.Write(terminal.Out, document, ExplainJson.Default.ExplainDocument);
            return;
        }
        for (int i = 0; i < means.Length; i++)
            if (means[i] is { } mean) terminal.Out.WriteLine($"{document.Methods[i].Method}: {mean}");
        int count = document.Images.Length;
        terminal.Out.WriteLine($"{count} image{(count == 1 ? "" : "s")}, page {Path.Combine(output.Path, "index.html")}");
    }

    private void Note(string text) => terminal.Error.WriteLine(PlainText.Printable($"note: {text}"));

    private static void Write(string path, string text) =>
        AtomicFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));
}
