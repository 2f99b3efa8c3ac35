namespace Mamba.Models.Training;

/// <summary>Training cannot continue. The message says where it stopped and what may help.</summary>
/// <param name="message">The whole message.</param>
public sealed class TrainingException(string message) : Exception(message);
