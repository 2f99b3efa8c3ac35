using Mamba.Models.Training;

namespace Mamba.Models.Studies;

/// <summary>How the runs of a study are trained: by the command line, or by a program with models of its own.</summary>
public interface IStudyTrainer
{
    /// <summary>Checks the options of a run, before the first one is trained.</summary>
    /// <param name="run">The run.</param>
    /// <returns>Its model.</returns>
    /// <exception cref="ArgumentException">An option is unknown or makes no sense.</exception>
    PlannedModel Check(StudyRun run);

    /// <summary>
    /// Trains a run, or resumes it where its folder holds a part of it. <see cref="StudyPlace.Prepared"/> is to be called before.
    /// </summary>
    /// <param name="run">The run.</param>
    /// <param name="place">Its folder, and what surrounds it.</param>
    /// <param name="stop">Stops it: what was learned is kept.</param>
    /// <returns>What it left.</returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    /// <exception cref="TrainingException">A loss is not finite.</exception>
    TrainedRun Train(StudyRun run, StudyPlace place, CancellationToken stop);
}

/// <summary>Runs the command lines that follow a training, see <see cref="StudyModel.Then"/>.</summary>
public interface IStudyStages
{
    /// <summary>Checks a command line without running it.</summary>
    /// <param name="words">The words after <c>mamba</c>.</param>
    /// <exception cref="ArgumentException">It does not parse.</exception>
    void Check(IReadOnlyList<string> words);

    /// <summary>Runs a command line.</summary>
    /// <param name="words">The words after <c>mamba</c>.</param>
    /// <param name="stop">Stops it.</param>
    /// <exception cref="StudyException">It failed.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    void Run(IReadOnlyList<string> words, CancellationToken stop);
}

/// <summary>Where a run of a study is trained.</summary>
/// <param name="Folder">Its run folder, whether it is there or not.</param>
/// <param name="Teacher">The weights of its teacher; null for none.</param>
/// <param name="Progress">Where the study stands.</param>
public sealed record StudyPlace(string Folder, string? Teacher, StudyProgress Progress)
{
    /// <summary>Sees the images of the run; it throws where they are not those of the study. Null for nobody.</summary>
    internal Action<StudyImages>? OnImages { get; init; }

    /// <summary>Compares the images of the run with those of runs that have ended. To be called before the folder is written.</summary>
    /// <param name="arguments">The options of the run.</param>
    /// <param name="content">Its images, read and split.</param>
    /// <exception cref="StudyException">They are others.</exception>
    /// <exception cref="IOException">An image or a mask cannot be read.</exception>
    public void Prepared(RunArguments arguments, SplitContent content) => OnImages?.Invoke(StudyImages.Of(arguments, content));
}
