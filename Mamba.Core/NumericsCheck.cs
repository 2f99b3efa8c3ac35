using System.Diagnostics;

namespace Mamba.Core;

/// <summary>
/// Looks at all that a <see cref="Tape"/> records, as it comes: the result of every operator, and on the way back the gradient of every
/// result. The first number that is not finite is a <see cref="NonFiniteException"/> with the operator and the nearest parameter. For
/// diagnosis: it reads everything once more.
/// </summary>
/// <param name="parameters">The model's parameters and buffers with their names, as <c>ParameterStore.All</c> lists them.</param>
public sealed class NumericsCheck(IEnumerable<(string Name, Tensor Tensor)> parameters)
{
    private readonly Dictionary<Tensor, string> _names = parameters.ToDictionary(p => p.Tensor, p => p.Name);
    private string? _nearest;

    /// <summary>Looks at the results of an operator.</summary>
    /// <returns>The operator and its place in the model, for <see cref="Gradients"/>.</returns>
    internal string Results(Delegate backward, ReadOnlySpan<Tensor> outputs, ReadOnlySpan<Tensor?> saved)
    {
        string? own = null;
        foreach (Tensor? tensor in saved)
            if (tensor is { } present && _names.TryGetValue(present, out string? name)) own = _nearest = name;
        string place = own is not null ? $"{Operator(backward)} with '{own}'" : _nearest is not null ? $"{Operator(backward)} after '{_nearest}'" : $"{Operator(backward)} on the input";
        foreach (Tensor output in outputs) NonFiniteException.ThrowIfAny($"the result of {place}", output);
        return place;
    }

    /// <summary>Looks at the gradients that flow into an operator's results.</summary>
    internal static void Gradients(string place, ReadOnlySpan<Tensor> outputs)
    {
        foreach (Tensor output in outputs)
            if (output.Grad is { } gradient) NonFiniteException.ThrowIfAny($"the gradient of the result of {place}", gradient);
    }

    /// <summary>The method that made a backward step, which is the operator: the compiler names the lambda &lt;Method&gt;b__0.</summary>
    private static string Operator(Delegate backward) =>
        DiagnosticMethodInfo.Create(backward)?.Name is { } name ? Term(name.Split('<', '>') is [_, var method, ..] ? method : name) : "an operator";

    /// <summary>What the field calls a method to which several operators lead; an operator's own method has its name.</summary>
    private static string Term(string method) => method switch
    {
        "Activate" => "activation",
        "Convolve" => "convolution",
        "Normalize" or "NormalizeRows" => "normalization",
        "ReduceLast" => "reduction",
        "SoftmaxOf" => "softmax",
        "MaskLoss" => "loss",
        _ => method,
    };
}
