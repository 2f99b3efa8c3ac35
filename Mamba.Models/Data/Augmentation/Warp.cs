using System.Numerics;
using Mamba.Core;

namespace Mamba.Models.Data.Augmentation;

/// <summary>
/// Where each pixel comes from: rotation, scale, shift and elastic displacement in one, so that a picture is resampled once. A picture is
/// interpolated between its four nearest pixels; a mask takes the nearest.
/// </summary>
internal sealed class Warp
{
    private readonly int _width, _height;
    private readonly float[] _columns, _rows; // of the source, in pixels; the center of the first pixel is at 0.5

    /// <summary>Finds the source of each pixel.</summary>
    /// <param name="width">Columns of the picture.</param>
    /// <param name="height">Rows of the picture.</param>
    /// <param name="placement">Rotation, scale and shift.</param>
    /// <param name="elastic">The standard deviation of the elastic displacement along one axis, in percent of the shorter side.</param>
    /// <param name="random">Where the displacement comes from.</param>
    public Warp(int width, int height, Placement placement, double elastic, RandomStream random)
    {
        (_width, _height, _columns, _rows) = (width, height, new float[width * height], new float[width * height]);
        (double sine, double cosine) = Math.SinCos(placement.Degrees * (Math.PI / 180));
        double centerX = width / 2.0, centerY = height / 2.0;
        for (int y = 0, at = 0; y < height; y++)
        {
            double down = (y + 0.5 - centerY - placement.Down * height) / placement.Zoom;
            for (int x = 0; x < width; x++, at++)
            {
                double right = (x + 0.5 - centerX - placement.Right * width) / placement.Zoom;
                _columns[at] = (float)(centerX + cosine * right - sine * down);
                _rows[at] = (float)(centerY + sine * right + cosine * down);
            }
        }
        if (elastic == 0) return;
        double sigma = elastic / 100 * Math.Min(width, height);
        ElasticField.Add(sigma, random, (height, width), _columns);
        ElasticField.Add(sigma, random, (height, width), _rows);
    }

    public Image Apply(Image from) => Samples.Apply(from, new Bilinear(this, Samples.Outside(from)));

    /// <summary>Moves a mask; outside is background.</summary>
    public LabelMap Apply(LabelMap from)
    {
        byte[] to = new byte[from.Classes.Length];
        for (int i = 0; i < to.Length; i++)
        {
            int column = (int)MathF.Floor(_columns[i]), row = (int)MathF.Floor(_rows[i]);
            if ((uint)column < (uint)_width && (uint)row < (uint)_height) to[i] = from.Classes[row * _width + column];
        }
        return new LabelMap(_width, _height, to);
    }

    private readonly record struct Bilinear(Warp Warp, int Outside) : ISampleOperation
    {
        /// <inheritdoc/>
        public T[] Apply<T>(T[] from, int width, int height) where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
        {
            int channels = from.Length / (width * height);
            T[] to = new T[from.Length];
            for (int i = 0, at = 0; i < Warp._columns.Length; i++)
            {
                float column = Warp._columns[i] - 0.5f, row = Warp._rows[i] - 0.5f, left = MathF.Floor(column), above = MathF.Floor(row);
                float right = column - left, below = row - above; // weights
                int x = (int)left, y = (int)above;
                bool inside = (uint)x < (uint)(width - 1) && (uint)y < (uint)(height - 1);
                for (int c = 0; c < channels; c++)
                {
                    float a, b, d, e;
                    if (inside)
                    {
                        int source = (y * width + x) * channels + c, next = source + width * channels;
                        (a, b) = (float.CreateTruncating(from[source]), float.CreateTruncating(from[source + channels]));
                        (d, e) = (float.CreateTruncating(from[next]), float.CreateTruncating(from[next + channels]));
                    }
                    else
                    {
                        (a, b) = (At(from, x, y, c), At(from, x + 1, y, c));
                        (d, e) = (At(from, x, y + 1, c), At(from, x + 1, y + 1, c));
                    }
                    float upper = a + (b - a) * right, lower = d + (e - d) * right;
                    to[at++] = T.CreateSaturating(upper + (lower - upper) * below + 0.5f);
                }
            }
            return to;
        }

        private float At<T>(T[] from, int x, int y, int c) where T : unmanaged, IBinaryInteger<T>
        {
            if ((uint)x >= (uint)Warp._width || (uint)y >= (uint)Warp._height) return Outside;
            int channels = from.Length / (Warp._width * Warp._height);
            return float.CreateTruncating(from[(y * Warp._width + x) * channels + c]);
        }
    }
}
