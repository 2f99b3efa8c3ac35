using System.Text.Json;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;

namespace Mamba.Models.Sequences;

/// <summary>Weights of a model of sequences, with the options of its training and what it was built for.</summary>
public static class SequenceFile
{
    private const string Options = "sequence", Shape = "shape", Values = "values";
    private const int MostWidth = 1 << 14, MostDepth = 1 << 10, MostClasses = 1 << 16;

    /// <summary>Whether the metadata of a file describe such a model.</summary>
    /// <param name="file">The open file.</param>
    /// <returns>True if they do.</returns>
    public static bool IsDescribed(WeightFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        return file.Metadata.ContainsKey(Options);
    }

    /// <summary>Writes the weights; the file appears whole or not at all.</summary>
    /// <param name="path">The file.</param>
    /// <param name="model">The model.</param>
    /// <param name="arguments">The options of its training; places of files and the number of threads are left out.</param>
    /// <param name="task">What it was trained on.</param>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    public static void Save(string path, SequenceModel model, SequenceArguments arguments, SequenceTask task)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(arguments);
        ArgumentNullException.ThrowIfNull(task);
        Dictionary<string, string> metadata = new()
        {
            ["format"] = "pt",
            [Options] = (arguments.Portable with { Data = task.Name }).ToJson(),
            [Shape] = JsonSerializer.Serialize(SequenceShape.Of(task), SequenceJson.Default.SequenceShape),
        };
        if (task.Vocabulary is null)
            metadata[Values] = JsonSerializer.Serialize(SignalRecord.Of(task), SequenceJson.Default.SignalRecord);
        Safetensors.Write(path, model.Parameters.All, metadata);
    }

    /// <summary>What the file says of the sequences of the training.</summary>
    /// <param name="file">The open file.</param>
    /// <returns>Their shape, and their record; null of tokens and in files of older versions.</returns>
    /// <exception cref="CheckpointException">The metadata are malformed.</exception>
    public static (SequenceShape Shape, SignalRecord? Record) Describe(WeightFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        try
        {
            SequenceShape shape = JsonSerializer.Deserialize(file.Metadata[Shape], SequenceJson.Default.SequenceShape)
                ?? throw new JsonException("no shape");
            if (!file.Metadata.TryGetValue(Values, out string? values)) return (shape, null);
            SignalRecord record = JsonSerializer.Deserialize(values, SequenceJson.Default.SignalRecord)
                ?? throw new JsonException($"no {Values}");
            return record.Labels is not null && record.Fits(shape.Classes) ? (shape, record)
                : throw new JsonException($"'{Values}' does not fit the shape");
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException)
        {
            throw new CheckpointException($"{file.Path}: metadata does not describe a model of sequences: {e.Message}", e);
        }
    }

    /// <summary>Reads the weights.</summary>
    /// <param name="file">The open file.</param>
    /// <returns>The model, frozen, and the options of its training.</returns>
    /// <exception cref="CheckpointException">The file is malformed, or its tensors do not fit what it says.</exception>
    public static (SequenceModel Model, SequenceArguments Arguments) Load(WeightFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        try
        {
            SequenceArguments arguments = JsonSerializer.Deserialize(file.Metadata[Options], SequenceJson.Default.SequenceArguments)
                ?? throw new JsonException("no options");
            SequenceShape shape = JsonSerializer.Deserialize(file.Metadata[Shape], SequenceJson.Default.SequenceShape)
                ?? throw new JsonException("no shape");
            if (arguments.Width is < 1 or > MostWidth || arguments.Depth is < 1 or > MostDepth || shape.Classes is < 1 or > MostClasses
                || shape.Vocabulary is < 1 or > MostClasses || shape.Channels is < 1 or > MostWidth || shape.Length < 1)
                throw new CheckpointException($"{file.Path}: metadata: a size is out of its range; expected weights of 'mamba train'");
            // Sizes that the file invents must not fill memory before they are compared with its tensors.
            ParameterStore store = new() { MaxCount = file.Names.Sum(name => (long)file.Count(name)), SkipInitialValues = true };
            SequenceModel model = SequenceModels.Create(arguments.Model, shape, arguments.Width, arguments.Depth, store);
            store.Load(file);
            store.Freeze();
            return (model, arguments);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or ArgumentException or ShapeException)
        {
            throw new CheckpointException($"{file.Path}: metadata does not describe a model of sequences: {e.Message}", e);
        }
    }
}
