using System.Globalization;
using System.Text;

namespace Mamba.Models.Data.Labels;

/// <summary>
/// The objects of a picture in YOLO's format for segmentation: a line per object with the index of its class and its corners x y x y ...,
/// as fractions of the picture's width and height. An empty file is a picture without objects.
/// </summary>
public sealed class YoloPolygons
{
    /// <summary>The most bytes of a file.</summary>
    public const long MaxFileBytes = 1 << 26;

    // Corners a little outside of the picture come from augmentation and rounding; pixels instead of fractions are far outside.
    private const double Lowest = -0.5, Highest = 1.5;

    private readonly List<(byte Value, double[] Corners)> _objects = [];

    private YoloPolygons()
    {
    }

    /// <summary>The number of objects.</summary>
    public int Objects => _objects.Count;

    /// <summary>Reads a file.</summary>
    /// <param name="path">The text file.</param>
    /// <param name="classes">The number of classes, at most 255.</param>
    /// <returns>The objects.</returns>
    /// <exception cref="DatasetException">
    /// It cannot be read, a line is malformed, holds a box instead of a polygon, or a class that there is not.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of classes is not from 1 to 255.</exception>
    public static YoloPolygons Load(string path, int classes) => Read(path, LabelFile.ReadAll(path, MaxFileBytes), classes);

    /// <summary>
    /// The class of each pixel: 0 for background, 1 + the index of its class for an object. A later object lies over an earlier one. See
    /// <see cref="PolygonFill.Fill"/> for what is inside.
    /// </summary>
    /// <param name="width">Columns of the picture.</param>
    /// <param name="height">Rows of the picture.</param>
    /// <returns>height * width classes, in rows.</returns>
    public byte[] ClassMap(int width, int height)
    {
        byte[] map = new byte[checked(width * height)];
        foreach ((byte value, double[] corners) in _objects)
        {
            double[] xy = [.. corners.Select((corner, i) => corner * (i % 2 == 0 ? width : height))];
            PolygonFill.Fill(map, width, height, xy, value);
        }
        return map;
    }

    /// <summary>Reads the bytes of a file.</summary>
    internal static YoloPolygons Read(string path, byte[] bytes, int classes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(classes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(classes, CocoAnnotations.MaxClasses);
        YoloPolygons polygons = new();
        int line = 0;
        foreach (ReadOnlySpan<char> text in Encoding.UTF8.GetString(bytes).AsSpan().EnumerateLines())
        {
            line++;
            if (text.IsWhiteSpace()) continue;
            try
            {
                polygons._objects.Add(ReadObject(text, classes));
            }
            catch (FormatException e)
            {
                throw new DatasetException($"{path}: line {line}: {e.Message}.", e);
            }
        }
        return polygons;
    }

    private static (byte Value, double[] Corners) ReadObject(ReadOnlySpan<char> line, int classes)
    {
        List<double> numbers = [];
        foreach (Range range in line.SplitAny(' ', '\t'))
        {
            ReadOnlySpan<char> word = line[range];
            if (word.IsEmpty) continue;
            numbers.Add(double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
                ? number
                : throw new FormatException($"'{(word.Length <= 40 ? word : word[..40])}' is no number"));
        }
        if (numbers.Count == 5) throw new FormatException("5 numbers: boxes, not polygons; expected a class and three corners or more");
        if (numbers.Count < 7 || numbers.Count % 2 == 0)
            throw new FormatException($"{numbers.Count} numbers; expected a class and pairs of three corners or more");
        if (!(numbers[0] >= 0 && numbers[0] < classes) || numbers[0] != Math.Floor(numbers[0]))
            throw new FormatException(FormattableString.Invariant($"class {numbers[0]}; expected 0 to {classes - 1}"));
        double[] corners = [.. numbers[1..]];
        foreach (double corner in corners)
            if (!(corner >= Lowest && corner <= Highest))
                throw new FormatException(FormattableString.Invariant(
                    $"coordinate {corner}; expected a fraction of the picture's size, from 0 to 1"));
        return ((byte)(numbers[0] + 1), corners);
    }
}
