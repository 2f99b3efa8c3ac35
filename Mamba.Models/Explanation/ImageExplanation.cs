using Mamba.Models.Data;

namespace Mamba.Models.Explanation;

/// <summary>What a model looks at in one picture.</summary>
public sealed class ImageExplanation
{
    internal ImageExplanation(Image picture, float[] input, ExplanationTarget target, IReadOnlyList<MethodExplanation> methods) =>
        (Picture, Input, Target, Methods) = (picture, input, target, methods);

    /// <summary>The picture at the size of the model's input: three channels of 8 bits.</summary>
    public Image Picture { get; }

    /// <summary>What is explained.</summary>
    public ExplanationTarget Target { get; }

    /// <summary>The maps of each method, in the order in which they were asked for.</summary>
    public IReadOnlyList<MethodExplanation> Methods { get; }

    /// <summary>(H, W, C), the model's input.</summary>
    internal float[] Input { get; }
}

/// <summary>The maps of one method.</summary>
public sealed class MethodExplanation
{
    internal MethodExplanation(ExplanationMethod method, IReadOnlyList<ExplanationMap> maps, ExplanationMap mean) =>
        (Method, Maps, Mean) = (method, maps, mean);

    /// <summary>The method.</summary>
    public ExplanationMethod Method { get; }

    /// <summary>A map for each layer and direction, first to last.</summary>
    public IReadOnlyList<ExplanationMap> Maps { get; }

    /// <summary>The mean of the maps, each divided by its sum; the map itself where there is one. Its faithfulness is measured.</summary>
    public ExplanationMap Mean { get; }
}
