using Mamba.Models.Inference;

namespace Mamba.Cli.Commands;

/// <summary>The probabilities of a picture, a plane of 16 bits for each class: 65535 stands for 1.</summary>
/// <param name="classes">The classes; 0 to keep nothing.</param>
/// <param name="width">Columns.</param>
/// <param name="height">Rows.</param>
internal sealed class ProbabilityPlanes(int classes, int width, int height)
{
    private readonly ushort[][] _planes = [.. Enumerable.Range(0, classes).Select(_ => new ushort[width * height])];

    /// <summary>The planes.</summary>
    public int Count => classes;

    /// <summary>Fills the planes while a picture is segmented; null where nothing is kept.</summary>
    public ProbabilityBand? Observer => classes == 0 ? null : (y, rows) =>
    {
        for (int i = 0, at = y * width; i < rows.Length; at++)
            foreach (ushort[] plane in _planes) plane[at] = (ushort)MathF.Round(rows[i++] * ushort.MaxValue);
    };

    /// <summary>The values of a class.</summary>
    public ushort[] this[int index] => _planes[index];

    /// <summary>What tells the files of several classes apart.</summary>
    public string Suffix(int index) => classes > 1 ? $"_{index}" : "";
}
