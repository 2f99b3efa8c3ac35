using System.Numerics;
using Mamba.Core;
using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// Synthetic pictures of ten shapes, so that classification runs without any data. Place, size, rotation, colors, shading and grain differ
/// from picture to picture. The shapes take turns, so the classes are equally frequent. There is no official split; it is random.
/// </summary>
/// <remarks>A picture is a function of the seed, its index and its size alone. Shapes are drawn in units of their own radius.</remarks>
public sealed class SyntheticShapes : IImageData
{
    private readonly ulong _seed;
    private readonly int _height, _width;

    /// <summary>Describes the set. Images are made on request.</summary>
    /// <param name="seed">The seed.</param>
    /// <param name="count">The number of pictures.</param>
    /// <param name="height">Rows of a picture.</param>
    /// <param name="width">Columns of a picture.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is not positive, or a side is below 16.</exception>
    public SyntheticShapes(ulong seed, int count, int height = 32, int width = 32)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 16);
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 16);
        (_seed, Count, _height, _width) = (seed, count, height, width);
    }

    /// <inheritdoc/>
    public ModelTask Task => ModelTask.Classification;

    /// <inheritdoc/>
    public IReadOnlyList<string> Labels { get; } =
        ["disc", "ring", "square", "frame", "triangle", "cross", "star", "crescent", "stripes", "checkers"];

    /// <inheritdoc/>
    public int Count { get; }

    /// <inheritdoc/>
    public string Name(int index) => $"shape_{index + 1:D5}";

    Sample IImageData.Load(int index) => Load(index);

    /// <inheritdoc cref="IImageData.Load"/>
    public ClassificationSample Load(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        int label = index % Labels.Count;
        RandomStream random = new(_seed, $"synthetic/shape/{index}");
        float radius = Math.Min(_width, _height) * Between(random, 0.24f, 0.44f);
        Vector2 center = new(Between(random, radius, _width - radius), Between(random, radius, _height - radius));
        (float sine, float cosine) = MathF.SinCos(Between(random, -0.4f, 0.4f));
        Vector3 ground = Color(random, 20, 110), ink = Color(random, 140, 235);
        if (random.NextInt(2) == 1) (ground, ink) = (ink, ground);
        Vector2 shade = new(Between(random, -30, 30) / _width, Between(random, -30, 30) / _height);
        float grain = Between(random, 0, 0.14f);

        Image image = new(_width, _height, 3);
        for (int y = 0, at = 0; y < _height; y++)
            for (int x = 0; x < _width; x++, at += 3)
            {
                Vector2 p = new Vector2(x + 0.5f, y + 0.5f) - center;
                Vector2 turned = new Vector2(cosine * p.X + sine * p.Y, cosine * p.Y - sine * p.X) / radius;
                // A pixel that the edge cuts is covered in part.
                float cover = Math.Clamp(0.5f - Distance(label, turned) * radius, 0, 1);
                Vector3 color = Vector3.Lerp(ground, ink, cover) + new Vector3(Vector2.Dot(p, shade));
                ulong bits = random.NextBits();
                image.Pixels[at] = Grainy(color.X, (uint)bits, grain);
                image.Pixels[at + 1] = Grainy(color.Y, (uint)(bits >> 16), grain);
                image.Pixels[at + 2] = Grainy(color.Z, (uint)(bits >> 32), grain);
            }
        return new ClassificationSample(image, label);
    }

    /// <summary>About the distance from the edge of a shape of radius 1, negative inside.</summary>
    private static float Distance(int label, Vector2 p)
    {
        Vector2 side = Vector2.Abs(p);
        float far = p.Length(), box = Math.Max(side.X, side.Y);
        return label switch
        {
            0 => far - 0.85f,
            1 => Math.Abs(far - 0.72f) - 0.18f,
            2 => box - 0.7f,
            3 => Math.Abs(box - 0.62f) - 0.16f,
            4 => Math.Max(0.866f * side.X - 0.5f * p.Y, p.Y) - 0.5f,
            5 => Math.Min(Math.Max(side.X - 0.25f, side.Y - 0.9f), Math.Max(side.X - 0.9f, side.Y - 0.25f)),
            6 => Star(p),
            7 => Math.Max(far - 0.9f, 0.72f - Vector2.Distance(p, new Vector2(0.5f, 0))),
            8 => Math.Max(box - 0.85f, Wave(p.Y)),
            _ => Math.Max(box - 0.85f, Math.Max(Math.Min(Wave(p.X), Wave(p.Y)), -Math.Max(Wave(p.X), Wave(p.Y)))),
        };
    }

    /// <summary>Bands, of which every other one is inside.</summary>
    private static float Wave(float x) => Math.Abs(x / 0.57f - MathF.Floor(x / 0.57f) - 0.5f) * 0.57f - 0.1425f;

    /// <summary>Five points, folded to half of one: the distance from the line between its tip (1, 0) and the notch beside it.</summary>
    private static float Star(Vector2 p)
    {
        float turns = (MathF.Atan2(p.X, -p.Y) / MathF.Tau + 1) * 5, angle = Math.Abs(turns - MathF.Round(turns)) / 5 * MathF.Tau;
        return 0.384f * (p.Length() * MathF.Cos(angle) - 1) + 0.9234f * p.Length() * MathF.Sin(angle);
    }

    private static float Between(RandomStream random, float low, float high) => (float)random.NextDouble(low, high);

    private static Vector3 Color(RandomStream random, float low, float high) =>
        new(Between(random, low, high), Between(random, low, high), Between(random, low, high));

    private static byte Grainy(float value, uint bits, float grain) =>
        (byte)Math.Clamp(value + ((int)((bits & 255) + (bits >> 8 & 255)) - 255) * grain + 0.5f, 0, 255);
}
