using System.Diagnostics;

namespace Mamba.Core;

/// <summary>
/// Checks everything that a <see cref="Tape"/> records: the result of every operator and, in the backward pass, the gradient of every
/// result. The first NaN or infinite value throws a <see cref="NonFiniteException"/> that names the operator and the nearest parameter. For
/// diagnosis: it reads every result once more.
/// </summary>
/// <param name="parameters">The model's parameters and buffers with their names, as <c>ParameterStore.All</c> lists them.</param>
public sealed class NumericsCheck(IEnumerable<(string Name, Tensor Tensor)> parameters)
{
    private readonly Dictionary<Tensor, string> _names = parameters.ToDictionary(p => p.Tensor, p => p.Name);
    private string? _nearest;

    /// <summary>Checks the results of an operator.</summary>
    /// <returns>The operator and its location in the model, for <see cref="Gradients"/>.</returns>
    internal string Results(Delegate backward, ReadOnlySpan<Tensor> outputs, ReadOnlySpan<Tensor?> saved)
    {
        string? own = null;
        foreach (Tensor? tensor in saved)
            if (tensor is { } present && _names.TryGetValue(present, out string? name)) own = _nearest = name;
        string where = own is not null ? $"with '{own}'" : _nearest is not null ? $"after '{_nearest}'" : "on the input";
        string place = $"{Operator(backward)} {where}";
        foreach (Tensor output in outputs) NonFiniteException.ThrowIfAny($"the result of {place}", output);
        return place;
    }

    /// <summary>Checks the gradients that flow into an operator's results.</summary>
    internal static void Gradients(string place, ReadOnlySpan<Tensor> outputs)
    {
        foreach (Tensor output in outputs)
            if (output.Grad is { } gradient) NonFiniteException.ThrowIfAny($"the gradient of the result of {place}", gradient);
    }

    /// <summary>The operator's method, from its backward lambda, which the compiler names &lt;Method&gt;b__0.</summary>
    private static string Operator(Delegate backward) =>
        DiagnosticMethodInfo.Create(backward)?.Name is { } name
            ? Term(name.Split('<', '>') is [_, var method, ..] ? method : name)
            : "an operator";

    /// <summary>The common name of a method shared by several operators; other methods have the operator's name.</summary>
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
