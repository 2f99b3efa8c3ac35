namespace Mamba.Core;

/// <summary>Arguments of an operator do not fit together: the message names the operator, the shapes and what was expected.</summary>
/// <param name="operatorName">The operator that refused them.</param>
/// <param name="problem">What is wrong, with the shapes or values, and what was expected.</param>
public sealed class ShapeException(string operatorName, string problem) : ArgumentException($"{operatorName}: {problem}.")
{
    /// <summary>The operator that refused its arguments.</summary>
    public string Operator { get; } = operatorName;
}
