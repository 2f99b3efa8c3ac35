using System.CommandLine;
using Mamba.Models.Sequences;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>Which options of <c>mamba train</c> describe a training on sequences, and the run that they describe.</summary>
/// <param name="options">The options of the command.</param>
internal sealed class SequenceOptions(TrainOptions options)
{
    private Option[] Allowed =>
    [
        options.Resume, options.Recipe, options.Model, options.Data, options.DataSet.Images, options.Epochs, options.Batch, options.Rate,
        options.Schedule, options.Warmup, options.MinRate, options.WeightDecay, options.ClipNorm, options.Patience, options.Seed,
        options.Width, options.Depth, options.Steps, options.Length, options.Init, options.CheckpointEvery, options.Keep, options.Threads,
        options.Output,
    ];

    /// <summary>Whether the data or the model are for sequences.</summary>
    /// <param name="parsed">The options, those of a recipe included.</param>
    /// <returns>True if one of them is.</returns>
    public bool Concern(ParseResult parsed) =>
        SequenceTasks.Names.Contains(parsed.GetValue(options.Data) ?? "") || SequenceModels.Contains(parsed.GetValue(options.Model) ?? "");

    /// <summary>Whether the sequences of a run are the images in a folder that --images names.</summary>
    /// <param name="run">The folder of the run.</param>
    /// <returns>False for any other run, and where there is none.</returns>
    public static bool ReadsImages(string run)
    {
        try
        {
            return SequenceArguments.Read(RunFolder.ArgumentsOf(run)).Data is SequenceTasks.MnistSequence or SequenceTasks.Cifar10Sequence;
        }
        catch (Exception e) when (e is ArgumentException or IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>The run; what is not given has the default of the task.</summary>
    /// <param name="parsed">The options, those of a recipe included.</param>
    /// <returns>Its options.</returns>
    /// <exception cref="ArgumentException">An option is not for sequences, or does not fit the others.</exception>
    public SequenceArguments Resolve(ParseResult parsed)
    {
        string? data = parsed.GetValue(options.Data), model = parsed.GetValue(options.Model);
        if (data is null or RunArguments.Synthetic)
            throw new ArgumentException($"{model} is for sequences; expected --data {string.Join(", ", SequenceTasks.Names)}, or a folder");
        foreach (Option option in parsed.CommandResult.Command.Options)
            if (!Allowed.Contains(option) && parsed.GetResult(option) is { Implicit: false })
                throw new ArgumentException($"{option.Name} is for images; it does not go with --data {data}");
        SequenceRecipe recipe = SequenceRecipe.Of(data);
        ScheduleKind schedule = parsed.GetValue(options.Schedule) ?? recipe.Schedule;
        if (schedule is ScheduleKind.Step or ScheduleKind.Plateau)
            throw new ArgumentException($"--schedule {RunArguments.Name(schedule)} is for images; expected constant or cosine");
        // Older versions ignored it; their runs can still be resumed.
        if (schedule == ScheduleKind.Constant && parsed.GetValue(options.MinRate) is not null && parsed.GetValue(options.Resume) is null)
            throw new ArgumentException("--min-lr is for --schedule cosine");
        bool named = SequenceTasks.Names.Contains(data), endless = SequenceTasks.IsEndless(data);
        if (!endless && parsed.GetValue(options.Steps) is not null)
            throw new ArgumentException($"--steps is for generated tasks; --epochs counts passes over {data}");
        return new SequenceArguments
        {
            Model = model ?? recipe.Model,
            Data = named ? data : Path.GetFullPath(data), // so that the run can be resumed from any folder
            Images = parsed.GetValue(options.DataSet.Images) is { } folder ? Path.GetFullPath(folder) : null,
            Length = parsed.GetValue(options.Length) ?? (endless ? recipe.Length : null),
            Width = parsed.GetValue(options.Width) ?? recipe.Width,
            Depth = parsed.GetValue(options.Depth) ?? recipe.Depth,
            Batch = parsed.GetValue(options.Batch) ?? recipe.Batch,
            Steps = endless ? parsed.GetValue(options.Steps) ?? recipe.Steps : null,
            Epochs = parsed.GetValue(options.Epochs) ?? recipe.Epochs,
            LearningRate = parsed.GetValue(options.Rate) ?? recipe.LearningRate,
            Schedule = RunArguments.Name(schedule),
            Warmup = parsed.GetValue(options.Warmup),
            MinLearningRate = parsed.GetValue(options.MinRate),
            WeightDecay = parsed.GetValue(options.WeightDecay) ?? recipe.WeightDecay,
            ClipNorm = parsed.GetValue(options.ClipNorm),
            Patience = parsed.GetValue(options.Patience),
            Seed = parsed.GetValue(options.Seed) ?? 0,
            Threads = Options.Apply(parsed, options.Threads),
            Init = parsed.GetValue(options.Init) is { } weights ? Path.GetFullPath(RunFolder.WeightsOf(weights)) : null,
            CheckpointEvery = (parsed.GetValue(options.CheckpointEvery) ?? TrainDefaults.CheckpointEvery).ToString(),
            Keep = parsed.GetValue(options.Keep) ?? TrainOptions.DefaultKeep,
        };
    }
}
