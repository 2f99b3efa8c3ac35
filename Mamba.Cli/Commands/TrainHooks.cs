using System.CommandLine;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>What a program changes that trains in its own way, with the options and the run folder of <c>mamba train</c>.</summary>
internal sealed record TrainHooks
{
    /// <summary>Makes what computes the gradients of steps; null for this process.</summary>
    public Func<RunParts, PreparedData, IStepGradients>? Gradients { get; init; }

    /// <summary>Called before anything is written to the run folder; it throws where nothing may be. Null for nothing.</summary>
    public Action? BeforeWriting { get; init; }

    /// <summary>Options that may stand beside --resume: they change no result.</summary>
    public IReadOnlyList<Option> Options { get; init; } = [];
}
