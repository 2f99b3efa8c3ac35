using Mamba.Models.Data;
using Mamba.Models.Data.Loading;

namespace Mamba.Models.Explanation;

/// <summary>A number for each token, or pixel of a feature map, and the same at the size of the model's input.</summary>
public sealed class ExplanationMap
{
    private ExplanationMap(string layer, string direction, (int Height, int Width) grid, float[] values, float[] pixels)
    {
        (Layer, Direction, Values, Pixels) = (layer, direction, values, pixels);
        (Height, Width) = grid;
    }

    /// <summary>The layer's place in the model; empty for the mean of several layers.</summary>
    public string Layer { get; }

    /// <summary><c>forward</c> or <c>backward</c>; empty for a layer without a direction.</summary>
    public string Direction { get; }

    /// <summary>Rows of the grid.</summary>
    public int Height { get; }

    /// <summary>Columns of the grid.</summary>
    public int Width { get; }

    /// <summary>(Height, Width), row by row. Where an image is padded to the model's size, the grid covers the padding as well.</summary>
    public IReadOnlyList<float> Values { get; }

    /// <summary>The same over the model's input, row by row: bilinear between the grid's centers.</summary>
    public IReadOnlyList<float> Pixels { get; }

    /// <summary>A map over the padded input of a model.</summary>
    internal static ExplanationMap Of(string layer, string direction, int height, int width, float[] values, InputSize size) =>
        new(layer, direction, (height, width), values, size.Pixels(values, height, width));

    /// <summary>The mean of maps that are each divided by the sum of their pixels; the map itself where there is one.</summary>
    internal static ExplanationMap Mean(IReadOnlyList<ExplanationMap> maps, InputSize size)
    {
        if (maps.Count == 1) return maps[0];
        float[] sum = new float[size.Height * size.Width];
        foreach (ExplanationMap map in maps)
        {
            double total = 0;
            foreach (float value in map.Pixels) total += value;
            if (total <= 0) continue; // nothing in it
            float factor = (float)(1 / (total * maps.Count));
            for (int i = 0; i < sum.Length; i++) sum[i] += factor * map.Pixels[i];
        }
        return new ExplanationMap("", "", (size.Height, size.Width), sum, sum);
    }
}

/// <summary>Rows and columns of a model's input, and of the same padded to a multiple that the model needs.</summary>
internal sealed class InputSize(int height, int width, int paddedHeight, int paddedWidth)
{
    public int Height => height;

    public int Width => width;

    /// <summary>Which cell of a grid holds a pixel.</summary>
    public int Cell(int x, int y, int rows, int columns) => y * rows / paddedHeight * columns + x * columns / paddedWidth;

    /// <summary>Values on a grid over the padded input, resized to it; the padding is cut off.</summary>
    public float[] Pixels(float[] values, int rows, int columns)
    {
        if (Array.TrueForAll(values, value => value == values[0]))
        {
            // A flat map stays flat: rounding would be seen as a pattern.
            float[] flat = new float[height * width];
            Array.Fill(flat, values[0]);
            return flat;
        }
        float[] padded = new float[paddedHeight * paddedWidth];
        PlaneResize.Run(values, (rows, columns), padded, (paddedHeight, paddedWidth), 1, Resampling.Bilinear);
        if (paddedHeight == height && paddedWidth == width) return padded;
        float[] pixels = new float[height * width];
        for (int y = 0; y < height; y++) padded.AsSpan(y * paddedWidth, width).CopyTo(pixels.AsSpan(y * width));
        return pixels;
    }
}
