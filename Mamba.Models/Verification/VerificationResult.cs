namespace Mamba.Models.Verification;

/// <summary>The verdict on one case of reference values.</summary>
public enum VerificationStatus
{
    /// <summary>Every value is within its tolerance.</summary>
    Passed,

    /// <summary>A value is outside of its tolerance, an input was refused, or the file is malformed.</summary>
    Failed,

    /// <summary>The operator, the model or an option of it is not built: nothing was compared.</summary>
    Unsupported,
}

/// <summary>The result of one case of reference values.</summary>
/// <param name="File">The file that holds the case.</param>
/// <param name="Case">The case's name in the file.</param>
/// <param name="Status">The verdict.</param>
/// <param name="OutputError">The largest error of an output, relative to the largest magnitude expected; null where none was.</param>
/// <param name="GradError">The same of the gradients.</param>
/// <param name="Message">Why the case did not pass; null where it passed.</param>
public sealed record VerificationResult(
    string File, string Case, VerificationStatus Status, double? OutputError, double? GradError, string? Message)
{
    /// <summary>Whether every value is within its tolerance.</summary>
    public bool Passed => Status == VerificationStatus.Passed;

    /// <summary>A case whose values were compared.</summary>
    internal static VerificationResult Compared(string file, string name, double? output, double? gradient, string? problem) =>
        new(file, name, problem is null ? VerificationStatus.Passed : VerificationStatus.Failed, output, gradient, problem);

    /// <summary>A case that failed before anything was compared.</summary>
    internal static VerificationResult Failed(string file, string name, string message) =>
        new(file, name, VerificationStatus.Failed, null, null, message);

    /// <summary>A case of something that is not built.</summary>
    internal static VerificationResult Unsupported(string file, string name, string message) =>
        new(file, name, VerificationStatus.Unsupported, null, null, message);
}
