using Mamba.Core;

namespace Mamba.Models.Verification;

// Activations and arithmetic, element by element.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_elementwise = new()
    {
    };
}
