namespace Mamba.Models.Inference;

/// <summary>A class and its probability.</summary>
/// <param name="Label">The name of the class.</param>
/// <param name="Probability">From 0 to 1.</param>
public readonly record struct ClassProbability(string Label, float Probability);

/// <summary>The result of a <see cref="Classifier"/>.</summary>
/// <param name="Classes">All classes, the most probable first.</param>
/// <param name="Milliseconds">Time of the model, without decoding.</param>
public sealed record Classification(IReadOnlyList<ClassProbability> Classes, double Milliseconds);
