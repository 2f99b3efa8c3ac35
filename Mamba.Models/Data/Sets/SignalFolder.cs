using System.IO.Hashing;
using System.Runtime.InteropServices;

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

    private bool _normalized;

    /// <summary>Finds and reads the signals.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <exception cref="DatasetException">
    /// The folder cannot be listed, holds fewer than two classes, a file is damaged or empty, or signals differ in channels or rate.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public SignalFolder(string root, CancellationToken cancellation = default)
        : this(root, null, cancellation)
    {
    }

    /// <summary>Finds and reads signals of classes that are known, to measure or to classify them.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="classes">The names of the classes, in the order of their indices; null for those of the folder.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <exception cref="DatasetException">
    /// The folder cannot be listed, holds another class, or fewer than two where none are given, a file is damaged or empty, or signals
    /// differ in channels or rate.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public SignalFolder(string root, IReadOnlyList<string>? classes, CancellationToken cancellation)
    {
        string[][] paths = [.. new FolderListing(root, cancellation).OfKind(s_extensions).Select(file => file.Split('/'))];
        bool parts = paths.Length > 0 && paths.All(path => path.Length > 2 && FolderNames.PartOf(path[0]) is not null);
        int level = parts ? 1 : 0;
        if (paths.FirstOrDefault(path => path.Length < level + 2) is { } outside)
            throw new DatasetException($"{root}: '{string.Join('/', outside)}' is outside of any class; {Expected}.");
        string[] found = [.. paths.Select(path => path[level]).Distinct().Order(StringComparer.Ordinal)];
        if (found.Length < (classes is null ? 2 : 1))
            throw new DatasetException($"{root}: {paths.Length} signals of {found.Length} classes; {Expected}.");
        if (classes is not null && found.Except(classes, StringComparer.Ordinal).ToArray() is { Length: > 0 } other)
            throw new DatasetException(
                $"{root}: {Few(other)}: not among the classes of the model, {Few(classes)}; expected folders of these names.");
        (Labels, Missing) = (classes ?? found, [.. (classes ?? []).Except(found, StringComparer.Ordinal)]);
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
                name, Labels.ToList().IndexOf(path[level]), signal, parts ? FolderNames.PartOf(path[0]) : null)
            {
                Content = ContentOf(signal),
            });
            Signal first = entries[0].Signal;
            if (signal.Channels != first.Channels || signal.Rate != first.Rate)
                throw new DatasetException(
                    $"{file}: {signal.Channels} channels at {Hertz(signal)}; expected {first.Channels} at {Hertz(first)}, "
                        + $"as '{entries[0].Name}'.");
        }
        Signals = entries;

        static string Hertz(Signal signal) => signal.Rate is { } rate ? $"{rate} Hz" : "no known rate";

        static string Few(IReadOnlyList<string> names) => string.Join(", ", names.Take(5)) + (names.Count > 5 ? ", ..." : "");
    }

    /// <summary>The names of the classes, sorted unless they were given.</summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>The signals, in ordinal order of their names.</summary>
    public IReadOnlyList<Entry> Signals { get; }

    /// <summary>Given classes of which the folder has no signal.</summary>
    public IReadOnlyList<string> Missing { get; }

    /// <summary>The channels of all signals.</summary>
    public int Channels => Signals[0].Signal.Channels;

    /// <summary>Samples a second of all signals; null where the files do not say.</summary>
    public int? Rate => Signals[0].Signal.Rate;

    /// <summary>Files whose first line was skipped, as it names the channels.</summary>
    public int Headers => Signals.Count(entry => entry.Signal.HasHeader);

    /// <summary>Normalizes each channel of each signal to mean 0 and standard deviation 1, once.</summary>
    internal void Normalize()
    {
        if (_normalized) return;
        _normalized = true;
        foreach (Entry entry in Signals) Normalize(entry.Signal);
    }

    /// <summary>Normalizes each channel of a signal to mean 0 and standard deviation 1.</summary>
    internal static void Normalize(Signal signal)
    {
        for (int c = 0; c < signal.Channels; c++)
        {
            double sum = 0, squares = 0;
            for (int i = c; i < signal.Values.Length; i += signal.Channels) sum += signal.Values[i];
            double mean = sum / signal.Length;
            for (int i = c; i < signal.Values.Length; i += signal.Channels) squares += Math.Pow(signal.Values[i] - mean, 2);
            double scale = 1 / (Math.Sqrt(squares / signal.Length) + 1e-8);
            for (int i = c; i < signal.Values.Length; i += signal.Channels) signal.Values[i] = (float)((signal.Values[i] - mean) * scale);
        }
    }

    private static ulong ContentOf(Signal signal) => XxHash3.HashToUInt64(MemoryMarshal.AsBytes(signal.Values.AsSpan()), signal.Channels);

    /// <summary>A signal, its class and its part.</summary>
    /// <param name="Name">The path below the folder.</param>
    /// <param name="Label">The index of its class.</param>
    /// <param name="Signal">Its samples.</param>
    /// <param name="Part">The part that its folder names; null if the folder has no parts.</param>
    public sealed record Entry(string Name, int Label, Signal Signal, SplitPart? Part)
    {
        /// <summary>A hash of the samples as the file has them: it tells a recording under any name.</summary>
        public ulong Content { get; init; }
    }
}
