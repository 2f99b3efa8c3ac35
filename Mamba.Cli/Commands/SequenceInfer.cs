using System.Globalization;
using System.Text;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Sets;
using Mamba.Models.Sequences;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba infer</c> with weights of recorded signals: the most probable classes of each recording.</summary>
internal sealed class SequenceInfer
{
    private readonly Terminal _terminal;
    private readonly SequenceModel _model;
    private readonly SequenceShape _shape;
    private readonly SignalRecord? _record;
    private readonly string[] _labels;
    private readonly int _top;

    /// <summary>Loads the model.</summary>
    /// <param name="terminal">Where lines go.</param>
    /// <param name="file">The open weight file.</param>
    /// <param name="top">Classes to print per recording.</param>
    /// <exception cref="CheckpointException">The file is malformed, or its model reads tokens or pictures.</exception>
    public SequenceInfer(Terminal terminal, WeightFile file, int top)
    {
        (_model, SequenceArguments arguments) = SequenceFile.Load(file);
        if (arguments.Data != SequenceTasks.Signals) NamedWeights.ThrowIfSequences(file);
        (_shape, _record) = SequenceFile.Describe(file);
        (_terminal, _top) = (terminal, top);
        _labels = [.. _record?.Labels ?? Enumerable.Range(0, _shape.Classes).Select(i => i.ToString(CultureInfo.InvariantCulture))];
    }

    /// <summary>Classifies recordings and writes <c>predictions.csv</c>.</summary>
    /// <param name="inputs">Files and folders.</param>
    /// <param name="open">Opens the folder of the results.</param>
    /// <param name="stop">Stops between recordings.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="DatasetException">A recording cannot be read, or does not fit the model; nothing is written.</exception>
    public int Run(string[] inputs, Func<InferOutput> open, CancellationToken stop)
    {
        (string Name, string Path)[] files =
        [
            .. inputs.SelectMany(input => FilesOf(input, stop)).DistinctBy(file => Path.GetFullPath(file.Path)).GroupBy(file => file.Name)
                .SelectMany(same => same.Skip(1).Any() ? same.Select(file => (file.Path, file.Path)) : same),
        ];
        HashSet<string> notes = [];
        if (_record is null) notes.Add("the weights are of an older version: classes are numbers, and the rate is not compared");
        StringBuilder table = new("recording,rank,class,probability\n");
        List<string> lines = [];
        foreach ((string name, string path) in files)
        {
            stop.ThrowIfCancellationRequested();
            Signal signal = Signal.Load(path, _shape.Channels);
            if (Check(path, signal) is { } note) notes.Add(note);
            notes.UnionWith(signal.Notes);
            (string Label, double Probability)[] best = [.. Classify(signal).Take(_top)];
            foreach ((int rank, (string label, double probability)) in best.Index())
                table.Append(CultureInfo.InvariantCulture, $"{Csv.Quoted(name)},{rank + 1},{Csv.Quoted(label)},{probability:F6}\n");
            lines.Add($"{name}: " + string.Join(
                ", ", best.Select(c => string.Create(CultureInfo.InvariantCulture, $"{c.Label} {100 * c.Probability:F1} %"))));
        }
        InferOutput output = open();
        try
        {
            string predictions = output.FileOf(InferRun.Table);
            AtomicFile.Write(predictions, stream => stream.Write(Encoding.UTF8.GetBytes(table.ToString())));
        }
        catch
        {
            output.TakeBack();
            throw;
        }
        foreach (string note in notes) _terminal.Error.WriteLine(PlainText.Printable($"note: {note}"));
        foreach (string line in lines) _terminal.Out.WriteLine(PlainText.Printable(line));
        _terminal.Out.WriteLine($"{files.Length} recording{(files.Length == 1 ? "" : "s")}, results in {output.Path}");
        return ExitCode.Success;
    }

    private static IEnumerable<(string Name, string Path)> FilesOf(string input, CancellationToken stop)
    {
        if (!Directory.Exists(input)) return [(Path.GetFileName(input), input)];
        string[] names = [.. SignalFolder.Find(input, stop).Where(name => Path.GetFileName(name) != InferRun.Table)]; // of earlier runs
        return names.Length > 0 ? names.Select(name => (name, Path.Combine(input, name)))
            : throw new DatasetException($"{input}: no .wav and no .csv file; expected recordings");
    }

    /// <summary>Refuses a recording of another kind than those of the training; returns what cannot be compared.</summary>
    private string? Check(string path, Signal signal)
    {
        if (signal.Length == 0) throw new DatasetException($"{path}: no samples; expected one at least");
        if (signal.Channels != _shape.Channels)
            throw new DatasetException(
                $"{path}: {signal.Channels} channels; the model was trained on {_shape.Channels}"
                    + string.Concat(signal.Notes.Select(note => $"; {note}")));
        if (_record is null || signal.Rate == _record.Rate) return null;
        if (signal.Rate is { } rate && _record.Rate is { } trained)
            throw new DatasetException(
                $"{path}: {rate} Hz; the model was trained at {trained} Hz; expected a recording resampled to {trained} Hz");
        return _record.Rate is { } known ? $"some recordings do not say their rate; those of the training had {known} Hz"
            : $"recordings have a rate of {signal.Rate} Hz; those of the training did not say their rate";
    }

    /// <summary>The classes of a recording, the most probable first.</summary>
    private IEnumerable<(string Label, double Probability)> Classify(Signal signal)
    {
        using MemoryScope scope = new();
        float[] logits = _model.Module.Forward(RecordedSignals.Input(signal, _shape.Length)).Span.ToArray();
        double largest = logits.Max(), sum = logits.Sum(logit => Math.Exp(logit - largest));
        return logits.Select((logit, i) => (_labels[i], Math.Exp(logit - largest) / sum)).OrderByDescending(c => c.Item2).ToArray();
    }
}
