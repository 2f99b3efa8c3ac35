using System.Globalization;
using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Files;
using Mamba.Models.Tasks;

namespace Mamba.Models.Explanation;

/// <summary>What of a model's output is explained: a class, the predicted region of a segmentation, or one of its pixels.</summary>
public sealed class ExplanationTarget
{
    // Below this slope of the sigmoid its output is 0 or 1, and tells nothing of the logit.
    private const float LeastSlope = 1e-6f;

    // Where the explained probabilities are among those of one image.
    private readonly int[] _places;

    private ExplanationTarget(string description, int[] places, ReadOnlySpan<float> probabilities)
    {
        (Description, _places) = (description, places);
        Score = ScoreOf(probabilities);
    }

    /// <summary>What it is, in words.</summary>
    public string Description { get; }

    /// <summary>The mean of the explained probabilities in the picture as it is.</summary>
    public double Score { get; }

    /// <summary>The pixel of the picture from which is looked; null for the class token.</summary>
    public (int X, int Y)? Pixel { get; private init; }

    /// <summary>The explained region at the size of the model's input, 255 inside; null for a classifier.</summary>
    public Image? Region { get; private init; }

    /// <summary>Whether nothing is predicted that could be explained, so that the middle pixel stands for it.</summary>
    public bool IsEmpty { get; private init; }

    /// <summary>The same pixel in the model's input.</summary>
    internal (int X, int Y)? InputPixel { get; private init; }

    /// <summary>The class of a name; null for none.</summary>
    /// <exception cref="ArgumentException">There is no such class.</exception>
    internal static int? ClassOf(ModelInfo info, string? name)
    {
        if (name is null) return null;
        for (int i = 0; i < info.Labels.Count; i++)
            if (info.Labels[i] == name) return i;
        throw new ArgumentException($"{info.Model} has no class '{name}'; expected one of {string.Join(", ", info.Labels.Take(20))}");
    }

    /// <summary>The target of an image.</summary>
    /// <param name="info">What the model tells apart.</param>
    /// <param name="probabilities">(H, W, classes) at the size of the input, or (classes).</param>
    /// <param name="picture">The picture as it is, for its size.</param>
    /// <param name="options">Pixel and class that were asked for.</param>
    /// <exception cref="ArgumentException">The pixel is outside of the picture, or there is no such class.</exception>
    internal static ExplanationTarget Of(
        ModelInfo info, ReadOnlySpan<float> probabilities, Image picture, ExplanationOptions options)
    {
        (int width, int height) = (info.Data.Width, info.Data.Height);
        int? given = ClassOf(info, options.Class);
        (int X, int Y)? pixel = options.Pixel;
        if (pixel is { } p && (p.X < 0 || p.Y < 0 || p.X >= picture.Width || p.Y >= picture.Height))
            throw new ArgumentException($"pixel {p.X},{p.Y} is outside of a picture of {picture.Width} x {picture.Height}");
        (int X, int Y)? inside = pixel is { } q ? (q.X * width / picture.Width, q.Y * height / picture.Height) : null;
        if (info.Entry.Task == ModelTask.Segmentation) return OfMask(info, probabilities, picture, (given, pixel, inside));
        int label = given ?? Best(probabilities, 0);
        return new ExplanationTarget($"class {info.Labels[label]}", [label], probabilities) { Pixel = pixel, InputPixel = inside };
    }

    /// <summary>The mean of the explained probabilities.</summary>
    /// <param name="probabilities">Those of one image.</param>
    internal double ScoreOf(ReadOnlySpan<float> probabilities)
    {
        double sum = 0;
        foreach (int place in _places) sum += probabilities[place];
        return sum / _places.Length;
    }

    /// <summary>The sum of the explained logits, or of a function with the same gradients where the model ends in a sigmoid.</summary>
    /// <param name="result">What the model puts out for one image.</param>
    /// <param name="areProbabilities">Whether that is probabilities. Their slope p (1 - p) is divided out.</param>
    /// <returns>One number, recorded.</returns>
    internal Tensor Loss(Tensor result, bool areProbabilities)
    {
        Tensor weights = Tensor.Zeros(result.Shape);
        foreach (int place in _places)
        {
            float p = result.Span[place];
            weights.Span[place] = areProbabilities ? 1 / Math.Max(p * (1 - p), LeastSlope) : 1;
        }
        return Ops.Sum(Ops.Multiply(result, weights));
    }

    /// <param name="info">What the model tells apart.</param>
    /// <param name="probabilities">(H, W, classes).</param>
    /// <param name="picture">The picture as it is.</param>
    /// <param name="asked">The class, and the pixel in the picture and in the input, where they are given.</param>
    private static ExplanationTarget OfMask(
        ModelInfo info, ReadOnlySpan<float> probabilities, Image picture, (int? Class, (int X, int Y)? Pixel, (int X, int Y)? Inside) asked)
    {
        int classes = info.Config.Classes, width = info.Data.Width, height = info.Data.Height;
        int[] places = asked.Inside is null ? Foreground(probabilities, classes, asked.Class) : [];
        string name = asked.Class is { } only ? info.Labels[only] : classes == 1 ? info.Labels[0] : "foreground";
        string description = string.Create(
            CultureInfo.InvariantCulture, $"{name}, {places.Length:N0} of {height * width:N0} pixels");
        bool isEmpty = places.Length == 0 && asked.Inside is null;
        if (places.Length == 0)
        {
            (int x, int y) = asked.Inside ?? (width / 2, height / 2);
            int pixel = y * width + x, background = isEmpty && classes > 1 ? 1 : 0;
            int label = asked.Class ?? Best(probabilities.Slice(pixel * classes, classes), background);
            places = [pixel * classes + label];
            description = isEmpty
                ? $"no {name} is predicted; {info.Labels[label]} at the middle pixel" : $"{info.Labels[label]} at the pixel";
        }
        Image region = new(width, height, 1);
        foreach (int place in places) region.Pixels[place / classes] = byte.MaxValue;
        (int X, int Y) from = asked.Inside ?? Middle(region);
        (int X, int Y) scaled = ((2 * from.X + 1) * picture.Width / (2 * width), (2 * from.Y + 1) * picture.Height / (2 * height));
        return new ExplanationTarget(description, places, probabilities)
        {
            Region = region,
            InputPixel = from,
            Pixel = asked.Pixel ?? scaled,
            IsEmpty = isEmpty,
        };
    }

    /// <summary>The places of the predicted class of each pixel: of the given class, or of all but the background.</summary>
    private static int[] Foreground(ReadOnlySpan<float> probabilities, int classes, int? given)
    {
        List<int> places = [];
        for (int at = 0; at < probabilities.Length; at += classes)
        {
            int best = classes == 1 ? 0 : Best(probabilities.Slice(at, classes), 0);
            if (classes == 1 ? probabilities[at] >= 0.5f : given is null ? best > 0 : best == given) places.Add(at + best);
        }
        return [.. places];
    }

    /// <summary>The pixel of a region that is nearest to the mean of all.</summary>
    private static (int X, int Y) Middle(Image region)
    {
        double sumX = 0, sumY = 0, count = 0, least = double.PositiveInfinity;
        for (int i = 0; i < region.Pixels.Length; i++)
            if (region.Pixels[i] != 0) (sumX, sumY, count) = (sumX + i % region.Width, sumY + i / region.Width, count + 1);
        (int X, int Y) nearest = default;
        for (int i = 0; i < region.Pixels.Length; i++)
        {
            if (region.Pixels[i] == 0) continue;
            double x = i % region.Width - sumX / count, y = i / region.Width - sumY / count, distance = x * x + y * y;
            if (distance < least) (least, nearest) = (distance, (i % region.Width, i / region.Width));
        }
        return nearest;
    }

    private static int Best(ReadOnlySpan<float> probabilities, int first)
    {
        int best = first;
        for (int i = first + 1; i < probabilities.Length; i++)
            if (probabilities[i] > probabilities[best]) best = i;
        return best;
    }
}
