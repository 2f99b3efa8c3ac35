using System.Text;
using Mamba.Models.Data;

namespace Mamba.Cli.Reports.Study;

/// <summary>Regions of pixels as paths, which are a tenth of a picture's size, sharp on any screen and have the page's colors.</summary>
internal static class MaskShapes
{
    /// <summary>The largest side of a picture on the page.</summary>
    public const int LargestSide = 256;

    /// <summary>The path of the pixels that are wanted; empty for none. Equal runs of consecutive rows are one rectangle.</summary>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <param name="wanted">Whether a pixel is.</param>
    public static string Path(int width, int height, Func<int, bool> wanted)
    {
        StringBuilder path = new();
        List<Run> open = [];
        for (int y = 0; y <= height; y++)
        {
            List<Run> row = y < height ? Runs(width, y, wanted) : [];
            foreach (Run run in open)
            {
                int at = row.FindIndex(other => other.Left == run.Left && other.Right == run.Right);
                if (at >= 0) row[at] = run;
                else path.Append($"M{run.Left} {run.Top}h{run.Right - run.Left}v{y - run.Top}H{run.Left}z");
            }
            open = row;
        }
        return path.ToString();
    }

    /// <summary>The map with another size; each pixel is the nearest one's.</summary>
    public static LabelMap Resized(LabelMap map, int width, int height)
    {
        if (map.Width == width && map.Height == height) return map;
        LabelMap resized = new(width, height);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                resized.Classes[y * width + x] = map.Classes[
                    (int)((y + 0.5) * map.Height / height) * map.Width + (int)((x + 0.5) * map.Width / width)];
        return resized;
    }

    /// <summary>The picture with three channels of 8 bits and sides of at most <see cref="LargestSide"/>: means of squares.</summary>
    public static Image Shrunk(Image image)
    {
        image = Overlays.Plain(image);
        int factor = (Math.Max(image.Width, image.Height) + LargestSide - 1) / LargestSide;
        if (factor == 1) return image;
        Image small = new(Math.Max(1, image.Width / factor), Math.Max(1, image.Height / factor), 3);
        for (int i = 0; i < small.Pixels.Length; i++)
        {
            int channel = i % 3, left = i / 3 % small.Width * factor, top = i / 3 / small.Width * factor, sum = 0, count = 0;
            for (int y = top; y < Math.Min(top + factor, image.Height); y++)
                for (int x = left; x < Math.Min(left + factor, image.Width); x++, count++)
                    sum += image.Pixels[3 * (y * image.Width + x) + channel];
            small.Pixels[i] = (byte)((sum + count / 2) / count);
        }
        return small;
    }

    private static List<Run> Runs(int width, int y, Func<int, bool> wanted)
    {
        List<Run> runs = [];
        for (int x = 0; x < width; x++)
        {
            if (!wanted(y * width + x)) continue;
            int left = x;
            while (x < width && wanted(y * width + x)) x++;
            runs.Add(new Run(left, x, y));
        }
        return runs;
    }

    private sealed class Run(int left, int right, int top)
    {
        public int Left => left;

        public int Right => right;

        public int Top => top;
    }
}
