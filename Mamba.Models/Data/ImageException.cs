namespace Mamba.Models.Data;

/// <summary>A picture cannot be read: the message names the file, what is wrong with it and what was expected.</summary>
/// <param name="message">The whole message.</param>
/// <param name="inner">What the decoder or the operating system said, if it did.</param>
public sealed class ImageException(string message, Exception? inner = null) : IOException(message, inner);
