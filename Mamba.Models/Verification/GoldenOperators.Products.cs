using Mamba.Core;

namespace Mamba.Models.Verification;

// Products of matrices and attention.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_products = new()
    {
    };
}
