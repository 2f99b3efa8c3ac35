using Mamba.Models.Data;
using Mamba.Models.Tasks;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>Defaults of <c>mamba train</c>. Without options it trains on synthetic data, in about two minutes on two cores.</summary>
internal static class TrainDefaults
{
    /// <summary>How much work a process that is killed may lose.</summary>
    public static readonly CheckpointInterval CheckpointEvery = new(TimeSpan.FromMinutes(5));

    public const int SyntheticImages = 400;
    public const int SyntheticEpochs = 12;
    public const double SyntheticLearningRate = 2e-3;

    /// <summary>The normalization of a model's input.</summary>
    public static NormalizationKind Normalization(ModelTask task) =>
        task == ModelTask.Classification ? NormalizationKind.Cifar : NormalizationKind.None;
}
