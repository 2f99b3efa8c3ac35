namespace Mamba.Models.Training;

/// <summary>One epoch of training.</summary>
/// <param name="Epoch">Its number, from 1.</param>
/// <param name="TrainLoss">The mean loss of its steps.</param>
/// <param name="Validation">The evaluation after it.</param>
/// <param name="LearningRate">The learning rate of its last step.</param>
/// <param name="Seconds">Its time, validation included.</param>
/// <param name="ImagesPerSecond">Training images a second, validation excluded.</param>
public sealed record EpochResult(
    int Epoch, double TrainLoss, Evaluation Validation, double LearningRate, double Seconds, double ImagesPerSecond);
