using System.CommandLine;
using System.Globalization;
using Mamba.Core.Checkpoints;
using Mamba.Core.Simd;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>A run that is resumed: its folder, locked, and its last state.</summary>
internal sealed class ResumedRun : IDisposable
{
    private readonly SafetensorsFile? _checkpoint;
    private readonly Terminal _terminal;

    /// <summary>Locks the folder of a run and opens its newest checkpoint that is whole.</summary>
    /// <exception cref="CheckpointException">It holds no run, another process has it, or no checkpoint can be read.</exception>
    public ResumedRun(string path, Terminal terminal)
    {
        _terminal = terminal;
        Folder = RunFolder.Open(path);
        try
        {
            _checkpoint = Folder.OpenCheckpoint(damage => terminal.WriteLine($"{damage}; set aside, the checkpoint before it is used"));
            State = _checkpoint is null ? null : TrainingState.Read(_checkpoint);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public RunFolder Folder { get; }

    /// <summary>Where the run is resumed; null if it was killed before its first checkpoint and starts again.</summary>
    public TrainingState? State { get; }

    /// <summary>Refuses options beside --resume that could change the run.</summary>
    /// <exception cref="ArgumentException">There is one.</exception>
    public static void ThrowIfMixed(ParseResult typed, params Option[] allowed)
    {
        string can = $"{string.Join(", ", allowed[1..^1].Select(o => o.Name))} and {allowed[^1].Name}";
        foreach (Option option in typed.CommandResult.Command.Options)
            if (!allowed.Contains(option) && typed.GetResult(option) is { Implicit: false })
                throw new ArgumentException(
                    $"{option.Name} cannot be given with --resume, which uses the options in the run's args.json; {can} can");
    }

    /// <summary>Restores a trainer to the state of the run.</summary>
    /// <param name="trainer">A trainer of the same model, data and plan.</param>
    /// <param name="identities">The hashes that the run's options and images as they are now have in this version and in older
    /// ones.</param>
    /// <param name="what">What they are hashes of.</param>
    /// <exception cref="CheckpointException">The checkpoint is of another run.</exception>
    public void Restore(
        IResumable trainer, IEnumerable<string> identities, string what = "the options, the images or the masks")
    {
        if (State is null)
        {
            _terminal.WriteLine($"{Folder.Path}: no checkpoint yet; the run starts again");
            return;
        }
        if (!identities.Contains(State.Run))
            throw new CheckpointException(
                $"{_checkpoint!.Path}: {what} of the run are no longer those of its checkpoint");
        using (_checkpoint) trainer.Restore(_checkpoint!, State); // closed, so that it can be removed when newer ones are there
        _terminal.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{Folder.Path}: resumes in epoch {State.Epoch} after {State.Images} of its images"));
        if (State.Width != Isa.Current.ToString())
            _terminal.WriteLine(
                $"note: the run began with vector width {State.Width} and resumes with {Isa.Current}; its last bits will differ");
    }

    public void Dispose()
    {
        _checkpoint?.Dispose();
        Folder.Dispose();
    }
}
