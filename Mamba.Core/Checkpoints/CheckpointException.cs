namespace Mamba.Core.Checkpoints;

/// <summary>A weight file cannot be read, written or used. The message names the file, the position in it and what was expected.</summary>
/// <param name="message">The full message.</param>
/// <param name="inner">The error of the operating system, if any.</param>
public sealed class CheckpointException(string message, Exception? inner = null) : IOException(message, inner);
