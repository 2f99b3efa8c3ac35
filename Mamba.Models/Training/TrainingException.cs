namespace Mamba.Models.Training;

/// <summary>Training cannot go on: the message says where it stopped and what may help.</summary>
/// <param name="message">The whole message.</param>
public sealed class TrainingException(string message) : Exception(message);
