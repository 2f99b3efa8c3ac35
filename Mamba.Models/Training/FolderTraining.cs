using System.Diagnostics;
using Mamba.Core.Checkpoints;
using Mamba.Models.Files;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>
/// Trains into a run folder: the weights after each epoch, the best ones beside them, and checkpoints from which the run is resumed.
/// </summary>
/// <param name="trainer">The training, restored to where it stands.</param>
/// <param name="model">Its model.</param>
/// <param name="info">What weight files say of the model.</param>
/// <param name="folder">The folder.</param>
public sealed class FolderTraining(Trainer trainer, VisionModel model, ModelInfo info, RunFolder folder)
{
    /// <summary>The hash of the run's options and images, see <see cref="RunArguments.Identity"/>.</summary>
    public required string Identity { get; init; }

    /// <summary>How often a checkpoint is written between those after epochs.</summary>
    public CheckpointInterval CheckpointEvery { get; init; }

    /// <summary>How many checkpoints are kept.</summary>
    public int Keep { get; init; } = 2;

    /// <summary>Called before weights or checkpoints are written; it throws where nothing may be. Null for nothing.</summary>
    public Action? BeforeWriting { get; init; }

    /// <summary>Called after each step; null for nobody.</summary>
    public Action<TrainingProgress>? OnStep { get; init; }

    /// <summary>Called after each epoch, when its weights and its checkpoint are written; null for nobody.</summary>
    public Action<EpochResult>? OnEpoch { get; init; }

    /// <summary>
    /// Trains to the end, or until it is stopped. Then the weights and a checkpoint are written as well; without a full epoch there is no
    /// best one yet, and the current weights are the best there are.
    /// </summary>
    /// <param name="stop">Stops it after the running step.</param>
    /// <returns>Why training failed; null where it did not. The state before the failure is kept.</returns>
    /// <exception cref="CheckpointException">A file cannot be written.</exception>
    public string? Run(CancellationToken stop)
    {
        Stopwatch sinceCheckpoint = Stopwatch.StartNew();
        try
        {
            foreach (EpochResult epoch in trainer.Run(Step, stop))
            {
                BeforeWriting?.Invoke();
                // The checkpoint comes after the weights, which a resumed run does not write again, and before what it can write again.
                folder.Save(model, info, best: trainer.BestEpoch == epoch.Epoch);
                Checkpoint();
                OnEpoch?.Invoke(epoch);
            }
        }
        catch (TrainingException e)
        {
            Checkpoint();
            return e.Message;
        }
        if (stop.IsCancellationRequested && !trainer.Done)
        {
            BeforeWriting?.Invoke();
            folder.Save(model, info, best: trainer.Epochs.Count == 0);
            Checkpoint();
        }
        return null;

        void Step(TrainingProgress step)
        {
            OnStep?.Invoke(step);
            if (!step.Validating && sinceCheckpoint.Elapsed >= CheckpointEvery.Every) Checkpoint();
        }

        void Checkpoint()
        {
            Save(finished: false);
            sinceCheckpoint.Restart();
        }
    }

    /// <summary>Writes the checkpoint of a run that is trained, tested and summarized.</summary>
    /// <exception cref="CheckpointException">It cannot be written.</exception>
    public void Finish() => Save(finished: true);

    private void Save(bool finished)
    {
        BeforeWriting?.Invoke();
        folder.SaveCheckpoint(trainer, trainer.State with { Run = Identity, Finished = finished }, Keep);
    }
}
