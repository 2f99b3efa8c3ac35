namespace Mamba.Core;

/// <summary>Arguments of an operator are inconsistent; the message names the operator, the shapes and what was expected.</summary>
/// <param name="operatorName">The operator that threw.</param>
/// <param name="problem">What is wrong, with the shapes or values, and what was expected.</param>
public sealed class ShapeException(string operatorName, string problem) : ArgumentException($"{operatorName}: {problem}.")
{
    /// <summary>The operator that threw.</summary>
    public string Operator { get; } = operatorName;
}
