namespace Mamba.Models.Data;

/// <summary>A set of data cannot be used: the message names the folder or files, what is wrong and what was expected.</summary>
/// <param name="message">The whole message.</param>
/// <param name="inner">What the operating system said, if it did.</param>
public sealed class DatasetException(string message, Exception? inner = null) : IOException(message, inner);
