namespace Mamba.Models.Data;

/// <summary>A picture cannot be read. The message names the file, what is wrong with it and what was expected.</summary>
/// <param name="message">The whole message.</param>
/// <param name="inner">The error of the decoder or of the operating system; null if there is none.</param>
public sealed class ImageException(string message, Exception? inner = null) : IOException(message, inner);
