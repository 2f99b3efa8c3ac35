using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Files;

/// <summary>Zeros among the weights of convolutions and linear layers.</summary>
internal static class SparseWeights
{
    /// <summary>The weights that unstructured pruning sets to zero: matrices and kernels, no norms, biases or embeddings.</summary>
    public static IEnumerable<(string Name, Tensor Tensor)> Of(ParameterStore parameters) => parameters.Parameters
        .Where(p => p.Tensor.Shape.Rank >= 2 && p.Name.EndsWith("weight", StringComparison.Ordinal));

    /// <summary>
    /// Takes the gradient away from weights that are zero. Optimizers then leave them there: their moments are zero, and so is what weight
    /// decay takes. What stays is known from the weights alone, so that a checkpoint needs no mask.
    /// </summary>
    public static void ClearGradients(IReadOnlyList<Tensor> weights)
    {
        foreach (Tensor weight in weights)
        {
            if (weight.Grad is not { } gradient) continue;
            ReadOnlySpan<float> values = weight.Span;
            Span<float> gradients = gradient.Span;
            for (int i = 0; i < values.Length; i++)
                if (values[i] == 0) gradients[i] = 0;
        }
    }
}
