using System.Diagnostics;
using System.Globalization;
using System.Text;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Loading;

namespace Mamba.Cli.Commands;

/// <summary>
/// Runs images through a model on all threads: each thread decodes, runs and writes an image at a time, so that all three overlap. Lines
/// and rows come in the order of the images.
/// </summary>
/// <param name="terminal">Where lines go.</param>
/// <param name="output">The folder of the results.</param>
/// <param name="onBadImage">What becomes of an image that cannot be read.</param>
internal sealed class InferRun(Terminal terminal, InferOutput output, OnBadImage onBadImage)
{
    /// <summary>Larger images go one after another, with all threads in each: their results fill memory.</summary>
    public const int LargePixels = 1 << 24;

    /// <summary>The table of results.</summary>
    public const string Table = "predictions.csv";

    /// <summary>The part of the images that is run; null for all.</summary>
    public InferPart? Part { get; init; }

    private readonly Lock _gate = new();
    private readonly Dictionary<string, (string First, int Count)> _notes = [];
    private Done?[] _done = [];
    private int _told;

    /// <summary>Images that could not be read.</summary>
    public List<BadImage> Bad { get; } = [];

    /// <summary>Runs the images and writes <c>predictions.csv</c>.</summary>
    /// <param name="images">The images.</param>
    /// <param name="header">The first line of the table.</param>
    /// <param name="run">Runs the model on an image and writes what there is to write.</param>
    /// <param name="stop">Stops between images.</param>
    /// <returns>The number of images that were run.</returns>
    /// <exception cref="ImageException">An image cannot be read, and that is an error.</exception>
    public int Execute(InferInput[] images, string header, Func<InferInput, Image, Result> run, CancellationToken stop) =>
        Execute(images.Length, header, () =>
        {
            if (images.Length < Workers.Count)
                for (int i = 0; i < images.Length; i++) One(images, i, run, large: true, stop);
            else
            {
                Workers.ForEach(images.Length, (this, images, run, stop), static (s, i) =>
                    s.Item1.One(s.images, i, s.run, large: false, s.stop));
                for (int i = 0; i < images.Length; i++)
                    if (_done[i] is null) One(images, i, run, large: true, stop);
            }
        });

    /// <summary>Runs volumes in turn, and writes <c>predictions.csv</c>.</summary>
    /// <param name="volumes">The volumes.</param>
    /// <param name="header">The first line of the table.</param>
    /// <param name="read">Reads a volume.</param>
    /// <param name="run">Runs the model on all slices, on all threads, and writes the mask.</param>
    /// <param name="stop">Stops between volumes.</param>
    /// <returns>The number of volumes that were run.</returns>
    /// <exception cref="ImageException">A volume cannot be read, and that is an error.</exception>
    public int Execute(
        InferInput[] volumes, string header, Func<InferInput, SliceStack> read, Func<InferInput, SliceStack, Result> run,
        CancellationToken stop) => Execute(volumes.Length, header, () =>
        {
            for (int i = 0; i < volumes.Length; i++)
            {
                InferInput volume = volumes[i];
                One(i, volume, () => (read(volume), []), _ => true, run, stop);
            }
        });

    private int Execute(int count, string header, Action all)
    {
        _done = new Done?[count];
        string table = output.FileOf(Part?.Table ?? Table); // refused before any work is done
        try
        {
            all();
            WriteNotes();
            WriteTable(table, header);
        }
        catch (OperationCanceledException)
        {
            WriteNotes();
            if (Part is null) WriteTable(table, header); // what is done is whole, and stays; a part's table says that it has ended
            throw;
        }
        catch
        {
            WriteNotes();
            throw;
        }
        return _done.Count(done => done?.Result is not null);
    }

    private void One(InferInput[] images, int i, Func<InferInput, Image, Result> run, bool large, CancellationToken stop)
    {
        InferInput input = images[i];
        One(i, input, Read, image => large || (long)image.Width * image.Height <= LargePixels, run, stop);

        (Image, IReadOnlyList<string>) Read()
        {
            ImageWithNotes read = ImageFile.Read(input.Path);
            return (read.Image, read.Notes);
        }
    }

    /// <summary>Decodes, runs and writes one input, unless it is for later.</summary>
    private void One<T>(
        int i, InferInput input, Func<(T Data, IReadOnlyList<string> Notes)> decode, Func<T, bool> isForNow,
        Func<InferInput, T, Result> run, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        long start = Stopwatch.GetTimestamp();
        T data;
        IReadOnlyList<string> notes;
        try
        {
            (data, notes) = decode();
        }
        catch (ImageException e) when (onBadImage == OnBadImage.Skip)
        {
            Tell(i, new Done(null, []) { Problem = new BadImage(i, e.Message) });
            return;
        }
        double decoding = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        if (!isForNow(data)) return;
        start = Stopwatch.GetTimestamp();
        Result result = run(input, data);
        double writing = Stopwatch.GetElapsedTime(start).TotalMilliseconds - result.Milliseconds;
        string[] all = result.Note is { } more ? [.. notes, more] : [.. notes];
        Tell(i, new Done(result, [.. all.Select(note => (input.Name, note))]) { Decoding = decoding, Writing = writing });
    }

    /// <summary>Prints what is ready, in order.</summary>
    private void Tell(int i, Done done)
    {
        lock (_gate)
        {
            _done[i] = done;
            for (; _told < _done.Length && _done[_told] is { } next; _told++)
            {
                foreach ((string name, string text) in next.Notes)
                    _notes[text] = _notes.TryGetValue(text, out (string First, int Count) known)
                        ? (known.First, known.Count + 1) : (name, 1);
                if (next.Problem is { } bad) Bad.Add(bad);
                if (next.Result is { } result) terminal.Out.WriteLine(PlainText.Printable(result.Line));
            }
        }
    }

    /// <summary>Says each note once, however many images it is about.</summary>
    private void WriteNotes()
    {
        foreach ((string text, (string first, int count)) in _notes)
            terminal.Error.WriteLine(PlainText.Printable(
                $"note: {first}{(count > 1 ? FormattableString.Invariant($" and {count - 1} more") : "")}: {text}"));
    }

    private void WriteTable(string path, string header)
    {
        StringBuilder table = new(header + "\n");
        foreach (Done? done in _done)
            if (done?.Result is { } result)
                foreach (string row in result.Rows)
                    table.Append(row).Append(result.Timed ? Times(done, result) : "").Append('\n');
        AtomicFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(table.ToString())));
    }

    private static string Times(Done done, Result result) =>
        string.Create(CultureInfo.InvariantCulture, $",{done.Decoding:F2},{result.Milliseconds:F2},{done.Writing:F2}");

    /// <summary>The result of an image.</summary>
    /// <param name="Line">The line for the terminal.</param>
    /// <param name="Rows">Its rows in the table.</param>
    /// <param name="Milliseconds">Time of the model.</param>
    internal sealed record Result(string Line, string[] Rows, double Milliseconds)
    {
        /// <summary>Whether the milliseconds for decoding, model and writing follow in the last three columns.</summary>
        public bool Timed { get; init; }

        /// <summary>What the user should know of the image; null for nothing.</summary>
        public string? Note { get; init; }
    }

    private sealed record Done(Result? Result, (string Name, string Text)[] Notes)
    {
        public BadImage? Problem { get; init; }

        public double Decoding { get; init; }

        public double Writing { get; init; }
    }
}
