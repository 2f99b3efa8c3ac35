namespace Mamba.Models.Studies;

/// <summary>A study cannot be read or run. The message names the file, the place in it, what is wrong and what was expected.</summary>
/// <param name="message">The whole message.</param>
/// <param name="inner">The error below; null if there is none.</param>
public sealed class StudyException(string message, Exception? inner = null) : IOException(message, inner);
