namespace Mamba.Models.Data;

/// <summary>A data set cannot be used. The message names the folder or file, what is wrong and what was expected.</summary>
/// <param name="message">The whole message.</param>
/// <param name="inner">The error of the operating system; null if there is none.</param>
public sealed class DatasetException(string message, Exception? inner = null) : IOException(message, inner);
