namespace Mamba.Models.Verification;

/// <summary>What came of one case of reference values.</summary>
/// <param name="File">The file that holds the case.</param>
/// <param name="Case">The case's name in the file.</param>
/// <param name="Passed">Whether every value is within its tolerance.</param>
/// <param name="OutputError">The largest error of an output, relative to the largest magnitude expected; null where none was compared.</param>
/// <param name="GradError">The same of the gradients.</param>
/// <param name="Message">Why the case failed; null where it passed.</param>
public sealed record VerificationResult(string File, string Case, bool Passed, double? OutputError, double? GradError, string? Message);
