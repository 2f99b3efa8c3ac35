using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// Recorded signals in a folder per class: CLASS/.../NAME.wav or .csv, or PART/CLASS/.../NAME with the parts train, val and test. Folders
/// that could be understood in two ways are refused. All signals have the same number of channels and the same rate. They are read at once.
/// </summary>
public sealed class SignalFolder
{
    private const string Expected = "expected CLASS/NAME.wav or .csv, or {train,val,test}/CLASS/NAME, of two classes or more";
    private const string What = "recordings";
    private const long MostValues = 1L << 28; // a gigabyte of them

    private static readonly string[] s_extensions = [".wav", ".csv"];

    private bool _normalized;

    /// <summary>Finds and reads the signals.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <exception cref="DatasetException">
    /// The folder cannot be listed, holds fewer than two classes, folders whose meaning is unclear, or a class that is not in the training
    /// part; a file is damaged or empty, or signals differ in channels or rate.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public SignalFolder(string root, CancellationToken cancellation = default)
        : this(root, null, null, cancellation)
    {
    }

    /// <summary>Finds and reads signals of classes that are known, to measure or to classify them.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="classes">The names of the classes, in the order of their indices; null for those of the folder.</param>
    /// <param name="channels">The channels of a model, as for <see cref="Signal.Load"/>; null where they are not known.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <exception cref="DatasetException">
    /// The folder cannot be listed, holds another class, or fewer than two where none are given, a file is damaged or empty, or signals
    /// differ in channels or rate.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public SignalFolder(string root, IReadOnlyList<string>? classes, int? channels, CancellationToken cancellation)
    {
        Root = root;
        FolderListing listing = new(root, cancellation, What);
        string[] files = [.. listing.OfKind(s_extensions)];
        ClassPaths paths = new(root, files, What, Expected, classes);
        if (paths.Labels.Count < (classes is null ? 2 : 1))
            throw new DatasetException($"{root}: {files.Length} recordings of {paths.Labels.Count} classes; {Expected}.");
        string? below = classes is null ? paths.SameBelow() : null;
        bool IsNone(string label) => FolderNames.IsRole(label) || (below is not null && FolderNames.PartOf(label) is not null);
        if (classes is null && paths.Labels.All(IsNone))
            throw new DatasetException($"{root}: folders {Few(paths.Labels)} are no classes; {Expected}.");
        if (classes is not null && paths.Labels.Except(classes, StringComparer.Ordinal).ToArray() is { Length: > 0 } other)
            throw new DatasetException(
                $"{root}: {Few(other)}: not among the classes of the model, {Few(classes)}; expected folders of these names.");
        (Labels, Missing) = (classes ?? paths.Labels, [.. (classes ?? []).Except(paths.Labels, StringComparer.Ordinal)]);
        Notes =
        [
            .. classes is null ? paths.MissingClasses() : [],
            .. below is null ? [] : new[] { $"{below}; expected CLASS/NAME, if they are" },
            .. listing.OthersThan(s_extensions) is { } others ? new[] { others } : [],
        ];
        Signal[] signals = Load(channels);
        // A column tells the row in all files or in none.
        if (channels is null && signals.Select(signal => signal.Channels + signal.LeftOut.Count).Distinct().Count() == 1
            && signals.Select(signal => string.Join('\n', signal.LeftOut)).Distinct().Skip(1).Any())
            signals = Load(signals[0].Channels + signals[0].LeftOut.Count);
        Dictionary<string, int> labels = Labels.Index().ToDictionary(entry => entry.Item, entry => entry.Index);
        foreach ((Signal signal, string name) in signals.Zip(files))
            if (signal.Channels != signals[0].Channels || signal.Rate != signals[0].Rate)
                throw new DatasetException(
                    $"{Path.Combine(root, name)}: {KindOf(signal)}; expected {KindOf(signals[0])}, as '{files[0]}'.");
        Signals =
        [
            .. signals.Select((signal, i) =>
                new Entry(files[i], labels[paths.ClassOf(i)], signal, paths.PartOf(i)) { Content = ContentOf(signal) }),
        ];

        Signal[] Load(int? expected)
        {
            long values = 0;
            return Array.ConvertAll(files, name =>
            {
                cancellation.ThrowIfCancellationRequested();
                string file = Path.Combine(root, name);
                Signal signal = Signal.Load(file, expected);
                if (signal.Length == 0) throw new DatasetException($"{file}: no samples; expected one at least.");
                return (values += signal.Values.Length) <= MostValues ? signal
                    : throw new DatasetException($"{root}: more than {MostValues} values; expected fewer or shorter signals.");
            });
        }

        static string KindOf(Signal signal) => $"{signal.Channels} channels at "
            + (signal.Rate is { } rate ? $"{rate} Hz" : "no known rate") + string.Concat(signal.Notes.Select(note => $" ({note})"));

        static string Few(IReadOnlyList<string> names) => string.Join(", ", names.Take(5)) + (names.Count > 5 ? ", ..." : "");
    }

    /// <summary>
    /// The recordings at any depth of a folder, in ordinal order. Hidden files and folders are skipped, and so are links to a folder that
    /// is below the folder anyway, or that holds it.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <returns>Paths below the folder, with '/' between folders.</returns>
    /// <exception cref="DatasetException">The folder does not exist, or it or one below it cannot be listed.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IReadOnlyList<string> Find(string folder, CancellationToken cancellation = default) =>
        new FolderListing(folder, cancellation, What).OfKind(s_extensions);

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

    /// <summary>Files whose first line was skipped, as it names or numbers the channels.</summary>
    public int Headers => Signals.Count(entry => entry.Signal.HasHeader);

    /// <summary>What the user should know of the folder: classes that a part lacks, and files that are passed over.</summary>
    public IReadOnlyList<string> Notes { get; }

    /// <summary>What was understood of text files (<see cref="Signal.Notes"/>), and of how many.</summary>
    public IReadOnlyList<string> TextNotes =>
        [.. Signals.SelectMany(entry => entry.Signal.Notes).CountBy(note => note)
            .Select(note => $"{note.Key} ({note.Value} file{(note.Value == 1 ? "" : "s")})")];

    /// <summary>The folder.</summary>
    internal string Root { get; }

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
