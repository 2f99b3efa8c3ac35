using Mamba.Core;
using Mamba.Core.Checkpoints;

namespace Mamba.Models.Training;

/// <summary>A training that is saved between two of its steps, and resumed to the same bits.</summary>
public interface IResumable
{
    /// <summary>Where training stands.</summary>
    TrainingState State { get; }

    /// <summary>The tensors of a checkpoint: weights and buffers, and what the optimizer remembers.</summary>
    IEnumerable<(string Name, Tensor Tensor)> Tensors { get; }

    /// <summary>Restores the state of a checkpoint, before training begins.</summary>
    /// <param name="file">The checkpoint, opened with its seal.</param>
    /// <param name="state">Its state.</param>
    /// <exception cref="CheckpointException">The checkpoint is of another training; nothing was changed.</exception>
    void Restore(SafetensorsFile file, TrainingState state);
}

/// <summary>What all resumable trainings do alike.</summary>
public static class ResumableTraining
{
    /// <summary>Writes a checkpoint.</summary>
    /// <param name="training">The training.</param>
    /// <param name="path">The file; it appears whole or not at all.</param>
    /// <param name="state">Its state, with what the run adds to it.</param>
    /// <param name="cancellation">Gives up; a file that was there stays as it is.</param>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static void Save(this IResumable training, string path, TrainingState state, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(training);
        ArgumentNullException.ThrowIfNull(state);
        Safetensors.WriteSealed(path, training.Tensors, state.ToMetadata(), cancellation);
    }

    /// <summary>Reads the tensors of a checkpoint, once all of them are known to fit.</summary>
    /// <param name="file">The checkpoint.</param>
    /// <param name="state">Its state.</param>
    /// <param name="tensors">Where they go.</param>
    /// <param name="batches">Batches of an epoch.</param>
    /// <param name="fits">Whether all else fits.</param>
    /// <exception cref="CheckpointException">Something does not fit; nothing was changed.</exception>
    internal static void Read(
        SafetensorsFile file, TrainingState state, (string Name, Tensor Tensor)[] tensors, int batches, bool fits)
    {
        foreach ((string name, Tensor tensor) in tensors)
            if (!file.Contains(name) || !file.Shape(name).AsSpan().SequenceEqual(tensor.Shape.ToArray()))
                throw new CheckpointException($"{file.Path}: does not fit this run: no tensor '{name}' of shape {tensor.Shape}");
        if (!fits || file.Names.Count != tensors.Length + 1 || state.Batch > batches || state.Epochs.Count != state.Epoch - 1
            || state.BestEpoch > state.Epochs.Count)
            throw new CheckpointException(
                $"{file.Path}: does not fit this run: it stands in epoch {state.Epoch} after {state.Batch} batches, with "
                    + $"{file.Names.Count - 1} tensors; expected at most {batches} batches and {tensors.Length} tensors");
        foreach ((string name, Tensor tensor) in tensors) file.ReadFloats(name, tensor.Span);
    }
}
