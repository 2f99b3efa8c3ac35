using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Core.Optim;

namespace Mamba.Models.Verification;

/// <summary>A model's parameters held against a file of reference values, and the optimizer that changes them.</summary>
internal static class GoldenParameters
{
    /// <summary>Names, shapes, order and number of the parameters.</summary>
    public static VerificationResult Check(string path, ModelGoldenFile file, ParameterStore parameters)
    {
        string[] expected = [.. file.Tensors.Select(t => $"{t.Name} {t.Shape}")];
        string[] actual = [.. parameters.All.Select(p => $"{p.Name} {p.Tensor.Shape}")];
        return VerificationResult.Compared(path, "parameters", null, null, Problem());

        string? Problem()
        {
            if (parameters.ParameterCount != file.Parameters)
                return $"{parameters.ParameterCount} parameters, expected {file.Parameters}";
            if (!expected.SequenceEqual(actual))
                return $"parameters differ, first: {actual.Except(expected).FirstOrDefault() ?? "another order"}; "
                    + $"expected {expected.Except(actual).FirstOrDefault() ?? "the same"}";
            return file.SecondNames.FirstOrDefault(n => !Shared(n.Alias, n.Original)) is { Alias: { } alias, Original: { } original }
                ? $"{alias} is not another name of {original}"
                : null;
        }

        bool Shared(string alias, string original) => parameters.Contains(alias) && parameters.Contains(original)
            && parameters[alias] == parameters[original];
    }

    /// <summary>A tensor of the model.</summary>
    /// <exception cref="FailedCaseException">There is none of that name.</exception>
    public static Tensor Find(ParameterStore parameters, string name) =>
        parameters.Contains(name) ? parameters[name] : throw new FailedCaseException($"the model has no parameter '{name}'");

    /// <summary>The optimizer of a case.</summary>
    public static Optimizer Optimizer(GoldenOptimizer golden, ParameterStore parameters)
    {
        return golden.Name switch
        {
            "sgd" => new Sgd(parameters.Parameters, golden.LearningRate, golden.Momentum, golden.WeightDecay) { Groups = GroupOf },
            "adam" or "adamw" => new Adam(parameters.Parameters, golden.LearningRate, golden.WeightDecay)
            {
                Decoupled = golden.Name == "adamw",
                Eps = golden.Eps,
                Beta1 = golden.Beta1,
                Beta2 = golden.Beta2,
                Groups = GroupOf,
            },
            _ => throw new UnsupportedCaseException($"unknown optimizer '{golden.Name}'"),
        };

        ParameterGroup GroupOf(string name, Tensor parameter) =>
            golden.Groups.FirstOrDefault(group => group.Endings.Any(ending => EndsWith(name, ending))) is { } own
                ? new ParameterGroup { LearningRateScale = own.LearningRate / golden.LearningRate, WeightDecay = own.WeightDecay }
                : ParameterGroup.Default;

        static bool EndsWith(string name, string ending) => name.EndsWith(ending, StringComparison.Ordinal);
    }
}
