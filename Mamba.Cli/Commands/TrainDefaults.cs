namespace Mamba.Cli.Commands;

/// <summary>What <c>mamba train</c> does on synthetic data when it is told nothing: about two minutes on two cores.</summary>
internal static class TrainDefaults
{
    public const int SyntheticImages = 400;
    public const int SyntheticEpochs = 12;
    public const double SyntheticLearningRate = 2e-3;
}
