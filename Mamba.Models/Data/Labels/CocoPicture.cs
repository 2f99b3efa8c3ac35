namespace Mamba.Models.Data.Labels;

/// <summary>A picture of COCO's annotations, and the masks of the objects in it.</summary>
public sealed class CocoPicture
{
    private readonly List<CocoMask> _masks = [];

    internal CocoPicture(string fileName, int width, int height) => (FileName, Width, Height) = (fileName, width, height);

    /// <summary>The name of its file as the annotations give it, with '/' between folders.</summary>
    public string FileName { get; }

    /// <summary>Columns.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>The number of objects.</summary>
    public int Objects => _masks.Count;

    /// <summary>
    /// The class of each pixel: 0 for background, 1 + the index of the class in <see cref="CocoAnnotations.Classes"/> for an object. A
    /// later object lies over an earlier one. See <see cref="PolygonFill.Fill"/> for what is inside of a polygon; the pixels of an object
    /// of several polygons are those of any of them.
    /// </summary>
    /// <returns>Height * Width classes, in rows.</returns>
    public byte[] ClassMap()
    {
        byte[] map = new byte[Width * Height];
        foreach (CocoMask mask in _masks)
        {
            foreach (double[] polygon in mask.Polygons) PolygonFill.Fill(map, Width, Height, polygon, mask.Value);
            if (mask.Runs is { } runs) RunLength.Decode(map, Width, Height, runs, mask.Value);
        }
        return map;
    }

    internal void Add(CocoMask mask) => _masks.Add(mask);
}

/// <summary>The mask of an object.</summary>
/// <param name="Value">Its class in the map, from 1.</param>
/// <param name="Polygons">Corners of polygons, none where there are runs.</param>
/// <param name="Runs">Lengths of runs; null where there are polygons.</param>
internal sealed record CocoMask(byte Value, double[][] Polygons, int[]? Runs);
