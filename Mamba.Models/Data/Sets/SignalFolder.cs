namespace Mamba.Models.Data.Sets;

/// <summary>
/// Recorded signals in a folder per class: CLASS/.../NAME.wav or .csv, or PART/CLASS/.../NAME with the parts train, val and test. All have
/// the same number of channels and the same rate. They are read at once.
/// </summary>
public sealed class SignalFolder
{
    private const string Expected = "expected CLASS/NAME.wav or .csv, or {train,val,test}/CLASS/NAME, of two classes or more";
    private const long MostValues = 1L << 28; // a gigabyte of them

    private static readonly string[] s_extensions = [".wav", ".csv"];

    /// <summary>Finds and reads the signals.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <exception cref="DatasetException">
    /// The folder cannot be listed, holds fewer than two classes, a file is damaged or empty, or signals differ in channels or rate.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public SignalFolder(string root, CancellationToken cancellation = default)
    {
        string[][] paths = [.. new FolderListing(root, cancellation).OfKind(s_extensions).Select(file => file.Split('/'))];
        bool parts = paths.Length > 0 && paths.All(path => path.Length > 2 && FolderNames.PartOf(path[0]) is not null);
        int level = parts ? 1 : 0;
        if (paths.FirstOrDefault(path => path.Length < level + 2) is { } outside)
            throw new DatasetException($"{root}: '{string.Join('/', outside)}' is outside of any class; {Expected}.");
        Labels = [.. paths.Select(path => path[level]).Distinct().Order(StringComparer.Ordinal)];
        if (Labels.Count < 2) throw new DatasetException($"{root}: {paths.Length} signals of {Labels.Count} classes; {Expected}.");
        List<Entry> entries = [];
        long values = 0;
        foreach (string[] path in paths)
        {
            cancellation.ThrowIfCancellationRequested();
            string name = string.Join('/', path), file = Path.Combine(root, name);
            Signal signal = Signal.Load(file);
            if (signal.Length == 0) throw new DatasetException($"{file}: no samples; expected one at least.");
            if ((values += signal.Values.Length) > MostValues)
                throw new DatasetException($"{root}: more than {MostValues} values; expected fewer or shorter signals.");
            entries.Add(new Entry(
                name, Labels.ToList().IndexOf(path[level]), signal, parts ? FolderNames.PartOf(path[0]) : null));
            Signal first = entries[0].Signal;
            if (signal.Channels != first.Channels || signal.Rate != first.Rate)
                throw new DatasetException(
                    $"{file}: {signal.Channels} channels at {Hertz(signal)}; expected {first.Channels} at {Hertz(first)}, "
                        + $"as '{entries[0].Name}'.");
        }
        Signals = entries;

        static string Hertz(Signal signal) => signal.Rate is { } rate ? $"{rate} Hz" : "no known rate";
    }

    /// <summary>The names of the classes, sorted.</summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>The signals, in ordinal order of their names.</summary>
    public IReadOnlyList<Entry> Signals { get; }

    /// <summary>The channels of all signals.</summary>
    public int Channels => Signals[0].Signal.Channels;

    /// <summary>A signal, its class and its part.</summary>
    /// <param name="Name">The path below the folder.</param>
    /// <param name="Label">The index of its class.</param>
    /// <param name="Signal">Its samples.</param>
    /// <param name="Part">The part that its folder names; null if the folder has no parts.</param>
    public sealed record Entry(string Name, int Label, Signal Signal, SplitPart? Part);
}
