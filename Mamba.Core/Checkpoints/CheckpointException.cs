namespace Mamba.Core.Checkpoints;

/// <summary>A file of weights cannot be read, written or used: the message names the file, the place in it and what was expected.</summary>
/// <param name="message">The whole message.</param>
/// <param name="inner">What the operating system said, if it did.</param>
public sealed class CheckpointException(string message, Exception? inner = null) : IOException(message, inner);
