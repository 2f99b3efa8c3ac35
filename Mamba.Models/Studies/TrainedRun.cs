using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Splits;
using Mamba.Models.Training;

namespace Mamba.Models.Studies;

/// <summary>What the training of a run left: its weights, its data and its course.</summary>
/// <param name="Weights">The file of the best weights.</param>
/// <param name="Objective">The loss and the metrics.</param>
public sealed record TrainedRun(string Weights, Objective Objective)
{
    /// <summary>All images.</summary>
    public required IImageData Data { get; init; }

    /// <summary>Their parts.</summary>
    public required Split Split { get; init; }

    /// <summary>What the test images are read from: the images, or tiles of them.</summary>
    public required IImageData Test { get; init; }

    /// <summary>The test images, by their index in <see cref="Test"/>.</summary>
    public required int[] TestImages { get; init; }

    /// <summary>How images become the model's input.</summary>
    public required BatchOptions Input { get; init; }

    /// <summary>How the images were split.</summary>
    public required SplitProtocol Protocol { get; init; }

    /// <summary>The epochs.</summary>
    public required IReadOnlyList<EpochResult> Epochs { get; init; }

    /// <summary>Epochs that were planned.</summary>
    public required int PlannedEpochs { get; init; }

    /// <summary>Why training ended before; null where it did not.</summary>
    public string? EndedBy { get; init; }
}
