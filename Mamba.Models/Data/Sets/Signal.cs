namespace Mamba.Models.Data.Sets;

/// <summary>A signal of one or more channels.</summary>
/// <param name="Values">Samples in their order, the channels of a sample side by side; all are finite.</param>
/// <param name="Channels">Values of a sample.</param>
/// <param name="Rate">Samples a second; null where the file does not say.</param>
public sealed record Signal(float[] Values, int Channels, int? Rate)
{
    /// <summary>The most channels of a file.</summary>
    public const int MostChannels = 64;

    /// <summary>Whether a first line was skipped that names or numbers the channels.</summary>
    public bool HasHeader { get; init; }

    /// <summary>What was understood of a text file: a first line that is skipped, columns that are left out.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Columns of a text file that tell the row, and were left out.</summary>
    internal IReadOnlyList<string> LeftOut { get; init; } = [];

    /// <summary>The number of samples.</summary>
    public int Length => Values.Length / Channels;

    /// <summary>Reads a file by its extension.</summary>
    /// <param name="path">A .wav or .csv file.</param>
    /// <param name="channels">
    /// The channels of a model, which decide whether columns that tell the row are left out; null where their values do.
    /// </param>
    /// <returns>The signal.</returns>
    /// <exception cref="DatasetException">It cannot be read, or is malformed.</exception>
    public static Signal Load(string path, int? channels = null)
    {
        using FileStream file = DataFile.Open(path);
        return Path.GetExtension(path).Equals(".wav", StringComparison.OrdinalIgnoreCase)
            ? WavFile.Read(path, file) : CsvSignal.Read(path, file, channels);
    }
}
